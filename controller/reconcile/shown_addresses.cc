// SPDX-License-Identifier: Apache-2.0
#include "controller/reconcile/shown_addresses.h"

#include <algorithm>

namespace stentor::controller {

std::vector<model::ServiceKey> ShownAddresses::Replace(const model::ServiceKey& service,
                                                       const AddressList& before,
                                                       const AddressList& now) {
  const auto has = [](const AddressList& list, const net::IpAddress& address) {
    return std::ranges::find(list, address) != list.end();
  };
  for (const net::IpAddress& address : now) {
    Services& at = services_[address];
    if (std::ranges::find(at, &service) == at.end()) {
      at.push_back(&service);
    }
  }
  std::vector<model::ServiceKey> released;
  for (const net::IpAddress& address : before) {
    const auto at = services_.find(address);
    if (has(now, address) || at == services_.end()) {
      continue;
    }
    if (const auto it = std::ranges::find(at->second, &service); it != at->second.end()) {
      at->second.erase(it);
    }
    if (at->second.empty()) {
      services_.erase(at);
    }
    for (model::ServiceKey& waiter : WaitersFor(address)) {
      released.push_back(std::move(waiter));
    }
  }
  return released;
}

ShownAddresses::Services ShownAddresses::At(const net::IpAddress& address) const {
  const auto it = services_.find(address);
  return it == services_.end() ? Services() : it->second;
}

void ShownAddresses::Wait(const model::ServiceKey& waiter, const net::IpAddress& address) {
  waiters_[address].insert(waiter);
}

void ShownAddresses::StopWaiting(const model::ServiceKey& waiter, const AddressList& addresses) {
  for (const net::IpAddress& address : addresses) {
    const auto it = waiters_.find(address);
    if (it != waiters_.end()) {
      it->second.erase(waiter);
      if (it->second.empty()) {
        waiters_.erase(it);
      }
    }
  }
}

std::vector<model::ServiceKey> ShownAddresses::WaitersFor(const net::IpAddress& address) const {
  const auto it = waiters_.find(address);
  return it == waiters_.end()
             ? std::vector<model::ServiceKey>()
             : std::vector<model::ServiceKey>(it->second.begin(), it->second.end());
}

}  // namespace stentor::controller
