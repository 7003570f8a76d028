// SPDX-License-Identifier: Apache-2.0
#include "controller/allocator/allocator_state.h"

#include <algorithm>
#include <iterator>

#include "common/base/check.h"

namespace stentor::controller {

std::optional<AddressAllocator::State::Location> AddressAllocator::State::Locate(
    const net::IpAddress& address) const {
  auto range = ranges_.upper_bound(address);
  if (range == ranges_.begin() || address > std::prev(range)->second.last) {
    return std::nullopt;
  }
  --range;
  return Location{.pool = range->second.pool, .place = {range->second.number, address}};
}

std::optional<std::uint32_t> AddressAllocator::State::FindPool(std::string_view name) const {
  const auto pool = std::ranges::lower_bound(
      pools_, name, {},
      [](const PoolState& state) -> std::string_view { return state.config.name; });
  if (pool == pools_.end() || pool->config.name != name) {
    return std::nullopt;
  }
  return static_cast<std::uint32_t>(pool - pools_.begin());
}

const Held* AddressAllocator::State::Find(const model::ServiceKey& service) const {
  const auto it = services_.find(service);
  return it == services_.end() ? nullptr : &it->second;
}

const AddressAllocator::State::Holders* AddressAllocator::State::HoldersOf(
    const net::IpAddress& address) const {
  const auto it = holders_.find(address);
  return it == holders_.end() ? nullptr : &it->second;
}

const absl::btree_set<net::IpAddress>* AddressAllocator::State::SharedBy(
    const std::string& sharing_key) const {
  const auto it = by_sharing_key_.find(sharing_key);
  return it == by_sharing_key_.end() ? nullptr : &it->second;
}

void AddressAllocator::State::Attach(const model::ServiceKey& service, Held&& held) {
  const auto [entry, added] = services_.try_emplace(service, std::move(held));
  STENTOR_CHECK(added) << service << " holds something already";
  for (const net::IpAddress& address : entry->second.addresses) {
    Holders& holders = holders_[address];
    if (holders.empty()) {
      const auto location = Locate(address);
      PoolState& pool = pools_[entry->second.pool];
      STENTOR_CHECK(location && location->pool == entry->second.pool &&
                    pool.FreeOf(address.family()).Take(location->place))
          << address << " is not free in " << pool.config.name;
      ++pool.in_use[static_cast<std::size_t>(address.family())];
    }
    holders.push_back(&*entry);
    if (!entry->second.sharing_key.empty()) {
      by_sharing_key_[entry->second.sharing_key].insert(address);
    }
  }
}

std::optional<Held> AddressAllocator::State::Detach(const model::ServiceKey& service) {
  const auto entry = services_.find(service);
  if (entry == services_.end()) {
    return std::nullopt;
  }
  const std::string& key = entry->second.sharing_key;
  for (const net::IpAddress& address : entry->second.addresses) {
    const auto holders = holders_.find(address);
    holders->second.erase(std::ranges::find(holders->second, &*entry));
    // All who share an address have one key; a lone holder may have changed its own.
    if (holders->second.empty()) {
      if (const auto shared = by_sharing_key_.find(key); shared != by_sharing_key_.end()) {
        shared->second.erase(address);
        if (shared->second.empty()) {
          by_sharing_key_.erase(shared);
        }
      }
      holders_.erase(holders);
      PoolState& pool = pools_[entry->second.pool];
      pool.FreeOf(address.family()).Release(Locate(address)->place);
      --pool.in_use[static_cast<std::size_t>(address.family())];
    }
  }
  Held held = std::move(entry->second);
  services_.erase(entry);
  return held;
}

std::vector<model::ServiceKey> AddressAllocator::State::SetPools(
    std::span<const config::Pool> pools) {
  Services former = std::exchange(services_, {});
  pools_.clear();
  ranges_.clear();
  holders_.clear();
  by_sharing_key_.clear();
  for (const config::Pool& pool : pools) {
    PoolState state{.config = pool,
                    .free = {FreeList(pool.avoid_buggy_ips), FreeList(pool.avoid_buggy_ips)}};
    for (std::uint32_t number = 0; number < pool.ranges.size(); ++number) {
      const net::IpRange& range = pool.ranges[number];
      state.FreeOf(range.first.family()).AddRange(number, range);
      ranges_.emplace(range.first, RangeOwner{range.last, pool_count(), number});
    }
    pools_.push_back(std::move(state));
  }

  std::vector<model::ServiceKey> lost;
  for (auto& [service, held] : former) {
    const auto first = Locate(held.addresses.front());
    const bool stays = first && std::ranges::all_of(held.addresses, [&](const auto& address) {
                         const auto location = Locate(address);
                         return location && location->pool == first->pool &&
                                pools_[first->pool].FreeOf(address.family()).IsUsable(address);
                       });
    if (stays) {
      held.pool = first->pool;
      Attach(service, std::move(held));
    } else {
      lost.push_back(service);
    }
  }
  std::ranges::sort(lost);
  ++availability;
  return lost;
}

void AddressAllocator::State::CheckInvariants() const {
  std::vector<std::array<std::uint64_t, 2>> in_use(pools_.size());
  for (const auto& [address, holders] : holders_) {
    const auto location = Locate(address);
    STENTOR_CHECK(location && !holders.empty()) << address << " is held outside of all pools";
    const PoolState& pool = pools_[location->pool];
    STENTOR_CHECK(!pool.FreeOf(address.family()).IsFree(location->place))
        << address << " is held and free";
    ++in_use[location->pool][static_cast<std::size_t>(address.family())];
    for (std::size_t i = 0; i < holders.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        const Held& a = holders[i]->second;
        const Held& b = holders[j]->second;
        STENTOR_CHECK(!a.sharing_key.empty() && a.sharing_key == b.sharing_key &&
                      a.backend_key == b.backend_key)
            << address << " is shared by " << holders[i]->first << " and " << holders[j]->first;
        STENTOR_CHECK(std::ranges::find_first_of(a.ports, b.ports) == a.ports.end())
            << address << " has a port twice";
      }
    }
  }
  for (std::uint32_t i = 0; i < pool_count(); ++i) {
    STENTOR_CHECK(in_use[i] == pools_[i].in_use) << "usage of pool " << pools_[i].config.name;
  }
}

}  // namespace stentor::controller
