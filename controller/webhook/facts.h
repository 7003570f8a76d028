// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The objects that a new one is judged among.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "common/config/config.h"
#include "common/model/objects.h"
#include "controller/webhook/bgp_objects.h"

namespace stentor::controller {

/// Kinds of metallb.io that users write.
enum class Kind : std::uint8_t {
  kIpAddressPool,
  kAddressPool,
  kL2Advertisement,
  kBgpAdvertisement,
  kBgpPeer,
  kBfdProfile,
  kCommunity,
};

/// The kind of this name in the API ("IPAddressPool"), and back.
[[nodiscard]] std::optional<Kind> KindOf(std::string_view name);
[[nodiscard]] std::string_view KindName(Kind kind);

/// Which of MetalLB's BGP implementations the BGP kinds have to suit (METALLB_BGP_TYPE): each
/// refuses what only another can do.
enum class BgpMode : std::uint8_t { kAny, kNative, kFrr };

/// A snapshot of what is stored. A value: copies are independent.
struct Facts {
  std::string name_space;  ///< In which objects count.
  BgpMode bgp_mode = BgpMode::kAny;
  std::map<model::ObjectKey, model::IpAddressPoolResource> pools = {};
  std::map<model::ObjectKey, model::AddressPoolResource> address_pools = {};
  std::map<model::ObjectKey, model::L2AdvertisementResource> l2_advertisements = {};
  std::map<model::ObjectKey, BgpAdvertisement> bgp_advertisements = {};
  std::map<model::ObjectKey, BgpPeer> bgp_peers = {};
  std::map<model::ObjectKey, BfdProfile> bfd_profiles = {};
  std::map<model::ObjectKey, Community> communities = {};
  std::map<model::NodeName, model::Labels> nodes = {};

  /// Adds an object of `kind`, or replaces the one of the same key. InvalidArgument, in the words
  /// of the codec, where it can't be read; then nothing changes.
  absl::Status Put(Kind kind, const nlohmann::json& object);
  void Remove(Kind kind, const model::ObjectKey& key);

  /// What config::Parse reads: pools of both kinds, and L2Advertisements.
  [[nodiscard]] config::Resources Resources() const;
};

/// What MetalLB's parser refuses in an object's label selectors, and what a decoded one doesn't
/// tell any more: operators that there are not, and repetitions.
[[nodiscard]] absl::Status CheckSelectorTexts(const nlohmann::json& object);

}  // namespace stentor::controller
