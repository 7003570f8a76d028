// SPDX-License-Identifier: Apache-2.0
// Claims of others while an address is announced: defence, giving way, coming back.

#include <algorithm>
#include <string>
#include <vector>

#include "speaker/announce/announcer.h"
#include "test/support/catch.h"
#include "test/unit/announce/announcer_node.h"

namespace stentor::speaker {
namespace {

TEST_CASE("A foreign claim is told of, and defended against at once", "[conflict]") {
  const auto family = GENERATE(net::IpFamily::kIpv4, net::IpFamily::kIpv6);
  const auto policy = GENERATE(kWarn, kStrict);
  DYNAMIC_SECTION(net::IpFamilyName(family) << ", " << policy) {
    const net::IpAddress vip = VipOf(family);
    Announced node(policy);
    const TimePoint claimed = node.now;
    node.Hear(kEth1, Claim(vip, kThief));
    CHECK(node.announcer.NextDeadline() <= node.now);
    const std::vector<Sent> sent = node.Run(0s);
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].frame.link == kEth1);
    CHECK(sent[0].frame.bytes ==
          (vip.IsIpv4()
               ? Arp(net::GratuitousArpPacket(kMac1, kVip, net::GratuitousArp::kRequest))
               : Octets(
                     net::EncodeNd(net::UnsolicitedAdvertisement(kMac1, kLocal1, kVip6)).bytes())));
    CHECK(node.announcer.TakeConflictNotices() ==
          std::vector<ConflictNotice>{{.address = vip,
                                       .link = kEth1,
                                       .interface = "eth1",
                                       .foreign = kThief,
                                       .kind = ConflictKind::kClaimed,
                                       .policy = policy}});
    CHECK(node.announcer.Conflicts() == std::map<net::IpAddress, AddressConflict>{
                                            {vip,
                                             {.since = claimed,
                                              .last_seen = claimed,
                                              .claims = 1,
                                              .policy = policy,
                                              .withheld = false,
                                              .foreign = {{kThief, kEth1, claimed, claimed, 1}}}}});
    CHECK(node.announcer.Contains(vip, kEth0));
    CHECK(node.announcer.conflict_totals().claims == 1);
    CHECK(node.announcer.conflict_totals().defences == 1);

    // Nothing more of it is seen: after a minute a probe finds that the other is gone.
    const std::vector<Sent> later = node.Run(3min);
    CHECK(Announcements4And6(later).empty());
    CHECK(Probes(later).size() == 6);
    CHECK(Probes(later).front().at > 50s);
    CHECK(KindsOf(node.announcer.TakeConflictNotices()) == Kinds{ConflictKind::kOver});
    CHECK(node.announcer.Conflicts().empty());
    CHECK(node.announcer.TakeChanges() == AnnouncementChange{});
  }
}

