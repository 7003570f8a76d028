// SPDX-License-Identifier: Apache-2.0
#include "speaker/state/saved_state.h"

#include <algorithm>
#include <charconv>
#include <span>
#include <utility>

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "common/base/bytes.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/crypto/sha256.h"
#include "common/kube/bodies.h"
#include "common/kube/codec.h"
#include "common/kube/codec_parts.h"
#include "common/kube/json_member.h"
#include "speaker/state/json_text.h"
#include "speaker/state/lines.h"

namespace stentor::speaker {
namespace {

using nlohmann::json;

constexpr std::string_view kMagic = "stentor-speaker-state ";
constexpr std::string_view kVersion = "2";
constexpr std::size_t kLengthDigits = 10;
constexpr std::size_t kDigestDigits = 64;
// "stentor-speaker-state 2 0000012345 0123…ef\n": fixed, so that it can be filled in at the end.
constexpr std::size_t kHeaderOctets =
    kMagic.size() + kVersion.size() + 1 + kLengthDigits + 1 + kDigestDigits + 1;
// A ConfigMap or an object of etcd's 1.5 MiB, escaped; what it takes when parsed is bounded too.
constexpr kube::JsonLimits kLineLimits{
    .max_bytes = std::size_t{10} << 20U, .max_depth = 32, .max_values = std::size_t{1} << 19U};
constexpr std::size_t kMaxQuoted = 80;  // octets of what is not ours, in a message

// What the election asks for of a Service's annotations: whether it may share its address.
constexpr std::string_view kSavedAnnotations[] = {"metallb.io/allow-shared-ip",
                                                  "metallb.universe.tf/allow-shared-ip"};

std::string HexDigest(std::string_view body) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::byte octet : crypto::Sha256(std::as_bytes(std::span(body)))) {
    text.push_back(kDigits[std::to_integer<std::size_t>(octet >> 4U)]);
    text.push_back(kDigits[std::to_integer<std::size_t>(octet & std::byte{0xf})]);
  }
  return text;
}

std::string Quoted(std::string text) {
  return StrCat("\"", CutText(std::move(text), kMaxQuoted), "\"");
}

// Cuts the next line off the front of `rest`, without its end.
std::string_view TakeLine(std::string_view& rest) {
  const std::size_t end = rest.find('\n');
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return line;
}

absl::Status CheckIdentity(const json& meta, const StateIdentity& identity) {
  const std::string cluster = kube::TextMember(meta, "cluster");
  if (cluster != identity.cluster) {
    return absl::FailedPreconditionError(
        StrCat("the saved state is of another cluster: ", Quoted(cluster), ", not ",
               Quoted(identity.cluster)));
  }
  const std::string node = kube::TextMember(meta, "node");
  if (node != identity.node) {
    return absl::FailedPreconditionError(StrCat(
        "the saved state is of another node: ", Quoted(node), ", not ", Quoted(identity.node)));
  }
  return absl::OkStatus();
}

template <typename Object>
absl::Status Add(absl::StatusOr<Object> decoded, std::vector<Object>& objects) {
  if (decoded.ok()) {
    objects.push_back(*std::move(decoded));
  }
  return decoded.status();
}

absl::Status AddObject(const json& object, SavedState& state) {
  const std::string kind = kube::TextMember(object, "kind");
  if (kind == "Service") {
    return Add(kube::DecodeService(object, kube::Verbatim::kDrop), state.services);
  }
  if (kind == "EndpointSlice") {
    return Add(kube::DecodeEndpointSlice(object), state.slices);
  }
  if (kind == "Node") {
    return Add(kube::DecodeNode(object), state.nodes);
  }
  if (kind == "Pod") {
    return Add(kube::DecodePod(object), state.pods);
  }
  if (kind == "IPAddressPool") {
    return Add(kube::DecodeIpAddressPool(object), state.pools);
  }
  if (kind == "L2Advertisement") {
    return Add(kube::DecodeL2Advertisement(object), state.advertisements);
  }
  if (kind == "AddressPool") {
    return Add(kube::DecodeAddressPool(object), state.address_pools);
  }
  if (kind == "ConfigMap") {
    STENTOR_ASSIGN_OR_RETURN(state.config_map, kube::DecodeConfigMapEntry(object, kConfigMapEntry));
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(StrCat("unknown kind ", Quoted(kind)));
}

}  // namespace

model::Labels SavedAnnotations(const model::Service& service) {
  model::Labels saved;
  for (const std::string_view key : kSavedAnnotations) {
    if (const auto it = service.annotations.find(key); it != service.annotations.end()) {
      saved.insert(*it);
    }
  }
  return saved;
}

model::Service Trimmed(const model::Service& service) {
  model::Service trimmed;
  trimmed.key = service.key;
  trimmed.uid = service.uid;
  trimmed.labels = service.labels;
  trimmed.annotations = SavedAnnotations(service);
  trimmed.type = service.type;
  trimmed.load_balancer_class = service.load_balancer_class;
  trimmed.external_traffic_policy = service.external_traffic_policy;
  trimmed.health_check_node_port = service.health_check_node_port;
  trimmed.ingress_ips = service.ingress_ips;
  return trimmed;
}

