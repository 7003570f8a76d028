// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/packet_filter.h"

#include <algorithm>
#include <set>
#include <vector>

#include "common/net/arp.h"
#include "test/support/catch.h"
#include "test/support/classic_bpf.h"

namespace stentor::speaker {
namespace {

using test::FrameFacts;
using test::IsValidBpf;
using test::RunBpf;

constexpr net::IfIndex kLink{3};
constexpr net::Ipv4Address kVip = net::Ipv4Address::FromOctets(198, 51, 100, 10);
constexpr FrameFacts kArrived{.packet_type = 1, .interface = kLink};

constexpr net::Ipv4Address kHostIp = net::Ipv4Address::FromOctets(198, 51, 100, 1);

std::vector<std::byte> Arp(std::uint16_t operation, net::Ipv4Address sender,
                           net::Ipv4Address target) {
  const net::MacAddress host({0x02, 0, 0, 0, 0, 0x10});
  const net::ArpFrame frame = net::EncodeArp({.destination = net::MacAddress::Broadcast(),
                                              .source = host,
                                              .operation = operation,
                                              .sender_mac = host,
                                              .sender_ip = sender,
                                              .target_mac = {},
                                              .target_ip = target});
  return {frame.begin(), frame.end()};
}

std::vector<std::byte> Request(net::Ipv4Address target) {
  return Arp(net::kArpRequest, kHostIp, target);
}

// Requests for it and claims of it must be treated alike.
bool Accepts(const BpfProgram& program, net::Ipv4Address address) {
  const bool request = RunBpf(program, Request(address), kArrived) >= 42;
  const bool claim =
      RunBpf(program, Arp(net::kArpReply, address, net::Ipv4Address(1)), kArrived) >= 42;
  CHECK(request == claim);
  return request && claim;
}

// 198.18.0.0/15 has room for 131072; none is the neighbour of another.
std::vector<net::Ipv4Address> Scattered(std::uint32_t count) {
  std::vector<net::Ipv4Address> addresses;
  for (std::uint32_t i = 0; i < count; ++i) {
    addresses.emplace_back(net::Ipv4Address::FromOctets(198, 18, 0, 1).value() + i * 13);
  }
  std::reverse(addresses.begin(), addresses.end());
  return addresses;
}

TEST_CASE("The filter looks at more than the address", "[filter]") {
  const BpfProgram program = BuildArpFilter({kVip}, kLink);
  struct Case {
    const char* name;
    std::size_t at;  // octet to overwrite, 100 for none
    std::uint8_t value;
    FrameFacts facts;
    bool want;
  };
  const auto c = GENERATE(values<Case>({
      {"broadcast request", 100, 0, kArrived, true},
      {"unicast request", 100, 0, {.packet_type = 0, .interface = kLink}, true},
      {"multicast", 100, 0, {.packet_type = 2, .interface = kLink}, false},
      {"to another host, or of a VLAN nobody has",
       100,
       0,
       {.packet_type = 3, .interface = kLink},
       false},
      {"sent by ourselves", 100, 0, {.packet_type = 4, .interface = kLink}, false},
      {"of a VLAN or macvlan child",
       100,
       0,
       {.packet_type = 1, .interface = net::IfIndex{4}},
       false},
      {"not ARP", 13, 0x00, kArrived, false},
      {"not IPv4", 16, 0x86, kArrived, false},
      {"reply of another host", 21, 2, kArrived, false},
      {"opcode 257", 20, 1, kArrived, false},
      {"next address", 41, 11, kArrived, false},
      {"previous address", 41, 9, kArrived, false},
  }));
  DYNAMIC_SECTION(c.name) {
    std::vector<std::byte> frame = Request(kVip);
    if (c.at < frame.size()) {
      frame[c.at] = std::byte{c.value};
    }
    CHECK((RunBpf(program, frame, c.facts) != 0) == c.want);
  }
}

TEST_CASE("The filter lets in whatever names an announced address as its own", "[filter]") {
  const BpfProgram program = BuildArpFilter({kVip}, kLink);
  struct Case {
    const char* name;
    std::uint16_t operation;
    net::Ipv4Address sender;
    net::Ipv4Address target;
    bool want;
  };
  const auto c = GENERATE(values<Case>({
      {"gratuitous request", 1, kVip, kVip, true},
      {"gratuitous reply", 2, kVip, kVip, true},
      {"question of a host that has our address", 1, kVip, kHostIp, true},
      {"its answer", 2, kVip, kHostIp, true},
      {"probe for it (RFC 5227)", 1, {}, kVip, true},
      {"probe for another", 1, {}, kHostIp, false},
      {"answer to the owner of our address", 2, kHostIp, kVip, false},
      {"gratuitous request of another", 1, kHostIp, kHostIp, false},
  }));
  DYNAMIC_SECTION(c.name) {
    CHECK((RunBpf(program, Arp(c.operation, c.sender, c.target), kArrived) != 0) == c.want);
  }
}

TEST_CASE("A short frame does not pass", "[filter]") {
  std::vector<std::byte> frame = Request(kVip);
  frame.pop_back();
  CHECK(RunBpf(BuildArpFilter({kVip}, kLink), frame, kArrived) == 0);
}

TEST_CASE("Without addresses nothing passes", "[filter]") {
  const BpfProgram program = BuildArpFilter({}, kLink);
  CHECK(IsValidBpf(program));
  CHECK_FALSE(Accepts(program, kVip));
}

TEST_CASE("The filter is exact as long as it fits", "[filter]") {
  const std::uint32_t count = GENERATE(1U, 2U, 16U, 17U, 33U, 257U, 1000U, 1750U);
  const std::vector<net::Ipv4Address> addresses = Scattered(count);
  const BpfProgram program = BuildArpFilter(addresses, kLink);
  CAPTURE(count, program.size());
  CHECK(IsValidBpf(program));
  bool all = true;
  bool none_else = true;
  for (const net::Ipv4Address address : addresses) {
    all = all && Accepts(program, address);
    none_else = none_else && !Accepts(program, net::Ipv4Address(address.value() + 1)) &&
                !Accepts(program, net::Ipv4Address(address.value() - 1));
  }
  CHECK(all);
  CHECK(none_else);
}

TEST_CASE("Ranges, single addresses and repetitions may be mixed", "[filter]") {
  std::set<net::Ipv4Address> wanted = {net::Ipv4Address(0), net::Ipv4Address(0xffffffff)};
  for (std::uint32_t i = 0; i < 40; ++i) {
    for (std::uint32_t j = 0; j <= i % 4; ++j) {
      wanted.insert(net::Ipv4Address(kVip.value() + i * 6 + j));
    }
  }
  std::vector<net::Ipv4Address> addresses(wanted.begin(), wanted.end());
  addresses.insert(addresses.end(), wanted.begin(), wanted.end());
  const BpfProgram program = BuildArpFilter(addresses, kLink);
  CHECK(IsValidBpf(program));
  bool right =
      Accepts(program, net::Ipv4Address(0)) && Accepts(program, net::Ipv4Address(0xffffffff)) &&
      !Accepts(program, net::Ipv4Address(1)) && !Accepts(program, net::Ipv4Address(0xfffffffe));
  for (std::uint32_t value = kVip.value() - 5; value < kVip.value() + 250; ++value) {
    right = right && Accepts(program, net::Ipv4Address(value)) ==
                         (wanted.count(net::Ipv4Address(value)) == 1);
  }
  CHECK(right);
}

TEST_CASE("A run of neighbours costs no more than two addresses", "[filter]") {
  std::vector<net::Ipv4Address> addresses;
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    addresses.emplace_back(net::Ipv4Address::FromOctets(198, 18, 0, 0).value() + i);
  }
  const BpfProgram program = BuildArpFilter(addresses, kLink);
  CHECK(program.size() < 40);
  CHECK(Accepts(program, addresses.back()));
  CHECK_FALSE(Accepts(program, net::Ipv4Address(addresses.back().value() + 1)));
}

TEST_CASE("Too many addresses are covered by ranges that miss none", "[filter]") {
  std::vector<net::Ipv4Address> addresses = Scattered(10'000);
  addresses.push_back(net::Ipv4Address::FromOctets(203, 0, 113, 9));  // a wide gap before it
  const std::size_t limit =
      GENERATE(as<std::size_t>(), kMaxBpfInstructions, 1024, kMinBpfInstructions);
  const BpfProgram program = BuildArpFilter(addresses, kLink, limit);
  CHECK(IsValidBpf(program));
  CHECK(program.size() <= limit);
  CHECK(program.size() > limit / 2);  // as exact as it can be
  bool all = true;
  for (const net::Ipv4Address address : addresses) {
    all = all && Accepts(program, address);
  }
  CHECK(all);
  CHECK_FALSE(Accepts(program, net::Ipv4Address::FromOctets(203, 0, 113, 8)));
  CHECK_FALSE(Accepts(program, net::Ipv4Address::FromOctets(198, 17, 255, 255)));
}

}  // namespace
}  // namespace stentor::speaker
