// SPDX-License-Identifier: Apache-2.0
#include "controller/webhook/facts.h"

#include <algorithm>
#include <array>
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

}  // namespace

std::optional<Kind> KindOf(std::string_view name) {
  const auto found = std::ranges::find(kKinds, name, &std::pair<Kind, std::string_view>::second);
  return found == kKinds.end() ? std::nullopt : std::optional(found->first);
}

std::string_view KindName(Kind kind) {
  return std::ranges::find(kKinds, kind, &std::pair<Kind, std::string_view>::first)->second;
}

absl::Status Facts::Put(Kind kind, const json& object) {
  const absl::Status status = Read(kind, object);
  const auto key = kube::DecodeKey(object);
  if (!key.ok()) {
    return status;
  }
  if (status.ok()) {
    unreadable.erase({kind, *key});
  } else {
    Remove(kind, *key);
    unreadable.emplace(std::pair(kind, *key), std::string(status.message()));
  }
  return status;
}

absl::Status Facts::Read(Kind kind, const json& object) {
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
  unreadable.erase({kind, key});
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

}  // namespace stentor::controller
