// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/hand_over.h"

#include <set>
#include <string>
#include <vector>

#include "test/support/catch.h"
#include "test/unit/announce/announcer_node.h"

namespace stentor::speaker {
namespace {

constexpr net::MacAddress kPeer({0x02, 0, 0, 0, 0, 0x30});
constexpr Duration kBound = 3s;

const std::set<net::IpAddress>& Both() {
  static const std::set<net::IpAddress> both = {kVip, kVip6};
  return both;
}

/// A node that has long announced an address of each family, and knows kPeer.
struct Leaver : Announced {
  Leaver() : Announced(kWarn) { announcer.SetKnownMacs({kPeer}, now); }

  AnnouncementChange HandOver() { return announcer.SetAnnounced({}, Both(), now); }

  /// Whether it answers for `vip` on `link`; asked by a host that claims nothing.
  bool Answers(const net::IpAddress& vip, IfIndex link = kEth0) {
    if (vip.IsIpv4()) {
      return Hear(link, ArpRequest(vip.ipv4()));
    }
    const net::Ipv6Address group = net::SolicitedNodeGroup(vip.ipv6());
    return Hear(link, Octets(net::EncodeNd({.destination = net::MulticastMac(group),
                                            .source = kHost,
                                            .ip_source = kHostLocal,
                                            .ip_destination = group,
                                            .kind = net::NdKind::kSolicitation,
                                            .target = vip.ipv6(),
                                            .link_layer_address = kHost})
                                 .bytes()));
  }
};

TEST_CASE("A paused node says nothing, and forgets nothing", "[hand_over]") {
  Leaver node;
  node.announcer.SetPaused(true);
  CHECK_FALSE(node.Answers(kVip));
  CHECK_FALSE(node.Answers(kVip6));
  node.announcer.AnnounceAgain(node.now);
  CHECK(node.announcer.Poll(node.now).empty());
  CHECK_FALSE(node.announcer.NextDeadline());
  CHECK(node.announcer.Announced() == std::vector<net::IpAddress>{kVip, kVip6});
  node.announcer.SetPaused(false);
  CHECK(node.Answers(kVip));
  CHECK(node.Answers(kVip6));
  CHECK_FALSE(node.announcer.Poll(node.now).empty());
}

TEST_CASE("What is handed over is answered and heard as before, but nothing is said of it",
          "[hand_over]") {
  Leaver node;
  const std::uint64_t revision = node.announcer.revision();
  const auto let_in = node.announcer.Ipv4AddressesOn(kEth0);
  const auto groups = node.announcer.GroupsOn(kEth0);
  const auto ports = node.announcer.WantedPorts();

  const AnnouncementChange change = node.HandOver();
  CHECK(change.leaving == std::vector<net::IpAddress>{kVip, kVip6});
  CHECK(change.withdrawn.empty());
  CHECK(node.announcer.Leaving() == std::vector<net::IpAddress>{kVip, kVip6});
  CHECK(node.announcer.revision() == revision);
  CHECK(node.announcer.Ipv4AddressesOn(kEth0) == let_in);
  CHECK(node.announcer.GroupsOn(kEth0) == groups);
  CHECK(node.announcer.WantedPorts() == ports);
  for (const IfIndex link : {kEth0, kEth1}) {
    CHECK(node.Answers(kVip, link));
    CHECK(node.Answers(kVip6, link));
  }
  SECTION("not by itself") {}
  SECTION("not when it is to tell everything again") { node.announcer.AnnounceAgain(node.now); }
  SECTION("not when a link comes back") {
    node.Apply(LinkOf(kEth0, "eth0", kMac0, kNoCarrier));
    node.Apply(LinkOf(kEth0, "eth0", kMac0));
  }
  SECTION("not against a stranger who claims it") {
    node.Hear(kEth0, Claim(kVip, kThief));
    node.Hear(kEth0, Claim(kVip6, kThief));
    CHECK(node.announcer.Conflicts().empty());
    CHECK(node.announcer.conflict_totals().claims == 0);
    CHECK(node.Answers(kVip));
  }
  CHECK(node.Run(kBound - 1ms).empty());
  CHECK(node.Answers(kVip));
  CHECK(node.Answers(kVip6));
}

TEST_CASE("It doesn't count as announced", "[hand_over]") {
  Leaver node;
  node.HandOver();
  CHECK(node.announcer.Announced().empty());
  CHECK(node.announcer.Unannounced().empty());
  CHECK(node.announcer.StateOf(kVip) == std::nullopt);
  CHECK(node.announcer.InterfacesOf(kVip).empty());
  CHECK(node.announcer.Counters(kVip) == nullptr);
}

TEST_CASE("A repeat that was under way, and a refresh, end with the hand-over", "[hand_over]") {
  Node node({.refresh_interval = 1s});
  node.announcer.SetAnnounced({{kVip, {}}}, node.now);
  REQUIRE_FALSE(node.Run(2s).empty());
  node.announcer.SetAnnounced({}, {kVip}, node.now);
  CHECK(node.Run(60s).empty());
  CHECK_FALSE(node.announcer.NextDeadline());
}

TEST_CASE("A successor's announcement ends it, and is not answered itself", "[hand_over]") {
  struct Case {
    const char* name;
    net::IpAddress vip;
    std::vector<std::byte> frame;
    bool ends;
  };
  const auto c = GENERATE(values<Case>({
      {"ARP, request form", kVip, Claim(kVip, kPeer), true},
      {"ARP, reply form", kVip,
       Arp(net::GratuitousArpPacket(kPeer, kVip, net::GratuitousArp::kReply)), true},
      {"an ARP request from the address", kVip, ArpRequest(kHostIp, net::kArpRequest, kPeer, kVip),
       true},
      {"NA to all nodes", kVip6, Claim(kVip6, kPeer), true},
      {"a stranger's ARP", kVip, Claim(kVip, kThief), false},
      {"a stranger's NA", kVip6, Claim(kVip6, kThief), false},
      {"our own, looped back", kVip, Claim(kVip, kMac1), false},
      {"a known host that only asks", kVip, ArpRequest(kVip, net::kArpRequest, kPeer, kHostIp),
       false},
      {"a known host that only probes", kVip, Probe(kVip, kPeer), false},
      {"of another address", kVip, Claim(kVip2, kPeer), false},
  }));
  DYNAMIC_SECTION(c.name) {
    Leaver node;
    node.HandOver();
    node.now += 40ms;
    if (c.ends) {
      CHECK_FALSE(node.Hear(kEth1, c.frame));
    } else {
      node.Hear(kEth1, c.frame);
    }
    CHECK(node.Answers(c.vip) == !c.ends);
    const std::vector<HandOverEnd> ends = node.announcer.TakeHandOverEnds();
    REQUIRE(ends.size() == (c.ends ? 1 : 0));
    if (c.ends) {
      CHECK(ends[0] == HandOverEnd{.address = c.vip,
                                   .outcome = HandOverOutcome::kTaken,
                                   .successor = kPeer,
                                   .link = kEth1,
                                   .took = 40ms});
    }
    CHECK(node.announcer.hand_over_totals().completed == (c.ends ? 1 : 0));
  }
}

TEST_CASE("Without a bound it ends when a successor is heard, or when it has one again",
          "[hand_over]") {
  Leaver node;
  const bool at_once = GENERATE(true, false);
  if (at_once) {
    node.announcer.SetUnboundedHandOvers({kVip});
  }
  node.HandOver();
  CHECK(node.Run(1s).empty());
  node.announcer.SetUnboundedHandOvers({kVip});
  CHECK(node.Run(60s).empty());
  CHECK(node.Answers(kVip));
  CHECK_FALSE(node.Answers(kVip6));
  CHECK_FALSE(node.announcer.NextDeadline());
  REQUIRE(node.announcer.TakeHandOverEnds().size() == 1);
  SECTION("heard") {
    node.Hear(kEth0, Claim(kVip, kPeer));
    CHECK_FALSE(node.Answers(kVip));
    const std::vector<HandOverEnd> ends = node.announcer.TakeHandOverEnds();
    REQUIRE(ends.size() == 1);
    CHECK(ends[0].outcome == HandOverOutcome::kTaken);
  }
  SECTION("bounded") {
    node.announcer.SetUnboundedHandOvers({});
    REQUIRE(node.announcer.NextDeadline());
    CHECK(*node.announcer.NextDeadline() <= node.now);
    CHECK(node.announcer.Poll(node.now).empty());
    CHECK_FALSE(node.Answers(kVip));
    const std::vector<HandOverEnd> ends = node.announcer.TakeHandOverEnds();
    REQUIRE(ends.size() == 1);
    CHECK(ends[0].outcome == HandOverOutcome::kTimedOut);
  }
  SECTION("announced again") {
    node.announcer.SetAnnounced({{kVip, {}}}, node.now);
    CHECK_FALSE(node.announcer.AnyLeaving());
    CHECK(node.Answers(kVip));
  }
}

TEST_CASE("The kernel filters let a successor's announcement in until the end", "[hand_over]") {
  Leaver node;
  node.HandOver();
  CHECK(node.announcer.Ipv4AddressesOn(kEth0) == std::vector<net::Ipv4Address>{kNobody4, kVip});
  CHECK(node.announcer.Ipv6AddressesOn(kEth0) == std::vector<net::Ipv6Address>{kNobody6, kVip6});
  const std::uint64_t revision = node.announcer.revision();
  node.Hear(kEth0, Claim(kVip, kPeer));
  CHECK(node.announcer.Ipv4AddressesOn(kEth0).empty());
  CHECK(node.announcer.revision() == revision);  // one renewal for all of them
  node.Hear(kEth0, Claim(kVip6, kPeer));
  CHECK(node.announcer.GroupsOn(kEth0).empty());
  CHECK(node.announcer.WantedPorts().empty());
  CHECK(node.announcer.revision() > revision);
}

TEST_CASE("Where no successor speaks it ends by time", "[hand_over]") {
  Leaver node;
  node.HandOver();
  CHECK(node.announcer.NextDeadline() == node.now + kBound);
  const std::uint64_t revision = node.announcer.revision();
  CHECK(node.Run(kBound).empty());
  CHECK_FALSE(node.Answers(kVip));
  CHECK_FALSE(node.Answers(kVip6));
  CHECK(node.announcer.revision() > revision);
  CHECK_FALSE(node.announcer.AnyLeaving());
  CHECK_FALSE(node.announcer.NextDeadline());
  const std::vector<HandOverEnd> ends = node.announcer.TakeHandOverEnds();
  REQUIRE(ends.size() == 2);
  for (const HandOverEnd& end : ends) {
    CHECK(end.outcome == HandOverOutcome::kTimedOut);
    CHECK(end.took == kBound);
  }
  CHECK(node.announcer.hand_over_totals() == HandOverTotals{.completed = 0, .timed_out = 2});
}

TEST_CASE("What comes back is announced anew", "[hand_over]") {
  Leaver node;
  node.HandOver();
  node.now += 10ms;
  const AnnouncementChange change = node.announcer.SetAnnounced({{kVip, {}}}, {kVip6}, node.now);
  CHECK(change.added == std::vector<net::IpAddress>{kVip});
  CHECK(change.leaving.empty());  // nothing new about the other one
  CHECK(node.announcer.Leaving() == std::vector<net::IpAddress>{kVip6});
  CHECK(node.announcer.StateOf(kVip) == AddressState::kAnnounced);
  const std::vector<OutgoingFrame> frames = node.announcer.Poll(node.now);
  REQUIRE_FALSE(frames.empty());
  CHECK(frames[0].address == net::IpAddress(kVip));
  CHECK(node.announcer.TakeHandOverEnds().empty());
}

TEST_CASE("Silence is at once where it must be", "[hand_over]") {
  SECTION("under way, and not handed over any more (a pause, a deleted Service)") {
    Leaver node;
    node.HandOver();
    CHECK(node.announcer.SetAnnounced({}, node.now).withdrawn ==
          std::vector<net::IpAddress>{kVip, kVip6});
    CHECK_FALSE(node.Answers(kVip));
    CHECK(node.announcer.TakeHandOverEnds().empty());
  }
  SECTION("not handed over from the start") {
    Leaver node;
    const AnnouncementChange change = node.announcer.SetAnnounced({}, {kVip}, node.now);
    CHECK(change.withdrawn == std::vector<net::IpAddress>{kVip6});
    CHECK(change.leaving == std::vector<net::IpAddress>{kVip});
    CHECK_FALSE(node.Answers(kVip6));
    CHECK(node.Answers(kVip));
  }
  SECTION("it was silent before: it waits for its probe") {
    Node node;
    node.announcer.SetAnnounced({{kVip, New(kStrict)}}, node.now);
    CHECK(node.announcer.SetAnnounced({}, {kVip}, node.now).withdrawn ==
          std::vector<net::IpAddress>{kVip});
    CHECK_FALSE(node.announcer.AnyLeaving());
  }
  SECTION("no link could carry a question") {
    Leaver node;
    node.Apply(LinkOf(kEth0, "eth0", kMac0, kNoCarrier));
    SECTION("when it begins") { node.Apply(LinkOf(kEth1, "eth1", kMac1, kNoCarrier)); }
    SECTION("later") {
      node.HandOver();
      CHECK(node.announcer.AnyLeaving());
      node.Apply(LinkOf(kEth1, "eth1", kMac1, kNoCarrier));
      CHECK_FALSE(node.announcer.AnyLeaving());
    }
    node.HandOver();
    CHECK_FALSE(node.announcer.AnyLeaving());
    CHECK(node.announcer.TakeHandOverEnds().empty());
  }
}

TEST_CASE("A successor that was quicker than the news of it is not waited for", "[hand_over]") {
  Leaver node;
  node.Hear(kEth0, Claim(kVip, kPeer));
  SECTION("heard within the last second") {
    node.now += 900ms;
    CHECK(node.HandOver().withdrawn == std::vector<net::IpAddress>{kVip});
    CHECK_FALSE(node.Answers(kVip));
    const std::vector<HandOverEnd> ends = node.announcer.TakeHandOverEnds();
    REQUIRE(ends.size() == 1);
    CHECK(ends[0] == HandOverEnd{.address = kVip,
                                 .outcome = HandOverOutcome::kTaken,
                                 .successor = kPeer,
                                 .link = kEth0});
  }
  SECTION("heard long ago") {
    node.now += 1100ms;
    CHECK(node.HandOver().leaving == std::vector<net::IpAddress>{kVip, kVip6});
  }
}

TEST_CASE("A thousand addresses are handed over one by one", "[hand_over]") {
  Node node;
  node.announcer.SetKnownMacs({kPeer}, node.now);
  Announcements desired;
  std::set<net::IpAddress> all;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    const net::IpAddress vip = net::Ipv4Address(kVip.value() + i);
    desired[vip] = {};
    all.insert(vip);
  }
  node.announcer.SetAnnounced(desired, node.now);
  static_cast<void>(node.Run(9s));
  const std::uint64_t revision = node.announcer.revision();
  node.announcer.SetAnnounced({}, all, node.now);
  for (const net::IpAddress& vip : all) {
    CHECK(node.announcer.revision() == revision);
    node.Hear(kEth0, Claim(vip, kPeer));
    CHECK_FALSE(node.announcer.Contains(vip, kEth0));
  }
  CHECK(node.announcer.revision() == revision + 1);
  CHECK(node.announcer.TakeHandOverEnds().size() == all.size());
  CHECK(node.announcer.hand_over_totals().completed == all.size());
}

// --- probes that nobody could hear ---

TEST_CASE("A probe counts only where some frame of it has left", "[announcer]") {
  Node node;
  node.announcer.SetAnnounced({{kVip, New(kStrict)}}, node.now);
  const auto poll = [&node](const std::set<IfIndex>& open) {
    int probes = 0;
    for (const OutgoingFrame& frame : node.announcer.Poll(node.now)) {
      CHECK(frame.probe == ProbedBy(frame).has_value());
      probes += frame.probe ? 1 : 0;
      if (!open.contains(frame.link)) {
        node.announcer.OnNotSent(frame);
      }
    }
    return probes;
  };
  const auto run = [&](const std::set<IfIndex>& open, Duration span) {
    const TimePoint end = node.now + span;
    while (node.announcer.NextDeadline() && *node.announcer.NextDeadline() <= end) {
      node.now = std::max(node.now, *node.announcer.NextDeadline());
      poll(open);
    }
    node.now = end;
  };
  SECTION("no port is open: it waits for as long as it takes") {
    run({}, 60s);
    CHECK(node.announcer.StateOf(kVip) == AddressState::kWaiting);
    CHECK(node.announcer.conflict_totals().probes == 0);
    CHECK_FALSE(node.announcer.NextDeadline());
    SECTION("and begins when there is one") {
      const LinkEvent opened{.change = LinkChange::kAdded, .index = kEth0, .name = "eth0"};
      node.announcer.OnLinkEvents({&opened, 1}, node.now);
      run({kEth0}, 50ms);
      CHECK(node.announcer.StateOf(kVip) == AddressState::kWaiting);
      CHECK(node.announcer.conflict_totals().probes > 0);
      run({kEth0}, 1s);
      CHECK(node.announcer.StateOf(kVip) == AddressState::kAnnounced);
    }
  }
  SECTION("one of two is open") {
    run({kEth1}, 1s);
    CHECK(node.announcer.StateOf(kVip) == AddressState::kAnnounced);
    CHECK(node.announcer.conflict_totals().probes == 3);
  }
  SECTION("a port fails between two probes") {
    REQUIRE(poll({kEth0}) == 2);
    run({}, 60s);
    CHECK(node.announcer.StateOf(kVip) == AddressState::kWaiting);
    CHECK(node.announcer.conflict_totals().probes == 1);
  }
}

}  // namespace
}  // namespace stentor::speaker
