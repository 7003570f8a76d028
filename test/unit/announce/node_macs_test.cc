// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/node_macs.h"

#include <cerrno>
#include <set>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "test/support/catch.h"
#include "test/support/neighbor_messages.h"

namespace stentor::speaker {
namespace {

using net::IpAddress;
using net::MacAddress;
using test::DumpDone;
using test::Message;
using test::NeighborBody;
using test::NeighborFields;
using test::Octets;

constexpr std::uint16_t kNew = 28;
constexpr std::uint16_t kDelete = 29;
constexpr std::uint16_t kInterrupted = 0x10;

IpAddress Ip(const std::string& text) {
  const auto address = IpAddress::Parse(text);
  REQUIRE(address.has_value());
  return *address;
}

MacAddress Mac(std::uint8_t last) { return MacAddress({0x02, 0, 0, 0, 0, last}); }

Octets MacOctets(std::uint8_t last) {
  return {std::byte{2}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{last}};
}

std::uint32_t SequenceOf(const std::vector<std::byte>& request) {
  ByteReader reader(request);
  static_cast<void>(reader.U64());
  return reader.HostU32();
}

// A holder that follows the addresses of two nodes, and has asked for its first dump.
struct Followed {
  NodeMacs macs;
  std::uint32_t sequence = 0;

  explicit Followed(const std::set<IpAddress>& addresses = {Ip("192.0.2.11"), Ip("2001:db8::11")}) {
    CHECK_FALSE(macs.SetAddresses(addresses).has_value());  // there is no socket yet
    sequence = SequenceOf(macs.Start());
  }

