// SPDX-License-Identifier: Apache-2.0
#include <rapidcheck.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <random>
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

ClaimsPart AnyPart() {
  ClaimsPart about;
  about.digest = *rc::gen::arbitrary<std::uint64_t>();
  about.part_count = *rc::gen::inRange<std::uint16_t>(1, kMaxClaimsParts + 1);
  about.part = *rc::gen::inRange<std::uint16_t>(0, about.part_count);
  const bool last = about.part + 1 == about.part_count;
  about.claims.resize(last ? *rc::gen::inRange<std::size_t>(1, kClaimsPerPart + 1)
                           : kClaimsPerPart);
  AddressKey address = *rc::gen::arbitrary<std::uint32_t>();
  for (Claim& claim : about.claims) {
    address += *rc::gen::inRange<AddressKey>(1, AddressKey{1} << 50U);
    claim = {.address = address, .epoch = *rc::gen::inRange<std::uint32_t>(1, 1U << 31U)};
  }
  return about;
}

Body AnyBody() {
  Body body;
  body.kind = static_cast<MessageKind>(*rc::gen::inRange(1, 9));
  body.watched = *rc::gen::arbitrary<bool>();
  body.understands_claims = *rc::gen::arbitrary<bool>();
  body.yields = *rc::gen::arbitrary<std::uint16_t>();
  body.newest_key = *rc::gen::arbitrary<KeyId>();
  body.incarnation = *rc::gen::arbitrary<std::uint32_t>();
  body.seen_boot = *rc::gen::arbitrary<std::uint64_t>();
  body.view_digest = *rc::gen::arbitrary<std::uint64_t>();
  body.claims_digest = *rc::gen::arbitrary<std::uint64_t>();
  body.challenge = *rc::gen::arbitrary<std::uint64_t>();
  body.echo = *rc::gen::arbitrary<std::uint64_t>();
  body.nonce = *rc::gen::arbitrary<std::uint64_t>();
  body.notes.resize(*rc::gen::inRange<std::size_t>(0, kMaxNotes + 1));
  for (Note& note : body.notes) {
    note.member = *rc::gen::arbitrary<std::uint64_t>();
    note.boot = *rc::gen::arbitrary<BootId>();
    note.incarnation = *rc::gen::arbitrary<std::uint32_t>();
    note.state = static_cast<NoteState>(*rc::gen::inRange(1, 5));
    note.yields = *rc::gen::arbitrary<std::uint16_t>();
  }
  body.macs.resize(*rc::gen::inRange<std::size_t>(0, kMaxMacs + 1));
  for (net::MacAddress& mac : body.macs) {
    mac = net::MacAddress(
        *rc::gen::container<net::MacAddress::Octets>(rc::gen::arbitrary<std::uint8_t>()));
  }
  if (body.kind == MessageKind::kClaims) {
    body.about = AnyPart();
  } else if (body.kind == MessageKind::kRelayedAnswer || body.kind == MessageKind::kClaimsRequest) {
    body.about.emplace();
    body.about->digest = *rc::gen::arbitrary<std::uint64_t>();
    body.about->part = *rc::gen::inRange<std::uint16_t>(0, kMaxClaimsParts);
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

TEST_CASE("What decodes encodes to the same octets, but for flags that nobody knows",
          "[membership]") {
  CHECK(rc::check([] {
    std::vector<std::byte> bytes = EncodeBody(AnyBody());
    const auto at = *rc::gen::inRange<std::size_t>(0, bytes.size());
    bytes[at] = static_cast<std::byte>(*rc::gen::arbitrary<std::uint8_t>());
    const auto body = DecodeBody(bytes);
    bytes[1] &= std::byte{0xf};
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
                        .boot = *rc::gen::nonZero<std::uint64_t>(),
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

namespace {

// Two speakers that see each other.
struct Pair {
  static constexpr TimePoint kStart{std::chrono::hours(1)};

  Pair() {
    std::vector<OutgoingDatagram> to_b = one.SetPeers(kStart, {{"b", {b}}}).send;
    std::vector<OutgoingDatagram> to_a = other.SetPeers(kStart, {{"a", {a}}}).send;
    while (!to_a.empty() || !to_b.empty()) {
      std::vector<OutgoingDatagram> answers_a;
      std::vector<OutgoingDatagram> answers_b;
      for (const OutgoingDatagram& datagram : to_b) {
        Append(answers_b, other.OnDatagram(kStart, a, datagram.bytes));
      }
      for (const OutgoingDatagram& datagram : to_a) {
        Append(answers_a, one.OnDatagram(kStart, b, datagram.bytes));
      }
      to_b = std::move(answers_a);
      to_a = std::move(answers_b);
    }
  }

  static void Append(std::vector<OutgoingDatagram>& all, Actions actions) {
    std::move(actions.send.begin(), actions.send.end(), std::back_inserter(all));
  }

  const net::IpAddress a = net::Ipv4Address::FromOctets(192, 0, 2, 1);
  const net::IpAddress b = net::Ipv4Address::FromOctets(192, 0, 2, 2);
  std::uint64_t random = 0;
  Membership one{{.node = "a", .secrets = {"secret"}}, [this] { return ++random; }};
  Membership other{{.node = "b", .secrets = {"secret"}}, [this] { return ++random; }};
};

}  // namespace

TEST_CASE("The newest datagram of a member counts, whatever order they come in", "[membership]") {
  CHECK(rc::check([] {
    Pair pair;
    RC_ASSERT(pair.one.ViewDigest() == pair.other.ViewDigest());
    std::vector<OutgoingDatagram> said;
    const auto yields =
        *rc::gen::container<std::vector<YieldReasons>>(rc::gen::inRange<YieldReasons>(0, 64));
    TimePoint now = Pair::kStart;
    for (std::size_t i = 0; i < std::min<std::size_t>(yields.size(), 30); ++i) {
      now += std::chrono::milliseconds(3);
      Pair::Append(said, pair.other.SetLocalState(now, yields[i]));
      Pair::Append(said, pair.other.Poll(now));
    }
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < 2 * said.size(); ++i) {
      order.push_back(i / 2);  // each one twice
    }
    std::shuffle(order.begin(), order.end(), std::mt19937_64(*rc::gen::arbitrary<std::uint64_t>()));
    std::size_t replayed = 0;
    for (const std::size_t i : order) {
      const Actions actions = pair.one.OnDatagram(now, pair.b, said[i].bytes);
      replayed += actions.dropped == MembershipDrop::kReplay ? 1 : 0;
    }
    RC_ASSERT(replayed == said.size());
    RC_ASSERT(pair.one.AliveMembers() == pair.other.AliveMembers());
    RC_ASSERT(pair.one.ViewDigest() == pair.other.ViewDigest());
  }));
}

}  // namespace stentor::speaker