TEST_CASE("What claims an address that is announced, and what doesn't", "[conflict]") {
  struct Case {
    const char* name;
    std::vector<std::byte> frame;
    std::uint64_t want_claims;
    std::uint64_t want_attempts = 0;
  };
  const auto arp = [](std::uint16_t operation, net::Ipv4Address target,
                      const net::MacAddress& destination = net::MacAddress::Broadcast(),
                      net::Ipv4Address sender = kVip) {
    return Arp({.destination = destination,
                .source = kThief,
                .operation = operation,
                .sender_mac = kThief,
                .sender_ip = sender,
                .target_mac = {},
                .target_ip = target});
  };
  const auto nd = [](auto change) {
    net::NdPacket packet = net::UnsolicitedAdvertisement(kThief, kHostLocal, kVip6);
    change(packet);
    return Octets(net::EncodeNd(packet).bytes());
  };
  const auto same = [](net::NdPacket&) {};
  const auto c = GENERATE_COPY(values<Case>({
      {"ARP announcement, request form", arp(1, kVip), 1},
      {"ARP announcement, reply form", arp(2, kVip), 1},
      {"ARP request from the address", arp(1, kHostIp), 1},
      {"ARP reply from the address to all", arp(2, kHostIp), 1},
      {"ARP request from the address to us alone", arp(1, kVip2, kMac0), 1},
      {"ARP of another operation", arp(9, kHostIp), 1},
      {"unicast to somebody else", arp(1, kVip, kHost), 0},
      {"multicast", arp(1, kVip, net::MacAddress({1, 0, 0x5e, 0, 0, 1})), 0},
      {"ARP request for the address", arp(1, kVip, net::MacAddress::Broadcast(), kHostIp), 0},
      {"ARP probe for the address", Probe(kVip, kThief), 0, 1},
      {"ARP reply that says nothing of whose", arp(2, kVip, kMac0, {}), 0},
      {"ours, looped back", Claim(kVip, kMac0), 0},
      {"ours from the other link", Claim(kVip, kMac1), 0},
      {"a speaker's", Claim(kVip, kHost), 0},
      {"NA to all", nd(same), 1},
      {"NA without a link-layer option, by its frame's source",
       nd([](net::NdPacket& p) { p.link_layer_address.reset(); }), 1},
      {"NA whose option says that it is at our MAC",
       nd([](net::NdPacket& p) { p.link_layer_address = kMac0; }), 0},
      {"NA whose option is a group address",
       nd([](net::NdPacket& p) { p.link_layer_address = net::MacAddress::Broadcast(); }), 0},
      {"NA for another address",
       nd([](net::NdPacket& p) { p.target = *net::Ipv6Address::Parse("2001:db8::1"); }), 0},
      {"our NA, looped back",
       Octets(net::EncodeNd(net::UnsolicitedAdvertisement(kMac0, kLocal0, kVip6)).bytes()), 0},
      {"our NA from the other link", Claim(kVip6, kMac1), 0},
      {"a speaker's NA", Claim(kVip6, kHost), 0},
      {"DAD probe for the address", Probe(kVip6, kThief), 0, 1},
      {"DAD probe of a speaker", Probe(kVip6, kHost), 0, 0},
  }));
  DYNAMIC_SECTION(c.name) {
    Announced node(kWarn);
    node.announcer.SetKnownMacs({kHost}, node.now);
    node.Hear(kEth0, c.frame);
    CHECK(node.announcer.conflict_totals().claims == c.want_claims);
    CHECK(node.announcer.conflict_totals().attempts == c.want_attempts);
    CHECK(node.announcer.Conflicts().size() == c.want_claims);
    CHECK(node.announcer.TakeConflictNotices().size() == c.want_claims);
    CHECK(node.Run(1s).size() == c.want_claims);
  }
}

TEST_CASE("Who wants an address of ours is told that it is taken", "[conflict]") {
  Announced node(GENERATE(kWarn, kStrict));
  CHECK(node.Hear(kEth0, Probe(kVip, kThief)));
  CHECK(node.Hear(kEth0, Probe(kVip6, kThief)));
  CHECK(node.announcer.Conflicts().empty());
  CHECK(node.announcer.conflict_totals().attempts == 2);
}

TEST_CASE("However often it is claimed, an address is defended once in ten seconds", "[conflict]") {
  struct Case {
    const char* name;
    Duration interval;
  };
  const auto c = GENERATE(values<Case>({{"a flood", 1ms}, {"every second", 1s}, {"slowly", 9s}}));
  const auto family = GENERATE(net::IpFamily::kIpv4, net::IpFamily::kIpv6);
  DYNAMIC_SECTION(c.name << ", " << net::IpFamilyName(family)) {
    const net::IpAddress vip = VipOf(family);
    Announced node(kWarn);
    const TimePoint end = node.now + 60s;
    std::vector<Sent> sent;
    std::uint64_t claims = 0;
    while (node.now < end) {
      node.Hear(kEth0, Claim(vip, kThief));
      ++claims;
      const std::vector<Sent> now = node.Run(c.interval);
      sent.insert(sent.end(), now.begin(), now.end());
    }
    REQUIRE(sent.size() >= 6);
    CHECK(sent.size() <= 7);
    for (std::size_t i = 1; i < sent.size(); ++i) {
      CHECK(sent[i].at - sent[i - 1].at >= 10s);
    }
    CHECK(node.announcer.conflict_totals().claims == claims);
    CHECK(node.announcer.Conflicts().at(vip).claims == claims);
    CHECK(node.announcer.Contains(vip, kEth0));
    CHECK(node.announcer.TakeConflictNotices().size() == 1);
  }
}

