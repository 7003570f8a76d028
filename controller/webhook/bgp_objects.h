// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The kinds of metallb.io that describe BGP. This version announces by layer 2 only, so they are
/// read nowhere but here: they are stored for MetalLB, or for a later version, and should be good
/// when it comes.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "common/model/objects.h"

namespace stentor::controller {

/// A metav1.Duration, as written and as it reads.
struct GoDuration {
  std::string text;
  std::int64_t nanoseconds = 0;

  friend bool operator==(const GoDuration&, const GoDuration&) = default;
};

/// Reads what Go's time.ParseDuration does: "90s", "1h30m", "1.5s", "0". InvalidArgument otherwise.
[[nodiscard]] absl::StatusOr<GoDuration> ParseGoDuration(std::string_view text);

/// metallb.io/v1beta2 BGPPeer (v1beta1 has a part of these fields), unvalidated.
struct BgpPeer {
  model::ObjectKey key;
  std::uint32_t my_asn = 0;
  std::uint32_t peer_asn = 0;
  std::uint32_t local_asn = 0;
  std::string dynamic_asn;
  std::string address;
  std::string interface;
  std::string source_address;
  std::uint16_t port = 0;
  std::optional<GoDuration> hold_time;
  std::optional<GoDuration> keepalive_time;
  std::optional<GoDuration> connect_time;
  std::string router_id;
  std::vector<model::LabelSelector> node_selectors;  ///< OR-ed; empty means all nodes.
  std::string password;
  model::ObjectKey password_secret;  ///< Empty name: none.
  std::string bfd_profile;
  bool graceful_restart = false;
  bool ebgp_multi_hop = false;
  std::string vrf;
  bool disable_mp = false;
  bool dual_stack = false;

  friend bool operator==(const BgpPeer&, const BgpPeer&) = default;
};

/// metallb.io/v1beta1 BGPAdvertisement, unvalidated.
struct BgpAdvertisement {
  model::ObjectKey key;
  std::int32_t aggregation_length = 32;
  std::int32_t aggregation_length_v6 = 128;
  std::uint32_t local_pref = 0;
  std::vector<std::string> communities;
  std::vector<std::string> ip_address_pools;
  std::vector<model::LabelSelector> ip_address_pool_selectors;
  std::vector<model::LabelSelector> node_selectors;
  std::vector<std::string> peers;
  std::vector<model::LabelSelector> service_selectors;

  friend bool operator==(const BgpAdvertisement&, const BgpAdvertisement&) = default;
};

/// metallb.io/v1beta1 BFDProfile, unvalidated: absent numbers are FRR's defaults.
struct BfdProfile {
  model::ObjectKey key;
  std::optional<std::uint32_t> receive_interval;
  std::optional<std::uint32_t> transmit_interval;
  std::optional<std::uint32_t> detect_multiplier;
  std::optional<std::uint32_t> echo_interval;
  std::optional<std::uint32_t> minimum_ttl;
  bool echo_mode = false;

  friend bool operator==(const BfdProfile&, const BfdProfile&) = default;
};

/// metallb.io/v1beta1 Community, unvalidated.
struct Community {
  struct Alias {
    std::string name;
    std::string value;
    friend bool operator==(const Alias&, const Alias&) = default;
  };
  model::ObjectKey key;
  std::vector<Alias> aliases;

  friend bool operator==(const Community&, const Community&) = default;
};

/// Errors are those of common/kube/codec.h.
[[nodiscard]] absl::StatusOr<BgpPeer> DecodeBgpPeer(const nlohmann::json& json);
[[nodiscard]] absl::StatusOr<BgpAdvertisement> DecodeBgpAdvertisement(const nlohmann::json& json);
[[nodiscard]] absl::StatusOr<BfdProfile> DecodeBfdProfile(const nlohmann::json& json);
[[nodiscard]] absl::StatusOr<Community> DecodeCommunity(const nlohmann::json& json);

}  // namespace stentor::controller
