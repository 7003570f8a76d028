// SPDX-License-Identifier: Apache-2.0

/// \file
/// Which pool is taken where none is asked for, and the figures of pools.

#include <cstdint>
#include <vector>

#include "controller/allocator/address_allocator.h"
#include "test/support/catch.h"
#include "test/unit/allocator/steps.h"

namespace stentor::controller {

TEST_CASE("Allocation across pools of one and of both families", "[allocator]") {
  AddressAllocator allocator;
  REQUIRE(allocator
              .SetPools(std::vector{
                  MakePool("a", {"192.0.2.0/31"}),
                  MakePool("b", {"2001:db8:b::/127"}),
                  MakePool("c", {"198.51.100.0/31", "2001:db8:c::/127"}),
              })
              .empty());
  Play(allocator,
       {
           {"IPv4", kGet, {.name = "s1", .key = "k"}, {"192.0.2.0"}},
           {"IPv4, again", kGet, {.name = "s1", .key = "k"}, {"192.0.2.0"}},
           {"IPv6", kGet, {.name = "s2", .want = Want::kV6}, {"2001:db8:b::"}},
           {"both", kGet, {.name = "d1", .want = Want::kBoth}, {"198.51.100.0", "2001:db8:c::"}},
           {"sharing goes by the first address that will do",
            kGet,
            {.name = "s3", .key = "k", .ports = {443}},
            {"192.0.2.0"}},
           {"the same port: the next address", kGet, {.name = "s4", .key = "k"}, {"192.0.2.1"}},
           {"the next pool", kGet, {.name = "s5"}, {"198.51.100.1"}},
           {"IPv4 is exhausted", kGet, {.name = "s6"}, {}, "no available IPs"},
           {"sharing helps across pools",
            kGet,
            {.name = "s6", .key = "k", .ports = {22}},
            {"192.0.2.0"}},
           {"both can't be had", kGet, {.name = "d2", .want = Want::kBoth}, {}, "no available IPs"},
           {"one of both can", kGet, {.name = "d2", .want = Want::kPreferBoth}, {"2001:db8:b::1"}},
           {"the last of IPv6", kGet, {.name = "s7", .want = Want::kV6}, {"2001:db8:c::1"}},
           {"IPv6 is exhausted", kGet, {.name = "s8", .want = Want::kV6}, {}, "no available IPs"},
           {"s5 goes", kFree, {.name = "s5"}},
           {"s7 goes", kFree, {.name = "s7"}},
           {"d2 keeps what it has: the second comes from the same pool only",
            kGet,
            {.name = "d2", .want = Want::kPreferBoth},
            {"2001:db8:b::1"}},
           {"d2 requires both: it moves",
            kGet,
            {.name = "d2", .want = Want::kBoth},
            {"198.51.100.1", "2001:db8:c::1"}},
           {"an address that is asked for, of any pool",
            kGet,
            {.name = "s8", .want = Want::kV6, .ips = {"2001:db8:b::1"}},
            {"2001:db8:b::1"}},
       });
}

TEST_CASE("Pools without autoAssign are never taken by themselves", "[allocator]") {
  std::vector<config::Pool> pools = {
      MakePool("a-manual", {"203.0.113.0/31", "2001:db8:a::/127"}),
      MakePool("b", {"192.0.2.0/31"}),
      MakePool("c-manual", {"198.51.100.0/31"}),
      MakePool("d", {"2001:db8:d::/127"}),
  };
  pools[0].auto_assign = false;
  pools[2].auto_assign = false;
  pools[2].service_allocation = config::ServiceAllocation{.priority = 1, .namespaces = {"default"}};
  AddressAllocator allocator;
  REQUIRE(allocator.SetPools(pools).empty());
  Play(
      allocator,
      {
          {"first", kGet, {.name = "s1"}, {"192.0.2.0"}},
          {"second", kGet, {.name = "s2"}, {"192.0.2.1"}},
          {"no more", kGet, {.name = "s3"}, {}, "no available IPs"},
          {"nor for dual stack", kGet, {.name = "d1", .want = Want::kBoth}, {}, "no available IPs"},
          {"one of both", kGet, {.name = "d1", .want = Want::kPreferBoth}, {"2001:db8:d::"}},
          {"IPv6", kGet, {.name = "s4", .want = Want::kV6}, {"2001:db8:d::1"}},
          {"no more of IPv6", kGet, {.name = "s5", .want = Want::kV6}, {}, "no available IPs"},
          {"by its name", kGet, {.name = "s3", .pool = "a-manual"}, {"203.0.113.0"}},
          {"it stays there without asking again", kGet, {.name = "s3"}, {"203.0.113.0"}},
          {"by an address of it", kGet, {.name = "s5", .ips = {"203.0.113.1"}}, {"203.0.113.1"}},
          {"both by its name: IPv4 is gone",
           kGet,
           {.name = "d2", .want = Want::kBoth, .pool = "a-manual"},
           {},
           "for dual IPFamily"},
          {"s3 goes", kFree, {.name = "s3"}},
          {"both by its name",
           kGet,
           {.name = "d2", .want = Want::kBoth, .pool = "a-manual"},
           {"203.0.113.0", "2001:db8:a::"}},
          {"a pool of its own that is manual", kGet, {.name = "s6"}, {}, "no available IPs"},
          {"by the name of that", kGet, {.name = "s6", .pool = "c-manual"}, {"198.51.100.0"}},
          {"by its name, of another namespace",
           kGet,
           {.name = "s7", .pool = "c-manual", .name_space = "other"},
           {},
           "pool c-manual not compatible for ip assignment"},
          {"by an address of it, of another namespace",
           kGet,
           {.name = "s7", .ips = {"198.51.100.1"}, .name_space = "other"},
           {},
           "pool c-manual not compatible for ip assignment"},
          {"a restart claims what is held there",
           kClaim,
           {.name = "s6", .ips = {"198.51.100.0"}},
           {"198.51.100.0"}},
          {"sharing does not lead there either: the key is",
           kGet,
           {.name = "s8", .pool = "c-manual", .key = "k"},
           {"198.51.100.1"}},
          {"the same, and nobody shares by chance",
           kGet,
           {.name = "s9", .key = "k", .ports = {443}},
           {},
           "no available IPs"},
          {"what is free again is taken by itself only of the others", kFree, {.name = "s2"}},
          {"indeed", kGet, {.name = "s9"}, {"192.0.2.1"}},
      });
  CHECK(allocator.Usage("a-manual", kIpv4).in_use == 2);
  CHECK(allocator.Usage("c-manual", kIpv4).in_use == 2);
}

TEST_CASE("Capacity of a pool", "[allocator]") {
  constexpr std::uint64_t kMost = INT64_MAX;
  struct Case {
    const char* name;
    Texts addresses;
    bool avoid_buggy;
    std::uint64_t v4;
    std::uint64_t v6;
  };
  const auto c = GENERATE(values<Case>({
      {"a /16", {"10.20.0.0/16"}, false, 65536, 0},
      {"a range across a boundary", {"192.0.2.250-192.0.3.5"}, false, 12, 0},
      {"a /24 without .0 and .255", {"192.0.2.0/24"}, true, 254, 0},
      {"a /23 without .0 and .255", {"192.0.2.0/23"}, true, 508, 0},
      {"nothing but .0 and .255", {"192.0.2.255-192.0.3.0"}, true, 0, 0},
      {"several and both families",
       {"192.0.2.0/30", "198.51.100.7/32", "2001:db8::/126", "2001:db8:1::/127"},
       false,
       5,
       6},
      {"buggy IPv6 addresses are none", {"2001:db8::/120"}, true, 0, 256},
      {"62 host bits are counted", {"2001:db8::/66"}, false, 0, std::uint64_t{1} << 62U},
      {"64 host bits are too many", {"2001:db8::/64"}, false, 0, kMost},
      {"a large prefix before others does not wrap",
       {"2001:db8::/64", "2001:db8:1::/64", "2001:db8:2::/127"},
       false,
       0,
       kMost},
      {"two halves of the most", {"2001:db8::/66", "2001:db8:1::/66"}, false, 0, kMost},
      {"everything", {"0.0.0.0/0", "::/0"}, false, std::uint64_t{1} << 32U, kMost},
  }));
  DYNAMIC_SECTION(c.name) {
    config::Pool pool = MakePool("p", c.addresses);
    pool.avoid_buggy_ips = c.avoid_buggy;
    AddressAllocator allocator;
    REQUIRE(allocator.SetPools(std::vector{pool}).empty());
    CHECK(allocator.Usage("p", kIpv4) == PoolUsage{c.v4, 0});
    CHECK(allocator.Usage("p", kIpv6) == PoolUsage{c.v6, 0});
  }
}

TEST_CASE("Figures of a pool after each step", "[allocator]") {
  struct Case {
    Step step;
    std::uint64_t v4;
    std::uint64_t v6;
  };
  AddressAllocator allocator;
  REQUIRE(allocator
              .SetPools(std::vector{MakePool("p", {"192.0.2.0/29", "2001:db8::/125"}),
                                    MakePool("q", {"198.51.100.0/29"})})
              .empty());
  const std::vector<Case> cases = {
      {{"one", kGet, {.name = "s1", .key = "k"}, {"192.0.2.0"}}, 1, 0},
      {{"the same again", kGet, {.name = "s1", .key = "k"}, {"192.0.2.0"}}, 1, 0},
      {{"shared", kGet, {.name = "s2", .key = "k", .ports = {443}}, {"192.0.2.0"}}, 1, 0},
      {{"another", kGet, {.name = "s3"}, {"192.0.2.1"}}, 2, 0},
      {{"IPv6", kGet, {.name = "s4", .want = Want::kV6}, {"2001:db8::"}}, 2, 1},
      {{"both", kGet, {.name = "d1", .want = Want::kBoth}, {"192.0.2.2", "2001:db8::1"}}, 3, 2},
      {{"a failure", kGet, {.name = "s5", .ips = {"192.0.2.1"}}, {}, "in use"}, 3, 2},
      {{"of another pool", kGet, {.name = "s6", .pool = "q"}, {"198.51.100.0"}}, 3, 2},
      {{"it moves to this one", kGet, {.name = "s6", .pool = "p"}, {"192.0.2.3"}}, 4, 2},
      {{"one sharer goes", kFree, {.name = "s1"}}, 4, 2},
      {{"the last sharer goes", kFree, {.name = "s2"}}, 3, 2},
      {{"nobody goes", kFree, {.name = "s1"}}, 3, 2},
      {{"both go", kFree, {.name = "d1"}}, 2, 1},
      {{"one turns to the other family", kGet, {.name = "s3", .want = Want::kV6}, {"2001:db8::1"}},
       1,
       2},
  };
  for (const Case& c : cases) {
    Play(allocator, {c.step});
    INFO(c.step.title);
    CHECK(allocator.Usage("p", kIpv4) == PoolUsage{8, c.v4});
    CHECK(allocator.Usage("p", kIpv6) == PoolUsage{8, c.v6});
  }
}

}  // namespace stentor::controller
