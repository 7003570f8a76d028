// SPDX-License-Identifier: Apache-2.0
#include <sstream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/net/rtnetlink.h"
#include "test/support/catch.h"
#include "test/support/neighbor_messages.h"
#include "test/support/netlink_messages.h"

namespace stentor::net {
namespace {

using test::Message;
using test::NeighborBody;
using test::NeighborFields;
using test::Octets;

constexpr std::uint16_t kNew = 28;
constexpr std::uint16_t kDelete = 29;
constexpr MacAddress kMac({0x02, 0, 0, 0, 0, 0x20});

IpAddress Ip(const char* text) {
  const auto address = IpAddress::Parse(text);
  REQUIRE(address.has_value());
  return *address;
}

TEST_CASE("DecodeRtnetlink reads neighbours", "[rtnetlink]") {
  struct Case {
    const char* name;
    std::uint16_t type;
    NeighborFields fields;
    bool has_mac;
    Existence existence = Existence::kPresent;
  };
  const auto c = GENERATE(values<Case>({
      {"reachable", kNew, {.state = 0x02}, true},
      {"stale", kNew, {.state = 0x04}, true},
      {"delay", kNew, {.state = 0x08}, true},
      {"probe", kNew, {.state = 0x10}, true},
      {"set by hand: permanent", kNew, {.state = 0x80}, true},
      {"no ARP on that link", kNew, {.state = 0x40}, true},
      {"being resolved", kNew, {.state = 0x01, .mac = Octets()}, false},
      {"being resolved again, with the old MAC", kNew, {.state = 0x01}, false},
      {"nobody answered", kNew, {.state = 0x20}, false},
      {"of IPv6", kNew, {.address = "2001:db8::7", .state = 0x02}, true},
      {"a router's flag", kNew, {.address = "fe80::1", .state = 0x04, .flags = 0x80}, true},
      {"a MAC of eight octets", kNew, {.mac = Octets(8, std::byte{2})}, false},
      {"deleted", kDelete, {.state = 0x04}, true, Existence::kGone},
  }));
  DYNAMIC_SECTION(c.name) {
    const RtnetlinkDatagram decoded = DecodeRtnetlink(Message(c.type, NeighborBody(c.fields), 7));
    REQUIRE_FALSE(decoded.malformed);
    REQUIRE(decoded.messages.size() == 1);
    CHECK(decoded.messages[0].sequence == 7);
    const NeighborMessage want{.existence = c.existence,
                               .index = IfIndex{2},
                               .address = Ip(c.fields.address),
                               .mac = c.has_mac ? std::optional(kMac) : std::nullopt};
    CHECK(std::get<NeighborMessage>(decoded.messages[0].body) == want);
  }
}

TEST_CASE("Neighbours of other kinds are left out", "[rtnetlink]") {
  struct Case {
    const char* name;
    NeighborFields fields;
  };
  const auto c = GENERATE(values<Case>({
      {"a bridge's forwarding table", {.family = 7}},
      {"a proxy entry", {.flags = 0x08}},
      {"a proxy entry without interface", {.index = 0, .flags = 0x08}},
      {"an unknown family", {.family = 99}},
  }));
  DYNAMIC_SECTION(c.name) {
    const RtnetlinkDatagram decoded = DecodeRtnetlink(Message(kNew, NeighborBody(c.fields)));
    CHECK_FALSE(decoded.malformed);
    CHECK(decoded.messages.empty());
  }
}

TEST_CASE("A neighbour that contradicts itself is malformed", "[rtnetlink]") {
  struct Case {
    const char* name;
    Octets body;
  };
  Octets long_attribute = NeighborBody({});
  long_attribute[12] = std::byte{0xff};  // the length of its first attribute
  Octets short_attribute = NeighborBody({});
  short_attribute[12] = std::byte{3};
  Octets cut = NeighborBody({});
  cut.resize(11);
  const auto c = GENERATE_COPY(values<Case>({
      {"no interface", NeighborBody({.index = 0})},
      {"no address", NeighborBody({.address = nullptr})},
      {"an IPv4 entry with an IPv6 address", NeighborBody({.family = 2, .address = "2001:db8::7"})},
      {"an IPv6 entry with an IPv4 address", NeighborBody({.family = 10})},
      {"an attribute longer than the message", long_attribute},
      {"an attribute shorter than its header", short_attribute},
      {"the header cut", cut},
      {"empty", {}},
  }));
  DYNAMIC_SECTION(c.name) {
    const RtnetlinkDatagram decoded = DecodeRtnetlink(Message(kNew, c.body));
    CHECK(decoded.malformed);
    CHECK(decoded.messages.empty());
  }
}

TEST_CASE("The request for neighbours asks for both families", "[rtnetlink]") {
  const std::vector<std::byte> request = NeighborDumpRequest(5);
  REQUIRE(request.size() == 28);
  ByteReader reader(request);
  CHECK(reader.HostU32() == 28);     // length
  CHECK(reader.HostU16() == 30);     // RTM_GETNEIGH
  CHECK(reader.HostU16() == 0x301);  // request, dump
  CHECK(reader.HostU32() == 5);      // sequence
  CHECK(reader.HostU32() == 0);      // port
  CHECK(reader.U8() == 0);           // AF_UNSPEC
}

TEST_CASE("A neighbour prints itself", "[rtnetlink]") {
  std::ostringstream out;
  out << NeighborMessage{.index = IfIndex{2}, .address = Ip("192.0.2.7"), .mac = kMac} << ", "
      << NeighborMessage{
             .existence = Existence::kGone, .index = IfIndex{3}, .address = Ip("2001:db8::7")};
  CHECK(out.str() ==
        "neighbour 192.0.2.7 on #2 mac 02:00:00:00:00:20, no neighbour 2001:db8::7 on #3");
}

}  // namespace
}  // namespace stentor::net
