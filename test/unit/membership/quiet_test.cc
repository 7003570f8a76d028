// SPDX-License-Identifier: Apache-2.0

/// \file
/// Which heartbeats are quiet, and that silence is counted from when they came.

#include <cstddef>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "test/unit/membership/pair.h"
#include "test/unit/membership/puppet.h"

namespace stentor::speaker {
namespace {

using std::chrono_literals::operator""s;

std::size_t Quiet(const std::vector<std::vector<std::byte>>& datagrams) {
  return static_cast<std::size_t>(
      std::ranges::count_if(datagrams, [](const std::vector<std::byte>& datagram) {
        return std::get<Header>(DecodeHeader(datagram)).quiet;
      }));
}

// What the other one hears of `side` for so long.
std::vector<std::vector<std::byte>> HeardOf(Pair& pair, Pair::Side& side, Duration duration) {
  pair.Other(side).received.clear();
  pair.RunFor(duration);
  return pair.Other(side).received;
}

}  // namespace

TEST_CASE("Heartbeats that say nothing new are quiet", "[membership]") {
  Pair pair;
  pair.StartBoth();
  pair.RunFor(1s);
  const auto heard = HeardOf(pair, pair.a, 1s);
  CHECK(heard.size() == 10);
  CHECK(Quiet(heard) == heard.size());
}

TEST_CASE("News is not quiet, and is repeated before heartbeats are quiet again", "[membership]") {
  struct Case {
    const char* name;
    std::function<void(Pair&)> news;
  };
  const auto c = GENERATE(values<Case>({
      {"a reason to yield",
       [](Pair& p) { p.Carry(p.a, p.a.membership->SetLocalState(p.now, kYieldProxyUnhealthy)); }},
      {"another MAC",
       [](Pair& p) {
         p.Carry(p.a, p.a.membership->SetLocalMacs(p.now, {net::MacAddress({2, 0, 0, 0, 0, 9})}));
       }},
      {"a claim", [](Pair& p) { p.Carry(p.a, p.a.membership->SetClaims(p.now, Some(1))); }},
      {"another secret",
       [](Pair& p) { p.Carry(p.a, p.a.membership->SetSecrets(p.now, {"newer", "secret"})); }},
  }));
  DYNAMIC_SECTION(c.name) {
    Pair pair;
    pair.StartBoth();
    pair.RunFor(1s);
    pair.b.received.clear();
    c.news(pair);
    pair.RunFor(400ms);
    REQUIRE(pair.b.received.size() > 3);
    pair.b.received.resize(3);
    CHECK(Quiet(pair.b.received) == 0);
    pair.RunFor(1s);
    const auto later = HeardOf(pair, pair.a, 1s);
    CHECK(Quiet(later) == later.size());
  }
}

TEST_CASE("While somebody is in doubt nothing is quiet", "[membership]") {
  Pair pair;
  pair.StartBoth();
  pair.RunFor(1s);
  SECTION("one who doubts") {
    pair.deaf = &pair.a;
    while (Pair::Count(pair.a, ChangeKind::kSuspected) == 0) {
      pair.RunFor(1ms);
    }
    pair.deaf = nullptr;
    pair.cut = true;  // nothing arrives that would end it, and what is sent is looked at below
    pair.b.received.clear();
    std::size_t sent = 0;
    for (Duration waited{}; waited < 95ms; waited += 1ms) {
      const Actions actions = pair.a.membership->Poll(pair.now += 1ms);
      for (const OutgoingDatagram& datagram : actions.send) {
        ++sent;
        CHECK_FALSE(std::get<Header>(DecodeHeader(datagram.bytes)).quiet);
      }
    }
    CHECK(sent > 4);  // probes, and a heartbeat
  }
  SECTION("one who is not seen") {
    pair.deaf = &pair.b;
    pair.RunFor(1s);
    pair.deaf = nullptr;
    const auto heard = HeardOf(pair, pair.b, 200ms);
    CHECK(heard.size() >= 2);
    CHECK(Quiet(heard) == 0);
  }
  SECTION("one who leaves") {
    pair.b.received.clear();
    pair.Carry(pair.a, pair.a.membership->Leave(pair.now));
    CHECK_FALSE(pair.b.received.empty());
    CHECK(Quiet(pair.b.received) == 0);
  }
}

TEST_CASE("Quiet heartbeats are for those who take them, and hear us", "[membership]") {
  const bool takes = GENERATE(false, true);
  const bool sees_us = GENERATE(false, true);
  Puppet puppet;
  std::size_t quiet = 0;
  for (int i = 0; i < 20; ++i) {
    puppet.now += LanProfile().heartbeat_interval;
    Body body;
    body.understands_claims = true;
    body.takes_quiet = takes;
    body.watched = true;
    body.seen_boot = sees_us ? 1 : 0;  // the first random number
    static_cast<void>(puppet.Say(body));
    for (const OutgoingDatagram& datagram : puppet.membership.Poll(puppet.now).send) {
      const bool to_puppet = datagram.destination == kAddressB;
      quiet += to_puppet && std::get<Header>(DecodeHeader(datagram.bytes)).quiet ? 1 : 0;
    }
  }
  CHECK(quiet >= (takes && sees_us ? 6U : 0U));
  CHECK(quiet <= (takes && sees_us ? 20U : 0U));
}

TEST_CASE("What is sent on purpose is not quiet", "[membership]") {
  Pair pair;
  pair.StartBoth();
  pair.RunFor(1s);
  pair.b.received.clear();
  pair.Carry(pair.b, pair.b.membership->OnUnreachable(pair.now, kAddressA, pair.a.last_sent_to));
  REQUIRE(Pair::Count(pair.b, ChangeKind::kSuspected) == 1);  // and asks
  CHECK_FALSE(pair.b.received.empty());
  CHECK(Quiet(pair.b.received) == 0);
}

TEST_CASE("A member takes quiet datagrams once it is ready", "[membership]") {
  Puppet puppet;
  std::size_t before = 0;
  std::size_t since = 0;
  for (int i = 0; i < 50; ++i) {
    puppet.now += LanProfile().heartbeat_interval;
    Body body;
    body.watched = true;
    body.seen_boot = 1;  // the first random number
    static_cast<void>(puppet.Say(body));
    for (const Body& heard : puppet.Heard(puppet.membership.Poll(puppet.now))) {
      const bool ready = puppet.membership.Ready();
      CHECK((!heard.takes_quiet || ready));
      ++(ready ? since : before);
      REQUIRE((i < 40 || heard.takes_quiet));
    }
  }
  CHECK(before > 0);
  CHECK(since > 0);
}

TEST_CASE("What was read late makes nobody heard less", "[membership]") {
  Pair pair;
  pair.StartBoth();
  pair.RunFor(1s);
  pair.cut = true;
  const std::size_t before = pair.a.received.size();
  pair.RunFor(100ms);
  const std::vector<std::byte> older = pair.a.last_sent_to;
  pair.cut = false;
  while (pair.a.received.size() == before) {
    pair.RunFor(1ms);
  }
  const TimePoint heard = pair.now;
  pair.Carry(pair.a, pair.a.membership->OnDatagram(pair.now, kAddressB, older, 90ms));
  pair.b.membership.reset();
  while (Pair::Count(pair.a, ChangeKind::kSuspected) == 0) {
    pair.RunFor(1ms);
    REQUIRE(pair.now < heard + 1s);
  }
  CHECK(pair.now - heard >= LanProfile().suspect_after - 1ms);
}

TEST_CASE("Silence counts from when a datagram came, not from when it was read", "[membership]") {
  Pair pair;
  pair.StartBoth();
  pair.RunFor(1s);
  pair.cut = true;
  pair.RunFor(1ms);
  while (pair.a.last_sent_to == pair.a.received.back()) {
    pair.RunFor(1ms);
  }
  // What b has just sent was read late, and came at once.
  const TimePoint came = pair.now;
  pair.now += 90ms;
  pair.Carry(pair.a, pair.a.membership->OnDatagram(pair.now, kAddressB, pair.a.last_sent_to, 90ms));
  pair.b.membership.reset();
  while (Pair::Count(pair.a, ChangeKind::kSuspected) == 0) {
    pair.RunFor(1ms);
    REQUIRE(pair.now < came + 1s);
  }
  CHECK(pair.now - came >= LanProfile().suspect_after);
  CHECK(pair.now - came < LanProfile().suspect_after + LanProfile().heartbeat_interval / 2);
}

}  // namespace stentor::speaker
