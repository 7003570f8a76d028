// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Which Service holds which address. The one place that decides it, and the only state that the
/// controller keeps; all of it can be rebuilt from the Services' own status after a restart.
/// Pure and deterministic: the same calls in the same order give the same addresses. No I/O, no
/// clock, no Kubernetes types, no metrics.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/config/config.h"
#include "common/model/objects.h"
#include "common/model/types.h"
#include "common/net/ip_address.h"

namespace stentor::controller {

struct Held;

/// Addresses of one Service: one, or one of each family. Nearly always one, and that is in place.
using AddressList = absl::InlinedVector<net::IpAddress, 1>;

/// `["192.0.2.1" "2001:db8::1"]`, as MetalLB prints lists of addresses in its messages.
[[nodiscard]] std::string FormatAddresses(std::span<const net::IpAddress> addresses);

/// Which families a Service has to get an address of.
struct FamilyRequest {
  net::IpFamily primary = net::IpFamily::kIpv4;
  bool dual = false;          ///< Also an address of the other family.
  bool require_both = false;  ///< Where dual: nothing at all rather than one of the two.
};

/// What a Service asks for. The reconciler fills it from the Service and its annotations. Labels
/// are borrowed for the length of the call; null means none.
struct AllocationRequest {
  model::ServiceKey service;
  FamilyRequest families;
  AddressList addresses;                  ///< Exactly these; may be empty.
  std::optional<model::PoolName> pool;    ///< Only this pool; else any with auto_assign.
  std::vector<model::ServicePort> ports;  ///< Ports that it listens on.
  std::string sharing_key;                ///< Services with equal, non-empty keys may share
  std::string backend_key;                ///< where they also agree on this one.
  const model::Labels* labels = nullptr;  ///< Of the Service; pools select by them.
  const model::Labels* namespace_labels = nullptr;  ///< Of its namespace; likewise.
};

/// What a Service holds. All addresses are of one pool.
struct Allocation {
  model::PoolName pool;
  AddressList addresses;
  friend bool operator==(const Allocation&, const Allocation&) = default;
};

/// Addresses of one pool and family. A shared address counts once; both figures saturate at
/// 2^63-1, which is what a pool's status can carry.
struct PoolUsage {
  std::uint64_t total = 0;
  std::uint64_t in_use = 0;
  friend bool operator==(const PoolUsage&, const PoolUsage&) = default;
};

/// Not thread-safe: lives on the controller's logic thread. Every call but SetPools is
/// O(log n + number of pools), with a sharing key O(addresses that carry the key) besides.
///
/// Invariants, checked by CheckInvariants():
///   * an address has two holders only where both their keys agree and their ports are disjoint;
///   * every held address lies in a pool of the current configuration, and is not free;
///   * a failed call changes nothing.
class AddressAllocator {
 public:
  AddressAllocator();
  ~AddressAllocator();
  AddressAllocator(AddressAllocator&&) noexcept;
  AddressAllocator& operator=(AddressAllocator&&) noexcept;
  AddressAllocator(const AddressAllocator&) = delete;
  AddressAllocator& operator=(const AddressAllocator&) = delete;

  /// Replaces the pools. Holdings of which all addresses lie in one new pool stay with their
  /// Service, under that pool's name; the others are dropped, and their Services returned, sorted.
  /// Whether a pool still admits its Services is not looked at: Claim() again. `pools` come from
  /// config::Parse (sorted by name, no overlaps).
  std::vector<model::ServiceKey> SetPools(std::span<const config::Pool> pools);

  /// Gives `request.service` addresses. What it holds is kept where it satisfies the request;
  /// otherwise that is given up in exchange for the new ones, and kept where there are none. Order
  /// of preference: request.addresses, else request.pool, else pools with a serviceAllocation that
  /// admits the Service (by priority, then name), else pools without one (by name); in a pool the
  /// first address in the order of spec.addresses. Adds the missing address where the Service
  /// holds one and asks for two families.
  ///
  /// Errors, each with MetalLB's message, fit for a Kubernetes event:
  ///   kResourceExhausted   no pool that fits has a free address
  ///   kAlreadyExists       a wanted address belongs to a Service that it can't share with
  ///   kNotFound            the wanted pool doesn't exist, or no pool contains a wanted address
  ///   kFailedPrecondition  the pool does not admit this Service
  ///   kInvalidArgument     the wanted addresses are not of the wanted families
  absl::StatusOr<Allocation> Allocate(const AllocationRequest& request);

  /// Takes exactly `addresses` (one, or one of each family, of one pool): what the Service's status
  /// already says, after a restart or again on each reconcile. Ignores auto_assign, request.pool,
  /// request.addresses and request.families. Errors as Allocate().
  absl::StatusOr<Allocation> Claim(const AllocationRequest& request,
                                   std::span<const net::IpAddress> addresses);

  /// Frees whatever `service` holds. True if it held something: others may now be satisfiable.
  bool Release(const model::ServiceKey& service);

  /// What `service` holds.
  [[nodiscard]] std::optional<Allocation> Find(const model::ServiceKey& service) const;

  /// Zeros for an unknown pool.
  [[nodiscard]] PoolUsage Usage(std::string_view pool, net::IpFamily family) const;

  /// Number of Services that hold something.
  [[nodiscard]] std::size_t size() const noexcept;

  /// Grows whenever an address, or a port of a shared one, becomes available to others: who got
  /// nothing before may try again.
  [[nodiscard]] std::uint64_t Availability() const noexcept;

  /// Aborts where an invariant is broken. O(everything); debug builds call it after changes while
  /// there are few Services.
  void CheckInvariants() const;

  class State;  ///< Internal: allocator_state.h.
  [[nodiscard]] const State& state() const { return *state_; }

 private:
  absl::StatusOr<Allocation> Exchange(
      const AllocationRequest& request, bool holds,
      const std::function<absl::StatusOr<Held>(const State&)>& choose);
  [[nodiscard]] Allocation AllocationOf(const Held& held) const;
  void MaybeCheck() const;

  std::unique_ptr<State> state_;
};

}  // namespace stentor::controller
