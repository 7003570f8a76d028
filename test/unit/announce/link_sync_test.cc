// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/link_sync.h"

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "test/support/catch.h"
#include "test/support/netlink_messages.h"

namespace stentor::speaker {
namespace {

using test::Append;
using test::LinkBody;
using test::Message;
using test::Number;
using test::Octets;

constexpr std::uint16_t kMulti = 0x02;
constexpr std::uint16_t kInterrupted = 0x10;
constexpr net::Ipv4Address kLocal = net::Ipv4Address::FromOctets(192, 0, 2, 7);

Octets Done(std::uint32_t sequence, std::uint16_t flags = kMulti) {
  return Message(3, Number(0), sequence, flags);
}

// A kernel with one link, whose numbers of requests are 1, 2, ...
struct Fixture {
  Links links{NameFilter()};
  LinkSync sync{links};

  void FirstDump() {
    CHECK(sync.Start() == net::LinkDumpRequest(1));
    CHECK(sync.OnDatagram(Message(16, LinkBody({}), 1, kMulti)).events.size() == 1);
    CHECK(sync.OnDatagram(Done(1)).request == net::AddressDumpRequest(2));
    CHECK_FALSE(sync.synced());
    const Octets address = Message(20, test::Ipv4AddressBody(2, kLocal, kLocal, 24), 2, kMulti);
    CHECK(sync.OnDatagram(address).status.ok());
    const LinkSync::Result end = sync.OnDatagram(Done(2));
    CHECK_FALSE(end.request.has_value());
    CHECK(sync.synced());
  }
};

TEST_CASE("LinkSync dumps links, then addresses", "[links]") {
  Fixture f;
  f.FirstDump();
  REQUIRE(f.links.Find(IfIndex{2}) != nullptr);
  CHECK(f.links.Find(IfIndex{2})->addresses.count(kLocal) == 1);
}

TEST_CASE("LinkSync follows notifications between dumps", "[links]") {
  Fixture f;
  f.FirstDump();
  const LinkSync::Result gone = f.sync.OnDatagram(Message(17, LinkBody({})));
  REQUIRE(gone.events.size() == 1);
  CHECK(gone.events[0].change == LinkChange::kRemoved);
  CHECK_FALSE(gone.request.has_value());
}

TEST_CASE("LinkSync starts again after lost messages", "[links]") {
  Fixture f;
  f.FirstDump();
  CHECK_FALSE(f.sync.WantsDump());
  SECTION("told by the socket") { f.sync.OnOverrun(); }
  SECTION("told by a message") {
    CHECK_FALSE(f.sync.OnDatagram(Message(4, {})).request.has_value());
  }
  // When is up to the owner; until then nothing is under way.
  CHECK(f.sync.WantsDump());
  CHECK_FALSE(f.sync.dumping());
  f.sync.OnOverrun();
  CHECK(f.sync.WantsDump());
  CHECK(f.sync.Start() == net::LinkDumpRequest(3));
  CHECK(f.sync.dumping());
  CHECK_FALSE(f.sync.WantsDump());
  // The link went away meanwhile: the new dump doesn't mention it.
  CHECK(f.sync.OnDatagram(Done(3)).request == net::AddressDumpRequest(4));
  const LinkSync::Result end = f.sync.OnDatagram(Done(4));
  REQUIRE(end.events.size() == 1);
  CHECK(end.events[0].change == LinkChange::kRemoved);
  CHECK(f.sync.synced());
}

TEST_CASE("LinkSync never has two dumps under way", "[links]") {
  Fixture f;
  static_cast<void>(f.sync.Start());
  f.sync.OnOverrun();
  CHECK_FALSE(f.sync.WantsDump());
  CHECK_FALSE(f.sync.OnDatagram(Done(1)).request.has_value());
  CHECK(f.sync.WantsDump());
  CHECK(f.sync.Start() == net::LinkDumpRequest(2));
  CHECK(f.sync.OnDatagram(Done(2)).request == net::AddressDumpRequest(3));
  CHECK_FALSE(f.sync.OnDatagram(Done(3)).request.has_value());
  CHECK(f.sync.synced());
}

TEST_CASE("LinkSync repeats a dump that is not of one moment", "[links]") {
  Fixture f;
  static_cast<void>(f.sync.Start());
  static_cast<void>(f.sync.OnDatagram(Message(16, LinkBody({}), 1, kMulti | kInterrupted)));
  CHECK_FALSE(f.sync.OnDatagram(Done(1)).request.has_value());
  CHECK(f.sync.WantsDump());
  CHECK_FALSE(f.sync.dumping());
  CHECK_FALSE(f.sync.synced());
}

TEST_CASE("LinkSync ignores the end of another dump", "[links]") {
  Fixture f;
  static_cast<void>(f.sync.Start());
  CHECK_FALSE(f.sync.OnDatagram(Done(7)).request.has_value());
}

TEST_CASE("LinkSync reports a kernel that refuses", "[links]") {
  Fixture f;
  static_cast<void>(f.sync.Start());
  const LinkSync::Result result = f.sync.OnDatagram(Message(2, Number(0U - EBUSY), 1));
  CHECK(result.status.code() == absl::StatusCode::kUnavailable);
  CHECK_FALSE(f.sync.synced());
}

TEST_CASE("LinkSync reports bytes that are no messages, and keeps what came before", "[links]") {
  Fixture f;
  static_cast<void>(f.sync.Start());
  Octets datagram = Message(16, LinkBody({}), 1, kMulti);
  datagram.resize(datagram.size() + 3, std::byte{0xff});
  const LinkSync::Result result = f.sync.OnDatagram(datagram);
  CHECK(result.status.code() == absl::StatusCode::kDataLoss);
  CHECK(result.events.size() == 1);
}

TEST_CASE("LinkSync tells when a tentative address becomes usable", "[links]") {
  Fixture f;
  f.FirstDump();
  const net::Ipv6Address link_local = *net::Ipv6Address::Parse("fe80::20");
  const auto address = [&link_local](std::uint16_t type, std::uint32_t flags) {
    return Message(type, test::Ipv6AddressBody(2, link_local, flags));
  };
  CHECK(f.sync.OnDatagram(address(20, 0xc0)).events.empty());
  SECTION("by a notification") {
    const LinkSync::Result usable = f.sync.OnDatagram(address(20, 0x80));
    REQUIRE(usable.events.size() == 1);
    CHECK(usable.events[0].change == LinkChange::kLinkLocalChanged);
    CHECK(f.links.Find(IfIndex{2})->answers_ndp);
    const LinkSync::Result gone = f.sync.OnDatagram(address(21, 0x80));
    REQUIRE(gone.events.size() == 1);
    CHECK(gone.events[0].change == LinkChange::kLinkLocalChanged);
    CHECK_FALSE(f.links.Find(IfIndex{2})->answers_ndp);
  }
  SECTION("by the dump after the notification was lost") {
    f.sync.OnOverrun();
    CHECK(f.sync.Start() == net::LinkDumpRequest(3));
    CHECK(f.sync.OnDatagram(Message(16, LinkBody({}), 3, kMulti)).events.empty());
    CHECK(f.sync.OnDatagram(Done(3)).request == net::AddressDumpRequest(4));
    const Octets usable = Message(20, test::Ipv6AddressBody(2, link_local, 0x80), 4, kMulti);
    const LinkSync::Result result = f.sync.OnDatagram(usable);
    REQUIRE(result.events.size() == 1);
    CHECK(result.events[0].change == LinkChange::kLinkLocalChanged);
    CHECK(f.sync.OnDatagram(Done(4)).events.empty());
    CHECK(f.links.Find(IfIndex{2})->answers_ndp);
  }
}

TEST_CASE("After lost messages 100 interfaces are as the kernel has them", "[links]") {
  Fixture f;
  static_cast<void>(f.sync.Start());
  const auto dump = [&f](std::uint32_t sequence, std::uint32_t first, std::uint8_t mac) {
    std::vector<LinkEvent> events;
    Octets datagram;
    for (std::uint32_t i = first; i < first + 100; ++i) {
      const std::string name = "lan" + std::to_string(i);
      Append(Message(
                 16,
                 LinkBody({.index = i, .name = name, .mac = net::MacAddress({2, 0, 0, 0, 0, mac})}),
                 sequence, kMulti),
             &datagram);
    }
    Append(Done(sequence), &datagram);
    const auto take = [&events](const LinkSync::Result& result) {
      events.insert(events.end(), result.events.begin(), result.events.end());
      return result.request;
    };
    CHECK(take(f.sync.OnDatagram(datagram)) == net::AddressDumpRequest(sequence + 1));
    CHECK_FALSE(take(f.sync.OnDatagram(Done(sequence + 1))).has_value());
    return events;
  };
  const auto count = [](const std::vector<LinkEvent>& events, LinkChange change) {
    return std::count_if(events.begin(), events.end(),
                         [change](const LinkEvent& event) { return event.change == change; });
  };
  CHECK(count(dump(1, 1, 1), LinkChange::kAdded) == 100);
  f.sync.OnOverrun();
  CHECK(f.sync.Start() == net::LinkDumpRequest(3));
  // Meanwhile 50 were deleted, 50 others made, and the rest have another MAC.
  const std::vector<LinkEvent> events = dump(3, 51, 2);
  CHECK(events.size() == 150);
  CHECK(count(events, LinkChange::kAdded) == 50);
  CHECK(count(events, LinkChange::kMacChanged) == 50);
  CHECK(count(events, LinkChange::kRemoved) == 50);
  CHECK(f.links.all().size() == 100);
}

}  // namespace
}  // namespace stentor::speaker
