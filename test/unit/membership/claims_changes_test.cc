// SPDX-License-Identifier: Apache-2.0

/// \file
/// Many claims, of which a few change: what is told of it.

#include <algorithm>
#include <vector>

#include "speaker/claims/claims.h"
#include "speaker/membership/membership.h"
#include "test/support/catch.h"
#include "test/unit/membership/pair.h"

namespace stentor::speaker {
namespace {

Claims Many(std::size_t count) {
  Claims claims;
  for (std::size_t i = 0; i < count; ++i) {
    claims.push_back({.address = 100 + 2 * i, .epoch = 1});
  }
  return claims;
}

Claims ClaimsOfA(const Pair::Side& seen_by) {
  const std::vector<AliveMember> members = seen_by.membership->AliveMembers();
  REQUIRE(members.front().node == "a");
  return members.front().claims ? *members.front().claims : Claims();
}

void Set(Pair& pair, const Claims& claims) {
  pair.Carry(pair.a, pair.a.membership->SetClaims(pair.now, claims));
}

}  // namespace

TEST_CASE("Of many claims, what has changed is told", "[membership]") {
  Pair pair;
  pair.StartBoth();
  Claims claims = Many(1000);
  Set(pair, claims);
  pair.RunFor(150ms);
  REQUIRE(ClaimsOfA(pair.b) == claims);
  pair.b.received.clear();
  SECTION("a few, in a datagram") {
    claims[500].epoch = 2;
    claims.erase(claims.begin());
    claims.push_back({.address = 50'000, .epoch = 1});
    Set(pair, claims);
    CHECK(pair.b.received.size() == 1);
    CHECK(pair.b.received.back().size() < 250);
  }
  SECTION("more than fit are asked for, but not all") {
    for (std::size_t i = 0; i < 2 * kClaimsPerPart; ++i) {
      claims[5 * i].epoch = 7;
    }
    Set(pair, claims);
    CHECK(pair.b.received.size() == 1 + 2);
  }
  SECTION("who has missed a change asks for it") {
    claims[500].epoch = 2;
    pair.cut = true;
    Set(pair, claims);
    pair.cut = false;
    claims[501].epoch = 2;
    Set(pair, claims);  // too soon to be told
    pair.b.received.clear();
    pair.RunFor(110ms);
    CHECK(pair.b.received.size() <= 6);
  }
  SECTION("who has missed more than anybody remembers asks for all") {
    pair.cut = true;
    for (std::size_t i = 0; i < 10; ++i) {
      claims[i].epoch = 2;
      Set(pair, claims);
      pair.RunFor(100ms);
    }
    pair.cut = false;
    pair.RunFor(1000ms);
  }
  SECTION("all are given up") {
    claims.clear();
    Set(pair, claims);
  }
  SECTION("nearly all are given up") {
    claims.resize(5);
    Set(pair, claims);
  }
  CHECK(ClaimsOfA(pair.b) == claims);
  CHECK(pair.b.membership->KnowsClaims());
  CHECK(pair.a.membership->ViewDigest() == pair.b.membership->ViewDigest());
}

TEST_CASE("As many claims as there can be are known while they change all the time",
          "[membership]") {
  Pair pair;
  pair.StartBoth();
  Claims claims = Many(kMaxClaims);
  Set(pair, claims);
  bool known = false;
  std::size_t at = 0;
  const auto change = [&](int times) {
    for (int i = 0; i < times; ++i) {
      claims[at++ % claims.size()].epoch += 1;
      Set(pair, claims);
      pair.RunFor(10ms);
      known |= ClaimsOfA(pair.b).size() == claims.size();
    }
  };
  change(50);
  CHECK(known);
  pair.b.received.clear();
  change(200);
  CHECK(pair.b.received.size() < 100);  // in two seconds: heartbeats, their answers, and changes
  pair.RunFor(1000ms);
  CHECK(ClaimsOfA(pair.b) == claims);
}

}  // namespace stentor::speaker
