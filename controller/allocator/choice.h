// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What AddressAllocator would give to whom: the rules, as functions of its books. Internal to the
/// allocator.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/allocator/allocator_state.h"

namespace stentor::controller {

[[nodiscard]] net::IpFamily Other(net::IpFamily family);

/// Whether the pool's serviceAllocation admits the Service.
[[nodiscard]] bool Admits(const PoolState& pool, const AllocationRequest& request);

/// Whether `request` may use `address` beside those who hold it already. AlreadyExists with
/// MetalLB's message where not.
[[nodiscard]] absl::Status MayUse(const AddressAllocator::State& state,
                                  const AllocationRequest& request, const net::IpAddress& address);

/// The first address of the pool and family that `request` may have: a free one, or one that it can
/// share, whichever comes first.
[[nodiscard]] std::optional<net::IpAddress> FirstIn(const AddressAllocator::State& state,
                                                    std::uint32_t pool, net::IpFamily family,
                                                    const AllocationRequest& request);

/// Pools that give by themselves, with a serviceAllocation that admits the Service: lower priority
/// numbers first, 0 last, then by name.
[[nodiscard]] std::vector<std::uint32_t> PinnedPools(const AddressAllocator::State& state,
                                                     const AllocationRequest& request);
/// Pools that give by themselves to everybody, by name.
[[nodiscard]] std::vector<std::uint32_t> PlainPools(const AddressAllocator::State& state);

/// What AddressAllocator::Allocate() gives to a Service that holds nothing.
[[nodiscard]] absl::StatusOr<Held> Choose(const AddressAllocator::State& state,
                                          const AllocationRequest& request);

/// What AddressAllocator::Claim() gives to a Service that holds nothing.
[[nodiscard]] absl::StatusOr<Held> TakeExactly(const AddressAllocator::State& state,
                                               const AllocationRequest& request,
                                               std::span<const net::IpAddress> addresses);

/// Whether what the Service holds is still what it asks for.
[[nodiscard]] bool Satisfies(const AddressAllocator::State& state, const AllocationRequest& request,
                             const Held& held);

}  // namespace stentor::controller
