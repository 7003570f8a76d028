// SPDX-License-Identifier: Apache-2.0
// IPv6 beside IPv4: what is said, where, and what the ports must let in.

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "speaker/announce/announcer.h"
#include "test/support/catch.h"
#include "test/unit/announce/announcer_node.h"

namespace stentor::speaker {
namespace {

const net::Ipv6Address kVip6b = *net::Ipv6Address::Parse("2001:db8::ab:cdef");

std::vector<std::byte> Solicitation(const net::Ipv6Address& target) {
  const net::Ipv6Address group = net::SolicitedNodeGroup(target);
  return Octets(net::EncodeNd({.destination = net::MulticastMac(group),
                               .source = kHost,
                               .ip_source = kHostLocal,
                               .ip_destination = group,
                               .kind = net::NdKind::kSolicitation,
                               .target = target,
                               .link_layer_address = kHost})
                    .bytes());
}

TEST_CASE("An IPv6 address is announced at once, once on each link, and repeated for five seconds",
          "[announcer]") {
  Node node;
  node.announcer.Announce(kVip6, {}, node.now);
  const std::vector<OutgoingFrame> first = node.announcer.Poll(node.now);
  REQUIRE(first.size() == 2);
  CHECK(first[0].link == kEth0);
  CHECK(first[0].family() == net::IpFamily::kIpv6);
  CHECK(NdPacketOf(first[0]) == net::UnsolicitedAdvertisement(kMac0, kLocal0, kVip6));
  CHECK(NdPacketOf(first[1]) == net::UnsolicitedAdvertisement(kMac1, kLocal1, kVip6));
  const std::vector<Sent> rest = node.Run(60s);
  CHECK(rest.size() >= 2 * 4);
  CHECK(rest.size() <= 2 * 8);
  CHECK(rest.front().at >= 750ms);
  CHECK(rest.back().at >= 5s);
  CHECK(rest.back().at <= 6250ms);
  CHECK_FALSE(node.announcer.NextDeadline().has_value());
  CHECK(node.announcer.Counters(kVip6)->gratuitous_sent == 2 + rest.size());
}

TEST_CASE("Of a dual-stack Service both are announced, one frame in each family's form",
          "[announcer]") {
  Node node;
  node.announcer.SetAnnounced({{kVip, On("eth0")}, {kVip6, On("eth0")}}, node.now);
  const std::vector<OutgoingFrame> frames = node.announcer.Poll(node.now);
  REQUIRE(frames.size() == 3);
  CHECK(PacketOf(frames[0]).operation == net::kArpRequest);
  CHECK(NdPacketOf(frames[1]).target == kVip6);
  CHECK(PacketOf(frames[2]).operation == net::kArpReply);
}

TEST_CASE("Which links announce which family", "[announcer]") {
  struct Case {
    const char* name;
    std::uint32_t link_local_flags;  // of eth0; ~0: no link-local address
    bool enslaved;
    bool named;
    bool want_arp;
    bool want_ndp;
  };
  constexpr std::uint32_t kNone = ~0U;
  const auto c = GENERATE_COPY(values<Case>({
      {"both, by default", 0, false, false, true, true},
      {"no link-local address", kNone, false, false, true, false},
      {"a tentative link-local address", net::kAddressTentative, false, false, true, false},
      {"duplicate address detection failed", net::kAddressDadFailed, false, false, true, false},
      {"enslaved and not named", 0, true, false, false, false},
      {"enslaved and named", 0, true, true, true, true},
      {"enslaved, named, no link-local address", kNone, true, true, true, false},
  }));
  DYNAMIC_SECTION(c.name) {
    Links links{NameFilter()};
    Announcer announcer(links, {});
    const auto apply = [&](const auto& message) {
      announcer.OnLinkEvents(links.Apply(message), kStart);
    };
    apply(LinkOf(kEth0, "eth0", kMac0, kReady, c.enslaved));
    if (c.link_local_flags != kNone) {
      apply(LinkLocalOf(kEth0, kLocal0, c.link_local_flags));
    }
    const AnnouncementSpec spec = c.named ? On("eth0") : AnnouncementSpec{};
    announcer.SetAnnounced({{kVip, spec}, {kVip6, spec}}, kStart);
    CHECK(announcer.Contains(kVip, kEth0) == c.want_arp);
    CHECK(announcer.Contains(kVip6, kEth0) == c.want_ndp);
    CHECK(announcer.Ipv4AddressesOn(kEth0).empty() == !c.want_arp);
    CHECK(announcer.Ipv6AddressesOn(kEth0).empty() == !c.want_ndp);
    CHECK(announcer.InterfacesOf(kVip).size() == (c.want_arp ? 1U : 0U));
    CHECK(announcer.InterfacesOf(kVip6).size() == (c.want_ndp ? 1U : 0U));
    std::vector<WantedPort> want;
    if (c.want_arp || c.want_ndp) {
      want.push_back({.link = kEth0, .arp = c.want_arp, .ndp = c.want_ndp});
    }
    CHECK(announcer.WantedPorts() == want);
    std::size_t arp = 0;
    std::size_t ndp = 0;
    for (const OutgoingFrame& frame : announcer.Poll(kStart)) {
      ++(frame.family() == net::IpFamily::kIpv4 ? arp : ndp);
    }
    CHECK(arp == (c.want_arp ? 2U : 0U));
    CHECK(ndp == (c.want_ndp ? 1U : 0U));
    CHECK(std::holds_alternative<ArpAnswer>(
              announcer.OnArpFrame(kEth0, ArpRequest(kVip), kStart)) == c.want_arp);
    CHECK(std::holds_alternative<NdAnswer>(
              announcer.OnNdFrame(kEth0, Solicitation(kVip6), kStart)) == c.want_ndp);
  }
}

TEST_CASE("What happens to a link's NDP is told by NDP only", "[announcer]") {
  struct Case {
    const char* name;
    std::optional<net::AddressMessage> before;
    net::AddressMessage after;
    std::optional<net::Ipv6Address> want_source;  // nothing: nothing is sent
  };
  const net::Ipv6Address other = *net::Ipv6Address::Parse("fe80::1");
  net::AddressMessage gone = LinkLocalOf(kEth0, kLocal0);
  gone.existence = net::Existence::kGone;
  const auto c = GENERATE_COPY(values<Case>({
      {"a tentative address becomes usable", LinkLocalOf(kEth0, kLocal0, net::kAddressTentative),
       LinkLocalOf(kEth0, kLocal0), kLocal0},
      {"a first address appears", gone, LinkLocalOf(kEth0, kLocal0), kLocal0},
      {"another source is better", std::nullopt, LinkLocalOf(kEth0, other), other},
      {"the address goes away", std::nullopt, gone, std::nullopt},
      {"a global address comes", std::nullopt,
       LinkLocalOf(kEth0, *net::Ipv6Address::Parse("2001:db8::20")), std::nullopt},
  }));
  DYNAMIC_SECTION(c.name) {
    Node node;
    node.announcer.SetAnnounced({{kVip, {}}, {kVip6, {}}}, node.now);
    if (c.before) {
      node.Apply(*c.before);
    }
    static_cast<void>(node.Run(100s));
    const std::uint64_t revision = node.announcer.revision();
    node.Apply(c.after);
    const std::vector<Sent> sent = node.Run(100s);
    CHECK(sent.empty() == !c.want_source.has_value());
    for (const Sent& s : sent) {
      CHECK(s.frame.link == kEth0);
      CHECK(NdPacketOf(s.frame).ip_source == *c.want_source);
    }
    if (c.want_source) {
      CHECK(sent.front().at == 100s);
      CHECK(node.announcer.revision() != revision);
    }
  }
}

TEST_CASE("A link that is freed or enslaved is told, or is silent", "[announcer]") {
  Node node;
  node.announcer.SetAnnounced({{kVip, {}}, {kVip6, {}}, {kVip2, On("eth0")}}, node.now);
  static_cast<void>(node.Run(100s));

  node.Apply(LinkOf(kEth0, "eth0", kMac0, kReady, /*enslaved=*/true));
  CHECK_FALSE(node.announcer.Contains(kVip, kEth0));
  CHECK_FALSE(node.announcer.Contains(kVip6, kEth0));
  CHECK(node.announcer.Contains(kVip2, kEth0));
  for (const Sent& s : node.Run(100s)) {
    CHECK(s.frame.address == net::IpAddress(kVip2));
  }

  node.Apply(LinkOf(kEth0, "eth0", kMac0));
  CHECK(node.announcer.Contains(kVip6, kEth0));
  std::set<net::IpAddress> told;
  for (const Sent& s : node.Run(100s)) {
    CHECK(s.frame.link == kEth0);
    told.insert(s.frame.address);
  }
  CHECK(told == std::set<net::IpAddress>{kVip, kVip6, kVip2});
}

TEST_CASE("Ports are wanted only where something is announced", "[announcer]") {
  Node node;
  CHECK(node.announcer.WantedPorts().empty());
  node.announcer.Announce(kVip, {}, node.now);
  CHECK(node.announcer.WantedPorts() ==
        std::vector<WantedPort>{{kEth0, true, false}, {kEth1, true, false}});
  node.announcer.Announce(kVip6, On("eth1"), node.now);
  const std::uint64_t revision = node.announcer.revision();
  CHECK(node.announcer.WantedPorts() ==
        std::vector<WantedPort>{{kEth0, true, false}, {kEth1, true, true}});
  node.announcer.Announce(kVip6, On("eth0"), node.now);
  CHECK(node.announcer.revision() != revision);
  CHECK(node.announcer.WantedPorts() ==
        std::vector<WantedPort>{{kEth0, true, true}, {kEth1, true, false}});
  node.announcer.Withdraw(kVip);
  CHECK(node.announcer.WantedPorts() == std::vector<WantedPort>{{kEth0, false, true}});
  node.announcer.Withdraw(kVip6);
  CHECK(node.announcer.WantedPorts().empty());
}

TEST_CASE("Each group is named once, whatever the number of its addresses", "[announcer]") {
  Node node;
  const net::Ipv6Address same_group = *net::Ipv6Address::Parse("2001:db8:1::ab:cdef");
  node.announcer.SetAnnounced({{kVip, {}}, {kVip6, {}}, {kVip6b, {}}, {same_group, On("eth0")}},
                              node.now);
  const std::vector<net::Ipv6Address> want = {*net::Ipv6Address::Parse("ff02::1:ff00:111"),
                                              *net::Ipv6Address::Parse("ff02::1:ffab:cdef")};
  CHECK(node.announcer.GroupsOn(kEth0) == want);
  CHECK(node.announcer.GroupsOn(kEth1) == want);
  CHECK(node.announcer.GroupsOn(IfIndex{9}).empty());
  CHECK(node.announcer.Ipv6AddressesOn(kEth0) ==
        std::vector<net::Ipv6Address>{kNobody6, kVip6, kVip6b, same_group});
  CHECK(node.announcer.Ipv6AddressesOn(kEth1) ==
        std::vector<net::Ipv6Address>{kNobody6, kVip6, kVip6b});
  node.announcer.Withdraw(kVip6b);
  CHECK(node.announcer.GroupsOn(kEth0) == want);
  CHECK(node.announcer.GroupsOn(kEth1).size() == 1);
}

TEST_CASE("Solicitations are answered and counted apart from ARP", "[announcer]") {
  Node node;
  node.announcer.SetAnnounced({{kVip, {}}, {kVip6, On("eth1")}}, node.now);
  const NdDecision decision = node.announcer.OnNdFrame(kEth1, Solicitation(kVip6), node.now);
  REQUIRE(std::holds_alternative<NdAnswer>(decision));
  const auto packet =
      std::get<net::NdPacket>(net::DecodeNd(std::get<NdAnswer>(decision).frame.bytes()));
  CHECK(packet.link_layer_address == kMac1);
  CHECK(packet.ip_source == kVip6);
  CHECK(node.announcer.Counters(kVip6)->requests_received == 1);
  CHECK(node.announcer.Counters(kVip6)->responses_sent == 1);

  CHECK(node.announcer.OnNdFrame(kEth0, Solicitation(kVip6), node.now) ==
        NdDecision{DropReason::kNotAnnounced});
  CHECK(node.announcer.OnNdFrame(IfIndex{9}, Solicitation(kVip6), node.now) ==
        NdDecision{DropReason::kUnknownInterface});
  CHECK(node.announcer.OnNdFrame(kEth1, {}, node.now) == NdDecision{DropReason::kMalformed});
  CHECK(node.announcer.OnArpFrame(kEth1, {}, node.now) == ArpDecision{DropReason::kMalformed});
  const auto drops = [&node](net::IpFamily family, DropReason reason) {
    return node.announcer.Drops(family, reason);
  };
  CHECK(drops(net::IpFamily::kIpv6, DropReason::kNotAnnounced) == 1);
  CHECK(drops(net::IpFamily::kIpv6, DropReason::kUnknownInterface) == 1);
  CHECK(drops(net::IpFamily::kIpv6, DropReason::kMalformed) == 1);
  CHECK(drops(net::IpFamily::kIpv4, DropReason::kMalformed) == 1);
  CHECK(drops(net::IpFamily::kIpv4, DropReason::kNotAnnounced) == 0);
}

TEST_CASE("1,000 IPv6 addresses taken over at once are each told within 100 ms", "[announcer]") {
  Node node;
  Announcements desired;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    desired[net::IpAddress::FromNumber(net::IpFamily::kIpv6, 0x2001'0db8'0000'0000ULL,
                                       1 + i * 77)] = On("eth0");
  }
  node.announcer.SetAnnounced(desired, node.now);
  std::set<net::IpAddress> told;
  for (const Sent& s : node.Run(100ms)) {
    told.insert(s.frame.address);
  }
  CHECK(told.size() == 1000);
}

}  // namespace
}  // namespace stentor::speaker
