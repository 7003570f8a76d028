// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// status of an IPAddressPool: how many of its addresses are in use.

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "common/kube/transport.h"
#include "common/model/types.h"

namespace stentor::controller {

/// Distinct addresses of a pool, by family; at most 2^63-1 each.
struct PoolFigures {
  std::int64_t assigned_ipv4 = 0;
  std::int64_t assigned_ipv6 = 0;
  std::int64_t available_ipv4 = 0;
  std::int64_t available_ipv6 = 0;

  friend bool operator==(const PoolFigures&, const PoolFigures&) = default;
};

/// From what the allocator counts (AddressAllocator::Usage). Any numbers are allowed.
struct FamilyUsage {
  std::uint64_t total = 0;
  std::uint64_t in_use = 0;
};
[[nodiscard]] PoolFigures MakePoolFigures(const FamilyUsage& ipv4, const FamilyUsage& ipv6);

/// What counts of an IPAddressPool as the API server has it: a few dozen octets, since a status
/// write needs no more (PoolStatusRequest).
struct SeenPool {
  model::ObjectKey key;
  std::string uid;
  std::string resource_version;        ///< Never empty.
  std::optional<PoolFigures> figures;  ///< Absent: not all four of them are there, as numbers.
};

/// InvalidArgument where there is no name, uid or resourceVersion.
[[nodiscard]] absl::StatusOr<SeenPool> DecodeSeenPool(const nlohmann::json& json);

/// `PUT …/status`, which the rights that MetalLB's manifests grant allow, while PATCH is not. Of a
/// custom resource it takes nothing but the status (unlike of a Service), so the body need not have
/// labels, annotations, finalizers or spec for them to stay: seen on kube-apiserver 1.34. It fails
/// with Aborted where the pool has changed since, or is another one of that name.
[[nodiscard]] kube::Request PoolStatusRequest(const SeenPool& pool, const PoolFigures& figures);

}  // namespace stentor::controller
