// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/announcer.h"

#include <algorithm>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "test/support/catch.h"
#include "test/unit/announce/announcer_node.h"

namespace stentor::speaker {
namespace {

TEST_CASE("A new address is announced at once, in both forms, on every eligible link",
          "[announcer]") {
  Node node;
  CHECK(node.announcer.SetAnnounced({{kVip, {}}}, node.now) ==
        AnnouncementChange{.added = {kVip}, .withdrawn = {}, .changed = {}, .waiting = {}});
  const std::vector<OutgoingFrame> frames = node.announcer.Poll(node.now);
  REQUIRE(frames.size() == 4);
  CHECK(frames[0].link == kEth0);
  CHECK(PacketOf(frames[0]) == net::GratuitousArpPacket(kMac0, kVip, net::GratuitousArp::kRequest));
  CHECK(PacketOf(frames[1]) == net::GratuitousArpPacket(kMac1, kVip, net::GratuitousArp::kRequest));
  CHECK(PacketOf(frames[2]) == net::GratuitousArpPacket(kMac0, kVip, net::GratuitousArp::kReply));
  CHECK(PacketOf(frames[3]) == net::GratuitousArpPacket(kMac1, kVip, net::GratuitousArp::kReply));
  CHECK(node.announcer.Counters(kVip)->gratuitous_sent == 4);
}

TEST_CASE("Repeats follow for five seconds, with jitter, and then end", "[announcer]") {
  Node node({.jitter_seed = GENERATE(1U, 2U, 3U)});
  node.announcer.Announce(kVip, On("eth0"), node.now);
  const std::vector<Sent> sent = node.Run(60s);
  REQUIRE(sent.size() >= 2 + 2 * 4);
  CHECK(sent.size() <= 2 + 2 * 8);
  CHECK(sent[0].at == 0s);
  CHECK(sent[1].at == 0s);
  Duration last = 0s;
  for (std::size_t i = 2; i < sent.size(); i += 2) {
    CHECK(sent[i].at == sent[i + 1].at);
    CHECK(sent[i].at - last >= 750ms);
    CHECK(sent[i].at - last <= 1250ms);
    last = sent[i].at;
  }
  CHECK(last >= 5s);
  CHECK(last <= 6250ms);
  CHECK_FALSE(node.announcer.NextDeadline().has_value());
}

TEST_CASE("Nodes with other seeds repeat at other times", "[announcer]") {
  Node a({.jitter_seed = 1});
  Node b({.jitter_seed = 2});
  a.announcer.Announce(kVip, {}, kStart);
  b.announcer.Announce(kVip, {}, kStart);
  const std::vector<Sent> sent_a = a.Run(2s);
  const std::vector<Sent> sent_b = b.Run(2s);
  CHECK(sent_a[0].at == sent_b[0].at);
  CHECK(sent_a[4].at != sent_b[4].at);
}

TEST_CASE("A reconcile that changes nothing sends nothing", "[announcer]") {
  Node node;
  const Announcements desired = {{kVip, {}}, {kVip2, On("eth1")}};
  node.announcer.SetAnnounced(desired, node.now);
  static_cast<void>(node.Run(60s));
  const std::uint64_t revision = node.announcer.revision();
  CHECK(node.announcer.SetAnnounced(desired, node.now) == AnnouncementChange{});
  CHECK(node.announcer.Poll(node.now).empty());
  CHECK_FALSE(node.announcer.NextDeadline().has_value());
  CHECK(node.announcer.revision() == revision);
}

TEST_CASE("A reconcile during the repeats doesn't start them anew", "[announcer]") {
  Node node;
  node.announcer.Announce(kVip, {}, node.now);
  static_cast<void>(node.Run(2s));
  const std::optional<TimePoint> next = node.announcer.NextDeadline();
  CHECK_FALSE(node.announcer.Announce(kVip, {}, node.now));
  CHECK(node.announcer.NextDeadline() == next);
}

TEST_CASE("Nothing leaves after withdrawal", "[announcer]") {
  Node node;
  node.announcer.SetAnnounced({{kVip, {}}, {kVip2, {}}}, node.now);
  SECTION("before the first frame") {}
  SECTION("between the repeats") { static_cast<void>(node.Run(2s)); }
  CHECK(node.announcer.SetAnnounced({{kVip2, {}}}, node.now).withdrawn ==
        std::vector<net::IpAddress>{kVip});
  for (const Sent& sent : node.Run(60s)) {
    CHECK(sent.frame.address == net::IpAddress(kVip2));
  }
  CHECK_FALSE(node.announcer.Contains(kVip, kEth0));
  CHECK(node.announcer.Counters(kVip) == nullptr);
  CHECK(node.announcer.OnArpFrame(kEth0, ArpRequest(kVip), node.now) ==
        ArpDecision{DropReason::kNotAnnounced});
}

TEST_CASE("Withdrawn and announced again within a moment is told once each", "[announcer]") {
  Node node;
  node.announcer.Announce(kVip, {}, node.now);
  node.announcer.Withdraw(kVip);
  node.announcer.Announce(kVip, {}, node.now);
  CHECK(node.announcer.Poll(node.now).size() == 4);
}

TEST_CASE("An address is announced only where it is allowed", "[announcer]") {
  Node node;
  node.announcer.Announce(
      kVip, AnnouncementSpec{.interfaces = AllowedInterfaces::Only({"eth1", "eth7"})}, node.now);
  CHECK(CountByLink(node.Run(60s)).count(kEth0) == 0);
  CHECK_FALSE(node.announcer.Contains(kVip, kEth0));
  CHECK(node.announcer.Contains(kVip, kEth1));
  CHECK(node.announcer.InterfacesOf(kVip) == std::vector<std::string>{"eth1"});
  CHECK(node.announcer.Ipv4AddressesOn(kEth0).empty());
  CHECK(node.announcer.Ipv4AddressesOn(kEth1) == std::vector<net::Ipv4Address>{kNobody4, kVip});

  SECTION("a newly allowed link is told, the others are not told again") {
    CHECK(node.announcer.Announce(kVip, {}, node.now));
    const std::map<IfIndex, int> count = CountByLink(node.Run(60s));
    CHECK(count.count(kEth0) == 1);
    CHECK(count.count(kEth1) == 0);
  }
  SECTION("no interface at all means none, not all") {
    CHECK(node.announcer.Announce(kVip, AnnouncementSpec{.interfaces = AllowedInterfaces::Only({})},
                                  node.now));
    CHECK(node.Run(60s).empty());
    CHECK(node.announcer.InterfacesOf(kVip).empty());
  }
}

TEST_CASE("What happens to a link is told there, and only there", "[announcer]") {
  struct Case {
    const char* name;
    net::LinkMessage before;
    net::LinkMessage after;
    Duration want_at_least;  // the last repeat; negative: nothing is sent
    Duration want_at_most;
  };
  constexpr net::MacAddress kNewMac({0x02, 0, 0, 0, 0, 0x2f});
  const auto c = GENERATE_COPY(values<Case>({
      {"appears", LinkOf(kEth0, "eth0", kMac0, 0), LinkOf(kEth0, "eth0", kMac0), 30s, 37s},
      {"carrier comes back", LinkOf(kEth0, "eth0", kMac0, kNoCarrier), LinkOf(kEth0, "eth0", kMac0),
       30s, 37s},
      {"MAC changes", LinkOf(kEth0, "eth0", kMac0), LinkOf(kEth0, "eth0", kNewMac), 5s, 7s},
      {"appears without carrier", LinkOf(kEth0, "eth0", kMac0, 0),
       LinkOf(kEth0, "eth0", kMac0, kNoCarrier), -1s, -1s},
      {"loses its carrier", LinkOf(kEth0, "eth0", kMac0), LinkOf(kEth0, "eth0", kMac0, kNoCarrier),
       -1s, -1s},
      {"goes down", LinkOf(kEth0, "eth0", kMac0), LinkOf(kEth0, "eth0", kMac0, 0), -1s, -1s},
  }));
  DYNAMIC_SECTION(c.name) {
    Node node;
    node.announcer.Announce(kVip, {}, node.now);
    node.Apply(c.before);
    static_cast<void>(node.Run(100s));
    node.Apply(c.after);
    const std::vector<Sent> sent = node.Run(100s);
    CHECK(sent.empty() == (c.want_at_least < 0s));
    for (const Sent& s : sent) {
      CHECK(s.frame.link == kEth0);
      CHECK(PacketOf(s.frame).sender_mac == *c.after.mac);
    }
    if (!sent.empty()) {
      CHECK(sent.front().at == 100s);
      CHECK(sent.back().at - 100s >= c.want_at_least);
      CHECK(sent.back().at - 100s <= c.want_at_most);
    }
  }
}

TEST_CASE("A renamed link answers for what is allowed under its new name", "[announcer]") {
  Node node;
  node.announcer.Announce(kVip, On("lan0"), node.now);
  CHECK(node.Run(10s).empty());
  const std::uint64_t revision = node.announcer.revision();
  node.Apply(LinkOf(kEth0, "lan0", kMac0));
  CHECK(node.announcer.revision() != revision);
  CHECK(node.announcer.Contains(kVip, kEth0));
  CHECK_FALSE(CountByLink(node.Run(10s)).empty());
}

TEST_CASE("A link that is gone is silent though a run was under way", "[announcer]") {
  Node node;
  node.announcer.Announce(kVip, {}, node.now);
  static_cast<void>(node.Run(1500ms));
  net::LinkMessage gone = LinkOf(kEth0, "eth0", kMac0);
  gone.existence = net::Existence::kGone;
  node.Apply(gone);
  CHECK(CountByLink(node.Run(60s)).count(kEth0) == 0);
  CHECK(node.announcer.OnArpFrame(kEth0, ArpRequest(kVip), node.now) ==
        ArpDecision{DropReason::kUnknownInterface});
}

TEST_CASE("Of 1,000 addresses taken over at once each is told once within 100 ms", "[announcer]") {
  Node node;
  Announcements desired;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    desired[net::Ipv4Address(net::Ipv4Address::FromOctets(198, 18, 0, 1).value() + i)] = On("eth0");
  }
  node.announcer.SetAnnounced(desired, node.now);
  const std::vector<Sent> sent = node.Run(1min);
  std::set<net::IpAddress> told;
  for (std::size_t i = 0; i < 1000; ++i) {
    CHECK(PacketOf(sent[i].frame).operation == net::kArpRequest);
    told.insert(sent[i].frame.address);
  }
  CHECK(told.size() == 1000);
  CHECK(sent[999].at <= 100ms);

