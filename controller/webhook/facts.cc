// SPDX-License-Identifier: Apache-2.0
#include "controller/webhook/facts.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/kube/codec.h"

namespace stentor::controller {
namespace {

using nlohmann::json;

constexpr std::array<std::pair<Kind, std::string_view>, 7> kKinds = {{
    {Kind::kIpAddressPool, "IPAddressPool"},
    {Kind::kAddressPool, "AddressPool"},
    {Kind::kL2Advertisement, "L2Advertisement"},
    {Kind::kBgpAdvertisement, "BGPAdvertisement"},
    {Kind::kBgpPeer, "BGPPeer"},
    {Kind::kBfdProfile, "BFDProfile"},
    {Kind::kCommunity, "Community"},
}};

template <typename Object>
absl::Status Insert(absl::StatusOr<Object> object, std::map<model::ObjectKey, Object>& into) {
  STENTOR_RETURN_IF_ERROR(object.status());
  const model::ObjectKey key = object->key;
  into.insert_or_assign(key, *std::move(object));
  return absl::OkStatus();
}

template <typename Object>
std::vector<Object> Values(const std::map<model::ObjectKey, Object>& map) {
  std::vector<Object> values;
  values.reserve(map.size());
  for (const auto& [key, object] : map) {
    values.push_back(object);
  }
  return values;
}

// The member of an object; null where there is none.
const json& Member(const json& object, const char* key) {
  static const json kNull;
  if (!object.is_object()) {
    return kNull;
  }
  const auto member = object.find(key);
  return member == object.end() ? kNull : *member;
}

absl::Status CheckValues(const json& values) {
  std::set<std::string_view> seen;
  for (const json& value : values) {
    if (value.is_string() && !seen.insert(value.get_ref<const std::string&>()).second) {
      return absl::InvalidArgumentError(
          StrCat("duplicate definition of match expression value in label selector \"",
                 value.get_ref<const std::string&>(), "\""));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckSelector(const json& selector) {
  const json& expressions = Member(selector, "matchExpressions");
  if (!expressions.is_array()) {
    return absl::OkStatus();
  }
  std::set<json> seen;
  for (const json& expression : expressions) {
    json sorted = expression;
    if (const json& values = Member(expression, "values"); values.is_array()) {
      STENTOR_RETURN_IF_ERROR(CheckValues(values));
      std::sort(sorted["values"].begin(), sorted["values"].end());
    }
    if (!seen.insert(std::move(sorted)).second) {
      return absl::InvalidArgumentError(
          StrCat("duplicate definition of match expressions ", kube::DumpJson(expression)));
    }
    const json& op = Member(expression, "operator");
    if (op.is_string() && op != "In" && op != "NotIn" && op != "Exists" && op != "DoesNotExist") {
      return absl::InvalidArgumentError(StrCat("\"", op.get_ref<const std::string&>(),
                                               "\" is not a valid label selector operator"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::optional<Kind> KindOf(std::string_view name) {
  const auto found = std::ranges::find(kKinds, name, &std::pair<Kind, std::string_view>::second);
  return found == kKinds.end() ? std::nullopt : std::optional(found->first);
}

std::string_view KindName(Kind kind) {
  return std::ranges::find(kKinds, kind, &std::pair<Kind, std::string_view>::first)->second;
}

absl::Status Facts::Put(Kind kind, const json& object) {
  switch (kind) {
    case Kind::kIpAddressPool:
      return Insert(kube::DecodeIpAddressPool(object), pools);
    case Kind::kAddressPool:
      return Insert(kube::DecodeAddressPool(object), address_pools);
    case Kind::kL2Advertisement:
      return Insert(kube::DecodeL2Advertisement(object), l2_advertisements);
    case Kind::kBgpAdvertisement:
      return Insert(DecodeBgpAdvertisement(object), bgp_advertisements);
    case Kind::kBgpPeer:
      return Insert(DecodeBgpPeer(object), bgp_peers);
    case Kind::kBfdProfile:
      return Insert(DecodeBfdProfile(object), bfd_profiles);
    case Kind::kCommunity:
      return Insert(DecodeCommunity(object), communities);
  }
  return absl::OkStatus();
}

void Facts::Remove(Kind kind, const model::ObjectKey& key) {
  switch (kind) {
    case Kind::kIpAddressPool:
      pools.erase(key);
      break;
    case Kind::kAddressPool:
      address_pools.erase(key);
      break;
    case Kind::kL2Advertisement:
      l2_advertisements.erase(key);
      break;
    case Kind::kBgpAdvertisement:
      bgp_advertisements.erase(key);
      break;
    case Kind::kBgpPeer:
      bgp_peers.erase(key);
      break;
    case Kind::kBfdProfile:
      bfd_profiles.erase(key);
      break;
    case Kind::kCommunity:
      communities.erase(key);
      break;
  }
}

config::Resources Facts::Resources() const {
  config::Resources resources;
  resources.pools = Values(pools);
  resources.address_pools = Values(address_pools);
  resources.l2_advertisements = Values(l2_advertisements);
  return resources;
}

absl::Status CheckSelectorTexts(const json& object) {
  // Selectors are in lists of spec, or of spec.serviceAllocation; those of preferences one deeper.
  const json& spec = Member(object, "spec");
  for (const json* holder : {&spec, &Member(spec, "serviceAllocation")}) {
    if (!holder->is_object()) {
      continue;
    }
    for (const json& list : *holder) {
      if (!list.is_array()) {
        continue;
      }
      for (const json& element : list) {
        STENTOR_RETURN_IF_ERROR(CheckSelector(element));
        STENTOR_RETURN_IF_ERROR(CheckSelector(Member(element, "preference")));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace stentor::controller
