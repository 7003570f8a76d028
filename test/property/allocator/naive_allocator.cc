// SPDX-License-Identifier: Apache-2.0
#include "test/property/allocator/naive_allocator.h"

#include <algorithm>

namespace stentor::controller {
namespace {

using enum absl::StatusCode;
using enum net::IpFamily;

bool IsBuggy(const config::Pool& pool, const net::IpAddress& address) {
  const auto octet = address.low() % 256;
  return pool.avoid_buggy_ips && address.IsIpv4() && (octet == 0 || octet == 255);
}

bool Admits(const config::Pool& pool, const AllocationRequest& request) {
  static const model::Labels kNone;
  return !pool.service_allocation ||
         pool.service_allocation->Admits(
             request.service.name_space,
             request.namespace_labels != nullptr ? *request.namespace_labels : kNone,
             request.labels != nullptr ? *request.labels : kNone);
}

net::IpFamily Other(net::IpFamily family) { return family == kIpv4 ? kIpv6 : kIpv4; }

std::multiset<net::IpFamily> FamiliesOf(std::span<const net::IpAddress> addresses) {
  std::multiset<net::IpFamily> families;
  for (const net::IpAddress& address : addresses) {
    families.insert(address.family());
  }
  return families;
}

std::multiset<net::IpFamily> Wanted(const FamilyRequest& request) {
  return request.dual ? std::multiset{kIpv4, kIpv6} : std::multiset{request.primary};
}

std::set<net::IpAddress> SetOf(const AddressList& addresses) {
  return {addresses.begin(), addresses.end()};
}

}  // namespace

const config::Pool* NaiveAllocator::Named(const std::string& name) const {
  const auto pool = std::ranges::find(pools_, name, &config::Pool::name);
  return pool == pools_.end() ? nullptr : &*pool;
}

const config::Pool* NaiveAllocator::PoolOf(const net::IpAddress& address) const {
  const auto pool = std::ranges::find_if(
      pools_, [&](const config::Pool& candidate) { return candidate.Contains(address); });
  return pool == pools_.end() || IsBuggy(*pool, address) ? nullptr : &*pool;
}

bool NaiveAllocator::MayUse(const AllocationRequest& request, const net::IpAddress& address) const {
  return std::ranges::all_of(holdings, [&](const auto& entry) {
    const Holding& holding = entry.second;
    if (entry.first == request.service ||
        std::ranges::find(holding.addresses, address) == holding.addresses.end()) {
      return true;
    }
    return !request.sharing_key.empty() && request.sharing_key == holding.sharing_key &&
           request.backend_key == holding.backend_key &&
           std::ranges::none_of(request.ports, [&](const model::ServicePort& port) {
             return std::ranges::find(holding.ports, port) != holding.ports.end();
           });
  });
}

std::optional<net::IpAddress> NaiveAllocator::FirstIn(const config::Pool& pool,
                                                      net::IpFamily family,
                                                      const AllocationRequest& request) const {
  for (const net::IpRange& range : pool.ranges) {
    for (std::optional<net::IpAddress> address = range.first;
         address && *address <= range.last && address->family() == family;
         address = address->Next()) {
      if (!IsBuggy(pool, *address) && MayUse(request, *address)) {
        return address;
      }
    }
  }
  return std::nullopt;
}

std::optional<NaiveAllocator::Choice> NaiveAllocator::FirstOf(
    const std::vector<const config::Pool*>& candidates, const AllocationRequest& request) const {
  const FamilyRequest& families = request.families;
  for (const config::Pool* pool : candidates) {
    const auto v4 = FirstIn(*pool, kIpv4, request);
    const auto v6 = FirstIn(*pool, kIpv6, request);
    if (families.dual && v4 && v6) {
      return Choice{kOk, pool->name, {*v4, *v6}};
    }
  }
  if (families.dual && families.require_both) {
    return std::nullopt;
  }
  for (const net::IpFamily family : {families.primary, Other(families.primary)}) {
    for (const config::Pool* pool : candidates) {
      if (const auto address = FirstIn(*pool, family, request)) {
        return Choice{kOk, pool->name, {*address}};
      }
    }
    if (!families.dual) {
      break;
    }
  }
  return std::nullopt;
}

NaiveAllocator::Choice NaiveAllocator::Exactly(const AllocationRequest& request,
                                               std::span<const net::IpAddress> addresses) const {
  const auto families = FamiliesOf(addresses);
  if (families.count(kIpv4) > 1 || families.count(kIpv6) > 1) {
    return {.code = kInvalidArgument};
  }
  const config::Pool* const pool = addresses.empty() ? nullptr : PoolOf(addresses.front());
  if (pool == nullptr || std::ranges::any_of(addresses, [&](const net::IpAddress& address) {
        return PoolOf(address) != pool;
      })) {
    return {.code = kNotFound};
  }
  if (!Admits(*pool, request)) {
    return {.code = kFailedPrecondition};
  }
  if (!std::ranges::all_of(addresses, [&](const auto& a) { return MayUse(request, a); })) {
    return {.code = kAlreadyExists};
  }
  return {kOk, pool->name, {addresses.begin(), addresses.end()}};
}

NaiveAllocator::Choice NaiveAllocator::Choose(const AllocationRequest& request) const {
  if (!request.addresses.empty()) {
    if (FamiliesOf(request.addresses) != Wanted(request.families)) {
      return {.code = kInvalidArgument};
    }
    const config::Pool* const pool = PoolOf(request.addresses.front());
    if (request.pool && pool != nullptr && pool->name != *request.pool) {
      return {.code = kNotFound};
    }
    return Exactly(request, request.addresses);
  }
  if (request.pool) {
    const config::Pool* const pool = Named(*request.pool);
    if (pool == nullptr) {
      return {.code = kNotFound};
    }
    if (!Admits(*pool, request)) {
      return {.code = kFailedPrecondition};
    }
    return FirstOf({pool}, request).value_or(Choice{.code = kResourceExhausted});
  }
  std::vector<const config::Pool*> pinned;
  std::vector<const config::Pool*> plain;
  for (const config::Pool& pool : pools_) {
    if (pool.auto_assign && pool.service_allocation && Admits(pool, request)) {
      pinned.push_back(&pool);
    } else if (pool.auto_assign && !pool.service_allocation) {
      plain.push_back(&pool);
    }
  }
  std::ranges::stable_sort(pinned, [](const config::Pool* a, const config::Pool* b) {
    const int x = a->service_allocation->priority;
    const int y = b->service_allocation->priority;
    return x != 0 && (y == 0 || x < y);
  });
  if (const auto choice = FirstOf(pinned, request)) {
    return *choice;
  }
  return FirstOf(plain, request).value_or(Choice{.code = kResourceExhausted});
}

bool NaiveAllocator::Satisfies(const AllocationRequest& request, const Holding& holding) const {
  const auto held = FamiliesOf(holding.addresses);
  const bool families_fit =
      held == Wanted(request.families) ||
      (request.families.dual && !request.families.require_both && held.size() == 1);
  return Admits(*Named(holding.pool), request) &&
         (!request.pool || *request.pool == holding.pool) &&
         (request.addresses.empty() ? families_fit
                                    : request.addresses.size() == holding.addresses.size() &&
                                          SetOf(request.addresses) == SetOf(holding.addresses)) &&
         std::ranges::all_of(holding.addresses,
                             [&](const auto& address) { return MayUse(request, address); });
}

absl::StatusCode NaiveAllocator::Enter(const AllocationRequest& request, const Choice& choice) {
  if (choice.code == kOk) {
    holdings[request.service] = {choice.pool, choice.addresses, request.sharing_key,
                                 request.backend_key, request.ports};
  }
  return choice.code;
}

absl::StatusCode NaiveAllocator::Allocate(const AllocationRequest& request) {
  const auto held = holdings.find(request.service);
  if (held == holdings.end() || !Satisfies(request, held->second)) {
    return Enter(request, Choose(request));
  }
  Choice kept{kOk, held->second.pool, held->second.addresses};
  if (request.families.dual && kept.addresses.size() == 1 && request.addresses.empty()) {
    const net::IpFamily missing = Other(kept.addresses.front().family());
    if (const auto additional = FirstIn(*Named(kept.pool), missing, request)) {
      kept.addresses.push_back(*additional);
    }
  }
  return Enter(request, kept);
}

absl::StatusCode NaiveAllocator::Claim(const AllocationRequest& request,
                                       std::span<const net::IpAddress> addresses) {
  return Enter(request, Exactly(request, addresses));
}

std::vector<model::ServiceKey> NaiveAllocator::SetPools(std::vector<config::Pool> pools) {
  pools_ = std::move(pools);
  std::vector<model::ServiceKey> lost;
  for (auto& [service, holding] : holdings) {
    const config::Pool* const pool = PoolOf(holding.addresses.front());
    if (pool != nullptr && std::ranges::all_of(holding.addresses, [&](const auto& address) {
          return PoolOf(address) == pool;
        })) {
      holding.pool = pool->name;
    } else {
      lost.push_back(service);
    }
  }
  for (const model::ServiceKey& service : lost) {
    holdings.erase(service);
  }
  return lost;
}

PoolUsage NaiveAllocator::Usage(const std::string& pool, net::IpFamily family) const {
  PoolUsage usage;
  const config::Pool* const named = Named(pool);
  if (named == nullptr) {
    return usage;
  }
  for (const net::IpRange& range : named->ranges) {
    for (std::optional<net::IpAddress> address = range.first; address && *address <= range.last;
         address = address->Next()) {
      usage.total += address->family() == family && !IsBuggy(*named, *address) ? 1 : 0;
    }
  }
  std::set<net::IpAddress> used;
  for (const auto& [service, holding] : holdings) {
    for (const net::IpAddress& address : holding.addresses) {
      if (holding.pool == pool && address.family() == family) {
        used.insert(address);
      }
    }
  }
  usage.in_use = used.size();
  return usage;
}

}  // namespace stentor::controller
