// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "speaker/claims/claims.h"
#include "speaker/membership/membership.h"
#include "test/support/catch.h"
#include "test/unit/membership/pair.h"

namespace stentor::speaker {
namespace {

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
