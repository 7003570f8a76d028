// SPDX-License-Identifier: Apache-2.0
#include <chrono>

#include "test/support/catch.h"
#include "test/unit/membership/pair.h"

namespace stentor::speaker {

TEST_CASE("Who was given up, but gave up nobody, announces again what is its own", "[membership]") {
  Pair pair;
  pair.StartBoth();
  // b hears nothing for so long that it gives a up; a goes on hearing b.
  pair.a.rivals_met = 0;
  pair.deaf = &pair.b;
  for (int i = 0; i < 400 && Pair::Sees(pair.b, "a"); ++i) {
    pair.RunFor(1ms);
  }
  REQUIRE_FALSE(Pair::Sees(pair.b, "a"));
  CHECK(Pair::Sees(pair.a, "b"));
  pair.deaf = nullptr;
  pair.RunFor(250ms);
  CHECK(Pair::Sees(pair.a, "b"));
  CHECK(Pair::Sees(pair.b, "a"));
  CHECK(Pair::Count(pair.a, ChangeKind::kDied) == 0);
  CHECK(pair.a.rivals_met >= 1);
}

TEST_CASE("A speaker that was paused holds until a peer has confirmed it", "[membership]") {
  Pair pair;
  pair.StartBoth();
  pair.cut = true;  // the wire, so that the answer to the probe has to be waited for
  pair.now += 1000ms;
  const Actions actions = pair.a.membership->Poll(pair.now);
  pair.Carry(pair.a, actions);
  CHECK_FALSE(pair.a.membership->Ready());
  CHECK(actions.view_changed);
  CHECK(Pair::Count(pair.a, ChangeKind::kHolding) == 1);
  CHECK(Pair::Sees(pair.a, "b"));  // it was us who were away
  SECTION("and is ready when one did") {
    pair.cut = false;
    pair.RunFor(110ms);
    CHECK(pair.a.membership->Ready());
  }
  SECTION("or when nobody does") {
    pair.RunFor(399ms);
    CHECK_FALSE(pair.a.membership->Ready());
    pair.RunFor(2ms);
    CHECK(pair.a.membership->Ready());
    CHECK_FALSE(Pair::Sees(pair.a, "b"));
  }
}

TEST_CASE("A pause is found out before anything that waited is answered", "[membership]") {
  Pair pair;
  CHECK_FALSE((pair.Make(pair.a), pair.a.membership->NoteTime(pair.now).view_changed));
  pair.StartBoth();
  CHECK(pair.a.membership->NoteTime(pair.now).changes.empty());
  CHECK(pair.a.membership->Ready());
  pair.cut = true;
  pair.now += 1000ms;
  const Actions actions = pair.a.membership->NoteTime(pair.now);
  CHECK(actions.view_changed);
  CHECK(actions.send.size() == 1);
  CHECK_FALSE(pair.a.membership->Ready());
  CHECK_FALSE(pair.a.membership->NoteTime(pair.now).view_changed);  // found out once
  pair.Carry(pair.b, pair.b.membership->Leave(pair.now));
  pair.now += 1000ms;
  CHECK(pair.b.membership->NoteTime(pair.now).changes.empty());  // nothing to give up any more
}

TEST_CASE("Only a peer that may have announced without us counts as a rival", "[membership]") {
  Pair pair;
  pair.Make(pair.a);
  pair.Start(pair.a);
  pair.RunFor(500ms);
  REQUIRE(pair.a.membership->Ready());
  pair.Make(pair.b);
  pair.Start(pair.b);
  pair.RunFor(200ms);
  REQUIRE(Pair::Sees(pair.a, "b"));
  CHECK(pair.a.rivals_met == 0);  // it waited for us before it would have announced
  pair.b.rivals_met = 0;

  pair.cut = true;
  pair.RunFor(1000ms);
  REQUIRE_FALSE(Pair::Sees(pair.a, "b"));
  SECTION("both go on") {
    pair.cut = false;
    pair.RunFor(200ms);
    REQUIRE(Pair::Sees(pair.a, "b"));
    CHECK(pair.a.rivals_met == 1);
    CHECK(pair.b.rivals_met == 1);
  }
  SECTION("one restarts meanwhile, and is alone for long enough to announce") {
    pair.Make(pair.b);
    pair.Start(pair.b);
    pair.RunFor(500ms);
    REQUIRE(pair.b.membership->Ready());
    pair.cut = false;
    pair.RunFor(200ms);
    REQUIRE(Pair::Sees(pair.a, "b"));
    CHECK(pair.a.rivals_met == 1);
  }
}

TEST_CASE("A speaker whose timers were late is more patient for a while", "[membership]") {
  Pair pair;
  pair.StartBoth();
  const TimePoint due = *pair.a.membership->NextDeadline();
  pair.now = std::max(pair.now, due + 100ms);
  pair.RunFor(200ms);  // the first of these polls is 100 ms late
  pair.b.membership.reset();
  pair.a.changes.clear();
  pair.RunFor(1000ms);
  REQUIRE(pair.a.changes.size() == 2);
  CHECK(pair.a.changes[0].silence >= 320ms);
  CHECK(pair.a.changes[0].silence <= 330ms);
  CHECK(pair.a.changes[1].silence >= 520ms);
  CHECK(pair.a.membership->Ready());
}

}  // namespace stentor::speaker
