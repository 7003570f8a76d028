// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "speaker/claims/claims.h"
#include "speaker/membership/keys.h"
#include "speaker/membership/membership.h"
#include "test/support/catch.h"
#include "test/unit/membership/pair.h"

namespace stentor::speaker {
namespace {

Claims Some(std::size_t count, std::uint32_t epoch = 1) {
  Claims claims;
  for (std::size_t i = 0; i < count; ++i) {
    claims.push_back({.address = 100 + i, .epoch = epoch});
  }
  return claims;
}

Claims ClaimsOf(const Pair::Side& seen_by, const std::string& node) {
  for (const AliveMember& member : seen_by.membership->AliveMembers()) {
    if (member.node == node) {
      return member.claims ? *member.claims : Claims();
    }
  }
  return {};
}

void Set(Pair& pair, Pair::Side& side, const Claims& claims) {
  pair.Carry(side, side.membership->SetClaims(pair.now, claims));
}

// Of the datagrams that `actions` would send, hands all but those in `lost` (by number) to `to`.
void CarryBut(Pair& pair, Pair::Side& to, const Actions& actions,
              const std::vector<std::size_t>& lost) {
  for (std::size_t i = 0; i < actions.send.size(); ++i) {
    if (std::find(lost.begin(), lost.end(), i) == lost.end()) {
      pair.Carry(
          to, to.membership->OnDatagram(pair.now, pair.Other(to).address, actions.send[i].bytes));
    }
  }
}

}  // namespace

TEST_CASE("What a speaker claims is known to the others at once", "[membership]") {
  const auto count = GENERATE(as<std::size_t>(), 1, kClaimsPerPart, kClaimsPerPart + 1, 1000);
  Pair pair;
  pair.StartBoth();
  const std::uint64_t version = pair.b.membership->view_version();
  Set(pair, pair.a, Some(count));
  CHECK(ClaimsOf(pair.a, "a") == Some(count));
  CHECK(ClaimsOf(pair.b, "a") == Some(count));
  CHECK(ClaimsOf(pair.b, "b").empty());
  CHECK(pair.b.membership->view_version() == version + 1);
  CHECK(pair.a.membership->ViewDigest() == pair.b.membership->ViewDigest());
  CHECK(pair.b.membership->HighestEpoch(100) == 1);
  CHECK(pair.b.membership->HighestEpoch(99) == 0);

  SECTION("the pointer stays the same while the claims do") {
    const auto before = pair.b.membership->AliveMembers()[0].claims;
    pair.RunFor(500ms);
    CHECK(pair.b.membership->AliveMembers()[0].claims == before);
    CHECK(pair.b.membership->view_version() == version + 1);
  }
  SECTION("what is claimed already is not told again") {
    CHECK(pair.a.membership->SetClaims(pair.now, Some(count)).send.empty());
  }
  SECTION("others replace them") {
    pair.RunFor(100ms);
    Set(pair, pair.a, Some(count, 2));
    CHECK(ClaimsOf(pair.b, "a") == Some(count, 2));
  }
  SECTION("none replace them") {
    pair.RunFor(100ms);
    Set(pair, pair.a, {});
    CHECK(ClaimsOf(pair.b, "a").empty());
    CHECK(pair.b.membership->HighestEpoch(100) == 1);
  }
  SECTION("those of a dead speaker are no member's, but their epochs stay known") {
    pair.a.membership.reset();
    pair.RunFor(1000ms);
    CHECK(ClaimsOf(pair.b, "a").empty());
    CHECK(pair.b.membership->HighestEpoch(100) == 1);
    pair.Carry(pair.b, pair.b.membership->SetPeers(pair.now, {}));
    CHECK(pair.b.membership->HighestEpoch(100) == 1);
  }
  SECTION("those of a former boot are forgotten") {
    pair.Make(pair.a);
    pair.Start(pair.a);
    pair.RunFor(200ms);
    REQUIRE(pair.a.membership->Ready());
    CHECK(ClaimsOf(pair.b, "a").empty());
    CHECK(pair.b.membership->HighestEpoch(100) == 1);
  }
  SECTION("two changes within a heartbeat: the second one is told a heartbeat later") {
    Set(pair, pair.a, Some(count, 2));
    Set(pair, pair.a, Some(count, 3));
    pair.RunFor(101ms);
    CHECK(ClaimsOf(pair.b, "a") == Some(count, 3));
  }
}

TEST_CASE("Nobody is told of claims where there are none", "[membership]") {
  Pair pair;
  pair.StartBoth();
  CHECK(pair.a.membership->SetClaims(pair.now, {}).send.empty());
  CHECK(pair.b.received.back().size() == HeaderSize(1) + EncodeBody({}).size() + 16);
}

TEST_CASE("Of too many claims the lowest are told", "[membership]") {
  Pair pair;
  pair.StartBoth();
  Set(pair, pair.a, Some(kMaxClaims + 1));
  pair.RunFor(400ms);
  CHECK(ClaimsOf(pair.b, "a") == Some(kMaxClaims));
  CHECK(ClaimsOf(pair.a, "a") == Some(kMaxClaims));
}

TEST_CASE("Claims are asked for until all parts have come", "[membership]") {
  const Claims claims = Some(5 * kClaimsPerPart);
  Pair pair;
  pair.StartBoth();
  pair.cut = true;
  const Actions told = pair.a.membership->SetClaims(pair.now, claims);
  REQUIRE(told.send.size() == 1);  // the digest
  SECTION("the news is lost: a heartbeat tells it") {
    pair.cut = false;
    pair.RunFor(101ms);
    CHECK(ClaimsOf(pair.b, "a") == claims);
    return;
  }
  const Actions request = pair.b.membership->OnDatagram(pair.now, kAddressA, told.send[0].bytes);
  REQUIRE(request.send.size() == 1);
  CHECK_FALSE(pair.b.membership->KnowsClaims());
  SECTION("the request is lost: it is repeated") {
    pair.cut = false;
    pair.RunFor(LanProfile().probe_interval + 1ms);
    CHECK(ClaimsOf(pair.b, "a") == claims);
  }
  SECTION("a claim is told while the request is on its way") {
    static_cast<void>(pair.a.membership->SetClaims(pair.now, Some(3, 7)));
    pair.cut = false;
    CarryBut(pair, pair.a, request, {});
    CHECK(ClaimsOf(pair.b, "a") == Some(3, 7));
  }
  SECTION("claims are given up while the request is on its way") {
    static_cast<void>(pair.a.membership->SetClaims(pair.now, {}));
    pair.cut = false;
    CarryBut(pair, pair.a, request, {});
    CHECK(ClaimsOf(pair.b, "a").empty());
    CHECK(pair.b.membership->KnowsClaims());
  }
  SECTION("parts are lost: from the first of them on they are asked for again") {
    const Actions parts = pair.a.membership->OnDatagram(pair.now, kAddressB, request.send[0].bytes);
    REQUIRE(parts.send.size() == 5);
    SECTION("two in the middle") { CarryBut(pair, pair.b, parts, {1, 3}); }
    SECTION("the first one") { CarryBut(pair, pair.b, parts, {0}); }
    SECTION("all") { CarryBut(pair, pair.b, parts, {0, 1, 2, 3, 4}); }
    CHECK_FALSE(pair.b.membership->KnowsClaims());
    CHECK(ClaimsOf(pair.b, "a").empty());
    pair.cut = false;
    pair.RunFor(LanProfile().probe_interval + 1ms);
    CHECK(ClaimsOf(pair.b, "a") == claims);
  }
  SECTION("whoever asks too often is not answered") {
    const Actions parts = pair.a.membership->OnDatagram(pair.now, kAddressB, request.send[0].bytes);
    CHECK(parts.send.size() == 5);
    pair.now += LanProfile().probe_interval;
    const Actions again = pair.b.membership->Poll(pair.now);
    REQUIRE_FALSE(again.send.empty());
    CHECK(pair.a.membership->OnDatagram(pair.now, kAddressB, again.send[0].bytes).send.size() == 5);
    CHECK(pair.a.membership->OnDatagram(pair.now, kAddressB, again.send[0].bytes).send.empty());
  }
}

namespace {

// A peer "b" that says what a test wants.
struct Puppet {
  TimePoint now{1h};
  std::uint64_t random = 0;
  std::uint64_t counter = 0;
  Keyring keyring{std::vector<std::string>{"secret"}};
  Channel to_us = keyring.MakeChannel(keyring.sealing_key(), 77, "b", "a");
  Membership membership{{.node = "a", .secrets = {"secret"}}, [this] { return ++random; }};