TEST_CASE(
    "The last word is ours: a claim soon after a defence is answered at the end of the interval",
    "[conflict]") {
  Announced node(kWarn);
  node.Hear(kEth0, Claim(kVip, kThief));
  CHECK(node.Run(1s).size() == 1);
  node.Hear(kEth0, Claim(kVip, kThief));
  CHECK(node.Run(8s).empty());
  CHECK(node.Run(2s).size() == 1);
  CHECK(node.Run(30s).empty());
}

TEST_CASE("Claims on two links are defended against on both", "[conflict]") {
  Announced node(kWarn);
  node.Hear(kEth0, Claim(kVip, kThief));
  node.Hear(kEth1, Claim(kVip, kThief));
  CHECK(CountByLink(node.Run(20s)).size() == 2);
}

TEST_CASE("While it is claimed again and again, an announced address is not probed", "[conflict]") {
  Announced node(kWarn);
  std::size_t probes = 0;
  for (int i = 0; i < 600; ++i) {
    node.Hear(kEth0, Claim(kVip, kThief));
    probes += Probes(node.Run(1s)).size();
  }
  CHECK(probes == 0);
  CHECK(Probes(node.Run(90s)).size() == 6);
}

TEST_CASE("Who wants an address while we look whether it is free again is only told",
          "[conflict]") {
  Announced node(kWarn);
  node.Hear(kEth0, Claim(kVip, kThief));
  while (node.announcer.conflict_totals().probes == 0) {
    static_cast<void>(node.Run(10ms));
  }
  CHECK(node.Hear(kEth0, Probe(kVip, kHost)));
  CHECK(node.announcer.conflict_totals().attempts == 1);
  CHECK(node.announcer.conflict_totals().claims == 1);
}

TEST_CASE("A silent owner is no less an owner", "[conflict]") {
  Announced node(kWarn);
  node.AddOwner(kThief, {kVip});
  node.Hear(kEth0, Claim(kVip, kThief));
  static_cast<void>(node.Run(1h));
  CHECK(node.announcer.Conflicts().contains(kVip));
  CHECK(node.announcer.conflict_totals().defences == 1);
  // A reminder now and then, not more.
  const std::size_t notices = node.announcer.TakeConflictNotices().size();
  CHECK(notices >= 2);
  CHECK(notices <= 7);
}

TEST_CASE("Who turns out to be a node or a speaker was never an owner", "[conflict]") {
  const auto policy = GENERATE(kWarn, kStrict);
  Announced node(policy);
  node.Hear(kEth0, Claim(kVip, kThief));
  static_cast<void>(node.Run(1s));
  node.Hear(kEth0, Claim(kVip, kThief));
  static_cast<void>(node.announcer.TakeConflictNotices());
  static_cast<void>(node.announcer.TakeChanges());
  CHECK(node.announcer.Contains(kVip, kEth0) == (policy == kWarn));
  SECTION("he alone") {
    node.announcer.SetKnownMacs({kHost, kThief}, node.now);
    CHECK(node.announcer.Conflicts().empty());
    CHECK(node.announcer.Contains(kVip, kEth0));
    CHECK(node.announcer.TakeChanges().added.size() == (policy == kStrict ? 1U : 0U));
    CHECK(KindsOf(node.announcer.TakeConflictNotices()) ==
          Kinds{policy == kStrict ? ConflictKind::kReleased : ConflictKind::kOver});
    CHECK(Probes(node.Run(10min)).empty());
  }
  SECTION("but not another") {
    node.Hear(kEth0, Claim(kVip, net::MacAddress({2, 0, 0, 0, 0, 0x67})));
    node.announcer.SetKnownMacs({kThief}, node.now);
    CHECK(node.announcer.Conflicts().at(kVip).foreign.size() == 1);
    CHECK(node.announcer.Contains(kVip, kEth0) == (policy == kWarn));
  }
  SECTION("a list that knows nothing new changes nothing") {
    node.announcer.SetKnownMacs({kHost}, node.now);
    node.announcer.SetKnownMacs({kHost}, node.now);
    CHECK(node.announcer.Conflicts().size() == 1);
  }
}

