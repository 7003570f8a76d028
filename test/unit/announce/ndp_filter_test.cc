// SPDX-License-Identifier: Apache-2.0
// The NDP part of packet_filter.h.

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "speaker/announce/packet_filter.h"
#include "test/support/catch.h"
#include "test/support/classic_bpf.h"
#include "test/support/nd_frames.h"

namespace stentor::speaker {
namespace {

using test::FrameFacts;
using test::IsValidBpf;
using test::NdFrameFields;
using test::NdFrameOf;
using test::RunBpf;

constexpr net::IfIndex kLink{3};
constexpr FrameFacts kArrived{.packet_type = 2, .interface = kLink};

net::Ipv6Address Ip(std::string_view text) { return *net::Ipv6Address::Parse(text); }

net::Ipv6Address FromWords(std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint32_t d) {
  return net::IpAddress::FromNumber(net::IpFamily::kIpv6, (std::uint64_t{a} << 32U) | b,
                                    (std::uint64_t{c} << 32U) | d)
      .ipv6();
}

bool Accepts(const BpfProgram& program, const net::Ipv6Address& target) {
  static std::vector<std::byte> frame = NdFrameOf({});
  const auto octets = std::as_bytes(std::span(target.octets()));
  std::copy(octets.begin(), octets.end(), frame.begin() + 62);
  return RunBpf(program, frame, kArrived) >= frame.size();
}

// The address with one bit turned over, counted from the front.
net::Ipv6Address Flipped(const net::Ipv6Address& address, std::size_t bit) {
  net::Ipv6Address::Octets octets = address.octets();
  octets[bit / 8] ^= static_cast<std::uint8_t>(0x80U >> (bit % 8));
  return net::Ipv6Address(octets);
}

// How many bits of an address two of a pool may differ in.
enum class Spread { kOneOf96, kOneOf64, kAll };

std::vector<net::Ipv6Address> Scattered(std::size_t count, Spread spread) {
  std::mt19937 engine(static_cast<std::mt19937::result_type>(count));
  const auto random = [&engine] { return static_cast<std::uint32_t>(engine()); };
  std::vector<net::Ipv6Address> addresses;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t a = spread == Spread::kAll ? random() : 0x20010db8;
    const std::uint32_t b = spread == Spread::kAll ? random() : 5;
    const std::uint32_t c = spread == Spread::kOneOf96 ? 0 : random();
    addresses.push_back(FromWords(a, b, c, random()));
  }
  return addresses;
}

TEST_CASE("The NDP filter looks at more than the target", "[filter]") {
  const BpfProgram program = BuildNdpFilter({Ip("2001:db8::6f")}, kLink);
  struct Case {
    const char* name;
    NdFrameFields frame;
    FrameFacts facts;
    bool want;
  };
  const auto c = GENERATE(values<Case>({
      {"multicast solicitation", {}, kArrived, true},
      {"unicast solicitation",
       {.destination_mac = "02:00:00:00:00:20", .ip_destination = "2001:db8::6f"},
       {.packet_type = 0, .interface = kLink},
       true},
      {"without an option", {.options = ""}, kArrived, true},
      {"probe", {.ip_source = "::", .options = ""}, kArrived, true},
      {"turned into a broadcast", {}, {.packet_type = 1, .interface = kLink}, true},
      {"advertisement, which may be a claim",
       {.type = 136, .options = "0201020000000010"},
       kArrived,
       true},
      {"to another host", {}, {.packet_type = 3, .interface = kLink}, false},
      {"sent by ourselves", {}, {.packet_type = 4, .interface = kLink}, false},
      {"of a VLAN or macvlan child", {}, {.packet_type = 2, .interface = net::IfIndex{4}}, false},
      {"router solicitation", {.type = 133}, kArrived, false},
      {"router advertisement", {.type = 134}, kArrived, false},
      {"redirect", {.type = 137}, kArrived, false},
      {"echo request", {.type = 128}, kArrived, false},
      {"hop limit 64", {.hop_limit = 64}, kArrived, false},
      {"UDP", {.next_header = 17}, kArrived, false},
      {"extension header", {.extension = "3a00010400000000", .next_header = 0}, kArrived, false},
      {"not IPv6", {.ether_type = 0x88dd}, kArrived, false},
      {"next address", {.target = "2001:db8::70"}, kArrived, false},
      {"other prefix", {.target = "2001:db9::6f"}, kArrived, false},
      {"cut in the target", {.options = "", .cut = 1}, kArrived, false},
  }));
  DYNAMIC_SECTION(c.name) { CHECK((RunBpf(program, NdFrameOf(c.frame), c.facts) != 0) == c.want); }
}

TEST_CASE("The NDP filter rejects other traffic in three instructions", "[filter]") {
  const BpfProgram program = BuildNdpFilter(Scattered(500, Spread::kAll), kLink);
  const std::vector<std::byte> frame = NdFrameOf({.next_header = 6, .hop_limit = 64});
  std::size_t steps = 0;
  CHECK(RunBpf(program, frame, kArrived, &steps) == 0);
  CHECK(steps == 3);
}

TEST_CASE("The NDP filter searches in few instructions", "[filter]") {
  const BpfProgram program = BuildNdpFilter(Scattered(500, Spread::kAll), kLink);
  std::size_t most = 0;
  for (const net::Ipv6Address& address : Scattered(500, Spread::kAll)) {
    std::vector<std::byte> frame = NdFrameOf({.target = address.ToString()});
    std::size_t steps = 0;
    CHECK(RunBpf(program, frame, kArrived, &steps) != 0);
    most = std::max(most, steps);
  }
  CHECK(most < 64);
}

TEST_CASE("Without addresses no neighbour message passes", "[filter]") {
  const BpfProgram program = BuildNdpFilter({}, kLink);
  CHECK(IsValidBpf(program));
  CHECK_FALSE(Accepts(program, Ip("2001:db8::6f")));
}

TEST_CASE("The NDP filter is exact as long as it fits", "[filter]") {
  struct Case {
    const char* name;
    Spread spread;
    std::size_t count;
  };
  const auto c = GENERATE(values<Case>({
      {"1 address", Spread::kAll, 1},
      {"2 with nothing in common", Spread::kAll, 2},
      {"17 with nothing in common", Spread::kAll, 17},
      {"100 with nothing in common", Spread::kAll, 100},
      {"550 with nothing in common", Spread::kAll, 550},
      {"17 of one /64", Spread::kOneOf64, 17},
      {"1,250 of one /64", Spread::kOneOf64, 1250},
      {"17 of one /96", Spread::kOneOf96, 17},
      {"3,500 of one /96", Spread::kOneOf96, 3500},
  }));
  DYNAMIC_SECTION(c.name) {
    const std::vector<net::Ipv6Address> addresses = Scattered(c.count, c.spread);
    const BpfProgram program = BuildNdpFilter(addresses, kLink);
    CAPTURE(program.size());
    CHECK(IsValidBpf(program));
    bool all = true;
    bool none_else = true;
    std::mt19937 random(7);
    for (const net::Ipv6Address& address : addresses) {
      all = all && Accepts(program, address);
      for (const std::size_t bit : {std::size_t{127}, std::size_t{64}, random() % 128U}) {
        const net::Ipv6Address other = Flipped(address, bit);
        const bool wanted = std::find(addresses.begin(), addresses.end(), other) != addresses.end();
        none_else = none_else && (wanted || !Accepts(program, other));
      }
    }
    CHECK(all);
    CHECK(none_else);
  }
}

TEST_CASE("Pools of any shape are told apart", "[filter]") {
  // Several prefixes, runs in them, runs across a border between words, first and last of all.
  std::vector<net::Ipv6Address> addresses = {FromWords(0, 0, 0, 0), FromWords(~0U, ~0U, ~0U, ~0U)};
  for (std::uint32_t prefix = 0; prefix < 20; ++prefix) {
    for (std::uint32_t host = 0; host < 30; ++host) {
      addresses.push_back(FromWords(0x20010db8, prefix / 3, prefix % 3, host * host / 7));
    }
  }
  for (std::uint32_t i = 0; i < 10; ++i) {
    addresses.push_back(FromWords(0x20010db8, 7, i < 5 ? 8 : 9, i - 5));
  }
  const std::vector<net::Ipv6Address> twice = [&] {
    std::vector<net::Ipv6Address> copy(addresses.rbegin(), addresses.rend());
    copy.insert(copy.end(), addresses.begin(), addresses.end());
    return copy;
  }();
  const BpfProgram program = BuildNdpFilter(twice, kLink);
  CHECK(IsValidBpf(program));
  bool right = true;
  const auto check = [&](const net::Ipv6Address& address) {
    const bool wanted = std::find(addresses.begin(), addresses.end(), address) != addresses.end();
    right = right && Accepts(program, address) == wanted;
  };
  for (const net::Ipv6Address& address : addresses) {
    check(address);
    for (std::size_t bit = 0; bit < 128; ++bit) {
      check(Flipped(address, bit));
    }
  }
  CHECK(right);
}

TEST_CASE("A run of neighbouring IPv6 addresses is cheap, also across a border", "[filter]") {
  std::vector<net::Ipv6Address> addresses;
  for (std::uint32_t i = 0; i < 50'000; ++i) {
    addresses.push_back(FromWords(0x20010db8, 0, i < 25'000 ? 4 : 5, i - 25'000));
  }
  const BpfProgram program = BuildNdpFilter(addresses, kLink);
  CHECK(program.size() < 50);
  CHECK(Accepts(program, addresses.front()));
  CHECK(Accepts(program, addresses[24'999]));
  CHECK(Accepts(program, addresses[25'000]));
  CHECK(Accepts(program, addresses.back()));
  CHECK_FALSE(Accepts(program, FromWords(0x20010db8, 0, 5, 25'000)));
  CHECK_FALSE(Accepts(program, FromWords(0x20010db8, 0, 4, 0)));
}

TEST_CASE("Too many IPv6 addresses are covered by ranges that miss none", "[filter]") {
  const Spread spread = GENERATE(Spread::kAll, Spread::kOneOf64, Spread::kOneOf96);
  const std::size_t limit =
      GENERATE(as<std::size_t>(), kMaxBpfInstructions, 1024, kMinBpfInstructions);
  const std::vector<net::Ipv6Address> addresses = Scattered(6'000, spread);
  const BpfProgram program = BuildNdpFilter(addresses, kLink, limit);
  CAPTURE(limit, program.size());
  CHECK(IsValidBpf(program));
  CHECK(program.size() <= limit);
  CHECK(program.size() > limit / 2);  // as exact as it can be
  bool all = true;
  for (const net::Ipv6Address& address : addresses) {
    all = all && Accepts(program, address);
  }
  CHECK(all);
  if (spread != Spread::kAll) {
    CHECK_FALSE(Accepts(program, Ip("2001:db8:0:6::")));
    CHECK_FALSE(Accepts(program, Ip("fe80::1")));
  }
}

}  // namespace
}  // namespace stentor::speaker
