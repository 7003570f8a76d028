// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/config/checks.h"
#include "common/net/ip_address.h"
#include "controller/webhook/bgp_checks.h"
#include "controller/webhook/bgp_rules.h"

namespace stentor::controller {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kMinHoldTime = 3 * kSecond;
constexpr std::int64_t kMaxDuration = std::numeric_limits<std::int64_t>::max();

bool HasLineBreak(std::string_view text) {
  return text.find_first_of("\r\n") != std::string_view::npos;
}

bool IsAddress(const std::string& text) { return net::IpAddress::Parse(text).has_value(); }

absl::Status CheckTimers(const BgpPeer& peer) {
  if (!peer.hold_time && !peer.keepalive_time) {
    return absl::OkStatus();
  }
  // The one that is absent follows from the other: RFC 4271, 4.4, suggests a third.
  const std::int64_t keepalive =
      peer.keepalive_time ? peer.keepalive_time->nanoseconds : peer.hold_time->nanoseconds / 3;
  const std::int64_t hold =
      peer.hold_time ? peer.hold_time->nanoseconds
                     : (keepalive > kMaxDuration / 3 ? kMaxDuration
                                                     : std::max(keepalive, -kMaxDuration / 3) * 3);
  const std::string hold_text = peer.hold_time ? peer.hold_time->text : "";
  if (const std::int64_t whole = hold / kSecond * kSecond; whole != 0 && whole < kMinHoldTime) {
    return BgpError(StrCat("invalid hold time ", Quoted(hold_text), ": must be 0 or >=3s"));
  }
  if (keepalive > hold) {
    return BgpError(StrCat("invalid keepaliveTime ",
                           Quoted(peer.keepalive_time ? peer.keepalive_time->text : ""),
                           ", must be lower than holdTime ", Quoted(hold_text)));
  }
  return absl::OkStatus();
}

absl::Status CheckAsns(const BgpPeer& peer) {
  if (peer.my_asn == 0) {
    return BgpError("missing local ASN");
  }
  if (peer.peer_asn == 0 && peer.dynamic_asn.empty()) {
    return BgpError("missing peer ASN and dynamicASN");
  }
  if (peer.peer_asn != 0 && !peer.dynamic_asn.empty()) {
    return BgpError("both peer ASN and dynamicASN specified");
  }
  if (!peer.dynamic_asn.empty() && peer.dynamic_asn != "internal" &&
      peer.dynamic_asn != "external") {
    return BgpError(StrCat("invalid dynamicASN ", peer.dynamic_asn));
  }
  if (peer.peer_asn == peer.my_asn && peer.ebgp_multi_hop) {
    return BgpError("invalid ebgp-multihop parameter set for an ibgp peer");
  }
  return absl::OkStatus();
}

absl::Status CheckPeer(const BgpPeer& peer) {
  // Namespace and name as MetalLB's messages have them.
  const std::string key = StrCat(Quoted(peer.key.name_space), "/", Quoted(peer.key.name));
  STENTOR_RETURN_IF_ERROR(CheckAsns(peer));
  if (peer.address.empty() && peer.interface.empty()) {
    return BgpError("peer has no Address or Interface specified");
  }
  if (!peer.address.empty() && !peer.interface.empty()) {
    return BgpError("peer has both Address and Interface specified");
  }
  if (HasLineBreak(peer.interface)) {
    return BgpError(StrCat("interface for peer ", key, " contains invalid characters"));
  }
  if (const absl::Status timers = CheckTimers(peer); !timers.ok()) {
    return Annotate(timers, "invalid BGPPeer timers");
  }
  if (!peer.address.empty() && !IsAddress(peer.address)) {
    return BgpError(StrCat("invalid BGPPeer address ", Quoted(peer.address)));
  }
  if (!peer.router_id.empty() && !IsAddress(peer.router_id)) {
    return BgpError(StrCat("invalid router ID ", Quoted(peer.router_id)));
  }
  if (!peer.source_address.empty() && !IsAddress(peer.source_address)) {
    return BgpError(StrCat("invalid source IP ", Quoted(peer.source_address)));
  }
  const std::string object = StrCat("BGPPeer ", peer.key.name);
  STENTOR_RETURN_IF_ERROR(
      config::CheckSelectors(peer.node_selectors, "nodeSelectors",
                             StrCat("failed to convert peer ", peer.key.name, " node selector"),
                             {object, "spec.nodeSelectors"}));
  if (!peer.password.empty() && !peer.password_secret.name.empty()) {
    return BgpError(StrCat("can not have both password and secret ref set in peer config ", key));
  }
  if (HasLineBreak(peer.password)) {
    return BgpError(StrCat("password for peer ", key, " contains invalid characters"));
  }
  if (HasLineBreak(peer.vrf)) {
    return BgpError(StrCat("VRF name for peer ", key, " contains invalid characters"));
  }
  return absl::OkStatus();
}

absl::Status CheckNativePeer(const BgpPeer& peer) {
  const std::pair<bool, std::string_view> fields[] = {
      {!peer.bfd_profile.empty(), "bfd-profile"},
      {peer.keepalive_time && peer.keepalive_time->nanoseconds != 0, "keepalive-time"},
      {!peer.vrf.empty(), "vrf"},
      {peer.connect_time.has_value(), "connect time"},
      {peer.graceful_restart, "EnableGracefulRestart flag"},
      {peer.disable_mp, "disable MP flag"},
      {!peer.dynamic_asn.empty(), "dynamicASN"},
      {!peer.interface.empty(), "interface"},
      {peer.local_asn != 0, "localASN"},
  };
  for (const auto& [set, name] : fields) {
    if (set) {
      return BgpError(StrCat("peer ", peer.address, " has ", name, " set on native bgp mode"));
    }
  }
  return absl::OkStatus();
}

const std::string& Target(const BgpPeer& peer) {
  return peer.address.empty() ? peer.interface : peer.address;
}

// FRR has one configuration on each node, in which all of its peers are.
absl::Status CheckFrrPair(const BgpPeer& peer, const BgpPeer& other) {
  if (peer.router_id != other.router_id) {
    return BgpError(StrCat("peer ", peer.router_id, " has RouterID different from ",
                           other.router_id, ", in FRR mode all RouterID must be equal"));
  }
  if (Target(peer) == Target(other) && peer.vrf == other.vrf) {
    return BgpError(StrCat("peer ", Target(peer), "-", peer.vrf,
                           " already exists, FRR mode doesn't support duplicate BGPPeers"));
  }
  if (peer.my_asn != other.my_asn && peer.vrf == other.vrf) {
    return BgpError(StrCat("peer ", Target(peer), " has myAsn different from ", Target(other),
                           ", in FRR mode all myAsn must be equal for the same VRF"));
  }
  return absl::OkStatus();
}

absl::Status CheckMode(const Facts& facts) {
  for (auto peer = facts.bgp_peers.begin(); peer != facts.bgp_peers.end(); ++peer) {
    if (facts.bgp_mode == BgpMode::kNative) {
      STENTOR_RETURN_IF_ERROR(CheckNativePeer(peer->second));
    } else if (facts.bgp_mode == BgpMode::kFrr) {
      for (auto other = facts.bgp_peers.begin(); other != peer; ++other) {
        if (const absl::Status status = CheckFrrPair(peer->second, other->second);
            !status.ok() &&
            ShareNode(peer->second.node_selectors, other->second.node_selectors, facts.nodes)) {
          return status;
        }
      }
    }
  }
  return absl::OkStatus();
}

absl::Status CheckBfdNumber(const std::optional<std::uint32_t>& value, std::uint32_t low,
                            std::uint32_t high, std::string_view what) {
  if (value && (*value < low || *value > high)) {
    return BgpError(StrCat("invalid ", what, " value: invalid value ", *value, ", must be in ", low,
                           "-", high, " range"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckBgpPeers(const Facts& facts) {
  STENTOR_RETURN_IF_ERROR(CheckMode(facts));
  for (const auto& [key, peer] : facts.bgp_peers) {
    if (const absl::Status status = CheckPeer(peer); !status.ok()) {
      return BgpError(StrCat("parsing peer ", peer.key.name, " ", std::string(status.message())));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckBfdProfiles(const Facts& facts) {
  for (const auto& [key, profile] : facts.bfd_profiles) {
    absl::Status status = CheckBfdNumber(profile.detect_multiplier, 2, 255, "detect multiplier");
    status.Update(CheckBfdNumber(profile.receive_interval, 10, 60000, "receive interval"));
    status.Update(CheckBfdNumber(profile.transmit_interval, 10, 60000, "transmit interval"));
    status.Update(CheckBfdNumber(profile.minimum_ttl, 1, 254, "minimum ttl"));
    status.Update(CheckBfdNumber(profile.echo_interval, 10, 60000, "echo interval"));
    if (!status.ok()) {
      return Annotate(status, StrCat("parsing bfd profile ", key.name));
    }
  }
  return absl::OkStatus();
}

}  // namespace stentor::controller
