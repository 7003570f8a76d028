// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/conflict_proxies.h"

#include <algorithm>
#include <string>
#include <vector>

#include "speaker/announce/announcer.h"
#include "test/support/catch.h"
#include "test/unit/announce/announcer_node.h"

namespace stentor::speaker {
namespace {

constexpr net::MacAddress kRouter({0x02, 0, 0, 0, 0, 0xfe});

net::MacAddress MacOf(std::uint32_t number) {
  return net::MacAddress({2, 3, 0, static_cast<std::uint8_t>(number >> 16U),
                          static_cast<std::uint8_t>(number >> 8U),
                          static_cast<std::uint8_t>(number)});
}

std::size_t ControlProbes(const std::vector<Sent>& sent) {
  return static_cast<std::size_t>(std::count_if(sent.begin(), sent.end(), [](const Sent& s) {
    return s.frame.address == NobodysAddress(s.frame.family());
  }));
}

TEST_CASE("A proxy owns nothing, an owner beside it does", "[conflict]") {
  const auto family = GENERATE(net::IpFamily::kIpv4, net::IpFamily::kIpv6);
  const auto policy = GENERATE(kWarn, kStrict);
  const bool owner = GENERATE(false, true);
  const auto delay = GENERATE(1ms, 50ms, 300ms, 900ms);
  DYNAMIC_SECTION(net::IpFamilyName(family) << ", " << policy << (owner ? ", with" : ", without")
                                            << " an owner, after " << delay.count() << " ms") {
    const net::IpAddress vip =
        family == net::IpFamily::kIpv4 ? net::IpAddress(kVip) : net::IpAddress(kVip6);
    Node node;
    node.AddOwner(kRouter, {}, delay, /*proxy=*/true);
    if (owner) {
      node.AddOwner(kThief, {vip}, std::min<Duration>(delay, 50ms));
    }
    node.announcer.SetAnnounced({{vip, New(policy)}}, node.now);
    const std::vector<Sent> sent = node.Run(4s);
    CHECK(node.announcer.conflict_totals().proxies == 1);
    CHECK(node.announcer.conflict_totals().proxied_answers >= 1);
    CHECK(ControlProbes(sent) >= 1);
    CHECK(ControlProbes(sent) <= 2);
    CHECK(node.announcer.Conflicts().size() == (owner ? 1U : 0U));
    CHECK(node.announcer.TakeConflictNotices().size() == (owner ? 1U : 0U));
    CHECK(node.announcer.Contains(vip, kEth0) == !(owner && policy == kStrict));
    if (owner) {
      CHECK(node.announcer.Conflicts().at(vip).foreign.size() == 1);
      CHECK(node.announcer.Conflicts().at(vip).foreign[0].mac == kThief);
    }
  }
}

TEST_CASE("The address that nobody has is always let in, so that a search changes no filter",
          "[conflict]") {
  Node node;
  node.AddOwner(kRouter, {}, 1ms, /*proxy=*/true);
  CHECK(node.announcer.Ipv4AddressesOn(kEth0).empty());
  CHECK(node.announcer.Ipv6AddressesOn(kEth0).empty());
  node.announcer.SetAnnounced({{kVip, New(kStrict)}, {kVip6, New(kStrict)}}, node.now);
  const std::uint64_t revision = node.announcer.revision();
  const std::vector<net::Ipv4Address> want4 = {kNobody4, kVip};
  const std::vector<net::Ipv6Address> want6 = {kNobody6, kVip6};
  for (const Duration span : std::vector<Duration>{0ms, 5ms, 1s}) {
    static_cast<void>(node.Run(span));
    CHECK(node.announcer.Ipv4AddressesOn(kEth0) == want4);
    CHECK(node.announcer.Ipv6AddressesOn(kEth0) == want6);
    CHECK(node.announcer.Ipv4AddressesOn(kEth1) == want4);
    CHECK(node.announcer.GroupsOn(kEth0).size() == 1);
    // It isn't ours: who asks for it gets no answer.
    CHECK_FALSE(node.Hear(kEth0, ArpRequest(kNobody4)));
  }
  CHECK(node.announcer.conflict_totals().proxies == 2);
  CHECK(node.announcer.revision() == revision);
  // Where it is announced itself it is named once.
  node.announcer.Announce(kNobody4, {}, node.now);
  CHECK(node.announcer.Ipv4AddressesOn(kEth0) == want4);
}

TEST_CASE("A proxy is known for some minutes, on its segment", "[conflict]") {
  Node node;
  node.AddOwner(kRouter, {}, 1ms, /*proxy=*/true);
  node.announcer.SetAnnounced({{kVip, New(kStrict)}}, node.now);
  static_cast<void>(node.Run(1s));
  node.announcer.SetAnnounced({{kVip2, New(kStrict)}}, node.now);
  CHECK(ControlProbes(node.Run(1s)) == 0);
  CHECK(node.announcer.conflict_totals().proxies == 1);
  static_cast<void>(node.Run(20min));
  node.announcer.SetAnnounced({{kVip, New(kStrict)}}, node.now);
  CHECK(ControlProbes(node.Run(1s)) == 1);
  CHECK(node.announcer.StateOf(kVip) == AddressState::kAnnounced);

  // What a proxy says unasked is a claim like any other's.
  node.Hear(kEth0, Claim(kVip, kRouter));
  CHECK(node.announcer.Conflicts().size() == 1);
}

TEST_CASE("1,000 new addresses behind a proxy cost few questions", "[conflict]") {
  Node node;
  node.AddOwner(kRouter, {}, 3ms, /*proxy=*/true);
  Announcements desired;
  AnnouncementSpec spec = New(kStrict);
  spec.interfaces = AllowedInterfaces::Only({"eth0"});
  for (std::uint32_t i = 0; i < 1000; ++i) {
    desired[net::Ipv4Address(net::Ipv4Address::FromOctets(198, 18, 0, 1).value() + i)] = spec;
  }
  node.announcer.SetAnnounced(desired, node.now);
  CHECK(ControlProbes(node.Run(600ms)) <= 2);
  CHECK(node.announcer.Announced().size() == 1000);
  CHECK(node.announcer.Conflicts().empty());
}

TEST_CASE("A suspect on a link that goes away is forgotten, not condemned", "[conflict]") {
  Node node;
  node.announcer.SetAnnounced({{kVip, New(kStrict)}}, node.now);
  static_cast<void>(node.Run(500ms));
  node.Hear(kEth0, Answer(kVip, kThief, kMac0));
  SECTION("before it was asked") {}
  SECTION("before it was asked again") { static_cast<void>(node.Run(200ms)); }
  node.Apply(LinkOf(kEth0, "eth0", kMac0, 0));
  static_cast<void>(node.Run(10s));
  CHECK(node.announcer.Conflicts().empty());
  CHECK(node.announcer.Contains(kVip, kEth1));
  CHECK_FALSE(node.announcer.NextDeadline().has_value());
}

TEST_CASE("A late answer is no claim, one that nobody asked for is", "[conflict]") {
  struct Case {
    const char* name;
    bool probe;
    Duration after;
    bool want_answer;
  };
  const auto c = GENERATE(values<Case>({
      {"soon after the probe", true, 200ms, true},
      {"as late as may be", true, 1s, true},
      {"later", true, 1200ms, false},
      {"much later", true, 10min, false},
      {"never probed", false, 500ms, false},
  }));
  struct Form {
    const char* name;
    net::IpAddress address;
    std::vector<std::byte> frame;
  };
  net::NdPacket solicited = net::UnsolicitedAdvertisement(kThief, kHostLocal, kVip6);
  solicited.destination = kMac0;
  solicited.ip_destination = kLocal0;
  solicited.solicited = true;
  const auto form = GENERATE_COPY(values<Form>({
      {"ARP to us", kVip, Answer(kVip, kThief, kMac0)},
      {"ARP to all", kVip,
       Arp({.destination = net::MacAddress::Broadcast(),
            .source = kThief,
            .operation = net::kArpReply,
            .sender_mac = kThief,
            .sender_ip = kVip,
            .target_mac = kMac0,
            .target_ip = {}})},
      {"NA without override", kVip6, Answer(kVip6, kThief, kMac0, false)},
      {"NA solicited", kVip6, Octets(net::EncodeNd(solicited).bytes())},
  }));
  const auto policy = GENERATE(kWarn, kStrict);
  DYNAMIC_SECTION(c.name << ", " << form.name << ", " << policy) {
    Node node;
    AnnouncementSpec spec = New(policy);
    spec.probe = c.probe;
    node.announcer.SetAnnounced({{form.address, spec}}, node.now);
    if (c.probe) {
      Duration last{};
      for (const Sent& s : Probes(node.Run(150ms))) {
        last = s.at;
      }
      static_cast<void>(node.Run(kStart + last + c.after - node.now));
    } else {
      static_cast<void>(node.Run(c.after));
    }
    node.Hear(kEth0, form.frame);
    static_cast<void>(node.Run(2s));
    CHECK(node.announcer.conflict_totals().defences == (c.want_answer ? 0U : 1U));
    CHECK(KindsOf(node.announcer.TakeConflictNotices()) ==
          Kinds{c.want_answer ? ConflictKind::kFoundByProbe : ConflictKind::kClaimed});
    CHECK(node.announcer.Contains(form.address, kEth0) == (!c.want_answer || policy == kWarn));
    if (!c.want_answer) {  // and is fought only once
      node.Hear(kEth0, form.frame);
      CHECK(node.announcer.Contains(form.address, kEth0) == (policy == kWarn));
    }
  }
}

TEST_CASE("A suspect is judged by the policy of the hour", "[conflict]") {
  const auto before = GENERATE(kWarn, kStrict);
  const auto after = GENERATE(kWarn, kStrict);
  DYNAMIC_SECTION(before << ", then " << after) {
    Node node;
    node.announcer.SetAnnounced({{kVip, New(before)}}, node.now);
    static_cast<void>(node.Run(300ms));  // found free
    node.Hear(kEth0, Answer(kVip, kThief, kMac0));
    static_cast<void>(node.Run(500ms));
    CHECK(node.announcer.Conflicts().empty());
    node.announcer.Announce(kVip, New(after), node.now);
    static_cast<void>(node.Run(1s));
    REQUIRE(node.announcer.Conflicts().size() == 1);
    CHECK(node.announcer.Conflicts().at(kVip).policy == after);
    CHECK(node.announcer.StateOf(kVip) ==
          (after == kStrict ? AddressState::kWithheld : AddressState::kAnnounced));
  }
}

TEST_CASE("A proxy that answers late, or to all, owns nothing", "[conflict]") {
  struct Case {
    const char* name;
    std::vector<std::byte> answer;
    std::vector<std::byte> control_answer;
  };
  const auto to_all = [](net::Ipv4Address address) {
    return Arp({.destination = net::MacAddress::Broadcast(),
                .source = kRouter,
                .operation = net::kArpReply,
                .sender_mac = kRouter,
                .sender_ip = address,
                .target_mac = kMac0,
                .target_ip = {}});
  };
  const net::IpAddress nobody4 = NobodysAddress(net::IpFamily::kIpv4);
  const net::IpAddress nobody6 = NobodysAddress(net::IpFamily::kIpv6);
  const auto c = GENERATE_COPY(values<Case>({
      {"ARP to us", Answer(kVip, kRouter, kMac0), Answer(nobody4, kRouter, kMac0)},
      {"ARP to all", to_all(kVip), to_all(nobody4.ipv4())},
      {"NDP without override", Answer(kVip6, kRouter, kMac0, false),
       Answer(nobody6, kRouter, kMac0, false)},
  }));
  DYNAMIC_SECTION(c.name) {
    Node node;
    node.announcer.SetAnnounced({{kVip, New(kStrict)}, {kVip6, New(kStrict)}}, node.now);
    static_cast<void>(node.Run(500ms));
    node.Hear(kEth0, c.answer);
    CHECK(ControlProbes(node.Run(1ms)) == 1);
    node.Hear(kEth0, c.control_answer);
    static_cast<void>(node.Run(2s));
    CHECK(node.announcer.Conflicts().empty());
    CHECK(node.announcer.conflict_totals().proxied_answers == 1);
    CHECK(node.announcer.Announced().size() == 2);
  }
}

// --- ConflictProxies itself ---

constexpr ConflictProxies::Segment kSegment{kEth0, net::IpFamily::kIpv4};

ConflictProxies::Suspect SuspectOf(std::uint32_t number) {
  return {.address = kVip, .mac = MacOf(number), .link = kEth0};
}

TEST_CASE("One question decides on all suspects of a segment", "[conflict]") {
  ConflictProxies proxies(100ms, 40ms, 10min);
  CHECK(proxies.Suspected(SuspectOf(1)) == ConflictProxies::Added::kMustAsk);
  CHECK(proxies.Suspected(SuspectOf(2)) == ConflictProxies::Added::kPending);
  CHECK(proxies.Suspected(SuspectOf(2)) == ConflictProxies::Added::kPending);
  CHECK_FALSE(proxies.OnAnswer(kSegment, MacOf(1), kStart).is_new);  // nobody has asked yet
  CHECK_FALSE(proxies.NextDecision().has_value());
  proxies.OnAsked(kSegment, true, kStart);
  CHECK(proxies.NextDecision() == kStart + 100ms);
  const ConflictProxies::Answered answered = proxies.OnAnswer(kSegment, MacOf(1), kStart + 1ms);
  CHECK(answered.is_new);
  CHECK(answered.proxied == 1);
  CHECK_FALSE(proxies.OnAnswer(kSegment, MacOf(1), kStart + 2ms).is_new);
  CHECK(proxies.NextRepeat() == kStart + 40ms);
  CHECK(proxies.TakeRepeats(kStart + 39ms).empty());
  CHECK(proxies.TakeRepeats(kStart + 40ms) == std::vector{kSegment});
  CHECK(proxies.TakeRepeats(kStart + 41ms).empty());
  CHECK_FALSE(proxies.NextRepeat().has_value());
  proxies.OnAsked(kSegment, true, kStart + 41ms);  // which doesn't put off the decision
  CHECK_FALSE(proxies.NextRepeat().has_value());
  CHECK(proxies.Decide(kStart + 99ms).empty());
  const std::vector<ConflictProxies::Suspect> owners = proxies.Decide(kStart + 100ms);
  REQUIRE(owners.size() == 1);
  CHECK(owners[0].mac == MacOf(2));
  CHECK_FALSE(proxies.Active(kSegment));
  CHECK(proxies.IsProxy(kSegment, MacOf(1), kStart + 9min));
  CHECK_FALSE(proxies.IsProxy(kSegment, MacOf(1), kStart + 11min));
  CHECK_FALSE(proxies.IsProxy({kEth1, net::IpFamily::kIpv4}, MacOf(1), kStart));
  CHECK_FALSE(proxies.IsProxy({kEth0, net::IpFamily::kIpv6}, MacOf(1), kStart));
}

TEST_CASE("Suspects and proxies are bounded", "[conflict]") {
  ConflictProxies proxies(100ms, 40ms, 10min);
  for (std::uint32_t i = 0; i < ConflictProxies::kMaxSuspects; ++i) {
    REQUIRE(proxies.Suspected(SuspectOf(i)) != ConflictProxies::Added::kFull);
  }
  CHECK(proxies.Suspected(SuspectOf(0x10'0000)) == ConflictProxies::Added::kFull);
  CHECK(proxies.Suspected(SuspectOf(7)) == ConflictProxies::Added::kPending);
  proxies.OnAsked(kSegment, true, kStart);
  for (std::uint32_t i = 0; i < 1000; ++i) {
    proxies.OnAnswer(kSegment, MacOf(i), kStart + Duration(i));
  }
  std::size_t known = 0;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    known += proxies.IsProxy(kSegment, MacOf(i), kStart + 1s) ? 1U : 0U;
  }
  CHECK(known == ConflictProxies::kMaxProxies);
  CHECK(proxies.IsProxy(kSegment, MacOf(999), kStart + 1s));
}

TEST_CASE("What is forgotten is not decided on", "[conflict]") {
  ConflictProxies proxies(100ms, 40ms, 10min);
  static_cast<void>(proxies.Suspected(SuspectOf(1)));
  CHECK(proxies.IsPending(kVip));
  CHECK_FALSE(proxies.IsPending(kVip2));
  proxies.OnAsked(kSegment, true, kStart);
  SECTION("by address") { proxies.Forget(kVip); }
  SECTION("by MAC") {
    proxies.ForgetMacs([](const net::MacAddress& mac) { return mac == MacOf(1); });
  }
  CHECK_FALSE(proxies.IsPending(kVip));
  CHECK(proxies.Decide(kStart + 1s).empty());
}

}  // namespace
}  // namespace stentor::speaker