  explicit Puppet(bool understands = true) {
    static_cast<void>(
        membership.SetPeers(now, {{.node = "b", .addresses = {kAddressB}},
                                  {.node = "c", .addresses = {net::Ipv4Address(0xC0000203)}}}));
    Body body;
    body.kind = MessageKind::kAnswer;
    body.understands_claims = understands;
    body.echo = 2;  // the random numbers count: after the boot id comes the first challenge
    REQUIRE_FALSE(Say(body).dropped);
  }
  // What of `actions` is sent to the peer.
  std::vector<Body> Heard(const Actions& actions) {
    std::vector<Body> bodies;
    for (const OutgoingDatagram& datagram : actions.send) {
      if (datagram.destination != kAddressB) {
        continue;
      }
      const Header header = std::get<Header>(DecodeHeader(datagram.bytes));
      Channel channel = keyring.MakeChannel(header.key, header.boot, "a", "b");
      const Bytes bytes(datagram.bytes);
      std::vector<std::byte> plaintext(bytes.size());
      const auto size = channel.Open(header.counter, bytes.first(HeaderSize(1)),
                                     bytes.subspan(HeaderSize(1)), plaintext);
      REQUIRE(size);
      bodies.push_back(DecodeBody(Bytes(plaintext).first(*size)).value());
    }
    return bodies;
  }
  Actions Say(Body body) {
    std::vector<std::byte> bytes =
        EncodeHeader({.key = keyring.sealing_key(), .boot = 77, .counter = ++counter, .node = "b"});
    const std::vector<std::byte> sealed = to_us.Seal(counter, bytes, EncodeBody(body));
    bytes.insert(bytes.end(), sealed.begin(), sealed.end());
    return membership.OnDatagram(now, kAddressB, bytes);
  }
  static Body Part(const Claims& all, std::uint64_t digest, std::size_t part, std::size_t parts) {
    Body body;
    body.kind = MessageKind::kClaims;
    body.understands_claims = true;
    body.claims_digest = digest;
    body.notes = {{.member = MemberIdOf("b"), .boot = 77, .incarnation = 1}};
    const std::size_t begin = part * kClaimsPerPart;
    const std::size_t end = std::min(all.size(), begin + kClaimsPerPart);
    body.about = ClaimsPart{.digest = digest,
                            .part = static_cast<std::uint16_t>(part),
                            .part_count = static_cast<std::uint16_t>(parts),
                            .claims = Claims(all.begin() + static_cast<std::ptrdiff_t>(begin),
                                             all.begin() + static_cast<std::ptrdiff_t>(end))};
    return body;
  }
  [[nodiscard]] bool HasClaims() const {
    const std::vector<AliveMember> members = membership.AliveMembers();
    REQUIRE(members.size() == 2);
    return members[1].claims != nullptr;
  }
};

}  // namespace

TEST_CASE("Who doesn't know of claims is told none", "[membership]") {
  const bool understands = GENERATE(true, false);
  Puppet puppet(understands);
  CHECK(puppet.membership.AliveMembers()[1].understands_claims == understands);
  Body hello;
  hello.understands_claims = understands;
  hello.seen_boot = 1;
  hello.view_digest = puppet.membership.ViewDigest();
  static_cast<void>(puppet.Say(hello));
  REQUIRE(puppet.membership.Ready());
  std::vector<Body> bodies =
      puppet.Heard(puppet.membership.SetClaims(puppet.now, {{.address = 7, .epoch = 1}}));
  REQUIRE(bodies.size() == 1);
  CHECK((bodies[0].claims_digest != 0) == understands);
  CHECK(bodies[0].about.has_value() == understands);
  CHECK((bodies[0].kind == MessageKind::kClaims) == understands);
  Body relay;
  relay.kind = MessageKind::kProbe;
  relay.understands_claims = understands;
  relay.challenge = 5;
  bodies = puppet.Heard(puppet.Say(relay));
  REQUIRE_FALSE(bodies.empty());
  CHECK((bodies[0].claims_digest != 0) == understands);
}

TEST_CASE("Claims that are not what their digest says are dropped", "[membership]") {
  Puppet puppet;
  const Claims claims = Some(kClaimsPerPart + 1);
  const std::uint64_t digest = DigestOf(claims);
  SECTION("none of them, to begin with") {
    CHECK_FALSE(puppet.Say(Puppet::Part(claims, digest, 0, 2)).dropped);
    CHECK_FALSE(puppet.Say(Puppet::Part(claims, digest, 0, 2)).dropped);  // twice
    CHECK_FALSE(puppet.HasClaims());
    CHECK_FALSE(puppet.Say(Puppet::Part(claims, digest, 1, 2)).dropped);
    CHECK(puppet.HasClaims());
  }
  SECTION("another digest") {
    CHECK_FALSE(puppet.Say(Puppet::Part(claims, 9, 1, 2)).dropped);
    CHECK(puppet.Say(Puppet::Part(claims, 9, 0, 2)).dropped == MembershipDrop::kMalformed);
    CHECK_FALSE(puppet.HasClaims());
    // It may still tell the right ones.
    static_cast<void>(puppet.Say(Puppet::Part(claims, digest, 1, 2)));
    CHECK_FALSE(puppet.Say(Puppet::Part(claims, digest, 0, 2)).dropped);
    CHECK(puppet.HasClaims());
  }
  SECTION("parts that are not sorted among each other") {
    Body last = Puppet::Part(claims, digest, 1, 2);
    last.about->claims[0].address = 1;
    CHECK_FALSE(puppet.Say(last).dropped);
    CHECK(puppet.Say(Puppet::Part(claims, digest, 0, 2)).dropped == MembershipDrop::kMalformed);
  }
  SECTION("another number of parts") {
    CHECK_FALSE(puppet.Say(Puppet::Part(claims, digest, 0, 2)).dropped);
    CHECK(puppet.Say(Puppet::Part(claims, digest, 0, 3)).dropped == MembershipDrop::kMalformed);
    CHECK_FALSE(puppet.HasClaims());
  }
  SECTION("parts of claims that are not told any more") {
    CHECK_FALSE(puppet.Say(Puppet::Part(claims, digest, 0, 2)).dropped);
    Body later;
    later.understands_claims = true;
    later.claims_digest = 0;
    CHECK_FALSE(puppet.Say(later).dropped);
    Body late = Puppet::Part(claims, digest, 1, 2);
    late.claims_digest = 0;
    CHECK_FALSE(puppet.Say(late).dropped);
    CHECK_FALSE(puppet.HasClaims());
    CHECK(puppet.membership.KnowsClaims());
  }
  SECTION("more claims than a speaker may have") {
    const Claims many = Some(kMaxClaimsParts * kClaimsPerPart);
    const std::uint64_t of_many = DigestOf(many);
    std::optional<MembershipDrop> dropped;
    for (std::size_t part = 0; part < kMaxClaimsParts; ++part) {
      dropped = puppet.Say(Puppet::Part(many, of_many, part, kMaxClaimsParts)).dropped;
    }
    CHECK(dropped == MembershipDrop::kMalformed);
    CHECK_FALSE(puppet.HasClaims());
  }
  SECTION("changes of what is known") {
    for (std::size_t part = 0; part < 2; ++part) {
      CHECK_FALSE(puppet.Say(Puppet::Part(claims, digest, part, 2)).dropped);
    }
    Claims after = claims;
    after.erase(after.begin());
    after.back().epoch = 9;
    const Claims changes = Difference(claims, after);
    Body body = Puppet::Part(changes, DigestOf(after), 0, 1);
    body.about->base = digest;
    SECTION("that make of it what their digest says") {
      const Actions actions = puppet.Say(body);
      CHECK_FALSE(actions.dropped);
      CHECK(actions.claims_changed);
      CHECK_FALSE(actions.view_changed);  // elections for it can wait a little
      CHECK(*puppet.membership.AliveMembers()[1].claims == after);
    }
    SECTION("that make something else of it") {
      body.about->claims.back().epoch = 8;
      CHECK(puppet.Say(body).dropped == MembershipDrop::kMalformed);
      CHECK(*puppet.membership.AliveMembers()[1].claims == claims);
    }
    SECTION("of something else") {
      body.about->base = 5;
      CHECK_FALSE(puppet.Say(body).dropped);
      CHECK(*puppet.membership.AliveMembers()[1].claims == claims);
      CHECK_FALSE(puppet.membership.KnowsClaims());
    }
    SECTION("that leave nothing") {
      Claims none = claims;
      for (Claim& claim : none) {
        claim.epoch = 0;
      }
      for (std::size_t part = 0; part < 2; ++part) {
        body = Puppet::Part(none, 5, part, 2);
        body.about->base = digest;
        CHECK(puppet.Say(body).dropped ==
              (part == 1 ? std::optional(MembershipDrop::kMalformed) : std::nullopt));
      }
    }
  }
  SECTION("of somebody else, whom it may not speak for unasked") {
    Body body = Puppet::Part(claims, digest, 0, 2);
    body.notes[0].member = MemberIdOf("c");
    CHECK_FALSE(puppet.Say(body).dropped);
    body.notes.clear();
    CHECK(puppet.Say(body).dropped == MembershipDrop::kMalformed);
    CHECK_FALSE(puppet.HasClaims());
  }
}

TEST_CASE("The highest epoch leaves room for one more", "[membership]") {
  Puppet puppet;
  const Claims claims = {{.address = 7, .epoch = 0xFFFFFFFF}};
  CHECK_FALSE(puppet.Say(Puppet::Part(claims, DigestOf(claims), 0, 1)).dropped);
  REQUIRE(puppet.HasClaims());
  CHECK(puppet.membership.HighestEpoch(7) == 0xFFFFFFFE);
}

TEST_CASE("An incarnation of ours that is far ahead is nobody's", "[membership]") {
  Puppet puppet;
  const auto told = [&puppet](std::uint32_t incarnation) {
    Body body;
    body.notes = {{.member = MemberIdOf("a"),
                   .boot = 1,  // the first random number
                   .incarnation = incarnation,
                   .state = NoteState::kDead}};
    return !puppet.Say(body).send.empty();
  };
  CHECK_FALSE(told(0xFFFFFFFF));
  CHECK_FALSE(told(0xFFFFFFFE));
  CHECK_FALSE(told(70'000));
  CHECK(told(60'000));
  CHECK_FALSE(told(60'000));  // there is a later one now
  CHECK(told(60'001));
}

TEST_CASE("A speaker is not ready before it knows what the others claim", "[membership]") {
  Pair pair;
  pair.StartBoth();
  const Claims claims = Some(2 * kClaimsPerPart);
  Set(pair, pair.a, claims);
  pair.RunFor(200ms);
  SECTION("after a start") {
    pair.Make(pair.b);
    const Actions start =
        pair.b.membership->SetPeers(pair.now, {{.node = "a", .addresses = {kAddressA}}});
    pair.cut = true;
    CarryBut(pair, pair.a, start, {});
    pair.cut = false;
    for (int i = 0; i < 300 && !pair.b.membership->Ready(); ++i) {
      pair.RunFor(1ms);
    }
    REQUIRE(pair.b.membership->Ready());
    CHECK(ClaimsOf(pair.b, "a") == claims);
  }
  SECTION("after a pause: they have changed") {
    Set(pair, pair.b, {{.address = 7, .epoch = 1}});
    pair.cut = true;
    pair.RunFor(1000ms);
    REQUIRE_FALSE(Pair::Sees(pair.a, "b"));
    Set(pair, pair.a, {{.address = 7, .epoch = 2}});
    pair.RunFor(100ms);
    pair.now += 1000ms;
    pair.Carry(pair.b, pair.b.membership->NoteTime(pair.now));
    REQUIRE_FALSE(pair.b.membership->Ready());
    // What it claimed stands until it knows more.
    Set(pair, pair.b, {});
    CHECK(pair.b.membership->HighestEpoch(7) == 1);
    CHECK(ClaimsOf(pair.b, "b") == Claims{{.address = 7, .epoch = 1}});
    pair.cut = false;
    for (int i = 0; i < 300 && !pair.b.membership->Ready(); ++i) {
      pair.RunFor(1ms);
    }
    REQUIRE(pair.b.membership->Ready());
    CHECK(ClaimsOf(pair.b, "a") == Claims{{.address = 7, .epoch = 2}});
  }
}

TEST_CASE("Who restarted unnoticed hears first what the others claim since", "[membership]") {
  Pair pair;
  pair.StartBoth();
  Set(pair, pair.b, {{.address = 7, .epoch = 1}});
  pair.RunFor(200ms);
  pair.Make(pair.b);
  Pair::Side& b = pair.b;
  // As the shell does: elections are held as soon as a view has changed, before anything else.
  std::vector<OutgoingDatagram> to_a =
      b.membership->SetPeers(pair.now, {{.node = "a", .addresses = {kAddressA}}}).send;
  bool ready_without = false;
  for (int turn = 0; turn < 20 && !b.membership->Ready(); ++turn) {
    std::vector<OutgoingDatagram> to_b;
    for (const OutgoingDatagram& datagram : to_a) {
      const Actions actions = pair.a.membership->OnDatagram(pair.now, kAddressB, datagram.bytes);
      to_b.insert(to_b.end(), actions.send.begin(), actions.send.end());
      if (actions.view_changed || actions.claims_changed) {
        const Actions claimed = pair.a.membership->SetClaims(
            pair.now, {{.address = 7, .epoch = 1 + pair.a.membership->HighestEpoch(7)}});
        to_b.insert(to_b.end(), claimed.send.begin(), claimed.send.end());
      }
    }
    to_a.clear();
    for (const OutgoingDatagram& datagram : to_b) {
      const Actions actions = b.membership->OnDatagram(pair.now, kAddressA, datagram.bytes);
      to_a.insert(to_a.end(), actions.send.begin(), actions.send.end());
      ready_without |= b.membership->Ready() && ClaimsOf(b, "a").empty();
    }
  }
  CHECK(b.membership->Ready());
  CHECK_FALSE(ready_without);
}

TEST_CASE("A rival that has let go of what is claimed here makes us announce again",
          "[membership]") {
  Pair pair;
  pair.StartBoth();
  pair.cut = true;
  pair.RunFor(1000ms);
  Set(pair, pair.a, {{.address = 7, .epoch = 2}, {.address = 8, .epoch = 1}});
  Set(pair, pair.b, {{.address = 7, .epoch = 1}});
  pair.RunFor(200ms);
  pair.cut = false;
  pair.RunFor(200ms);
  REQUIRE(ClaimsOf(pair.a, "b") == Claims{{.address = 7, .epoch = 1}});
  pair.a.rivals_met = 0;
  pair.b.rivals_met = 0;
  SECTION("as soon as it does") {
    Set(pair, pair.b, {});
    CHECK(pair.a.rivals_met == 1);
  }
  SECTION("not where it lets go of something else") {
    Set(pair, pair.b, {{.address = 7, .epoch = 1}, {.address = 9, .epoch = 1}});
    pair.RunFor(101ms);
    Set(pair, pair.b, {{.address = 7, .epoch = 1}});
    pair.RunFor(101ms);
    CHECK(pair.a.rivals_met == 0);
  }
  SECTION("not where it hands over, as it yields") {
    pair.Carry(pair.b, pair.b.membership->SetLocalState(pair.now, kYieldNoCarrier));
    Set(pair, pair.b, {});
    CHECK(pair.a.rivals_met == 0);
  }
  SECTION("however long both have claimed it") {
    pair.RunFor(2 * LanProfile().view_interval);
    Set(pair, pair.b, {});
    CHECK(pair.a.rivals_met == 1);
  }
  CHECK(pair.b.rivals_met == 0);
}

}  // namespace stentor::speaker
