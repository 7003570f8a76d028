// SPDX-License-Identifier: Apache-2.0
#include <rapidcheck.h>

#include <chrono>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "speaker/membership/datagram.h"
#include "speaker/membership/keys.h"
#include "speaker/membership/membership.h"
#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

std::vector<std::byte> AnyBytes() {
  const auto octets = *rc::gen::arbitrary<std::vector<std::uint8_t>>();
  std::vector<std::byte> out;
  for (const std::uint8_t octet : octets) {
    out.push_back(static_cast<std::byte>(octet));
  }
  return out;
}

Body AnyBody() {
  Body body;
  body.kind = static_cast<MessageKind>(*rc::gen::inRange(1, 7));
  body.yields = *rc::gen::arbitrary<std::uint16_t>();
  body.incarnation = *rc::gen::arbitrary<std::uint32_t>();
  body.seen_boot = *rc::gen::arbitrary<std::uint64_t>();
  body.view_digest = *rc::gen::arbitrary<std::uint64_t>();
  body.challenge = *rc::gen::arbitrary<std::uint64_t>();
  body.echo = *rc::gen::arbitrary<std::uint64_t>();
  body.nonce = *rc::gen::arbitrary<std::uint64_t>();
  body.notes.resize(*rc::gen::inRange<std::size_t>(0, kMaxNotes + 1));
  for (Note& note : body.notes) {
    note.member = *rc::gen::arbitrary<std::uint64_t>();
    note.state = static_cast<NoteState>(*rc::gen::inRange(1, 4));
  }
  body.macs.resize(*rc::gen::inRange<std::size_t>(0, kMaxMacs + 1));
  for (net::MacAddress& mac : body.macs) {
    mac = net::MacAddress(
        *rc::gen::container<net::MacAddress::Octets>(rc::gen::arbitrary<std::uint8_t>()));
  }
  return body;
}

}  // namespace

TEST_CASE("What is encoded comes back", "[membership]") {
  CHECK(rc::check([] {
    const Body body = AnyBody();
    RC_ASSERT(DecodeBody(EncodeBody(body)) == body);
  }));
}

TEST_CASE("What decodes encodes to the same octets", "[membership]") {
  CHECK(rc::check([] {
    std::vector<std::byte> bytes = EncodeBody(AnyBody());
    const auto at = *rc::gen::inRange<std::size_t>(0, bytes.size());
    bytes[at] = static_cast<std::byte>(*rc::gen::arbitrary<std::uint8_t>());
    const auto body = DecodeBody(bytes);
    RC_ASSERT((!body || EncodeBody(*body) == bytes));
  }));
}

TEST_CASE("ReplayWindow is the set of counters seen, where it is not too old", "[membership]") {
  CHECK(rc::check([] {
    ReplayWindow window;
    std::set<std::uint64_t> seen;
    const auto counters =
        *rc::gen::container<std::vector<std::uint64_t>>(rc::gen::inRange<std::uint64_t>(0, 300));
    for (const std::uint64_t counter : counters) {
      const std::uint64_t highest = seen.empty() ? 0 : *seen.rbegin();
      const bool too_old = counter + 64 <= highest;
      const bool want = counter != 0 && !too_old && !seen.contains(counter);
      RC_ASSERT(window.IsNew(counter) == want);
      if (want) {
        window.Mark(counter);
        seen.insert(counter);
      }
    }
  }));
}

TEST_CASE("Bytes without the secret move nothing", "[membership]") {
  CHECK(rc::check([] {
    std::uint64_t random = 0;
    Membership membership({.node = "a", .secrets = {"secret"}}, [&random] { return ++random; });
    const net::IpAddress peer = net::Ipv4Address::FromOctets(192, 0, 2, 2);
    const TimePoint now{std::chrono::hours(1)};
    static_cast<void>(membership.SetPeers(now, {{.node = "b", .addresses = {peer}}}));
    const Header header{.key = Keyring(std::vector<std::string>{"secret"}).sealing_key(),
                        .boot = *rc::gen::arbitrary<std::uint64_t>(),
                        .counter = *rc::gen::arbitrary<std::uint64_t>(),
                        .node = "b"};
    std::vector<std::byte> bytes = EncodeHeader(header);
    const std::vector<std::byte> rest = AnyBytes();
    bytes.insert(bytes.end(), rest.begin(), rest.end());
    const Actions actions = membership.OnDatagram(now, peer, bytes);
    RC_ASSERT(actions.dropped == MembershipDrop::kNotAuthentic);
    RC_ASSERT(actions.send.empty());
    RC_ASSERT(actions.changes.empty());
  }));
}

}  // namespace stentor::speaker