model::EndpointSlice Trimmed(const model::EndpointSlice& slice) {
  model::EndpointSlice trimmed = slice;
  trimmed.resource_version.clear();  // any version that the API shows is newer
  trimmed.by_controller = false;     // not known costs a request at most
  return trimmed;
}

StateText::StateText(const StateIdentity& identity, WallTime saved) : text_(kHeaderOctets, '\0') {
  JsonText(&text_)
      .Begin()
      .Name("cluster")
      .Text(identity.cluster)
      .Name("node")
      .Text(identity.node)
      .Name("saved")
      .Text(kube::FormatTime(saved))
      .End();
  text_.push_back('\n');
}

void StateText::Add(std::string_view line) {
  text_.append(line);
  text_.push_back('\n');
}

std::string StateText::Finish() && {
  const std::string_view body = std::string_view(text_).substr(kHeaderOctets);
  std::string length = std::to_string(body.size());
  length.insert(0, kLengthDigits - length.size(), '0');
  const std::string header = StrCat(kMagic, kVersion, " ", length, " ", HexDigest(body), "\n");
  text_.replace(0, kHeaderOctets, header);
  return std::move(text_);
}

std::string Encode(const SavedState& state, const StateIdentity& identity) {
  StateText text(identity, state.saved);
  const auto add = [&text](const auto& objects) {
    for (const auto& object : objects) {
      text.Add(LineOf(object));
    }
  };
  add(state.services);
  add(state.slices);
  add(state.nodes);
  add(state.pods);
  add(state.pools);
  add(state.advertisements);
  add(state.address_pools);
  if (state.config_map) {
    text.Add(LineOf(*state.config_map));
  }
  return std::move(text).Finish();
}

absl::StatusOr<SavedState> Decode(std::string_view text, const StateIdentity& identity) {
  if (text.empty()) {
    return absl::DataLossError("the saved state is empty");
  }
  if (text.size() > kMaxStateOctets) {
    return absl::ResourceExhaustedError(
        StrCat("the saved state is longer than ", kMaxStateOctets, " octets"));
  }
  if (!text.starts_with(kMagic)) {
    return absl::DataLossError("this is no saved state");
  }
  const std::string_view after = text.substr(kMagic.size());
  const std::string_view version = after.substr(0, after.find_first_of(" \n"));
  if (version != kVersion) {
    return absl::FailedPreconditionError(StrCat("the saved state is of version ",
                                                Quoted(std::string(version)), ", not \"", kVersion,
                                                "\""));
  }
  if (text.size() < kHeaderOctets) {
    return absl::DataLossError("the saved state is cut off in its first line");
  }
  const std::string_view body = text.substr(kHeaderOctets);
  const std::string_view numbers =
      text.substr(kMagic.size() + kVersion.size() + 1, kLengthDigits + 1 + kDigestDigits + 1);
  const std::string_view length = numbers.substr(0, kLengthDigits);
  std::uint64_t octets = 0;
  const auto parsed = std::from_chars(length.data(), length.data() + length.size(), octets);
  if (parsed.ec != std::errc() || parsed.ptr != length.data() + length.size() ||
      numbers[kLengthDigits] != ' ' || numbers.back() != '\n') {
    return absl::DataLossError("the first line of the saved state is damaged");
  }
  if (octets != body.size()) {
    return absl::DataLossError(StrCat("the saved state should have ", octets, " octets, but has ",
                                      body.size(), " after its first line"));
  }
  if (numbers.substr(kLengthDigits + 1, kDigestDigits) != HexDigest(body)) {
    return absl::DataLossError("the saved state is damaged: its checksum differs");
  }
  return DecodeBody(body, identity);
}

absl::StatusOr<SavedState> DecodeBody(std::string_view body, const StateIdentity& identity) {
  const absl::StatusOr<json> meta = kube::ParseJson(TakeLine(body), kLineLimits);
  if (!meta.ok()) {
    return Annotate(meta.status(), "the saved state does not say whose it is");
  }
  STENTOR_RETURN_IF_ERROR(CheckIdentity(*meta, identity));
  SavedState state;
  if (const auto saved = kube::parts::ParseTime(kube::TextMember(*meta, "saved"))) {
    state.saved = *saved;
  } else {
    return absl::DataLossError("the saved state does not say when it was saved");
  }
  for (std::size_t number = 3; !body.empty(); ++number) {
    const absl::StatusOr<json> object = kube::ParseJson(TakeLine(body), kLineLimits);
    const absl::Status added = object.ok() ? AddObject(*object, state) : object.status();
    if (!added.ok()) {
      return absl::DataLossError(StrCat(
          "line ", number, " of the saved state can't be read: ", std::string(added.message())));
    }
  }
  return state;
}

}  // namespace stentor::speaker
