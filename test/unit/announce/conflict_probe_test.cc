// SPDX-License-Identifier: Apache-2.0
// The probe for another owner, before or while an address is announced for the first time.

#include <algorithm>
#include <string>
#include <vector>

#include "speaker/announce/announcer.h"
#include "test/support/catch.h"
#include "test/unit/announce/announcer_node.h"

namespace stentor::speaker {
namespace {

std::size_t CountOn(const std::vector<Sent>& sent, IfIndex link) {
  return static_cast<std::size_t>(std::count_if(
      sent.begin(), sent.end(), [link](const Sent& s) { return s.frame.link == link; }));
}

TEST_CASE("A new address is probed three times on every link within 200 ms", "[conflict]") {
  const auto family = GENERATE(net::IpFamily::kIpv4, net::IpFamily::kIpv6);
  const auto policy = GENERATE(kWarn, kStrict);
  DYNAMIC_SECTION(net::IpFamilyName(family) << ", " << policy) {
    const net::IpAddress vip = VipOf(family);
    const bool strict = policy == kStrict;
    Node node({.jitter_seed = 7});
    const AnnouncementChange change = node.announcer.SetAnnounced({{vip, New(policy)}}, node.now);
    CHECK(change.added.empty() == strict);
    CHECK(change.waiting.empty() == !strict);
    CHECK(node.announcer.Contains(vip, kEth0) == !strict);
    CHECK(node.announcer.StateOf(vip) ==
          (strict ? AddressState::kWaiting : AddressState::kAnnounced));
    CHECK(node.announcer.Announced().empty() == strict);
    CHECK(node.announcer.Unannounced().empty() == !strict);
    CHECK(node.announcer.InterfacesOf(vip).empty() == strict);
    // Whoever answers must be heard already.
    CHECK(node.announcer.WantedPorts().size() == 2);
    CHECK(node.announcer.Ipv4AddressesOn(kEth0).size() +
              node.announcer.Ipv6AddressesOn(kEth0).size() ==
          2);

    const std::vector<Sent> sent = node.Run(200ms);
    const std::vector<Sent> probes = Probes(sent);
    REQUIRE(probes.size() == 6);
    CHECK(CountOn(probes, kEth0) == 3);
    CHECK(probes[0].at == 0s);
    CHECK(probes.back().at >= 60ms);
    CHECK(probes.back().at <= 100ms);
    const std::vector<std::byte> want = Probe(vip, kMac0);
    CHECK(probes[0].frame.bytes == want);

    CHECK(node.announcer.StateOf(vip) == AddressState::kAnnounced);
    CHECK(node.announcer.Contains(vip, kEth0));
    CHECK(node.announcer.TakeConflictNotices().empty());
    CHECK(node.announcer.Conflicts().empty());
    const std::vector<Sent> told = Announcements4And6(sent);
    REQUIRE_FALSE(told.empty());
    if (strict) {
      CHECK(told.front().at > probes.back().at);
      CHECK(node.announcer.TakeChanges().added == std::vector<net::IpAddress>{vip});
    } else {
      CHECK(told.front().at == 0s);
      CHECK(node.announcer.TakeChanges() == AnnouncementChange{});
    }
    CHECK(Probes(node.Run(1h)).empty());
    CHECK_FALSE(node.announcer.NextDeadline().has_value());
    CHECK(node.announcer.conflict_totals().probes == 6);
  }
}

TEST_CASE("An address that has an owner", "[conflict]") {
  struct Case {
    const char* name;
    net::IpFamily family;
    ConflictPolicy policy;
    Duration delay;  // of the answers
  };
  const auto c = GENERATE(values<Case>({
      {"IPv4, warn, at once", net::IpFamily::kIpv4, kWarn, 1ms},
      {"IPv4, strict, at once", net::IpFamily::kIpv4, kStrict, 1ms},
      {"IPv4, strict, just in time", net::IpFamily::kIpv4, kStrict, 110ms},
      {"IPv4, strict, too late for the decision", net::IpFamily::kIpv4, kStrict, 180ms},
      {"IPv6, warn, at once", net::IpFamily::kIpv6, kWarn, 1ms},
      {"IPv6, strict, at once", net::IpFamily::kIpv6, kStrict, 1ms},
      {"IPv6, strict, just in time", net::IpFamily::kIpv6, kStrict, 110ms},
  }));
  DYNAMIC_SECTION(c.name) {
    const net::IpAddress vip = VipOf(c.family);
    Node node;
    node.AddOwner(kThief, {vip}, c.delay);
    node.announcer.SetAnnounced({{vip, New(c.policy)}}, node.now);
    const std::vector<Sent> sent = node.Run(2s);
    const bool strict = c.policy == kStrict;

    const std::vector<ConflictNotice> notices = node.announcer.TakeConflictNotices();
    REQUIRE(notices.size() == 1);
    CHECK(notices[0] == ConflictNotice{.address = vip,
                                       .link = kEth0,
                                       .interface = "eth0",
                                       .foreign = kThief,
                                       .kind = ConflictKind::kFoundByProbe,
                                       .policy = c.policy});
    const auto conflicts = node.announcer.Conflicts();
    REQUIRE(conflicts.size() == 1);
    CHECK(conflicts.at(vip).withheld == strict);
    CHECK(conflicts.at(vip).policy == c.policy);
    REQUIRE(conflicts.at(vip).foreign.size() == 1);
    CHECK(conflicts.at(vip).foreign[0].mac == kThief);
    CHECK(node.announcer.StateOf(vip) ==
          (strict ? AddressState::kWithheld : AddressState::kAnnounced));
    CHECK(node.announcer.Contains(vip, kEth0) == !strict);
    CHECK(node.announcer.Contains(vip, kEth1) == !strict);
    CHECK(node.announcer.Announced().empty() == strict);
    CHECK(node.announcer.conflict_totals().withheld == (strict ? 1U : 0U));
    if (strict && c.delay < 150ms) {
      CHECK(Announcements4And6(sent).empty());
    }
    // The answer is not fought.
    CHECK(node.announcer.conflict_totals().defences == 0);
    // The question that a proxy would have answered too was asked twice, for all answers.
    CHECK(std::count_if(sent.begin(), sent.end(), [&](const Sent& s) {
            return s.frame.address == NobodysAddress(c.family);
          }) == 2);

    SECTION("is probed again, ever more rarely, and taken once it is free") {
      std::vector<Duration> rounds;
      for (const Sent& s : Probes(node.Run(20min))) {
        if (s.frame.address == vip && (rounds.empty() || s.at - rounds.back() > 1s)) {
          rounds.push_back(s.at);
        }
      }
      REQUIRE(rounds.size() >= 4);
      CHECK(rounds[0] >= (strict ? 20s : 45s));
      CHECK(rounds[0] <= (strict ? 40s : 80s));
      for (std::size_t i = 1; i < rounds.size(); ++i) {
        CHECK(rounds[i] - rounds[i - 1] <= 6min + 30s);
      }
      CHECK(rounds.back() - rounds[rounds.size() - 2] >= 3min);
      CHECK(node.announcer.Conflicts().at(vip).since < kStart + 2s);
      static_cast<void>(node.announcer.TakeConflictNotices());
      static_cast<void>(node.announcer.TakeChanges());

      node.segment = nullptr;
      const std::vector<Sent> after = node.Run(7min);
      CHECK(node.announcer.StateOf(vip) == AddressState::kAnnounced);
      CHECK(node.announcer.Conflicts().empty());
      CHECK(KindsOf(node.announcer.TakeConflictNotices()) ==
            Kinds{strict ? ConflictKind::kReleased : ConflictKind::kOver});
      CHECK(Announcements4And6(after).empty() == !strict);
      CHECK(node.announcer.TakeChanges().added.size() == (strict ? 1U : 0U));
      CHECK(Probes(node.Run(1h)).empty());
    }
    SECTION("and is withdrawn leaves nothing behind") {
      node.announcer.Withdraw(vip);
      CHECK(node.announcer.Conflicts().empty());
      CHECK(node.announcer.Unannounced().empty());
      CHECK(node.Run(1h).empty());
      CHECK_FALSE(node.announcer.NextDeadline().has_value());
    }
    SECTION("and whose policy becomes warn is announced at once") {
      static_cast<void>(node.Run(8s));  // all that a take-over says
      node.announcer.Announce(vip, New(kWarn), node.now);
      CHECK(node.announcer.StateOf(vip) == AddressState::kAnnounced);
      CHECK_FALSE(node.announcer.Conflicts().at(vip).withheld);
      CHECK(Announcements4And6(node.Run(1s)).empty() == !strict);
    }
  }
}

TEST_CASE("Who probes for the same address at the same time is in conflict", "[conflict]") {
  const auto family = GENERATE(net::IpFamily::kIpv4, net::IpFamily::kIpv6);
  const auto policy = GENERATE(kWarn, kStrict);
  DYNAMIC_SECTION(net::IpFamilyName(family) << ", " << policy) {
    const net::IpAddress vip = VipOf(family);
    Node node;
    node.announcer.SetAnnounced({{vip, New(policy)}}, node.now);
    static_cast<void>(node.Run(50ms));
    CHECK(node.Hear(kEth0, Probe(vip, kThief)) == (policy == kWarn));
    CHECK(KindsOf(node.announcer.TakeConflictNotices()) == Kinds{ConflictKind::kFoundByProbe});
    CHECK(node.announcer.Conflicts().at(vip).foreign[0].mac == kThief);
    CHECK(node.announcer.conflict_totals().attempts == 0);
    static_cast<void>(node.Run(1s));
    CHECK(node.announcer.Contains(vip, kEth0) == (policy == kWarn));
  }
}

TEST_CASE("What is no conflict while probing", "[conflict]") {
  struct Case {
    const char* name;
    IfIndex link;
    std::vector<std::byte> frame;
  };
  constexpr net::MacAddress kDummyMac({0x02, 0, 0, 0, 0, 0x30});
  const auto c = GENERATE_COPY(values<Case>({
      {"our own probe, looped back", kEth0, Probe(kVip, kMac0)},
      {"our probe on the other link of the same segment", kEth0, Probe(kVip, kMac1)},
      {"one of a link of ours that announces nothing", kEth0, Probe(kVip, kDummyMac)},
      {"our own announcement", kEth1, Claim(kVip, kMac0)},
      {"a speaker's probe", kEth0, Probe(kVip, kHost)},
      {"a speaker's claim", kEth0, Claim(kVip, kHost)},
      {"a node's answer", kEth0, Answer(kVip, kHost, kMac0)},
      {"a probe for another address", kEth0, Probe(kVip2, kThief)},
      {"a claim on a link where it isn't announced", kEth1, Claim(kVip, kThief)},
      {"a question for it", kEth0, ArpRequest(kVip)},
      {"a claim by a group address", kEth0, Claim(kVip, net::MacAddress({3, 0, 0, 0, 0, 1}))},
      {"a claim by the zero address", kEth0, Claim(kVip, net::MacAddress())},
      {"an answer to somebody else", kEth0, Answer(kVip, kThief, kHost)},
      {"half a claim", kEth0, Octets(Bytes(Claim(kVip, kThief)).first(30))},
  }));
  DYNAMIC_SECTION(c.name) {
    Node node;
    node.Apply(LinkOf(IfIndex{9}, "dummy0", kDummyMac, net::kLinkNoArp));
    node.announcer.SetKnownMacs({kHost}, node.now);
    node.announcer.SetAnnounced(
        {{kVip,
          {.interfaces = AllowedInterfaces::Only({"eth0"}), .policy = kStrict, .probe = true}}},
        node.now);
    static_cast<void>(node.Run(20ms));
    static_cast<void>(node.announcer.OnArpFrame(c.link, c.frame, node.now));
    static_cast<void>(node.Run(300ms));
    CHECK(node.announcer.StateOf(kVip) == AddressState::kAnnounced);
    CHECK(node.announcer.TakeConflictNotices().empty());
    CHECK(node.announcer.conflict_totals().claims == 0);
  }
}

TEST_CASE("Without a link to ask on the decision waits", "[conflict]") {
  struct Case {
    const char* name;
    net::LinkMessage eth0_before;
    net::IpAddress vip;
    net::Existence link_local;
  };
  const auto c = GENERATE_COPY(values<Case>({
      {"no carrier", LinkOf(kEth0, "eth0", kMac0, kNoCarrier), kVip, net::Existence::kPresent},
      {"down", LinkOf(kEth0, "eth0", kMac0, 0), kVip, net::Existence::kPresent},
      {"under another name", LinkOf(kEth0, "lan0", kMac0), kVip, net::Existence::kPresent},
      {"IPv6 without carrier", LinkOf(kEth0, "eth0", kMac0, kNoCarrier), kVip6,
       net::Existence::kPresent},
      {"no link-local address", LinkOf(kEth0, "eth0", kMac0), kVip6, net::Existence::kGone},
  }));
  DYNAMIC_SECTION(c.name) {
    Node node;
    node.Apply(c.eth0_before);
    net::AddressMessage local = LinkLocalOf(kEth0, kLocal0);
    local.existence = c.link_local;
    node.Apply(local);
    AnnouncementSpec spec = On("eth0");
    spec.policy = kStrict;
    spec.probe = true;
    node.announcer.SetAnnounced({{c.vip, spec}}, node.now);
    CHECK(node.Run(1h).empty());
    CHECK(node.announcer.StateOf(c.vip) == AddressState::kWaiting);
    CHECK_FALSE(node.announcer.NextDeadline().has_value());

    node.Apply(LinkOf(kEth0, "eth0", kMac0));
    node.Apply(LinkLocalOf(kEth0, kLocal0));
    const std::vector<Sent> sent = node.Run(200ms);
    CHECK(Probes(sent).size() == 3);
    CHECK_FALSE(Announcements4And6(sent).empty());
    CHECK(node.announcer.StateOf(c.vip) == AddressState::kAnnounced);
  }
}

TEST_CASE("A link that comes while a probe is under way is asked three times too", "[conflict]") {
  Node node;
  node.Apply(LinkOf(kEth0, "eth0", kMac0, kNoCarrier));
  node.AddOwner(kThief, {kVip});  // on eth0
  node.announcer.SetAnnounced({{kVip, New(kStrict)}}, node.now);
  static_cast<void>(node.Run(120ms));
  CHECK(node.announcer.StateOf(kVip) == AddressState::kWaiting);
  node.Apply(LinkOf(kEth0, "eth0", kMac0));
  static_cast<void>(node.Run(2s));
  CHECK(node.announcer.StateOf(kVip) == AddressState::kWithheld);
}

TEST_CASE("A probe that is answered before it was asked is not asked any more", "[conflict]") {
  Node node({.frames_per_second = 1, .burst_frames = 1});
  SECTION("before it was due") { node.announcer.Announce(kVip, New(kStrict), node.now); }
  SECTION("while it waited for its turn") {
    node.announcer.Announce(kVip2, {}, node.now);
    node.announcer.Announce(kVip, New(kStrict), node.now);
    CHECK(Probes(node.Run(0s)).empty());
    node.announcer.Withdraw(kVip2);
  }
  node.Hear(kEth0, Claim(kVip, kThief));
  CHECK(node.announcer.StateOf(kVip) == AddressState::kWithheld);
  CHECK(Probes(node.Run(15s)).empty());
  CHECK(Probes(node.Run(60s)).size() >= 6);
}

TEST_CASE("Who answers for an address that is withdrawn meanwhile is forgotten", "[conflict]") {
  Node node;
  node.AddOwner(kThief, {kVip, kVip6});
  node.announcer.SetAnnounced({{kVip, New(kStrict)}, {kVip6, New(kWarn)}}, node.now);
  static_cast<void>(node.Run(20ms));
  node.announcer.SetAnnounced({}, node.now);
  static_cast<void>(node.Run(1h));
  CHECK(node.announcer.Conflicts().empty());
  CHECK(node.announcer.TakeConflictNotices().empty());
  CHECK(node.announcer.TakeChanges() == AnnouncementChange{});
}

TEST_CASE("A link that flaps doesn't keep an address waiting for ever", "[conflict]") {
  Node node;
  node.announcer.SetAnnounced({{kVip, New(kStrict)}}, node.now);
  for (int i = 0; i < 100; ++i) {
    node.Apply(LinkOf(kEth0, "eth0", kMac0, kNoCarrier));
    static_cast<void>(node.Run(20ms));
    node.Apply(LinkOf(kEth0, "eth0", kMac0));
    static_cast<void>(node.Run(30ms));
  }
  CHECK(node.announcer.StateOf(kVip) == AddressState::kAnnounced);
}

TEST_CASE("Interfaces that are added to a waiting address are asked", "[conflict]") {
  Node node;
  node.AddOwner(kThief, {kVip});
  AnnouncementSpec spec = New(kStrict);
  spec.interfaces = AllowedInterfaces::Only({"eth1"});
  node.announcer.Announce(kVip, spec, node.now);
  static_cast<void>(node.Run(130ms));
  spec.interfaces = {};
  CHECK(node.announcer.Announce(kVip, spec, node.now));
  static_cast<void>(node.Run(2s));
  CHECK(node.announcer.StateOf(kVip) == AddressState::kWithheld);
}

TEST_CASE("A fail-over is never probed, nor is what is announced already", "[conflict]") {
  Node node;
  const auto policy = GENERATE(kWarn, kStrict);
  AnnouncementSpec spec;
  spec.policy = policy;
  node.announcer.SetAnnounced({{kVip, spec}}, node.now);
  CHECK(node.announcer.StateOf(kVip) == AddressState::kAnnounced);
  std::vector<Sent> sent = node.Run(1s);
  CHECK(sent.front().at == 0s);
  CHECK(Probes(sent).empty());
  spec.probe = true;
  CHECK_FALSE(node.announcer.Announce(kVip, spec, node.now));
  CHECK(Probes(node.Run(1s)).empty());
}

TEST_CASE("Of 1,000 new addresses those without an owner are announced within half a second",
          "[conflict]") {
  const auto policy = GENERATE(kWarn, kStrict);
  Node node;
  Announcements desired;
  std::set<net::IpAddress> owned;
  AnnouncementSpec spec = New(policy);
  spec.interfaces = AllowedInterfaces::Only({"eth0"});
  for (std::uint32_t i = 0; i < 1000; ++i) {
    const net::Ipv4Address vip(net::Ipv4Address::FromOctets(198, 18, 0, 1).value() + i);
    desired[vip] = spec;
    if (i % 10 == 0) {
      owned.insert(vip);
    }
  }
  node.AddOwner(kThief, owned);
  node.announcer.SetAnnounced(desired, node.now);
  std::vector<Sent> sent = node.Run(500ms);
  if (policy == kStrict) {
    CHECK(node.announcer.Announced().size() == 900);
  }
  // Whether the others have an owner or a proxy takes longer.
  const std::vector<Sent> later = node.Run(1s);
  sent.insert(sent.end(), later.begin(), later.end());
  CHECK(node.announcer.Conflicts().size() == owned.size());
  if (policy == kStrict) {
    CHECK(node.announcer.Announced().size() == 900);
    for (const Sent& s : Announcements4And6(sent)) {
      CHECK_FALSE(owned.contains(s.frame.address));
    }
  }
  // Probes are paced like all other frames.
  for (std::size_t i = 0; i < sent.size(); ++i) {
    const double allowed = 200 + 1 + std::chrono::duration<double>(sent[i].at).count() * 20'000;
    if (static_cast<double>(i) > allowed) {
      FAIL("frame " << i << " left too early");
    }
  }
  // All are told of, but no more than the cap at once.
  CHECK(node.announcer.TakeConflictNotices().size() == 32);
  CHECK(node.announcer.conflict_totals().notices_suppressed >= owned.size() - 32);
  node.announcer.SetAnnounced({}, node.now);
  CHECK_FALSE(node.announcer.NextDeadline().has_value());
}

}  // namespace
}  // namespace stentor::speaker
