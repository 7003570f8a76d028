// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include "test/support/catch.h"
#include "test/unit/membership/pair.h"

namespace stentor::speaker {

TEST_CASE("A speaker that can't read the others, who are there, stays silent", "[membership]") {
  Pair pair;
  pair.Make(pair.a);
  pair.Start(pair.a);
  pair.RunFor(1000ms);
  REQUIRE(pair.a.membership->Ready());  // nobody there
  pair.Make(pair.b, {"a slip"});
  pair.Start(pair.b);
  pair.RunFor(10'000ms);
  CHECK_FALSE(pair.b.membership->Ready());
  CHECK(Pair::Count(pair.b, ChangeKind::kKeyDiffers) == 1);
  SECTION("until its secret is mended") {
    pair.Carry(pair.b, pair.b.membership->SetSecrets(pair.now, {"secret"}));
    pair.RunFor(500ms);
    CHECK(Pair::Sees(pair.b, "a"));
    CHECK(pair.b.membership->Ready());
  }
  SECTION("but not for more than a minute") {
    pair.RunFor(60'000ms);
    CHECK(pair.b.membership->Ready());
  }
  SECTION("or the others are gone") {
    pair.a.membership.reset();
    pair.RunFor(2000ms);
    CHECK(pair.b.membership->Ready());
  }
}

TEST_CASE("A key that differs is named once, and only for a node that is not alive",
          "[membership]") {
  Pair pair;
  pair.Make(pair.a);
  pair.Make(pair.b, {"other"});
  pair.Start(pair.a);
  pair.Start(pair.b);
  pair.RunFor(2000ms);
  CHECK(Pair::Count(pair.a, ChangeKind::kKeyDiffers) == 1);
  CHECK(Dropped(pair.a, MembershipDrop::kWrongKey) > 5);
  CHECK_FALSE(Pair::Sees(pair.a, "b"));
}

TEST_CASE("Two secrets are accepted while one is rotated", "[membership]") {
  Pair pair;
  SECTION("from the start, in any order") {
    pair.Make(pair.a, {"new", "old"});
    pair.Make(pair.b, {"old", "new"});
  }
  SECTION("by who knows one of them only") {
    pair.Make(pair.a, {"new", "old"});
    pair.Make(pair.b, {"old"});
  }
  pair.Start(pair.a);
  pair.Start(pair.b);
  pair.RunFor(250ms);
  CHECK(Pair::Sees(pair.a, "b"));
  CHECK(Pair::Sees(pair.b, "a"));
}

TEST_CASE("A secret is replaced at one speaker after the other without a gap", "[membership]") {
  Pair pair;
  pair.StartBoth();
  pair.a.changes.clear();
  pair.b.changes.clear();
  const auto set = [&pair](Pair::Side& side, const std::vector<std::string>& secrets) {
    pair.Carry(side, side.membership->SetSecrets(pair.now, secrets));
    pair.RunFor(1000ms);
  };
  CHECK(pair.a.membership->AllHoldNewestSecret());
  set(pair.a, {"new", "secret"});
  CHECK_FALSE(pair.a.membership->AllHoldNewestSecret());  // b can't: it must not be let go yet
  set(pair.b, {"new", "secret"});
  CHECK(pair.a.membership->AllHoldNewestSecret());
  CHECK(pair.b.membership->AllHoldNewestSecret());
  set(pair.b, {"new"});
  set(pair.a, {"new"});
  for (const Pair::Side* side : {&pair.a, &pair.b}) {
    CHECK(side->changes.empty());
    CHECK(Dropped(*side, MembershipDrop::kWrongKey) == 0);
    CHECK(Dropped(*side, MembershipDrop::kNotAuthentic) == 0);
  }
  // The old one is worth nothing any more.
  set(pair.a, {"secret"});
  CHECK_FALSE(Pair::Sees(pair.a, "b"));
}

}  // namespace stentor::speaker