TEST_CASE("Every link of ours is ours, whatever it is for and whenever it came", "[conflict]") {
  constexpr net::MacAddress kDummyMac({0x02, 0, 0, 0, 0, 0x30});
  const IfIndex dummy{9};
  Announced node(kWarn);
  const auto claims = [&] {
    node.Hear(kEth0, Claim(kVip, kDummyMac));
    return node.announcer.conflict_totals().claims;
  };
  node.Apply(LinkOf(dummy, "dummy0", kDummyMac, net::kLinkNoArp));
  CHECK(claims() == 0);
  node.Apply(LinkOf(dummy, "dummy0", kHost, net::kLinkNoArp));
  CHECK(claims() == 1);
  node.Apply(LinkOf(dummy, "dummy0", kDummyMac, net::kLinkNoArp));
  CHECK(claims() == 1);
  Announcer young(node.links, {});  // the links were there before it
  young.Announce(kVip, {}, node.now);
  static_cast<void>(young.OnArpFrame(kEth0, Claim(kVip, kDummyMac), node.now));
  CHECK(young.conflict_totals().claims == 0);
  net::LinkMessage gone = LinkOf(dummy, "dummy0", kDummyMac, net::kLinkNoArp);
  gone.existence = net::Existence::kGone;
  node.Apply(gone);
  CHECK(claims() == 2);
}

TEST_CASE("A flood of invented MACs fills neither memory nor the log", "[conflict]") {
  Announced node(kWarn);
  node.Hear(kEth0, Claim(kVip, kThief));
  for (std::uint32_t i = 0; i < 20'000; ++i) {
    node.Hear(kEth0, Claim(kVip, net::MacAddress({2, 1, 0, 0, static_cast<std::uint8_t>(i >> 8U),
                                                  static_cast<std::uint8_t>(i)})));
    static_cast<void>(node.Run(1ms));
  }
  const AddressConflict conflict = node.announcer.Conflicts().at(kVip);
  CHECK(conflict.foreign.size() == 4);
  CHECK(conflict.foreign[0].mac == kThief);
  CHECK(conflict.claims == 20'001);
  CHECK(node.announcer.conflict_totals().claims == 20'001);
  CHECK(node.announcer.conflict_totals().defences == 3);
  // 32 at once; nobody took them.
  CHECK(node.announcer.TakeConflictNotices().size() == 32);
  // An honest host is answered all the while.
  CHECK(node.Hear(kEth0, ArpRequest(kVip)));
}

TEST_CASE("Who has long been silent makes room in the list", "[conflict]") {
  Announced node(kWarn);
  for (std::uint8_t i = 0; i < 4; ++i) {
    node.Hear(kEth0, Claim(kVip, net::MacAddress({2, 2, 0, 0, 0, i})));
  }
  const net::MacAddress fifth({2, 2, 0, 0, 0, 5});
  for (int i = 0; i < 70; ++i) {  // the first one stays away
    for (std::uint8_t j = 1; j < 4; ++j) {
      node.Hear(kEth0, Claim(kVip, net::MacAddress({2, 2, 0, 0, 0, j})));
    }
    static_cast<void>(node.Run(1s));
  }
  node.Hear(kEth0, Claim(kVip, fifth));
  const AddressConflict conflict = node.announcer.Conflicts().at(kVip);
  REQUIRE(conflict.foreign.size() == 4);
  CHECK(conflict.foreign[3].mac == fifth);
  CHECK(conflict.foreign[0].mac == net::MacAddress({2, 2, 0, 0, 0, 1}));
}

}  // namespace
}  // namespace stentor::speaker
