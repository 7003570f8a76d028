// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "speaker/claims/claims.h"
#include "speaker/membership/membership.h"
#include "test/support/catch.h"
#include "test/unit/membership/pair.h"

namespace stentor::speaker {
namespace {

const Claims kClaimed = {{.address = 7, .epoch = 3}};

AliveMember Seen(const Pair::Side& side, const std::string& node) {
  const std::vector<AliveMember> members = side.membership->AliveMembers();
  const auto it = std::find_if(members.begin(), members.end(),
                               [&node](const AliveMember& m) { return m.node == node; });
  REQUIRE(it != members.end());
  return *it;
}

void Yield(Pair& pair, Pair::Side& side, YieldReasons yields) {
  pair.Carry(side, side.membership->SetLocalState(pair.now, yields));
}

}  // namespace

TEST_CASE("Who stops to yield knows first what was claimed meanwhile", "[membership]") {
  Pair pair;
  pair.StartBoth();
  Yield(pair, pair.a, kYieldNoCarrier);
  pair.cut = true;
  SECTION("where nobody claims anything, it stops at once") {
    Yield(pair, pair.a, kYieldsNothing);
    CHECK(Seen(pair.a, "a").yields == kYieldsNothing);
    return;
  }
  pair.Carry(pair.a, pair.a.membership->SetClaims(pair.now, {{.address = 9, .epoch = 1}}));
  pair.Carry(pair.b, pair.b.membership->SetClaims(pair.now, kClaimed));
  SECTION("where the answer comes at once, so it does") {
    pair.cut = false;
    Yield(pair, pair.a, kYieldsNothing);
    CHECK(Seen(pair.a, "a").yields == kYieldsNothing);
    CHECK(Seen(pair.b, "a").yields == kYieldsNothing);
    REQUIRE(Seen(pair.a, "b").claims);
    CHECK(*Seen(pair.a, "b").claims == kClaimed);
  }
  SECTION("where questions are lost, they are asked again") {
    Yield(pair, pair.a, kYieldsNothing);
    CHECK(Seen(pair.a, "a").yields == kYieldNoCarrier);
    pair.cut = false;
    pair.RunFor(LanProfile().probe_interval + 2ms);
    CHECK(Seen(pair.a, "a").yields == kYieldsNothing);
    REQUIRE(Seen(pair.a, "b").claims);
    CHECK(*Seen(pair.a, "b").claims == kClaimed);
  }
  SECTION("where no answer comes, it stops all the same") {
    Yield(pair, pair.a, kYieldsNothing);
    pair.RunFor(LanProfile().suspect_after - 1ms);
    CHECK(Seen(pair.a, "a").yields == kYieldNoCarrier);
    pair.RunFor(3ms);
    CHECK(Seen(pair.a, "a").yields == kYieldsNothing);
  }
  SECTION("but not where it has a reason again") {
    Yield(pair, pair.a, kYieldsNothing);
    SECTION("the same one") { Yield(pair, pair.a, kYieldNoCarrier); }
    SECTION("another one, for a while") {
      Yield(pair, pair.a, kYieldProxyUnhealthy);
      CHECK(Seen(pair.a, "a").yields == kYieldProxyUnhealthy);
      Yield(pair, pair.a, kYieldNoCarrier);
    }
    pair.cut = false;
    pair.RunFor(2 * LanProfile().suspect_after);
    CHECK(Seen(pair.a, "a").yields == kYieldNoCarrier);
  }
}

}  // namespace stentor::speaker
