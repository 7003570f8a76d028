// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "controller/allocator/address_allocator.h"
#include "test/support/catch.h"
#include "test/unit/allocator/steps.h"

namespace stentor::controller {

TEST_CASE("Allocation from a named pool", "[allocator]") {
  std::vector<config::Pool> pools = {
      MakePool("both", {"192.0.2.0/31", "2001:db8::/127"}),
      MakePool("v4", {"198.51.100.4/30"}),
      MakePool("v6", {"2001:db8:6::/127"}),
  };
  pools[1].auto_assign = false;
  AddressAllocator allocator;
  REQUIRE(allocator.SetPools(pools).empty());
  const Texts second = {"192.0.2.1", "2001:db8::1"};
  Play(allocator,
       {
           {"unknown pool", kGet, {.name = "s1", .pool = "none"}, {}, "unknown pool \"none\""},
           {"first", kGet, {.name = "s1", .pool = "v4"}, {"198.51.100.4"}},
           {"first, again", kGet, {.name = "s1", .pool = "v4"}, {"198.51.100.4"}},
           {"second", kGet, {.name = "s2", .pool = "v4"}, {"198.51.100.5"}},
           {"third", kGet, {.name = "s3", .pool = "v4", .key = "k"}, {"198.51.100.6"}},
           {"fourth", kGet, {.name = "s4", .pool = "v4"}, {"198.51.100.7"}},
           {"no more",
            kGet,
            {.name = "s5", .pool = "v4"},
            {},
            "no available IPs in pool \"v4\" for ipv4 IPFamily"},
           {"sharing helps",
            kGet,
            {.name = "s5", .pool = "v4", .key = "k", .ports = {443}},
            {"198.51.100.6"}},
           {"not with the same port",
            kGet,
            {.name = "s6", .pool = "v4", .key = "k"},
            {},
            "no available IPs"},
           {"not with another key",
            kGet,
            {.name = "s6", .pool = "v4", .key = "x", .ports = {1}},
            {},
            "no available IPs"},
           {"not with another backend",
            kGet,
            {.name = "s6", .pool = "v4", .key = "k", .backend = "b", .ports = {1}},
            {},
            "no available IPs"},
           {"the second leaves", kFree, {.name = "s2"}},
           {"first fit beats sharing",
            kGet,
            {.name = "s6", .pool = "v4", .key = "k", .ports = {1}},
            {"198.51.100.5"}},
           {"sharing beats what comes later",
            kGet,
            {.name = "s7", .pool = "v4", .key = "k", .ports = {2}},
            {"198.51.100.5"}},
           {"the wrong family",
            kGet,
            {.name = "s8", .want = Want::kV6, .pool = "v4"},
            {},
            "no available IPs in pool \"v4\" for ipv6 IPFamily"},
           {"IPv6", kGet, {.name = "s8", .want = Want::kV6, .pool = "v6"}, {"2001:db8:6::"}},
           {"IPv6, second",
            kGet,
            {.name = "s9", .want = Want::kV6, .pool = "v6"},
            {"2001:db8:6::1"}},
           {"IPv6, no more",
            kGet,
            {.name = "s10", .want = Want::kV6, .pool = "v6"},
            {},
            "for ipv6 IPFamily"},
           {"both",
            kGet,
            {.name = "d1", .want = Want::kBoth, .pool = "both"},
            {"192.0.2.0", "2001:db8::"}},
           {"both are required, of a pool with one",
            kGet,
            {.name = "d2", .want = Want::kBoth, .pool = "v4"},
            {},
            "no available IPs in pool \"v4\" for dual IPFamily"},
           {"IPv4 of the dual pool runs out", kGet, {.name = "x4", .pool = "both"}, {"192.0.2.1"}},
           {"both are required, one is left",
            kGet,
            {.name = "d2", .want = Want::kBoth, .pool = "both"},
            {},
            "for dual IPFamily"},
           {"both are preferred, one is left",
            kGet,
            {.name = "d2", .want = Want::kPreferBoth, .pool = "both"},
            {"2001:db8::1"}},
           {"the other one comes free", kFree, {.name = "x4"}},
           {"it is added",
            kGet,
            {.name = "d2", .want = Want::kPreferBoth, .pool = "both"},
            {"2001:db8::1", "192.0.2.1"}},
           {"it moves to another pool",
            kGet,
            {.name = "d2", .want = Want::kPreferBoth, .pool = "none"},
            {},
            "unknown pool"},
           {"d2 leaves", kFree, {.name = "d2"}},
           {"IPv4 is written first",
            kGet,
            {.name = "d2", .want = Want::kBoth, .pool = "both"},
            second},
           {"d1 asks for another pool",
            kGet,
            {.name = "s8", .pool = "both"},
            {},
            "no available IPs in pool \"both\""},
           {"s8 kept what it had",
            kGet,
            {.name = "s8", .want = Want::kV6, .pool = "v6"},
            {"2001:db8:6::"}},
       });
}

TEST_CASE("Allocation from any pool", "[allocator]") {
  std::vector<config::Pool> pools = {
      MakePool("a-manual", {"203.0.113.0/24", "2001:db8:a::/64"}),
      MakePool("b", {"192.0.2.1/32"}),
      MakePool("c", {"192.0.2.9/32", "192.0.2.5/32"}),
      MakePool("d", {"192.0.2.17/32", "2001:db8:d::/127"}),
      MakePool("e-last", {"198.51.100.10/32"}),
      MakePool("f-second", {"198.51.100.20/32"}),
      MakePool("g-first", {"198.51.100.30/32"}),
      MakePool("h-others", {"198.51.100.40/32"}),
  };
  pools[0].auto_assign = false;
  for (std::size_t i = 4; i < 8; ++i) {
    pools[i].service_allocation = config::ServiceAllocation{.namespaces = {"shop"}};
  }
  pools[5].service_allocation->priority = 20;
  pools[6].service_allocation->priority = 10;
  pools[7].service_allocation = config::ServiceAllocation{.priority = 1, .namespaces = {"other"}};
  AddressAllocator allocator;
  REQUIRE(allocator.SetPools(pools).empty());
  Play(allocator,
       {
           {"by name of the pools", kGet, {.name = "s1"}, {"192.0.2.1"}},
           {"in the order of spec.addresses", kGet, {.name = "s2"}, {"192.0.2.9"}},
           {"not in that of numbers", kGet, {.name = "s3"}, {"192.0.2.5"}},
           {"IPv6 from the first pool with one",
            kGet,
            {.name = "s4", .want = Want::kV6},
            {"2001:db8:d::"}},
           {"both from the pool with both",
            kGet,
            {.name = "s5", .want = Want::kBoth},
            {"192.0.2.17", "2001:db8:d::1"}},
           {"no more", kGet, {.name = "s6"}, {}, "no available IPs"},
           {"no more of IPv6", kGet, {.name = "s6", .want = Want::kV6}, {}, "no available IPs"},
           {"no more of both", kGet, {.name = "s6", .want = Want::kBoth}, {}, "no available IPs"},
           {"no more of either",
            kGet,
            {.name = "s6", .want = Want::kPreferBoth},
            {},
            "no available IPs"},
           {"a pool of its own comes first, by priority",
            kGet,
            {.name = "s1", .name_space = "shop"},
            {"198.51.100.30"}},
           {"then the next", kGet, {.name = "s2", .name_space = "shop"}, {"198.51.100.20"}},
           {"priority 0 comes last", kGet, {.name = "s3", .name_space = "shop"}, {"198.51.100.10"}},
           {"the pool of others is not for it",
            kGet,
            {.name = "s4", .name_space = "shop"},
            {},
            "no available IPs"},
           {"a plain one comes free", kFree, {.name = "s1"}},
           {"and is for all", kGet, {.name = "s4", .name_space = "shop"}, {"192.0.2.1"}},
           {"it stays there, though a better one comes free",
            kFree,
            {.name = "s1", .name_space = "shop"}},
           {"indeed", kGet, {.name = "s4", .name_space = "shop"}, {"192.0.2.1"}},
           {"d is half free", kFree, {.name = "s5"}},
           {"IPv4 is taken", kGet, {.name = "s7"}, {"192.0.2.17"}},
           {"one of two will do",
            kGet,
            {.name = "s8", .want = Want::kPreferBoth},
            {"2001:db8:d::1"}},
           {"it turns to one family", kGet, {.name = "s8", .want = Want::kV6}, {"2001:db8:d::1"}},
           {"it turns to the other, and there is none",
            kGet,
            {.name = "s8"},
            {},
            "no available IPs"},
       });
  CHECK(allocator.Usage("a-manual", kIpv4).in_use == 0);
}

TEST_CASE("Of PreferDualStack's pools the first with both wins, then the primary family",
          "[allocator]") {
  AddressAllocator allocator;
  REQUIRE(
      allocator
          .SetPools(std::vector{MakePool("a", {"2001:db8::/127"}), MakePool("b", {"192.0.2.0/31"}),
                                MakePool("c", {"198.51.100.0/32", "2001:db8:c::/128"})})
          .empty());
  Play(
      allocator,
      {
          {"both",
           kGet,
           {.name = "s1", .want = Want::kPreferBoth},
           {"198.51.100.0", "2001:db8:c::"}},
          {"the primary one", kGet, {.name = "s2", .want = Want::kPreferBoth}, {"192.0.2.0"}},
          {"the primary one again", kGet, {.name = "s3", .want = Want::kPreferBoth}, {"192.0.2.1"}},
          {"the other one", kGet, {.name = "s4", .want = Want::kPreferBoth}, {"2001:db8::"}},
          {"not where both are required",
           kGet,
           {.name = "s5", .want = Want::kBoth},
           {},
           "no available IPs"},
      });
}

TEST_CASE("Buggy addresses are not given out where they are avoided", "[allocator]") {
  std::vector<config::Pool> pools = {MakePool("a", {"192.0.2.0/31"}),
                                     MakePool("b", {"192.0.2.254-192.0.3.1"}),
                                     MakePool("c", {"192.0.4.0/31"})};
  pools[0].avoid_buggy_ips = true;
  pools[1].avoid_buggy_ips = true;
  AddressAllocator allocator;
  REQUIRE(allocator.SetPools(pools).empty());
  Play(allocator, {
                      {"not .0", kGet, {.name = "s1"}, {"192.0.2.1"}},
                      {".254", kGet, {.name = "s2"}, {"192.0.2.254"}},
                      {"neither .255 nor .0", kGet, {.name = "s3"}, {"192.0.3.1"}},
                      {".0 where it may be", kGet, {.name = "s4"}, {"192.0.4.0"}},
                      {"the last", kGet, {.name = "s5"}, {"192.0.4.1"}},
                      {"no more", kGet, {.name = "s6"}, {}, "no available IPs"},
                      {"nor by pool", kGet, {.name = "s6", .pool = "a"}, {}, "no available IPs"},
                  });
}

TEST_CASE("Holdings follow the configuration", "[allocator]") {
  AddressAllocator allocator;
  REQUIRE(
      allocator.SetPools(std::vector{MakePool("p", {"192.0.2.0/29", "2001:db8::/126"})}).empty());
  Play(allocator, {
                      {"one", kClaim, {.name = "one", .ips = {"192.0.2.0"}}, {"192.0.2.0"}},
                      {"two",
                       kClaim,
                       {.name = "two", .want = Want::kBoth, .ips = {"192.0.2.5", "2001:db8::1"}},
                       {"192.0.2.5", "2001:db8::1"}},
                  });
  struct Case {
    const char* name;
    std::vector<config::Pool> pools;
    Texts lost;
    const char* pool_of_one = "p";
    const char* pool_of_two = "p";
  };
  config::Pool manual = MakePool("p", {"192.0.2.0/29", "2001:db8::/126"});
  manual.auto_assign = false;
  config::Pool picky = MakePool("p", {"192.0.2.0/29", "2001:db8::/126"});
  picky.avoid_buggy_ips = true;
  const auto c = GENERATE_COPY(values<Case>({
      {"the same", {MakePool("p", {"192.0.2.0/29", "2001:db8::/126"})}, {}},
      {"grown", {MakePool("p", {"192.0.2.0/24", "2001:db8::/64"})}, {}},
      {"shrunk around them",
       {MakePool("p", {"192.0.2.0/32", "192.0.2.5/32", "2001:db8::1/128"})},
       {}},
      {"renamed", {MakePool("q", {"192.0.2.0/29", "2001:db8::/126"})}, {}, "q", "q"},
      {"split between them",
       {MakePool("a", {"192.0.2.0/30"}), MakePool("b", {"192.0.2.4/30", "2001:db8::/126"})},
       {},
       "a",
       "b"},
      {"split between the families",
       {MakePool("a", {"192.0.2.0/29"}), MakePool("b", {"2001:db8::/126"})},
       {"two"},
       "a"},
      {"no longer given out by itself", {manual}, {}},
      {"one is buggy now", {picky}, {"one"}},
      {"one family is gone", {MakePool("p", {"192.0.2.0/29"})}, {"two"}},
      {"elsewhere", {MakePool("p", {"198.51.100.0/24"})}, {"one", "two"}},
      {"no pools", {}, {"one", "two"}},
  }));
  DYNAMIC_SECTION(c.name) {
    const std::uint64_t availability = allocator.Availability();
    Texts lost;
    for (const model::ServiceKey& key : allocator.SetPools(c.pools)) {
      lost.push_back(key.name);
    }
    CHECK(lost == c.lost);
    CHECK(allocator.size() == 2 - c.lost.size());
    CHECK(allocator.Availability() > availability);
    for (const auto& [name, pool] :
         {std::pair("one", c.pool_of_one), std::pair("two", c.pool_of_two)}) {
      const auto held = allocator.Find({"default", name});
      CHECK(held.has_value() == (std::ranges::find(lost, name) == lost.end()));
      CHECK((!held || held->pool == pool));
    }
    allocator.CheckInvariants();
  }
}

TEST_CASE("Usage counts addresses, a shared one once", "[allocator]") {
  std::vector<config::Pool> pools = {
      MakePool("picky", {"198.51.100.0/24", "203.0.113.5-203.0.113.10"}),
      MakePool("small", {"192.0.2.0/24", "2001:db8::/120"}),
      MakePool("wide", {"2001:db8:1::/64", "2001:db8:2::/64", "203.0.113.128/25"}),
      MakePool("wider", {"2001:db8:3::/127", "2001:db8:4::/48"}),
  };
  pools[0].avoid_buggy_ips = true;
  AddressAllocator allocator;
  REQUIRE(allocator.SetPools(pools).empty());
  CHECK(allocator.Usage("small", kIpv4) == PoolUsage{256, 0});
  CHECK(allocator.Usage("small", kIpv6) == PoolUsage{256, 0});
  CHECK(allocator.Usage("picky", kIpv4) == PoolUsage{260, 0});
  CHECK(allocator.Usage("picky", kIpv6) == PoolUsage{0, 0});
  CHECK(allocator.Usage("wide", kIpv4) == PoolUsage{128, 0});
  CHECK(allocator.Usage("wide", kIpv6) == PoolUsage{INT64_MAX, 0});
  CHECK(allocator.Usage("wider", kIpv6) == PoolUsage{INT64_MAX, 0});
  CHECK(allocator.Usage("unknown", kIpv4) == PoolUsage{0, 0});
  Play(allocator, {
                      {"one", kGet, {.name = "s1", .pool = "small", .key = "k"}, {"192.0.2.0"}},
                      {"shared",
                       kGet,
                       {.name = "s2", .pool = "small", .key = "k", .ports = {443}},
                       {"192.0.2.0"}},
                      {"two families",
                       kGet,
                       {.name = "s3", .want = Want::kBoth, .pool = "small"},
                       {"192.0.2.1", "2001:db8::"}},
                  });
  CHECK(allocator.Usage("small", kIpv4) == PoolUsage{256, 2});
  CHECK(allocator.Usage("small", kIpv6) == PoolUsage{256, 1});
  Play(allocator, {{"one sharer goes", kFree, {.name = "s1"}}});
  CHECK(allocator.Usage("small", kIpv4) == PoolUsage{256, 2});
  Play(allocator, {{"the other goes", kFree, {.name = "s2"}}});
  CHECK(allocator.Usage("small", kIpv4) == PoolUsage{256, 1});
  CHECK(allocator.size() == 1);
}

TEST_CASE("Addresses are listed as MetalLB lists them", "[allocator]") {
  const AddressList none;
  const AddressList both = {*net::IpAddress::Parse("192.0.2.1"),
                            *net::IpAddress::Parse("2001:db8::1")};
  CHECK(FormatAddresses(none) == "[]");
  CHECK(FormatAddresses(both) == "[\"192.0.2.1\" \"2001:db8::1\"]");
}

}  // namespace stentor::controller
