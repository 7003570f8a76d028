// SPDX-License-Identifier: Apache-2.0
#include "speaker/membership/membership.h"

#include <chrono>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "test/support/catch.h"
#include "test/unit/membership/pair.h"

namespace stentor::speaker {

TEST_CASE("Membership is not ready before it knows whether it has peers", "[membership]") {
  Pair pair;
  pair.Make(pair.a);
  CHECK_FALSE(pair.a.membership->Ready());
  CHECK_FALSE(pair.a.membership->NextDeadline());
  SECTION("alone it is ready at once") {
    const Actions actions =
        pair.a.membership->SetPeers(pair.now, {{.node = "a", .addresses = {kAddressA}}});
    CHECK(actions.view_changed);
    CHECK(actions.send.empty());
    CHECK(pair.a.membership->Ready());
  }
  SECTION("with a peer that never answers it waits for the bound") {
    pair.Start(pair.a);
    pair.RunFor(399ms);
    CHECK_FALSE(pair.a.membership->Ready());
    CHECK(pair.a.membership->AliveMembers() ==
          std::vector<AliveMember>{
              {.node = "a", .yields = kYieldHolding, .understands_claims = true}});
    pair.RunFor(2ms);
    CHECK(pair.a.membership->Ready());
    CHECK(pair.a.membership->AliveMembers() ==
          std::vector<AliveMember>{
              {.node = "a", .yields = kYieldsNothing, .understands_claims = true}});
  }
  SECTION("with a peer that answers it is ready at once") {
    pair.Make(pair.b);
    pair.Start(pair.b);
    pair.Start(pair.a);
    CHECK(pair.a.membership->Ready());
    CHECK(pair.b.membership->Ready());
  }
  SECTION("it is ready when the last listed peer is not listed any more") {
    pair.Start(pair.a);
    CHECK_FALSE(pair.a.membership->Ready());
    pair.Carry(pair.a, pair.a.membership->SetPeers(pair.now, {}));
    CHECK(pair.a.membership->Ready());
  }
}

TEST_CASE("Membership says in order what happened to a peer", "[membership]") {
  Pair pair;
  pair.StartBoth();
  CHECK(pair.a.membership->ViewDigest() == pair.b.membership->ViewDigest());
  pair.a.changes.clear();

  SECTION("it dies: suspected after 220 ms, dead after 320") {
    pair.b.membership.reset();
    pair.RunFor(400ms);
    REQUIRE(pair.a.changes.size() == 2);
    CHECK(pair.a.changes[0].kind == ChangeKind::kSuspected);
    CHECK(pair.a.changes[0].cause == SuspicionCause::kSilence);
    CHECK(pair.a.changes[0].silence == 220ms);
    CHECK(pair.a.changes[1].kind == ChangeKind::kDied);
    CHECK(pair.a.changes[1].node == "b");
    CHECK(pair.a.changes[1].silence == 320ms);
    CHECK(pair.a.membership->Ready());
    CHECK_FALSE(Pair::Sees(pair.a, "b"));
  }
  SECTION("silence that a probe ends") {
    pair.cut = true;
    pair.RunFor(150ms);
    pair.cut = false;
    pair.RunFor(300ms);
    REQUIRE(pair.a.changes.size() == 2);
    CHECK(pair.a.changes[0].kind == ChangeKind::kSuspected);
    CHECK(pair.a.changes[1].kind == ChangeKind::kRefuted);
    CHECK(Pair::Sees(pair.a, "b"));
  }
  SECTION("it comes back after a partition") {
    pair.cut = true;
    pair.RunFor(5000ms);
    CHECK_FALSE(Pair::Sees(pair.a, "b"));
    pair.cut = false;
    pair.RunFor(101ms);
    CHECK(Pair::Sees(pair.a, "b"));
    CHECK(Pair::Count(pair.a, ChangeKind::kJoined) == 1);
  }
  SECTION("it leaves") {
    pair.Carry(pair.b, pair.b.membership->Leave(pair.now));
    CHECK(pair.b.membership->LeaveComplete());
    CHECK_FALSE(pair.b.membership->NextDeadline());
    REQUIRE(pair.a.changes.size() == 1);
    CHECK(pair.a.changes[0].kind == ChangeKind::kLeft);
    CHECK_FALSE(Pair::Sees(pair.a, "b"));
  }
  SECTION("it restarts") {
    pair.Make(pair.b);
    pair.Start(pair.b);
    pair.RunFor(200ms);
    CHECK(Pair::Count(pair.a, ChangeKind::kRestarted) == 1);
    CHECK(Pair::Count(pair.a, ChangeKind::kDied) == 0);
    CHECK(pair.b.membership->Ready());
  }
  SECTION("it is not listed any more") {
    pair.Carry(pair.a, pair.a.membership->SetPeers(pair.now, {}));
    REQUIRE(pair.a.changes.size() == 1);
    CHECK(pair.a.changes[0].kind == ChangeKind::kRemoved);
    CHECK(pair.a.membership->Ready());
    pair.RunFor(300ms);
    CHECK(Dropped(pair.a, MembershipDrop::kUnknownSender) > 0);
  }
  SECTION("its reasons to yield change") {
    pair.Carry(pair.b, pair.b.membership->SetLocalState(pair.now, kYieldNoCarrier));
    REQUIRE(pair.a.changes.size() == 1);
    CHECK(pair.a.changes[0].kind == ChangeKind::kYieldsChanged);
    CHECK(pair.a.changes[0].yields == kYieldNoCarrier);
    CHECK(pair.a.membership->AliveMembers()[1].yields == kYieldNoCarrier);
  }
}

TEST_CASE("ICMP unreachable makes a suspect, and silence then a death", "[membership]") {
  Pair pair;
  pair.StartBoth();
  pair.a.changes.clear();
  SECTION("of a peer that lives: it refutes") {
    pair.Carry(pair.a, pair.a.membership->OnUnreachable(pair.now, kAddressB, pair.b.last_sent_to));
    REQUIRE(pair.a.changes.size() == 2);
    CHECK(pair.a.changes[0].cause == SuspicionCause::kUnreachable);
    CHECK(pair.a.changes[1].kind == ChangeKind::kRefuted);
    // A flood of forged errors is one suspicion a heartbeat.
    pair.Carry(pair.a, pair.a.membership->OnUnreachable(pair.now, kAddressB, pair.b.last_sent_to));
    CHECK(pair.a.changes.size() == 2);
  }
  SECTION("of a peer that is gone: it is dead when it has missed a heartbeat as well") {
    const Profile profile = LanProfile();
    const TimePoint last_heard = pair.now;  // about: its heartbeats are not older
    pair.b.membership.reset();
    pair.Carry(pair.a, pair.a.membership->OnUnreachable(pair.now, kAddressB, pair.b.last_sent_to));
    while (Pair::Count(pair.a, ChangeKind::kDied) == 0 && pair.now < last_heard + 1000ms) {
      pair.RunFor(1ms);
    }
    CHECK(pair.now - last_heard >= profile.refused_for);
    CHECK(pair.now - last_heard <= profile.heartbeat_interval + profile.late_after + 1ms);
  }
  SECTION("of a peer behind a firewall that refuses in its name: its heartbeats count") {
    for (int i = 0; i < 100; ++i) {
      pair.Carry(pair.a,
                 pair.a.membership->OnUnreachable(pair.now, kAddressB, pair.b.last_sent_to));
      pair.RunFor(10ms);
    }
    CHECK(Pair::Count(pair.a, ChangeKind::kDied) == 0);
    CHECK(Pair::Sees(pair.a, "b"));
  }
  SECTION("forged without having seen what was sent: nothing is done") {
    const std::vector<std::byte> sent = pair.b.last_sent_to;
    auto other_boot = sent;
    other_boot[7] ^= std::byte{1};
    auto to_come = sent;
    to_come[22] ^= std::byte{0x40};
    for (const std::vector<std::byte>& quoted :
         {std::vector<std::byte>(), other_boot, to_come, pair.a.last_sent_to}) {
      const Actions actions = pair.a.membership->OnUnreachable(pair.now, kAddressB, quoted);
      CHECK(actions.send.empty());
      CHECK(actions.changes.empty());
    }
  }
  SECTION("of an address that is nobody's") {
    CHECK(pair.a.membership->OnUnreachable(pair.now, kStranger, pair.b.last_sent_to).send.empty());
  }
}

TEST_CASE("Membership counts what it drops, and does nothing else", "[membership]") {
  Pair pair;
  pair.StartBoth();
  const std::vector<std::byte> good = pair.a.received.back();
  const std::uint64_t version = pair.a.membership->view_version();
  const auto give = [&pair](const std::vector<std::byte>& bytes, net::IpAddress source) {
    const Actions actions = pair.a.membership->OnDatagram(pair.now, source, bytes);
    CHECK(actions.send.empty());
    CHECK(actions.changes.empty());
    CHECK_FALSE(actions.view_changed);
    return actions.dropped;
  };
  const auto with = [&good](std::size_t at) {
    std::vector<std::byte> bytes = good;
    bytes.at(at) ^= std::byte{1};
    return bytes;
  };
  CHECK(give({}, kAddressB) == MembershipDrop::kTruncated);
  CHECK(give(with(0), kAddressB) == MembershipDrop::kBadMagic);
  CHECK(give(with(2), kAddressB) == MembershipDrop::kBadVersion);
  CHECK(give(with(3), kAddressB) == MembershipDrop::kWrongKey);
  CHECK(give(with(7), kAddressB) == MembershipDrop::kNotAuthentic);   // another boot
  CHECK(give(with(20), kAddressB) == MembershipDrop::kNotAuthentic);  // another, higher counter
  CHECK(give(with(good.size() - 1), kAddressB) == MembershipDrop::kReplay);  // not even opened
  CHECK(give(with(24), kAddressB) == MembershipDrop::kUnknownSender);        // node "c"
  CHECK(give(pair.b.received.back(), kAddressB) == MembershipDrop::kOwnName);
  CHECK(give(good, kAddressB) == MembershipDrop::kReplay);
  CHECK(Dropped(pair.a, MembershipDrop::kReplay) == 2);
  CHECK(pair.a.membership->view_version() == version);
}

TEST_CASE("Source addresses count only where nothing else is known", "[membership]") {
  Pair pair;
  const bool secret = GENERATE(true, false);
  const std::vector<std::string> secrets =
      secret ? std::vector<std::string>{"secret"} : std::vector<std::string>{""};
  pair.Make(pair.a, secrets);
  pair.Make(pair.b, secrets);
  CHECK(pair.a.membership->authenticated() == secret);
  pair.Start(pair.a);
  pair.Start(pair.b);
  pair.RunFor(200ms);
  REQUIRE(Pair::Sees(pair.a, "b"));
  const Actions from_b = pair.b.membership->SetLocalState(pair.now, kYieldConflict);
  REQUIRE(from_b.send.size() == 1);
  const Actions actions =
      pair.a.membership->OnDatagram(pair.now, kStranger, from_b.send.front().bytes);
  CHECK(actions.view_changed == secret);
  CHECK((actions.dropped == MembershipDrop::kWrongSource) == !secret);
}

TEST_CASE("A recorded boot is asked for a fresh echo, and changes nothing", "[membership]") {
  Pair pair;
  pair.StartBoth();
  const std::vector<std::vector<std::byte>> recorded = pair.a.received;
  const bool was_known = GENERATE(true, false);
  pair.Make(pair.b);
  if (!was_known) {
    pair.Make(pair.a);  // it remembers nothing
    pair.Start(pair.a);
  }
  pair.Start(pair.b);
  pair.RunFor(500ms);
  REQUIRE(Pair::Sees(pair.a, "b"));
  const std::uint64_t version = pair.a.membership->view_version();
  std::size_t answered = 0;
  for (const std::vector<std::byte>& bytes : recorded) {
    const Actions actions = pair.a.membership->OnDatagram(pair.now, kAddressB, bytes);
    CHECK(actions.dropped ==
          (was_known ? MembershipDrop::kReplay : MembershipDrop::kUnconfirmedBoot));
    CHECK(actions.changes.empty());
    answered += actions.send.size();
  }
  CHECK(answered <= (was_known ? 0U : 1U));  // however many recordings
  CHECK(pair.a.membership->view_version() == version);
}

TEST_CASE("A peer that hears nobody is given up, although it is heard", "[membership]") {
  Pair pair;
  pair.StartBoth();
  pair.a.changes.clear();
  pair.deaf = &pair.b;
  pair.RunFor(1000ms);
  CHECK_FALSE(Pair::Sees(pair.a, "b"));
  REQUIRE(Pair::Count(pair.a, ChangeKind::kDied) == 1);
  CHECK(pair.a.changes.back().cause == SuspicionCause::kDeaf);
  pair.deaf = nullptr;
  pair.RunFor(250ms);
  CHECK(Pair::Sees(pair.a, "b"));
}

TEST_CASE("Nonces of a peer that was removed and listed again are not used twice", "[membership]") {
  Pair pair;
  pair.StartBoth();
  const auto counter = [](const std::vector<std::byte>& bytes) {
    return std::get<Header>(DecodeHeader(bytes)).counter;
  };
  const std::uint64_t before = counter(pair.b.received.back());
  static_cast<void>(pair.a.membership->SetPeers(pair.now, {}));
  pair.Start(pair.a);
  CHECK(counter(pair.b.received.back()) > before);
  pair.RunFor(200ms);
  CHECK(Pair::Sees(pair.a, "b"));
  CHECK(Pair::Sees(pair.b, "a"));
}

TEST_CASE("Each speaker knows from which MACs the others announce", "[membership]") {
  const net::MacAddress first({2, 0, 0, 0, 0, 1});
  const net::MacAddress second({2, 0, 0, 0, 0, 2});
  Pair pair;
  pair.StartBoth();
  CHECK(pair.a.membership->PeerMacs().empty());
  pair.Carry(pair.b, pair.b.membership->SetLocalMacs(pair.now, {second, first}));
  CHECK(pair.a.membership->PeerMacs() == std::set{first, second});
  CHECK(pair.a.macs_changed == 1);
  CHECK(pair.b.membership->PeerMacs().empty());

  SECTION("what is known already is not told again") {
    const std::size_t received = pair.a.received.size();
    pair.Carry(pair.b, pair.b.membership->SetLocalMacs(pair.now, {first, second}));
    CHECK(pair.a.received.size() == received);
  }
  SECTION("a MAC that goes away is forgotten") {
    pair.Carry(pair.b, pair.b.membership->SetLocalMacs(pair.now, {second}));
    CHECK(pair.a.membership->PeerMacs() == std::set{second});
    CHECK(pair.a.macs_changed == 2);
  }
  SECTION("those of a dead speaker stay known") {
    pair.b.membership.reset();
    pair.RunFor(1000ms);
    CHECK_FALSE(Pair::Sees(pair.a, "b"));
    CHECK(pair.a.membership->PeerMacs() == std::set{first, second});
  }
  SECTION("those of a speaker that is not listed any more are forgotten") {
    CHECK(pair.a.membership->SetPeers(pair.now, {}).macs_changed);
    CHECK(pair.a.membership->PeerMacs().empty());
  }
  SECTION("of too many the lowest are told") {
    std::set<net::MacAddress> many;
    for (std::uint8_t i = 0; i < 20; ++i) {
      many.insert(net::MacAddress({2, 0, 0, 0, 1, i}));
    }
    pair.Carry(pair.b, pair.b.membership->SetLocalMacs(pair.now, many));
    CHECK(pair.a.membership->PeerMacs() ==
          std::set(many.begin(), std::next(many.begin(), kMaxMacs)));
  }
}

}  // namespace stentor::speaker
