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
#include <utility>

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
  /// What is stored and can't be read, and why: it has part in no error of others, or it would
  /// refuse every change for good, but reviews tell of it.
  std::map<std::pair<Kind, model::ObjectKey>, std::string> unreadable = {};

  /// Adds an object of `kind`, or replaces the one of the same key. InvalidArgument, in the words
  /// of the codec, where it can't be read; then it is among the `unreadable`, if it has a name.
  absl::Status Put(Kind kind, const nlohmann::json& object);
  void Remove(Kind kind, const model::ObjectKey& key);

  /// What config::Parse reads: pools of both kinds, and L2Advertisements.
  [[nodiscard]] config::Resources Resources() const;

 private:
  absl::Status Read(Kind kind, const nlohmann::json& object);
};

}  // namespace stentor::controller
