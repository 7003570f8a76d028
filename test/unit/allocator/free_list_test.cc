// SPDX-License-Identifier: Apache-2.0
#include "controller/allocator/free_list.h"

#include <cstdint>
#include <string>
#include <vector>

#include "test/support/catch.h"

namespace stentor::controller {
namespace {

net::IpAddress Ip(std::string_view text) {
  INFO(text);
  const auto address = net::IpAddress::Parse(text);
  REQUIRE(address);
  return *address;
}

FreeList List(const std::vector<std::string>& items, bool avoid_buggy = false) {
  FreeList list(avoid_buggy);
  std::uint32_t number = 0;
  for (const std::string& item : items) {
    const auto range = net::ParseAddressItem(item);
    INFO(item);
    REQUIRE(range.ok());
    list.AddRange(number++, *range);
  }
  return list;
}

// Takes the first free address until none is left.
std::vector<std::string> Drain(FreeList& list) {
  std::vector<std::string> taken;
  while (const auto place = list.First()) {
    REQUIRE(list.Take(*place));
    taken.push_back(place->address.ToString());
  }
  return taken;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("FreeList gives addresses out in the order of its ranges", "[free_list]") {
  struct Case {
    const char* name;
    std::vector<std::string> ranges;
    bool avoid_buggy;
    Texts order;
  };
  const auto c = GENERATE(values<Case>({
      {"no ranges", {}, false, {}},
      {"ascending in a range",
       {"192.0.2.8/30"},
       false,
       {"192.0.2.8", "192.0.2.9", "192.0.2.10", "192.0.2.11"}},
      {"ranges as they are numbered",
       {"192.0.2.9/32", "192.0.2.1-192.0.2.2", "192.0.2.4/31"},
       false,
       {"192.0.2.9", "192.0.2.1", "192.0.2.2", "192.0.2.4", "192.0.2.5"}},
      {"network and broadcast address are used",
       {"192.0.2.254-192.0.3.1"},
       false,
       {"192.0.2.254", "192.0.2.255", "192.0.3.0", "192.0.3.1"}},
      {"buggy ones in the middle", {"192.0.2.254-192.0.3.1"}, true, {"192.0.2.254", "192.0.3.1"}},
      {"buggy ones at the ends",
       {"192.0.3.0-192.0.3.1", "192.0.2.254/31"},
       true,
       {"192.0.3.1", "192.0.2.254"}},
      {"nothing but buggy ones", {"192.0.2.255-192.0.3.0"}, true, {}},
      {"buggy is a matter of IPv4",
       {"2001:db8::ff-2001:db8::100"},
       true,
       {"2001:db8::ff", "2001:db8::100"}},
      {"the ends of the family",
       {"255.255.255.254/31", "0.0.0.0/31"},
       false,
       {"255.255.255.254", "255.255.255.255", "0.0.0.0", "0.0.0.1"}},
      {"the ends of the family, buggy",
       {"255.255.255.254/31", "0.0.0.0/31"},
       true,
       {"255.255.255.254", "0.0.0.1"}},
  }));
  DYNAMIC_SECTION(c.name) {
    FreeList list = List(c.ranges, c.avoid_buggy);
    CHECK(list.Capacity() == c.order.size());
    CHECK(Drain(list) == c.order);
    CHECK(list.Capacity() == c.order.size());  // of all, free or not
  }
}

TEST_CASE("What is taken is not free until it is released", "[free_list]") {
  FreeList list = List({"192.0.2.0/29"});
  const Place place{0, Ip("192.0.2.3")};
  CHECK(list.IsFree(place));
  CHECK(list.Take(place));
  CHECK_FALSE(list.IsFree(place));
  CHECK_FALSE(list.Take(place));
  CHECK(list.IsFree({0, Ip("192.0.2.2")}));
  CHECK(list.IsFree({0, Ip("192.0.2.4")}));
  list.Release(place);
  CHECK(list.IsFree(place));
  CHECK(Drain(list).size() == 8);
}

TEST_CASE("Places outside of the list are never free", "[free_list]") {
  FreeList list = List({"192.0.2.8/30", "192.0.2.0/30"}, true);
  const Place place = GENERATE(values<Place>({
      {0, *net::IpAddress::Parse("192.0.2.7")},
      {0, *net::IpAddress::Parse("192.0.2.12")},
      {1, *net::IpAddress::Parse("192.0.2.9")},  // in the other range
      {1, *net::IpAddress::Parse("192.0.2.0")},  // buggy
      {2, *net::IpAddress::Parse("192.0.2.9")},
      {0, *net::IpAddress::Parse("2001:db8::1")},
  }));
  CAPTURE(place.range, place.address);
  CHECK_FALSE(list.IsFree(place));
  CHECK_FALSE(list.Take(place));
  CHECK(Drain(list).size() == 7);
}

TEST_CASE("Addresses may be released in any order, and come back in theirs", "[free_list]") {
  const bool avoid_buggy = GENERATE(false, true);
  FreeList list = List({"192.0.2.253-192.0.3.2"}, avoid_buggy);
  const Texts order = Drain(list);
  REQUIRE(order.size() == (avoid_buggy ? 4U : 6U));
  for (std::size_t start = 0; start < order.size(); ++start) {
    for (const std::size_t step : {std::size_t{1}, order.size() - 1}) {
      for (std::size_t i = 0; i < order.size(); ++i) {
        list.Release({0, Ip(order[(start + i * step) % order.size()])});
      }
      CAPTURE(start, step);
      REQUIRE(Drain(list) == order);
    }
  }
}

TEST_CASE("Neighbouring ranges stay apart", "[free_list]") {
  FreeList list = List({"192.0.2.4/30", "192.0.2.0/30"});
  const Texts order = Drain(list);
  CHECK(order.front() == "192.0.2.4");
  for (const std::string& text : order) {
    list.Release({Ip(text) < Ip("192.0.2.4") ? 1U : 0U, Ip(text)});
  }
  CHECK(Drain(list) == order);
}

TEST_CASE("A big range costs no more than a small one", "[free_list]") {
  FreeList list = List({"2001:db8::/32", "0.0.0.0/0"});
  CHECK(list.First()->address == Ip("2001:db8::"));
  CHECK(list.Take({0, Ip("2001:db8:ffff:ffff::")}));
  CHECK(list.Take({0, Ip("2001:db8::")}));
  CHECK(list.First()->address == Ip("2001:db8::1"));
}

TEST_CASE("Capacity counts usable addresses, and saturates", "[free_list]") {
  struct Case {
    const char* name;
    std::vector<std::string> ranges;
    bool avoid_buggy;
    std::uint64_t capacity;
  };
  constexpr std::uint64_t kMax = INT64_MAX;
  const auto c = GENERATE(values<Case>({
      {"a /24", {"192.0.2.0/24"}, false, 256},
      {"a /24 without buggy ones", {"192.0.2.0/24"}, true, 254},
      {"a /16 without buggy ones", {"198.18.0.0/16"}, true, 65536 - 512},
      {"half of a /24 without buggy ones", {"192.0.2.0/25"}, true, 127},
      {"the other half", {"192.0.2.128/25"}, true, 127},
      {"a range without buggy ones in it", {"192.0.2.1-192.0.2.254"}, true, 254},
      {"one buggy one", {"192.0.2.0/32"}, true, 0},
      {"several ranges", {"192.0.2.0/30", "198.51.100.0/24", "203.0.113.7/32"}, false, 261},
      {"all of IPv4", {"0.0.0.0/0"}, false, std::uint64_t{1} << 32U},
      {"all of IPv4 without buggy ones",
       {"0.0.0.0/0"},
       true,
       (std::uint64_t{1} << 32U) / 256 * 254},
      {"a /120", {"2001:db8::/120"}, true, 256},
      {"a /67", {"2001:db8::/67"}, false, std::uint64_t{1} << 61U},
      {"a /65", {"2001:db8::/65"}, false, kMax},
      {"a /64", {"2001:db8::/64"}, false, kMax},
      {"a /64 and one more", {"2001:db8::/64", "2001:db8:1::/128"}, false, kMax},
      {"one and a /64", {"2001:db8:1::/128", "2001:db8::/64"}, false, kMax},
      {"several that saturate together",
       {"2001:db8::/66", "2001:db8:1::/66", "2001:db8:2::/66"},
       false,
       kMax},
      {"all of IPv6", {"::/0"}, false, kMax},
  }));
  DYNAMIC_SECTION(c.name) { CHECK(List(c.ranges, c.avoid_buggy).Capacity() == c.capacity); }
}

}  // namespace stentor::controller
