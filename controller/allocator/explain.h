// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Why a Service gets no address, pool by pool.

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "controller/allocator/address_allocator.h"

namespace stentor::controller {

/// Why a Service has no address, or not the one that it asks for; what its condition says. It
/// depends on the configuration, on the Service, and on others only by who has the address that was
/// asked for and by which pools have nothing left: never by how much is left or used, so that a
/// pool that fills up or is given back by others does not change what those who wait are told.
struct Refusal {
  std::string_view reason;  ///< CamelCase, of those below; static storage.
  std::string message;

  friend bool operator==(const Refusal&, const Refusal&) = default;
};

inline constexpr std::string_view kNoAvailableAddress = "NoAvailableAddress";
inline constexpr std::string_view kAddressInUse = "AddressInUse";
inline constexpr std::string_view kAddressNotAllowed = "AddressNotAllowed";  // of no pool, say
inline constexpr std::string_view kPoolNotFound = "PoolNotFound";
inline constexpr std::string_view kPoolNotAllowed = "PoolNotAllowed";  // by its serviceAllocation
inline constexpr std::string_view kRequestInvalid = "RequestInvalid";
inline constexpr std::string_view kNoPools = "NoPools";
inline constexpr std::string_view kNoClusterIp = "NoClusterIP";  // none, headless, or too few

/// Longest message, in octets; pools beyond it are counted, not named.
inline constexpr std::size_t kMaxRefusalOctets = 1024;

/// `why`, the error of Allocate(request), and one clause for each pool that was considered, in the
/// order in which they were: those tried, by preference, then the rest, by name. Not at all a cheap
/// call: O(pools).
[[nodiscard]] Refusal Explain(const AddressAllocator& allocator, const AllocationRequest& request,
                              const absl::Status& why);

/// Why one pool has nothing for a Service.
struct PoolRefusal {
  model::PoolName pool;
  std::string why;

  friend bool operator==(const PoolRefusal&, const PoolRefusal&) = default;
};

/// The clauses of Explain(), one for each pool that was considered, in the same order and without
/// limits. What a clause says holds only of a pool that indeed has nothing for the Service.
[[nodiscard]] std::vector<PoolRefusal> ExplainPools(const AddressAllocator& allocator,
                                                    const AllocationRequest& request);

}  // namespace stentor::controller
