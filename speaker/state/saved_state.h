// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What a speaker keeps on disk, so that it can announce and fail over after a restart while the
/// API server is away. Nothing of it is trusted over the API (speaker/state/seeds.h).
///
/// The text: one line `stentor-speaker-state 2 OCTETS SHA256`, of all that follows it; then a line
/// that says whose it is; then each object as JSON of the Kubernetes API on a line of its own, cut
/// down to what a speaker uses, so that common/kube/codec.h reads it.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/model/objects.h"

namespace stentor::speaker {

/// Longest text that is written or read: several times what 10,000 Services on 500 nodes take. Two
/// of them, for the time of a rename, fit the emptyDir of the chart.
inline constexpr std::size_t kMaxStateOctets = std::size_t{24} << 20U;

/// The entry of the legacy ConfigMap that is saved (config::kLegacyEntry).
inline constexpr const char* kConfigMapEntry = "config";

/// Whose state it is. Both must be known while the API server is away.
struct StateIdentity {
  std::string cluster;  ///< Any text that differs between clusters.
  model::NodeName node;

  friend bool operator==(const StateIdentity&, const StateIdentity&) = default;
};

struct SavedState {
  WallTime saved;  ///< When, in whole seconds.
  std::vector<model::Service> services;
  std::vector<model::EndpointSlice> slices;
  std::vector<model::Node> nodes;
  std::vector<model::Pod> pods;  ///< Of speakers.
  std::vector<model::IpAddressPoolResource> pools;
  std::vector<model::L2AdvertisementResource> advertisements;
  std::vector<model::AddressPoolResource> address_pools;
  std::optional<model::ConfigMapEntry> config_map;  ///< The legacy configuration.

  friend bool operator==(const SavedState&, const SavedState&) = default;
};

/// The fields of an object that are saved; all others have their defaults. Of all other kinds, all
/// fields are.
[[nodiscard]] model::Service Trimmed(const model::Service& service);
[[nodiscard]] model::EndpointSlice Trimmed(const model::EndpointSlice& slice);

/// The whole text. What Trimmed() takes away is not in it. Precondition: objects as the decoders of
/// common/kube/codec.h make them.
[[nodiscard]] std::string Encode(const SavedState& state, const StateIdentity& identity);

/// Reads it back: Decode(Encode(x, i), i) is x, trimmed. Any bytes are allowed. Errors, in one line
/// fit for a log: DataLoss, it is damaged or cut off; FailedPrecondition, it is of another version,
/// cluster or node; ResourceExhausted, it is too long.
[[nodiscard]] absl::StatusOr<SavedState> Decode(std::string_view text,
                                                const StateIdentity& identity);

/// The same for what follows the first line, without its checksum; for Decode() and its tests.
[[nodiscard]] absl::StatusOr<SavedState> DecodeBody(std::string_view body,
                                                    const StateIdentity& identity);

}  // namespace stentor::speaker
