// SPDX-License-Identifier: Apache-2.0
#include "common/net/rtnetlink.h"

#include <cerrno>
#include <variant>
#include <vector>

#include "test/support/catch.h"
#include "test/support/netlink_messages.h"

namespace stentor::net {
namespace {

using test::Append;
using test::LinkBody;
using test::LinkFields;
using test::Message;
using test::Octets;

constexpr MacAddress kMac({0x02, 0, 0, 0, 0, 0x20});
constexpr Ipv4Address kLocal = Ipv4Address::FromOctets(192, 0, 2, 7);
constexpr Ipv4Address kPeer = Ipv4Address::FromOctets(192, 0, 2, 8);

template <typename T>
T Only(const Octets& datagram) {
  const RtnetlinkDatagram decoded = DecodeRtnetlink(datagram);
  REQUIRE_FALSE(decoded.malformed);
  REQUIRE(decoded.messages.size() == 1);
  return std::get<T>(decoded.messages[0].body);
}

TEST_CASE("DecodeRtnetlink reads links", "[rtnetlink]") {
  struct Case {
    const char* name;
    std::uint16_t type;
    LinkFields fields;
    LinkMessage want;
  };
  const auto c = GENERATE(values<Case>({
      {"plain", 16, {}, {.index = IfIndex{2}, .flags = 0x11043, .name = "eth0", .mac = kMac}},
      {"enslaved",
       16,
       {.master = 9},
       {.index = IfIndex{2}, .flags = 0x11043, .name = "eth0", .mac = kMac, .master = IfIndex{9}}},
      {"no hardware address",
       16,
       {.mac = std::nullopt},
       {.index = IfIndex{2}, .flags = 0x11043, .name = "eth0"}},
      {"longest name",
       16,
       {.name = "abcdefghijklmno"},
       {.index = IfIndex{2}, .flags = 0x11043, .name = "abcdefghijklmno", .mac = kMac}},
      {"deleted",
       17,
       {},
       {.existence = Existence::kGone,
        .index = IfIndex{2},
        .flags = 0x11043,
        .name = "eth0",
        .mac = kMac}},
  }));
  DYNAMIC_SECTION(c.name) {
    CHECK(Only<LinkMessage>(Message(c.type, LinkBody(c.fields))) == c.want);
  }
}

TEST_CASE("DecodeRtnetlink leaves out what says nothing about a link's existence", "[rtnetlink]") {
  struct Case {
    const char* name;
    Octets datagram;
  };
  const auto c = GENERATE(values<Case>({
      {"a port that left its bridge", Message(17, LinkBody({.family = 7}))},
      {"a wireless event", Message(16, LinkBody({.wireless = true}))},
      {"a route", Message(24, Octets(12))},
      {"a no-op", Message(1, {})},
  }));
  DYNAMIC_SECTION(c.name) {
    const RtnetlinkDatagram decoded = DecodeRtnetlink(c.datagram);
    CHECK_FALSE(decoded.malformed);
    CHECK(decoded.messages.empty());
  }
}

TEST_CASE("DecodeRtnetlink reads addresses", "[rtnetlink]") {
  CHECK(Only<AddressMessage>(Message(20, test::Ipv4AddressBody(2, kLocal, kLocal, 24))) ==
        AddressMessage{.index = IfIndex{2}, .address = kLocal, .prefix_length = 24, .flags = 0x80});
  SECTION("of a point-to-point link it takes the local one") {
    CHECK(Only<AddressMessage>(Message(20, test::Ipv4AddressBody(2, kLocal, kPeer, 32))).address ==
          IpAddress(kLocal));
  }
  SECTION("deleted") {
    CHECK(
        Only<AddressMessage>(Message(21, test::Ipv4AddressBody(2, kLocal, kLocal, 24))).existence ==
        Existence::kGone);
  }
  SECTION("flags beyond eight bits come from the attribute") {
    CHECK(Only<AddressMessage>(Message(20, test::Ipv4AddressBody(2, kLocal, kLocal, 24, 0x280)))
              .flags == 0x280);
  }
  SECTION("IPv6, tentative") {
    ByteWriter writer;
    writer.U8(10).U8(64).U8(0xc0).U8(253).HostU32(3);
    Octets body = std::move(writer).Finish();
    ByteWriter value;
    value.U64(0xfe80000000000000).U64(1);
    Append(test::Attribute(1, value.buffer()), &body);
    CHECK(Only<AddressMessage>(Message(20, body)) ==
          AddressMessage{.index = IfIndex{3},
                         .address = *IpAddress::Parse("fe80::1"),
                         .prefix_length = 64,
                         .flags = 0xc0});
  }
}

TEST_CASE("DecodeRtnetlink believes the wider flags of an address", "[rtnetlink]") {
  const Ipv6Address address = *Ipv6Address::Parse("fe80::1");
  struct Case {
    const char* name;
    Octets body;
    std::uint32_t want;
  };
  const auto c = GENERATE_COPY(values<Case>({
      {"tentative, in the header only", test::Ipv6AddressBody(3, address, 0xc0, false), 0xc0},
      {"tentative, in both", test::Ipv6AddressBody(3, address, 0xc0, true, 0xc0), 0xc0},
      {"stable privacy, which has no room in the header",
       test::Ipv6AddressBody(3, address, 0x880, true, 0x80), 0x880},
      {"optimistic", test::Ipv6AddressBody(3, address, 0x44, true, 0x44), 0x44},
      {"deprecated", test::Ipv6AddressBody(3, address, 0x20, true, 0x20), 0x20},
      {"the attribute says less than the header", test::Ipv6AddressBody(3, address, 0, true, 0x40),
       0},
      {"an attribute of two octets is none",
       [&address] {
         Octets body = test::Ipv6AddressBody(3, address, 0x40, false);
         Append(test::Attribute(8, Octets(2)), &body);
         return body;
       }(),
       0x40},
  }));
  DYNAMIC_SECTION(c.name) {
    CHECK(Only<AddressMessage>(Message(20, c.body)) ==
          AddressMessage{
              .index = IfIndex{3}, .address = address, .prefix_length = 64, .flags = c.want});
  }
}

TEST_CASE("DecodeRtnetlink reads the ends of dumps", "[rtnetlink]") {
  struct Case {
    const char* name;
    Octets datagram;
    int want;
  };
  const auto c = GENERATE(values<Case>({
      {"done", Message(3, test::Number(0)), 0},
      {"done, of an old kernel", Message(3, {}), 0},
      {"acknowledged", Message(2, test::Number(0)), 0},
      {"busy", Message(2, test::Number(0U - EBUSY)), EBUSY},
      {"failed half way", Message(3, test::Number(0U - ENOBUFS)), ENOBUFS},
  }));
  DYNAMIC_SECTION(c.name) { CHECK(Only<DumpEnd>(c.datagram).error == c.want); }
}

TEST_CASE("DecodeRtnetlink reads several messages of one datagram", "[rtnetlink]") {
  Octets datagram = Message(16, LinkBody({}), 7, 0x12);
  Append(Message(24, Octets(12)), &datagram);
  Append(Message(4, {}), &datagram);
  const RtnetlinkDatagram decoded = DecodeRtnetlink(datagram);
  CHECK_FALSE(decoded.malformed);
  REQUIRE(decoded.messages.size() == 2);
  CHECK(decoded.messages[0].sequence == 7);
  CHECK(decoded.messages[0].dump_interrupted);
  CHECK(std::holds_alternative<Overrun>(decoded.messages[1].body));
  CHECK_FALSE(decoded.messages[1].dump_interrupted);
}

TEST_CASE("DecodeRtnetlink notices lengths that contradict each other", "[rtnetlink]") {
  const auto with_u16 = [](Octets bytes, std::size_t at, std::uint16_t value) {
    ByteWriter writer;
    writer.HostU16(value);
    std::copy(writer.buffer().begin(), writer.buffer().end(),
              bytes.begin() + static_cast<std::ptrdiff_t>(at));
    return bytes;
  };
  const Octets link = Message(16, LinkBody({}));
  struct Case {
    const char* name;
    Octets datagram;
  };
  const auto c = GENERATE_COPY(values<Case>({
      {"half a header", Octets(link.begin(), link.begin() + 9)},
      {"message shorter than its header", with_u16(link, 0, 15)},
      {"message of length zero", with_u16(link, 0, 0)},
      {"message longer than the datagram",
       with_u16(link, 0, static_cast<std::uint16_t>(link.size() + 1))},
      {"body shorter than ifinfomsg", Message(16, Octets(12))},
      {"attribute longer than the message", with_u16(link, 32, 400)},
      {"attribute shorter than its header", with_u16(link, 32, 3)},
      {"interface number zero", Message(16, LinkBody({.index = 0}))},
      {"no name", Message(16, LinkBody({.name = ""}))},
      {"name too long", Message(16, LinkBody({.name = "abcdefghijklmnop"}))},
      {"address of three octets", Message(20,
                                          [] {
                                            ByteWriter writer;
                                            writer.U8(2).U8(24).U8(0).U8(0).HostU32(2);
                                            Octets body = std::move(writer).Finish();
                                            Append(test::Attribute(2, Octets(3)), &body);
                                            return body;
                                          }())},
      {"prefix longer than an address", Message(20, test::Ipv4AddressBody(2, kLocal, kLocal, 33))},
      {"error without a number", Message(2, {})},
  }));
  DYNAMIC_SECTION(c.name) {
    Octets datagram = Message(4, {});
    Append(c.datagram, &datagram);
    const RtnetlinkDatagram decoded = DecodeRtnetlink(datagram);
    CHECK(decoded.malformed);
    CHECK(decoded.messages.size() == 1);  // what came before stays
  }
}

}  // namespace
}  // namespace stentor::net
