// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "speaker/membership/membership.h"
#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

constexpr std::size_t kHears = 0;  // the third one only through the second one
constexpr std::size_t kHelps = 1;
constexpr std::size_t kUnheard = 2;

// Three speakers, and a wire without delay that keeps what it doesn't carry.
struct Three {
  TimePoint now{1h};
  std::uint64_t next_random = 1;
  std::array<std::unique_ptr<Membership>, 3> members;
  std::vector<Change> changes;  // that the first one tells
  std::vector<std::vector<std::byte>> kept;
  std::function<bool(std::size_t from, std::size_t to)> carries = [](std::size_t, std::size_t) {
    return true;
  };

  Three() {
    std::vector<PeerAddress> peers;
    for (std::size_t i = 0; i < members.size(); ++i) {
      peers.push_back({.node = "node-" + std::to_string(i), .addresses = {AddressOf(i)}});
      members[i] = std::make_unique<Membership>(
          Membership::Options{
              .node = peers[i].node, .secrets = {"secret"}, .profile = LanProfile()},
          [this] { return next_random++; });
    }
    for (std::size_t i = 0; i < members.size(); ++i) {
      Carry(i, members[i]->SetPeers(now, peers));
    }
    RunFor(500ms);
    REQUIRE(members[kHears]->AliveMembers().size() == 3);
    REQUIRE(members[kUnheard]->Ready());
  }
  static net::IpAddress AddressOf(std::size_t i) {
    return net::Ipv4Address::FromOctets(192, 0, 2, static_cast<std::uint8_t>(i + 1));
  }
  void Carry(std::size_t from, const Actions& actions) {
    if (from == kHears) {
      changes.insert(changes.end(), actions.changes.begin(), actions.changes.end());
    }
    for (const OutgoingDatagram& datagram : actions.send) {
      std::size_t to = 0;
      while (AddressOf(to) != datagram.destination) {
        ++to;
      }
      if (carries(from, to)) {
        Carry(to, members.at(to)->OnDatagram(now, AddressOf(from), datagram.bytes));
      } else {
        kept.push_back(datagram.bytes);
      }
    }
  }
  void RunFor(Duration duration) {
    for (const TimePoint until = now + duration; now < until; now += 1ms) {
      for (std::size_t i = 0; i < members.size(); ++i) {
        if (*members[i]->NextDeadline() <= now) {
          Carry(i, members[i]->Poll(now));
        }
      }
    }
  }
  [[nodiscard]] YieldReasons YieldsOfUnheard() const {
    const std::vector<AliveMember> alive = members[kHears]->AliveMembers();
    const auto it = std::find_if(alive.begin(), alive.end(),
                                 [](const AliveMember& m) { return m.node == "node-2"; });
    REQUIRE(it != alive.end());
    return it->yields;
  }
  [[nodiscard]] std::size_t Count(ChangeKind kind) const {
    return static_cast<std::size_t>(
        std::count_if(changes.begin(), changes.end(),
                      [kind](const Change& change) { return change.kind == kind; }));
  }
};

}  // namespace

TEST_CASE("Whom only another one hears is not given up for what is lost on the way",
          "[membership]") {
  Three three;
  bool lost = false;
  three.carries = [&](std::size_t from, std::size_t to) {
    return !lost && !(from == kUnheard && to == kHears);
  };
  three.RunFor(400ms);
  for (int i = 0; i < 100; ++i) {  // at all phases, since 333 is no multiple of 100
    lost = true;
    three.RunFor(113ms);
    lost = false;
    three.RunFor(220ms);
  }
  CHECK(three.Count(ChangeKind::kDied) == 0);
  CHECK(three.Count(ChangeKind::kSuspected) >= 100);
  SECTION("but it is when nobody hears it, as soon as any other") {
    three.RunFor(100ms);
    const TimePoint silent = three.now;
    three.carries = [](std::size_t from, std::size_t) { return from != kUnheard; };
    while (three.Count(ChangeKind::kDied) == 0 && three.now < silent + 1s) {
      three.RunFor(1ms);
    }
    CHECK(three.now - silent <= LanProfile().suspect_after + LanProfile().confirm_for + 1ms);
  }
}

TEST_CASE("What was on its way for longer than another's word is not believed over it",
          "[membership]") {
  Three three;
  three.carries = [](std::size_t from, std::size_t to) {
    return !(from == kUnheard && to == kHears);
  };
  three.RunFor(100ms);
  REQUIRE(!three.kept.empty());
  const std::vector<std::byte> before = three.kept.back();
  three.changes.clear();
  three.Carry(kUnheard, three.members[kUnheard]->SetLocalState(three.now, kYieldProxyUnhealthy));
  const std::vector<std::byte> after = three.kept.back();
  for (int i = 0; i < 400 && three.YieldsOfUnheard() == kYieldsNothing; ++i) {
    three.RunFor(1ms);
  }
  REQUIRE(three.YieldsOfUnheard() == kYieldProxyUnhealthy);
  const auto hears = [&](const std::vector<std::byte>& datagram) {
    three.Carry(kHears,
                three.members[kHears]->OnDatagram(three.now, Three::AddressOf(kUnheard), datagram));
  };
  hears(before);
  CHECK(three.YieldsOfUnheard() == kYieldProxyUnhealthy);
  hears(after);
  CHECK(three.YieldsOfUnheard() == kYieldProxyUnhealthy);
  CHECK(three.Count(ChangeKind::kYieldsChanged) == 1);
}

}  // namespace stentor::speaker
