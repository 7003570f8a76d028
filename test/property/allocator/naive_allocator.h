// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What AddressAllocator promises, in the plainest way: it walks over every address of every pool,
/// one by one, and looks at every holder.

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "controller/allocator/address_allocator.h"

namespace stentor::controller {

class NaiveAllocator {
 public:
  struct Holding {
    std::string pool;
    AddressList addresses;
    std::string sharing_key;
    std::string backend_key;
    std::vector<model::ServicePort> ports;
  };
  /// The code of the error, or kOk.
  absl::StatusCode Allocate(const AllocationRequest& request);
  absl::StatusCode Claim(const AllocationRequest& request,
                         std::span<const net::IpAddress> addresses);
  bool Release(const model::ServiceKey& service) { return holdings.erase(service) > 0; }
  std::vector<model::ServiceKey> SetPools(std::vector<config::Pool> pools);

  [[nodiscard]] PoolUsage Usage(const std::string& pool, net::IpFamily family) const;

  std::map<model::ServiceKey, Holding> holdings;

 private:
  struct Choice {
    absl::StatusCode code = absl::StatusCode::kOk;
    std::string pool;
    AddressList addresses;
  };
  [[nodiscard]] const config::Pool* Named(const std::string& name) const;
  [[nodiscard]] const config::Pool* PoolOf(const net::IpAddress& address) const;
  [[nodiscard]] bool MayUse(const AllocationRequest& request, const net::IpAddress& address) const;
  [[nodiscard]] std::optional<net::IpAddress> FirstIn(const config::Pool& pool,
                                                      net::IpFamily family,
                                                      const AllocationRequest& request) const;
  [[nodiscard]] std::optional<Choice> FirstOf(const std::vector<const config::Pool*>& candidates,
                                              const AllocationRequest& request) const;
  [[nodiscard]] Choice Exactly(const AllocationRequest& request,
                               std::span<const net::IpAddress> addresses) const;
  [[nodiscard]] Choice Choose(const AllocationRequest& request) const;
  [[nodiscard]] bool Satisfies(const AllocationRequest& request, const Holding& holding) const;
  absl::StatusCode Enter(const AllocationRequest& request, const Choice& choice);

  std::vector<config::Pool> pools_;
};

}  // namespace stentor::controller
