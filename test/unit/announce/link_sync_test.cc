// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/link_sync.h"

#include <cerrno>
#include <vector>

#include "test/support/catch.h"
#include "test/support/netlink_messages.h"

namespace stentor::speaker {
namespace {

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
  SECTION("told by the socket") { CHECK(f.sync.OnOverrun().request == net::LinkDumpRequest(3)); }
  SECTION("told by a message") {
    CHECK(f.sync.OnDatagram(Message(4, {})).request == net::LinkDumpRequest(3));
  }
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
  CHECK_FALSE(f.sync.OnOverrun().request.has_value());
  CHECK(f.sync.OnDatagram(Done(1)).request == net::LinkDumpRequest(2));
  CHECK(f.sync.OnDatagram(Done(2)).request == net::AddressDumpRequest(3));
  CHECK_FALSE(f.sync.OnDatagram(Done(3)).request.has_value());
  CHECK(f.sync.synced());
}

TEST_CASE("LinkSync repeats a dump that is not of one moment", "[links]") {
  Fixture f;
  static_cast<void>(f.sync.Start());
  static_cast<void>(f.sync.OnDatagram(Message(16, LinkBody({}), 1, kMulti | kInterrupted)));
  CHECK(f.sync.OnDatagram(Done(1)).request == net::LinkDumpRequest(2));
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

}  // namespace
}  // namespace stentor::speaker
