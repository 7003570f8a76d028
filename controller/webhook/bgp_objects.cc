// SPDX-License-Identifier: Apache-2.0
#include "controller/webhook/bgp_objects.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/kube/codec.h"
#include "common/kube/json_cursor.h"

namespace stentor::controller {
namespace {

using kube::JsonCursor;
using nlohmann::json;

constexpr std::int64_t kMaxUint32 = std::numeric_limits<std::uint32_t>::max();
constexpr std::int64_t kMaxInt32 = std::numeric_limits<std::int32_t>::max();

// Reads one object: gathers the first error, and puts kind and name before it.
class Reader {
 public:
  Reader(const json& object, std::string_view kind) : object_(object), kind_(kind) {
    const JsonCursor root(object_, &error_);
    const JsonCursor metadata = root.At("metadata");
    key_ = {metadata.At("namespace").String(), metadata.At("name").String()};
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  [[nodiscard]] JsonCursor Root() { return {object_, &error_}; }
  [[nodiscard]] const model::ObjectKey& key() const { return key_; }

  // The selectors in the list spec.`field`.
  std::vector<model::LabelSelector> Selectors(const char* field) {
    std::vector<model::LabelSelector> selectors;
    const auto spec = object_.find("spec");
    if (spec == object_.end() || !spec->is_object()) {
      return selectors;
    }
    const auto list = spec->find(field);
    if (list == spec->end() || list->is_null()) {
      return selectors;
    }
    if (!list->is_array()) {
      error_.Update(absl::InvalidArgumentError(StrCat("spec.", field, ": expected a list")));
      return selectors;
    }
    for (std::size_t i = 0; i < list->size(); ++i) {
      auto selector = kube::DecodeLabelSelector((*list)[i]);
      if (selector.ok()) {
        selectors.push_back(*std::move(selector));
      } else {
        error_.Update(Annotate(selector.status(), StrCat("spec.", field, "[", i, "]")));
      }
    }
    return selectors;
  }

  std::optional<GoDuration> Duration(const JsonCursor& cursor, std::string_view field) {
    if (!cursor.IsPresent()) {
      return std::nullopt;
    }
    auto duration = ParseGoDuration(cursor.String());
    if (!duration.ok()) {
      error_.Update(Annotate(duration.status(), StrCat("spec.", field)));
      return std::nullopt;
    }
    return *std::move(duration);
  }

  template <typename Object>
  absl::StatusOr<Object> Finish(Object object) {
    if (!error_.ok()) {
      return Annotate(error_, key_.name.empty() ? kind_ : StrCat(kind_, " ", key_.ToString()));
    }
    if (key_.name.empty()) {
      return absl::InvalidArgumentError(StrCat(kind_, ": metadata.name: expected a name"));
    }
    return object;
  }

 private:
  const json& object_;
  const std::string kind_;
  model::ObjectKey key_;
  absl::Status error_;
};

std::vector<std::string> Strings(const JsonCursor& list) {
  std::vector<std::string> strings;
  list.ForEach([&](const JsonCursor& element) { strings.push_back(element.String()); });
  return strings;
}

std::uint32_t Uint32(const JsonCursor& cursor) {
  return static_cast<std::uint32_t>(cursor.Integer(0, kMaxUint32));
}

std::optional<std::uint32_t> MaybeUint32(const JsonCursor& cursor) {
  return cursor.IsPresent() ? std::optional(Uint32(cursor)) : std::nullopt;
}

struct Unit {
  std::string_view name;
  double nanoseconds;
};
// Longer names before their beginnings.
constexpr std::array<Unit, 8> kUnits = {{{"ns", 1},
                                         {"us", 1e3},
                                         {"\u00b5s", 1e3},
                                         {"\u03bcs", 1e3},
                                         {"ms", 1e6},
                                         {"s", 1e9},
                                         {"m", 60e9},
                                         {"h", 3600e9}}};

// Takes a number and a unit from the front of `text`; a negative result is none.
double TakeTerm(std::string_view& text) {
  const std::size_t digits = text.find_first_not_of("0123456789.");
  if (digits == 0 || digits == std::string_view::npos) {
    return -1;
  }
  double number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + digits, number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + digits) {
    return -1;
  }
  text.remove_prefix(digits);
  for (const Unit& unit : kUnits) {
    if (text.substr(0, unit.name.size()) == unit.name) {
      text.remove_prefix(unit.name.size());
      return number * unit.nanoseconds;
    }
  }
  return -1;
}

}  // namespace

absl::StatusOr<GoDuration> ParseGoDuration(std::string_view text) {
  const auto invalid = [text] {
    return absl::InvalidArgumentError(StrCat("invalid duration \"", text, "\""));
  };
  std::string_view rest = text;
  bool negative = false;
  if (!rest.empty() && (rest.front() == '-' || rest.front() == '+')) {
    negative = rest.front() == '-';
    rest.remove_prefix(1);
  }
  if (rest.empty()) {
    return invalid();
  }
  double sum = 0;
  while (rest != "0" && !rest.empty()) {
    const double term = TakeTerm(rest);
    sum += term;
    // Beyond 2^63 ns Go fails, too.
    if (term < 0 || sum > 9.2e18) {
      return invalid();
    }
    if (rest == "0") {
      return invalid();  // "1s0": only alone 0 needs no unit
    }
  }
  const auto nanoseconds = static_cast<std::int64_t>(std::llround(sum));
  return GoDuration{.text = std::string(text),
                    .nanoseconds = negative ? -nanoseconds : nanoseconds};
}

absl::StatusOr<BgpPeer> DecodeBgpPeer(const json& object) {
  Reader reader(object, "BGPPeer");
  const JsonCursor root = reader.Root();
  const JsonCursor spec = root.At("spec");
  BgpPeer peer{.key = reader.key()};
  peer.my_asn = Uint32(spec.At("myASN"));
  peer.peer_asn = Uint32(spec.At("peerASN"));
  peer.local_asn = Uint32(spec.At("localASN"));
  peer.dynamic_asn = spec.At("dynamicASN").String();
  peer.address = spec.At("peerAddress").String();
  peer.interface = spec.At("interface").String();
  peer.source_address = spec.At("sourceAddress").String();
  peer.port = static_cast<std::uint16_t>(spec.At("peerPort").Integer(0, 65535));
  peer.hold_time = reader.Duration(spec.At("holdTime"), "holdTime");
  peer.keepalive_time = reader.Duration(spec.At("keepaliveTime"), "keepaliveTime");
  peer.connect_time = reader.Duration(spec.At("connectTime"), "connectTime");
  peer.router_id = spec.At("routerID").String();
  peer.node_selectors = reader.Selectors("nodeSelectors");
  peer.password = spec.At("password").String();
  const JsonCursor secret = spec.At("passwordSecret");
  peer.password_secret = {secret.At("namespace").String(), secret.At("name").String()};
  peer.bfd_profile = spec.At("bfdProfile").String();
  peer.graceful_restart = spec.At("enableGracefulRestart").Bool(false);
  peer.ebgp_multi_hop = spec.At("ebgpMultiHop").Bool(false);
  peer.vrf = spec.At("vrf").String();
  peer.disable_mp = spec.At("disableMP").Bool(false);
  peer.dual_stack = spec.At("dualStackAddressFamily").Bool(false);
  return reader.Finish(std::move(peer));
}

absl::StatusOr<BgpAdvertisement> DecodeBgpAdvertisement(const json& object) {
  Reader reader(object, "BGPAdvertisement");
  const JsonCursor root = reader.Root();
  const JsonCursor spec = root.At("spec");
  BgpAdvertisement advertisement{.key = reader.key()};
  if (const JsonCursor length = spec.At("aggregationLength"); length.IsPresent()) {
    advertisement.aggregation_length = static_cast<std::int32_t>(length.Integer(0, kMaxInt32));
  }
  if (const JsonCursor length = spec.At("aggregationLengthV6"); length.IsPresent()) {
    advertisement.aggregation_length_v6 = static_cast<std::int32_t>(length.Integer(0, kMaxInt32));
  }
  advertisement.local_pref = Uint32(spec.At("localPref"));
  advertisement.communities = Strings(spec.At("communities"));
  advertisement.ip_address_pools = Strings(spec.At("ipAddressPools"));
  advertisement.ip_address_pool_selectors = reader.Selectors("ipAddressPoolSelectors");
  advertisement.node_selectors = reader.Selectors("nodeSelectors");
  advertisement.peers = Strings(spec.At("peers"));
  advertisement.service_selectors = reader.Selectors("serviceSelectors");
  return reader.Finish(std::move(advertisement));
}

absl::StatusOr<BfdProfile> DecodeBfdProfile(const json& object) {
  Reader reader(object, "BFDProfile");
  const JsonCursor root = reader.Root();
  const JsonCursor spec = root.At("spec");
  BfdProfile profile{.key = reader.key()};
  profile.receive_interval = MaybeUint32(spec.At("receiveInterval"));
  profile.transmit_interval = MaybeUint32(spec.At("transmitInterval"));
  profile.detect_multiplier = MaybeUint32(spec.At("detectMultiplier"));
  profile.echo_interval = MaybeUint32(spec.At("echoInterval"));
  profile.minimum_ttl = MaybeUint32(spec.At("minimumTtl"));
  profile.echo_mode = spec.At("echoMode").Bool(false);
  return reader.Finish(std::move(profile));
}

absl::StatusOr<Community> DecodeCommunity(const json& object) {
  Reader reader(object, "Community");
  const JsonCursor root = reader.Root();
  const JsonCursor spec = root.At("spec");
  Community community{.key = reader.key()};
  spec.At("communities").ForEach([&](const JsonCursor& alias) {
    community.aliases.push_back({alias.At("name").String(), alias.At("value").String()});
  });
  return reader.Finish(std::move(community));
}

}  // namespace stentor::controller
