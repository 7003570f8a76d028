// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

#include "speaker/claims/claims.h"
#include "speaker/membership/membership.h"
#include "test/support/catch.h"
#include "test/unit/membership/pair.h"
#include "test/unit/membership/puppet.h"

namespace stentor::speaker {

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

TEST_CASE("Whether a member understands claims may be told late, by a helper that knows",
          "[membership]") {
  Puppet puppet;
  while (puppet.membership.NextDeadline() && !puppet.membership.Ready()) {
    puppet.now = *puppet.membership.NextDeadline();
    static_cast<void>(puppet.membership.Poll(puppet.now));
  }
  const auto understood = [&puppet] {
    const std::vector<AliveMember> members = puppet.membership.AliveMembers();
    REQUIRE(members.size() == 3);
    return members[2].understands_claims;
  };
  // It is told of "c", asks for it, and hears that it has answered.
  const auto relay = [&puppet](std::uint32_t incarnation, bool knows) {
    puppet.now += LanProfile().probe_interval;
    const Note note{.member = MemberIdOf("c"), .boot = 99, .incarnation = incarnation};
    Body told;
    told.understands_claims = true;
    told.notes = {note};
    for (const Body& asked : puppet.Heard(puppet.Say(told))) {
      if (asked.kind == MessageKind::kRelayRequest) {
        Body answer;
        answer.kind = MessageKind::kRelayedAnswer;
        answer.understands_claims = true;
        answer.nonce = asked.nonce;
        answer.notes = {note};
        if (knows) {
          answer.about.emplace();
        }
        return puppet.Say(answer);
      }
    }
    FAIL("nobody was asked");
    return Actions();
  };
  relay(1, false);
  CHECK_FALSE(understood());
  CHECK(relay(2, true).view_changed);
  CHECK(understood());
  CHECK_FALSE(relay(3, false).view_changed);
  CHECK(understood());
}

}  // namespace stentor::speaker
