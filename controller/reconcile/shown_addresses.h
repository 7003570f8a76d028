// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What the API server may be showing: which address at which Services, and who has to wait until
/// one of them shows it no more.

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "common/model/types.h"
#include "controller/allocator/address_allocator.h"

namespace stentor::controller {

/// Keys are borrowed: each must stay where it is from Set() until Set() with no addresses.
/// O(log waiters + Services at the address) a call.
class ShownAddresses {
 public:
  using Services = absl::InlinedVector<const model::ServiceKey*, 1>;

  /// `service`, which may have shown `before`, may show `now` and nothing else. Returns those who
  /// waited for an address that it gave up.
  std::vector<model::ServiceKey> Replace(const model::ServiceKey& service,
                                         const AddressList& before, const AddressList& now);

  /// The Services that may show `address`.
  [[nodiscard]] Services At(const net::IpAddress& address) const;

  /// `waiter` waits until `address` is given up somewhere.
  void Wait(const model::ServiceKey& waiter, const net::IpAddress& address);
  /// `waiter`, which waited for `addresses`, does so no more.
  void StopWaiting(const model::ServiceKey& waiter, const AddressList& addresses);
  /// Those who wait for `address`; they go on waiting.
  [[nodiscard]] std::vector<model::ServiceKey> WaitersFor(const net::IpAddress& address) const;

 private:
  absl::flat_hash_map<net::IpAddress, Services> services_;
  std::map<net::IpAddress, std::set<model::ServiceKey>> waiters_;  // usually empty
};

}  // namespace stentor::controller
