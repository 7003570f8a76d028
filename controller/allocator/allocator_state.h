// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The books of AddressAllocator: pools with their free addresses, holdings by Service, holders by
/// address, and addresses by sharing key. Keeps them in step with each other, and decides nothing.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/container/node_hash_map.h"
#include "controller/allocator/address_allocator.h"
#include "controller/allocator/free_list.h"

namespace stentor::controller {

/// A pool, and what is left of it.
struct PoolState {
  config::Pool config;
  std::array<FreeList, 2> free;  ///< By family.
  std::array<std::uint64_t, 2> in_use{};

  [[nodiscard]] FreeList& FreeOf(net::IpFamily family) {
    return free[static_cast<std::size_t>(family)];
  }
  [[nodiscard]] const FreeList& FreeOf(net::IpFamily family) const {
    return free[static_cast<std::size_t>(family)];
  }
};

/// What one Service holds, and what it needs to be compared with others on a shared address.
struct Held {
  std::uint32_t pool = 0;
  AddressList addresses;
  std::string sharing_key;
  std::string backend_key;
  absl::InlinedVector<model::ServicePort, 1> ports;
};

class AddressAllocator::State {
 public:
  using Services = absl::node_hash_map<model::ServiceKey, Held>;
  using Entry = Services::value_type;  // its place in memory is stable
  using Holders = absl::InlinedVector<const Entry*, 1>;

  /// Where an address lies in the configuration.
  struct Location {
    std::uint32_t pool = 0;
    Place place;
  };
  [[nodiscard]] std::optional<Location> Locate(const net::IpAddress& address) const;

  /// The pool of that name; nothing where there is none.
  [[nodiscard]] std::optional<std::uint32_t> FindPool(std::string_view name) const;

  [[nodiscard]] const PoolState& pool(std::uint32_t index) const { return pools_[index]; }
  [[nodiscard]] std::uint32_t pool_count() const {
    return static_cast<std::uint32_t>(pools_.size());
  }
  [[nodiscard]] const Services& services() const { return services_; }
  [[nodiscard]] const Held* Find(const model::ServiceKey& service) const;

  /// Null where nobody holds `address`.
  [[nodiscard]] const Holders* HoldersOf(const net::IpAddress& address) const;

  /// The addresses that are held under `sharing_key`; null where there is none.
  [[nodiscard]] const absl::btree_set<net::IpAddress>* SharedBy(
      const std::string& sharing_key) const;

  /// Enters a holding. Precondition: `service` holds nothing; the addresses lie in `held.pool` and
  /// are usable there.
  void Attach(const model::ServiceKey& service, Held&& held);

  /// Removes and returns what `service` holds.
  std::optional<Held> Detach(const model::ServiceKey& service);

  /// Replaces the pools; returns the Services that lost their holding, sorted.
  std::vector<model::ServiceKey> SetPools(std::span<const config::Pool> pools);

  void CheckInvariants() const;

  std::uint64_t availability = 0;

 private:
  struct RangeOwner {
    net::IpAddress last;
    std::uint32_t pool = 0;
    std::uint32_t number = 0;
  };

  std::vector<PoolState> pools_;
  absl::btree_map<net::IpAddress, RangeOwner> ranges_;  // of all pools, by first address
  Services services_;
  absl::flat_hash_map<net::IpAddress, Holders> holders_;
  absl::flat_hash_map<std::string, absl::btree_set<net::IpAddress>> by_sharing_key_;
};

}  // namespace stentor::controller
