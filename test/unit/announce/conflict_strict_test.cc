// SPDX-License-Identifier: Apache-2.0
// What `strict` does when an announced address is claimed: gives way, and comes back.

#include <string>
#include <utility>
#include <vector>

#include "speaker/announce/announcer.h"
#include "test/support/catch.h"
#include "test/unit/announce/announcer_node.h"

namespace stentor::speaker {
namespace {

TEST_CASE("Strict: the second claim within ten seconds makes us give way", "[conflict]") {
  struct Case {
    const char* name;
    Duration gap;
    net::MacAddress second_from;
    bool want_withheld;
  };
  constexpr net::MacAddress kOther({0x02, 0, 0, 0, 0, 0x67});
  const auto c = GENERATE_COPY(values<Case>({
      {"within the interval", 3s, kThief, true},
      {"at the end of the interval", 9900ms, kThief, true},
      {"after the interval", 10s, kThief, false},
      {"the other form of the same announcement", 1ms, kThief, false},
      {"another host, at once", 1ms, kOther, true},
  }));
  const auto family = GENERATE(net::IpFamily::kIpv4, net::IpFamily::kIpv6);
  DYNAMIC_SECTION(c.name << ", " << net::IpFamilyName(family)) {
    const net::IpAddress vip = VipOf(family);
    Announced node(kStrict);
    node.Hear(kEth0, Claim(vip, kThief));
    CHECK(node.Run(c.gap).size() == 1);
    node.Hear(kEth0, Claim(vip, c.second_from));
    CHECK(node.announcer.Contains(vip, kEth0) == !c.want_withheld);
    CHECK(node.announcer.StateOf(vip) ==
          (c.want_withheld ? AddressState::kWithheld : AddressState::kAnnounced));
    CHECK(node.announcer.conflict_totals().withheld == (c.want_withheld ? 1U : 0U));
    const AnnouncementChange change = node.announcer.TakeChanges();
    CHECK(change.withdrawn.size() == (c.want_withheld ? 1U : 0U));
    if (!c.want_withheld) {
      return;
    }
    CHECK(node.announcer.Announced().size() == 1);
    CHECK(node.announcer.InterfacesOf(vip).empty());
    CHECK(KindsOf(node.announcer.TakeConflictNotices()) ==
          Kinds{ConflictKind::kClaimed, ConflictKind::kWithheld});
    CHECK_FALSE(node.Hear(kEth0, Probe(vip, kHost)));
    CHECK(node.Run(20s).empty());
    // More claims change nothing.
    node.Hear(kEth0, Claim(vip, kThief));
    CHECK(node.Run(0s).empty());

    // He is gone: it is probed, found free and taken again.
    const std::vector<Sent> sent = node.Run(60s);
    REQUIRE_FALSE(Probes(sent).empty());
    REQUIRE_FALSE(Announcements4And6(sent).empty());
    CHECK(Announcements4And6(sent).front().at > Probes(sent).back().at);
    CHECK(node.announcer.StateOf(vip) == AddressState::kAnnounced);
    CHECK(node.announcer.TakeChanges().added == std::vector<net::IpAddress>{vip});
    CHECK(KindsOf(node.announcer.TakeConflictNotices()) == Kinds{ConflictKind::kReleased});
    CHECK(node.announcer.Conflicts().empty());
    CHECK(node.Hear(kEth0, Probe(vip, kHost)));
  }
}

TEST_CASE("The claim that makes us give way is not answered, nor is what had been on its way sent",
          "[conflict]") {
  Node node;
  node.announcer.Announce(kVip, {.interfaces = {}, .policy = kStrict}, node.now);
  static_cast<void>(node.Run(1s));
  node.Hear(kEth0, Claim(kVip, kThief));
  static_cast<void>(node.Run(500ms));
  CHECK_FALSE(node.Hear(kEth0, Claim(kVip, kThief)));
  CHECK(node.Run(15s).empty());
}

TEST_CASE("Two claims before we could speak: no defence of what is withheld", "[conflict]") {
  Announced node(kStrict);
  node.Hear(kEth0, Claim(kVip, kThief));
  node.Hear(kEth0, Claim(kVip, net::MacAddress({2, 0, 0, 0, 0, 0x67})));
  CHECK(node.announcer.StateOf(kVip) == AddressState::kWithheld);
  CHECK(node.Run(15s).empty());
}

TEST_CASE("Strict defends once, not again at the end of the interval", "[conflict]") {
  Announced node(kStrict);
  node.Hear(kEth0, Claim(kVip, kThief));
  static_cast<void>(node.Run(1ms));
  node.Hear(kEth0, Claim(kVip, kThief));
  CHECK(node.Run(30s).empty());
  CHECK(node.announcer.StateOf(kVip) == AddressState::kAnnounced);
}

TEST_CASE("Stray answers don't put off the next probe of what is withheld", "[conflict]") {
  Node node;
  node.AddOwner(kThief, {kVip});
  node.announcer.SetAnnounced({{kVip, New(kStrict)}}, node.now);
  static_cast<void>(node.Run(2s));
  CHECK(node.announcer.StateOf(kVip) == AddressState::kWithheld);
  node.segment = nullptr;
  for (int i = 0; i < 6; ++i) {
    node.Hear(kEth0, Answer(kVip, kThief, kMac0));
    static_cast<void>(node.Run(3s));
  }
  static_cast<void>(node.Run(25s));
  CHECK(node.announcer.StateOf(kVip) == AddressState::kAnnounced);
}

TEST_CASE("What was taken back, or is withdrawn, is no change", "[conflict]") {
  Announced node(kStrict);
  node.Hear(kEth0, Claim(kVip, kThief));
  static_cast<void>(node.Run(1s));
  node.Hear(kEth0, Claim(kVip, kThief));
  CHECK(node.announcer.conflict_totals().withheld == 1);
  const AnnouncementSpec strict{.interfaces = {}, .policy = kStrict};
  SECTION("withdrawn") {
    node.announcer.Withdraw(kVip);
    CHECK(node.announcer.TakeChanges() == AnnouncementChange{});
  }
  SECTION("announced again") {
    node.announcer.Announce(kVip, {}, node.now);
    CHECK(node.announcer.TakeChanges() == AnnouncementChange{});
    // And when it is strict again, it is withheld a second time.
    node.announcer.Announce(kVip, strict, node.now);
    node.Hear(kEth0, Claim(kVip, kThief));
    CHECK(node.announcer.StateOf(kVip) == AddressState::kWithheld);
    CHECK(node.announcer.conflict_totals().withheld == 2);
  }
}

TEST_CASE("Warn that becomes strict gives way at the next claim or probe", "[conflict]") {
  Announced node(kWarn);
  node.Hear(kEth0, Claim(kVip, kThief));
  static_cast<void>(node.Run(1s));
  AnnouncementSpec strict;
  strict.policy = kStrict;
  CHECK(node.announcer.SetAnnounced({{kVip, strict}, {kVip6, {}}}, node.now).changed ==
        std::vector<net::IpAddress>{kVip});
  CHECK(node.announcer.StateOf(kVip) == AddressState::kAnnounced);
  SECTION("a claim") { node.Hear(kEth0, Claim(kVip, kThief)); }
  SECTION("a claim, while a defence was owed") {
    node.announcer.Announce(kVip, {}, node.now);
    node.Hear(kEth0, Claim(kVip, kThief));
    node.announcer.Announce(kVip, strict, node.now);
    node.Hear(kEth0, Claim(kVip, kThief));
    CHECK(node.Run(15s).empty());
  }
  SECTION("a probe") {
    node.AddOwner(kThief, {kVip});
    static_cast<void>(node.Run(90s));
  }
  CHECK(node.announcer.StateOf(kVip) == AddressState::kWithheld);
}

TEST_CASE("Who takes and leaves an address all the time is probed for ever more rarely",
          "[conflict]") {
  const auto policy = GENERATE(kWarn, kStrict);
  const Duration pause = GENERATE(1min, 20min);
  DYNAMIC_SECTION(policy << ", leaving for " << pause / 1min << " min") {
    const Duration first = policy == kStrict ? 30s : 1min;
    Announced node(policy);
    std::vector<Duration> taken;  // how long each conflict lasted
    for (int round = 0; round < 8; ++round) {
      const TimePoint since = node.now;
      node.Hear(kEth0, Claim(kVip, kThief));
      static_cast<void>(node.Run(1s));
      node.Hear(kEth0, Claim(kVip, kThief));
      CHECK(node.announcer.Conflicts().size() == 1);
      while (!node.announcer.Conflicts().empty() && node.now - since < 1h) {
        static_cast<void>(node.Run(1s));
      }
      taken.push_back(node.now - since);
      static_cast<void>(node.Run(pause));
    }
    CHECK(taken[0] >= first * 3 / 4);
    CHECK(taken[0] <= first * 5 / 4 + 4s);
    if (pause > 10min) {
      CHECK(taken.back() <= first * 5 / 4 + 4s);
    } else {
      CHECK(taken.back() >= 5min * 3 / 4);
    }
    CHECK(taken.back() <= 5min * 5 / 4 + 4s);
  }
}

TEST_CASE("What changes of a conflict is seen, told or not", "[conflict]") {
  Announced node(kStrict);
  auto changed = [&node, last = node.announcer.conflict_revision()]() mutable {
    return std::exchange(last, node.announcer.conflict_revision()) !=
           node.announcer.conflict_revision();
  };
  for (int round = 0; round < 3; ++round) {
    CHECK_FALSE(changed());
    node.Hear(kEth0, Claim(kVip, kThief));
    CHECK(changed());
    static_cast<void>(node.Run(1ms));
    node.Hear(kEth0, Claim(kVip, kThief));  // the other form of the same
    CHECK_FALSE(changed());
    node.Hear(kEth0, Claim(kVip, net::MacAddress({2, 2, 0, 0, 0, 1})));
    CHECK(changed());
    CHECK(node.announcer.StateOf(kVip) == AddressState::kWithheld);
    static_cast<void>(node.Run(40s * (1 << round)));  // each time it takes longer
    CHECK(changed());
    CHECK(node.announcer.Conflicts().empty());
    static_cast<void>(node.Run(1min));
  }
  // Claims of two, given way, released; of the later rounds nothing.
  CHECK(KindsOf(node.announcer.TakeConflictNotices()).size() == 3);

  node.Hear(kEth0, Claim(kVip, kThief));
  CHECK(changed());
  node.announcer.Withdraw(kVip);
  CHECK(changed());
}

}  // namespace
}  // namespace stentor::speaker