  NodeMacs::Result Tell(const NeighborFields& fields, std::uint16_t type = kNew) {
    return macs.OnDatagram(Message(type, NeighborBody(fields)));
  }
};

TEST_CASE("Only the MACs of nodes are kept", "[node_macs]") {
  struct Case {
    const char* name;
    NeighborFields fields;
    std::set<MacAddress> want;
  };
  const auto c = GENERATE(values<Case>({
      {"a node", {.address = "192.0.2.11"}, {Mac(0x20)}},
      {"a node's IPv6 address", {.address = "2001:db8::11"}, {Mac(0x20)}},
      {"somebody else", {.address = "192.0.2.12"}, {}},
      {"a node that is being resolved", {.address = "192.0.2.11", .state = 0x01}, {}},
      {"a node that did not answer", {.address = "192.0.2.11", .state = 0x20}, {}},
      {"no MAC at all: zeros", {.address = "192.0.2.11", .mac = Octets(6, std::byte{0})}, {}},
      {"a group's MAC", {.address = "192.0.2.11", .mac = Octets(6, std::byte{0xff})}, {}},
  }));
  DYNAMIC_SECTION(c.name) {
    Followed f;
    const std::uint64_t before = f.macs.revision();
    CHECK(f.Tell(c.fields).status.ok());
    CHECK(f.macs.Macs() == c.want);
    CHECK((f.macs.revision() != before) == !c.want.empty());
  }
}

TEST_CASE("A MAC stays until the address has another one there", "[node_macs]") {
  Followed f;
  static_cast<void>(f.Tell({.address = "192.0.2.11", .mac = MacOctets(1)}));
  SECTION("the kernel forgets the neighbour") {
    static_cast<void>(f.Tell({.address = "192.0.2.11", .mac = MacOctets(1)}, kDelete));
    CHECK(f.macs.Macs() == std::set{Mac(1)});
  }
  SECTION("it can't be resolved for now") {
    static_cast<void>(f.Tell({.address = "192.0.2.11", .state = 0x20, .mac = Octets()}));
    CHECK(f.macs.Macs() == std::set{Mac(1)});
  }
  SECTION("another MAC on the same link") {
    static_cast<void>(f.Tell({.address = "192.0.2.11", .mac = MacOctets(2)}));
    CHECK(f.macs.Macs() == std::set{Mac(2)});
  }
  SECTION("another MAC on another link") {
    static_cast<void>(f.Tell({.index = 3, .address = "192.0.2.11", .mac = MacOctets(2)}));
    CHECK(f.macs.Macs() == std::set{Mac(1), Mac(2)});
  }
  SECTION("the same again changes nothing") {
    const std::uint64_t before = f.macs.revision();
    static_cast<void>(f.Tell({.address = "192.0.2.11", .state = 0x04, .mac = MacOctets(1)}));
    CHECK(f.macs.revision() == before);
  }
  SECTION("the address is no node's any more") {
    const std::uint64_t before = f.macs.revision();
    CHECK_FALSE(f.macs.SetAddresses({Ip("2001:db8::11")}).has_value());
    CHECK(f.macs.Macs().empty());
    CHECK(f.macs.revision() != before);
  }
}

TEST_CASE("An address on many links keeps the latest of them", "[node_macs]") {
  Followed f;
  for (std::uint8_t link = 1; link <= 6; ++link) {
    static_cast<void>(f.Tell({.index = link, .address = "192.0.2.11", .mac = MacOctets(link)}));
  }
  CHECK(f.macs.Macs() == std::set{Mac(3), Mac(4), Mac(5), Mac(6)});
}

TEST_CASE("Of more addresses than there is room for the lowest are followed", "[node_macs]") {
  std::set<IpAddress> many;
  for (std::uint32_t i = 0; i < NodeMacs::kMaxAddresses + 1; ++i) {
    many.insert(net::Ipv4Address(net::Ipv4Address::FromOctets(198, 18, 0, 0).value() + i));
  }
  Followed f(many);
  static_cast<void>(f.Tell({.address = "198.18.127.255", .mac = MacOctets(1)}));
  static_cast<void>(f.Tell({.address = "198.18.128.0", .mac = MacOctets(2)}));
  CHECK(f.macs.Macs() == std::set{Mac(1)});
}

TEST_CASE("The table is asked for again when something may have been missed", "[node_macs]") {
  Followed f;
  const auto done = [&f](std::uint16_t flags = 0) {
    return f.macs.OnDatagram(DumpDone(f.sequence, 0, flags));
  };
  SECTION("not without a reason") {
    CHECK_FALSE(f.macs.synced());
    CHECK_FALSE(done().request.has_value());
    CHECK(f.macs.synced());
    CHECK_FALSE(f.macs.SetAddresses({Ip("192.0.2.11")}).has_value());
  }
  SECTION("new nodes") {
    static_cast<void>(done());
    const auto request = f.macs.SetAddresses({Ip("192.0.2.11"), Ip("192.0.2.12")});
    REQUIRE(request.has_value());
    CHECK(SequenceOf(*request) != f.sequence);
  }
  SECTION("new nodes during a dump: when it has ended") {
    CHECK_FALSE(f.macs.SetAddresses({Ip("192.0.2.12")}).has_value());
    CHECK(done().request.has_value());
    CHECK_FALSE(f.macs.synced());
  }
  SECTION("lost messages") {
    static_cast<void>(done());
    CHECK(f.macs.OnOverrun().request.has_value());
    CHECK_FALSE(f.macs.OnOverrun().request.has_value());  // that dump is on its way
  }
  SECTION("lost messages during the dump") {
    CHECK_FALSE(f.macs.OnOverrun().request.has_value());
    CHECK(done().request.has_value());
  }
  SECTION("NLMSG_OVERRUN") {
    static_cast<void>(done());
    CHECK(f.macs.OnDatagram(Message(4, {})).request.has_value());
  }
  SECTION("a dump that is not of one moment") { CHECK(done(kInterrupted).request.has_value()); }
  SECTION("a dump that found no room behind the notifications that wait") {
    const auto result = f.macs.OnDatagram(DumpDone(f.sequence, 0U - ENOBUFS));
    CHECK(result.status.ok());
    CHECK(result.request.has_value());
    CHECK_FALSE(f.macs.synced());
  }
  SECTION("the end of another dump is not ours") {
    CHECK_FALSE(f.macs.OnDatagram(DumpDone(f.sequence + 1)).request.has_value());
    CHECK_FALSE(f.macs.synced());
  }
}

TEST_CASE("What the kernel refuses or garbles is an error", "[node_macs]") {
  Followed f;
  SECTION("refused") {
    const auto result = f.macs.OnDatagram(DumpDone(f.sequence, 0U - EPERM));
    CHECK(result.status.code() == absl::StatusCode::kUnavailable);
    CHECK_FALSE(f.macs.synced());
  }
  SECTION("malformed; what was readable before that is kept") {
    Octets datagram = Message(kNew, NeighborBody({.address = "192.0.2.11"}));
    test::Append(Octets(3, std::byte{1}), &datagram);
    const auto result = f.macs.OnDatagram(datagram);
    CHECK(result.status.code() == absl::StatusCode::kDataLoss);
    CHECK(f.macs.Macs() == std::set{Mac(0x20)});
  }
  SECTION("a new socket starts anew and knows what was known") {
    static_cast<void>(f.Tell({.address = "192.0.2.11"}));
    static_cast<void>(f.macs.OnDatagram(DumpDone(f.sequence, 0U - EPERM)));
    const std::uint32_t sequence = SequenceOf(f.macs.Start());
    CHECK(sequence != f.sequence);
    static_cast<void>(f.macs.OnDatagram(DumpDone(sequence)));
    CHECK(f.macs.synced());
    CHECK(f.macs.Macs() == std::set{Mac(0x20)});
  }
}

}  // namespace
}  // namespace stentor::speaker