  // Never more than the rate allows: a burst, and 20 frames a millisecond.
  for (std::size_t i = 0; i < sent.size(); ++i) {
    const double allowed = 200 + 1 + std::chrono::duration<double>(sent[i].at).count() * 20'000;
    if (static_cast<double>(i) > allowed) {
      FAIL("frame " << i << " left too early");
    }
  }
}

TEST_CASE("A low rate delays frames and loses none", "[announcer]") {
  Node node({.frames_per_second = 10, .burst_frames = 1});
  for (std::uint32_t i = 0; i < 20; ++i) {
    node.announcer.Announce(net::Ipv4Address(kVip.value() + i), On("eth0"), node.now);
  }
  const std::vector<Sent> sent = node.Run(4s);
  std::set<net::IpAddress> told;
  for (const Sent& s : sent) {
    told.insert(s.frame.address);
  }
  CHECK(told.size() == 20);
  CHECK(sent.size() <= 42);
}

TEST_CASE("AnnounceAgain repeats the take-over of what is announced", "[announcer]") {
  Node node;
  node.announcer.AnnounceAgain(node.now);
  CHECK_FALSE(node.announcer.NextDeadline().has_value());
  node.announcer.Announce(kVip, {}, node.now);
  node.announcer.Announce(kVip2, {}, node.now);
  static_cast<void>(node.Run(60s));
  node.announcer.Withdraw(kVip2);
  node.announcer.AnnounceAgain(node.now);
  const std::vector<OutgoingFrame> frames = node.announcer.Poll(node.now);
  CHECK(frames.size() == 4);
  CHECK(std::all_of(frames.begin(), frames.end(),
                    [](const OutgoingFrame& frame) { return frame.address == kVip; }));
}

TEST_CASE("A new MAC soon after carrier-up doesn't shorten what carrier-up owes", "[announcer]") {
  Node node;
  node.announcer.Announce(kVip, On("eth0"), node.now);
  static_cast<void>(node.Run(60s));
  node.Apply(LinkOf(kEth0, "eth0", kMac0, kNoCarrier));
  node.Apply(LinkOf(kEth0, "eth0", kMac0));
  static_cast<void>(node.Run(1s));
  node.Apply(LinkOf(kEth0, "eth0", kMac1));
  const TimePoint changed = node.now;
  const std::vector<Sent> sent = node.Run(60s);
  REQUIRE_FALSE(sent.empty());
  CHECK(kStart + sent.back().at - changed > 25s);
  CHECK(kStart + sent.back().at - changed < 40s);
}

TEST_CASE("Requests, answers and drops are counted", "[announcer]") {
  Node node;
  node.announcer.Announce(kVip, {}, node.now);
  const ArpDecision decision = node.announcer.OnArpFrame(kEth1, ArpRequest(kVip), node.now);
  REQUIRE(std::holds_alternative<ArpAnswer>(decision));
  CHECK(std::get<net::ArpPacket>(net::DecodeArp(std::get<ArpAnswer>(decision).frame)).sender_mac ==
        kMac1);
  CHECK(node.announcer.Counters(kVip)->requests_received == 1);
  CHECK(node.announcer.Counters(kVip)->responses_sent == 1);

  static_cast<void>(node.announcer.OnArpFrame(kEth1, ArpRequest(kVip2), node.now));
  static_cast<void>(node.announcer.OnArpFrame(kEth1, ArpRequest(kVip, 2), node.now));
  static_cast<void>(node.announcer.OnArpFrame(IfIndex{9}, ArpRequest(kVip), node.now));
  CHECK(node.announcer.Drops(net::IpFamily::kIpv4, DropReason::kNotAnnounced) == 1);
  CHECK(node.announcer.Drops(net::IpFamily::kIpv4, DropReason::kNotRequest) == 1);
  CHECK(node.announcer.Drops(net::IpFamily::kIpv4, DropReason::kUnknownInterface) == 1);
  CHECK(node.announcer.Drops(net::IpFamily::kIpv4, DropReason::kMalformed) == 0);
  CHECK(node.announcer.Counters(kVip)->requests_received == 1);
}

}  // namespace
}  // namespace stentor::speaker
