// SPDX-License-Identifier: Apache-2.0
#include <rapidcheck.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "controller/allocator/address_allocator.h"
#include "test/property/allocator/naive_allocator.h"
#include "test/support/catch.h"

namespace stentor::controller {
namespace {

using enum net::IpFamily;

const model::Labels kGold = {{"tier", "gold"}};
const std::vector<std::string> kPoolNames = {"a", "b", "c", "d"};

model::LabelSelector TierIs(std::string value) {
  return {.requirements = {{.key = "tier", .values = {std::move(value)}}}};
}

// 16 IPv4 addresses around the end of a /24, and 8 IPv6 addresses.
net::IpAddress Nth(net::IpFamily family, int n) {
  const auto offset = static_cast<std::uint64_t>(n);
  return family == kIpv4
             ? net::IpAddress::FromNumber(kIpv4, 0, 0xC00002F8U + offset)  // 192.0.2.248
             : net::IpAddress::FromNumber(kIpv6, 0x20010db800000000U, 0xfcU + offset);
}
int CountOf(net::IpFamily family) { return family == kIpv4 ? 16 : 8; }

// Cuts the addresses into ranges, each of them part of one of the pools or of none.
std::vector<config::Pool> AnyPools() {
  std::vector<config::Pool> pools;
  for (const std::string& name : kPoolNames) {
    config::Pool pool;
    pool.name = name;
    pool.auto_assign = *rc::gen::weightedElement<bool>({{4, true}, {1, false}});
    pool.avoid_buggy_ips = *rc::gen::weightedElement<bool>({{1, true}, {2, false}});
    if (*rc::gen::weightedElement<bool>({{1, true}, {2, false}})) {
      config::ServiceAllocation allocation{.priority = *rc::gen::inRange(0, 3)};
      if (*rc::gen::arbitrary<bool>()) {
        allocation.namespaces = {"n0"};
      }
      if (*rc::gen::weightedElement<bool>({{1, true}, {3, false}})) {
        allocation.namespace_selectors = {TierIs("gold")};
      }
      if (*rc::gen::weightedElement<bool>({{1, true}, {2, false}})) {
        allocation.service_selectors = {TierIs("gold")};
      }
      pool.service_allocation = allocation;
    }
    pools.push_back(std::move(pool));
  }
  for (const net::IpFamily family : {kIpv4, kIpv6}) {
    for (int next = 0; next < CountOf(family);) {
      const int length = std::min(*rc::gen::inRange(1, 7), CountOf(family) - next);
      const auto owner = *rc::gen::inRange<std::size_t>(0, pools.size() + 1);
      if (owner < pools.size()) {
        auto& ranges = pools[owner].ranges;
        const auto at = *rc::gen::inRange<std::size_t>(0, ranges.size() + 1);
        ranges.insert(ranges.begin() + static_cast<std::ptrdiff_t>(at),
                      {Nth(family, next), Nth(family, next + length - 1)});
      }
      next += length;
    }
  }
  std::erase_if(pools, [](const config::Pool& pool) { return pool.ranges.empty(); });
  return pools;
}

net::IpAddress AnyAddress() {
  const net::IpFamily family = *rc::gen::weightedElement<net::IpFamily>({{2, kIpv4}, {1, kIpv6}});
  return Nth(family, *rc::gen::inRange(0, CountOf(family) + 1));  // the last one is in no pool
}

AddressList AnyAddresses(int most) {
  AddressList addresses;
  const int count = *rc::gen::inRange(0, most + 1);
  for (int i = 0; i < count; ++i) {
    addresses.push_back(AnyAddress());
  }
  return addresses;
}

model::ServiceKey AnyService() {
  return {.name_space = *rc::gen::element<std::string>("n0", "n1"),
          .name = "s" + std::to_string(*rc::gen::inRange(0, 7))};
}

AllocationRequest AnyRequest() {
  AllocationRequest request;
  request.service = AnyService();
  request.families.primary = *rc::gen::weightedElement<net::IpFamily>({{3, kIpv4}, {1, kIpv6}});
  request.families.dual = *rc::gen::weightedElement<bool>({{1, true}, {2, false}});
  request.families.require_both = request.families.dual && *rc::gen::arbitrary<bool>();
  if (*rc::gen::weightedElement<bool>({{1, true}, {3, false}})) {
    request.addresses = AnyAddresses(2);
  }
  if (*rc::gen::weightedElement<bool>({{1, true}, {4, false}})) {
    request.pool = *rc::gen::element<std::string>("a", "b", "c", "d", "unknown");
  }
  for (const model::ServicePort& port :
       {model::ServicePort{"TCP", 80}, model::ServicePort{"TCP", 443},
        model::ServicePort{"UDP", 80}}) {
    if (*rc::gen::arbitrary<bool>()) {
      request.ports.push_back(port);
    }
  }
  request.sharing_key = *rc::gen::element<std::string>("", "key", "other");
  request.backend_key = *rc::gen::weightedElement<std::string>({{3, ""}, {1, "app=web"}});
  // Not pointers: rapidcheck would print what they point to.
  request.labels = *rc::gen::arbitrary<bool>() ? &kGold : nullptr;
  request.namespace_labels = *rc::gen::arbitrary<bool>() ? &kGold : nullptr;
  return request;
}

using Uses = std::set<std::pair<model::ServiceKey, net::IpAddress>>;

Uses UsesOf(const NaiveAllocator& model) {
  Uses uses;
  for (const auto& [service, holding] : model.holdings) {
    for (const net::IpAddress& address : holding.addresses) {
      uses.emplace(service, address);
    }
  }
  return uses;
}

void RequireEqual(const AddressAllocator& allocator, const NaiveAllocator& model) {
  allocator.CheckInvariants();
  RC_ASSERT(allocator.size() == model.holdings.size());
  for (const auto& [service, holding] : model.holdings) {
    const auto found = allocator.Find(service);
    RC_ASSERT(found.has_value());
    RC_ASSERT(found->pool == holding.pool);
    RC_ASSERT(found->addresses == holding.addresses);
  }
  for (const std::string& pool : kPoolNames) {
    for (const net::IpFamily family : {kIpv4, kIpv6}) {
      const PoolUsage usage = allocator.Usage(pool, family);
      const PoolUsage expected = model.Usage(pool, family);
      RC_ASSERT(usage.total == expected.total);
      RC_ASSERT(usage.in_use == expected.in_use);
    }
  }
}

}  // namespace

TEST_CASE("Whatever is done, the allocator does what a walk over all addresses does",
          "[allocator]") {
  CHECK(rc::check([] {
    AddressAllocator allocator;
    NaiveAllocator model;
    const std::vector<config::Pool> first = AnyPools();
    RC_ASSERT(allocator.SetPools(first) == model.SetPools(first));
    const int steps = *rc::gen::inRange(1, 40);
    for (int i = 0; i < steps; ++i) {
      const Uses before = UsesOf(model);
      const std::uint64_t availability = allocator.Availability();
      switch (*rc::gen::weightedElement<int>({{12, 0}, {4, 1}, {4, 2}, {1, 3}})) {
        case 0: {
          const AllocationRequest request = AnyRequest();
          const auto allocation = allocator.Allocate(request);
          RC_ASSERT(allocation.status().code() == model.Allocate(request));
          if (allocation.ok()) {
            RC_ASSERT(allocator.Find(request.service) == *allocation);
          }
          break;
        }
        case 1: {
          const AllocationRequest request = AnyRequest();
          const AddressList addresses = AnyAddresses(3);
          const auto allocation = allocator.Claim(request, addresses);
          RC_ASSERT(allocation.status().code() == model.Claim(request, addresses));
          if (allocation.ok()) {
            RC_ASSERT(allocation->addresses == addresses);
          }
          break;
        }
        case 2: {
          const model::ServiceKey service = AnyService();
          RC_ASSERT(allocator.Release(service) == model.Release(service));
          break;
        }
        default: {
          const std::vector<config::Pool> pools = AnyPools();
          RC_ASSERT(allocator.SetPools(pools) == model.SetPools(pools));
          break;
        }
      }
      RequireEqual(allocator, model);
      const Uses after = UsesOf(model);
      if (!std::ranges::includes(after, before)) {
        RC_ASSERT(allocator.Availability() > availability);
      }
    }
  }));
}

TEST_CASE("The same calls give the same addresses, and repeating one changes nothing",
          "[allocator]") {
  CHECK(rc::check([] {
    AddressAllocator one;
    AddressAllocator two;
    const std::vector<config::Pool> pools = AnyPools();
    RC_ASSERT(one.SetPools(pools) == two.SetPools(pools));
    const int steps = *rc::gen::inRange(1, 20);
    for (int i = 0; i < steps; ++i) {
      const AllocationRequest request = AnyRequest();
      const auto allocation = one.Allocate(request);
      const std::uint64_t availability = one.Availability();
      const auto again = one.Allocate(request);
      RC_ASSERT(again.status() == allocation.status());
      if (allocation.ok()) {
        RC_ASSERT(*again == *allocation);
        RC_ASSERT(one.Availability() == availability);
        RC_ASSERT(*one.Claim(request, allocation->addresses) == *allocation);
        RC_ASSERT(one.Availability() == availability);
      }
      const auto other = two.Allocate(request);
      RC_ASSERT(other.status() == allocation.status());
      if (other.ok()) {
        RC_ASSERT(*other == *allocation);
      }
    }
    RC_ASSERT(one.SetPools(pools).empty());
  }));
}

}  // namespace stentor::controller
