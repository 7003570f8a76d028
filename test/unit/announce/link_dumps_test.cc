// SPDX-License-Identifier: Apache-2.0
// What nodes of many kinds look like, as their kernels tell it (link_dumps/README.md), and which of
// their interfaces answer.

#include <bit>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "speaker/announce/link_sync.h"
#include "speaker/announce/links.h"
#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

// The files are of machines with this byte order, which netlink follows.
constexpr bool kReadable = std::endian::native == std::endian::little;

std::vector<std::byte> Read(std::string_view name) {
  std::ifstream file(std::filesystem::path(LINK_DUMPS) / name, std::ios::binary);
  REQUIRE(file.good());
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const Bytes bytes = AsBytes(text);
  return {bytes.begin(), bytes.end()};
}

// A node whose first dump is over.
struct Node {
  Links links{*NameFilter::Compile(DefaultExcludedInterfaces())};

  explicit Node(std::string_view dump) {
    links.BeginDump();
    const net::RtnetlinkDatagram datagram = net::DecodeRtnetlink(Read(dump));
    REQUIRE_FALSE(datagram.malformed);
    for (const net::RtnetlinkMessage& message : datagram.messages) {
      static_cast<void>(Apply(message));
    }
    static_cast<void>(links.EndDump());
  }

  std::vector<LinkEvent> Apply(const net::RtnetlinkMessage& message) {
    if (const auto* link = std::get_if<net::LinkMessage>(&message.body)) {
      return links.Apply(*link);
    }
    return links.Apply(std::get<net::AddressMessage>(message.body));
  }
};

// In words: what it answers, by default or only where an advertisement names it.
std::string AnswersOf(const Link& link) {
  const bool arp = MayAnswer(link, net::IpFamily::kIpv4, true);
  const bool ndp = MayAnswer(link, net::IpFamily::kIpv6, true);
  const bool arp_unnamed = MayAnswer(link, net::IpFamily::kIpv4, false);
  const bool ndp_unnamed = MayAnswer(link, net::IpFamily::kIpv6, false);
  if (!arp && !ndp) {
    return "nothing";
  }
  CHECK(arp_unnamed == link.answers_arp);
  CHECK(ndp_unnamed == link.answers_ndp);
  CHECK(arp == link.can_answer);
  return std::string(arp_unnamed == arp && ndp_unnamed == ndp ? "" : "if named: ") +
         (ndp ? "ARP and NDP" : "ARP");
}

struct Row {
  const char* name;
  const char* interface;
  const char* want;
  const char* why;
};

struct Table {
  const char* node;
  std::vector<Row> rows;
};

const std::vector<Table>& Tables() {
  static const std::vector<Table> tables = {
      {"pods.nl",
       {
           {"recorded: loopback", "lo", "nothing", "excluded"},
           {"recorded: uplink", "eth0", "ARP and NDP", ""},
           {"recorded: other end of the uplink", "wire", "ARP and NDP", ""},
           {"recorded: Flannel's VXLAN", "flannel.1", "nothing", "excluded"},
           {"recorded: Flannel's bridge", "cni0", "nothing", "excluded"},
           {"recorded: port of a pod", "vethaa11bb22", "nothing", "excluded"},
           {"recorded: other end of it", "pod1", "ARP and NDP", ""},
           {"recorded: Calico's VXLAN", "vxlan.calico", "ARP and NDP", "no pattern excludes it"},
           {"recorded: pod of Calico", "cali0123456789a", "nothing", "excluded"},
           {"recorded: other end of it", "pod2", "ARP and NDP", ""},
           {"recorded: macvlan", "macvlan0", "ARP and NDP", ""},
           {"recorded: bridge with a port", "br0", "ARP and NDP", ""},
           {"recorded: its port", "lan1", "if named: ARP and NDP", "enslaved"},
           {"recorded: other end of the port", "wire1", "ARP and NDP", ""},
           {"recorded: bridge without a port", "empty0", "ARP", "no carrier, no link-local yet"},
           {"recorded: veth that is down", "down0", "nothing", "down"},
           {"recorded: its other end", "wire2", "nothing", "down"},
           {"recorded: ifb", "ifb0", "nothing", "NOARP"},
           {"recorded: tap without a program", "tap0", "ARP", "no carrier, no link-local yet"},
           {"recorded: tun", "tun0", "nothing", "NOARP, no MAC"},
       }},
      {"calico_vxlan.nl",
       {
           {"Calico, VXLAN: loopback", "lo", "nothing", "excluded"},
           {"Calico, VXLAN: uplink", "eth0", "ARP and NDP", ""},
           {"Calico, VXLAN: overlay", "vxlan.calico", "ARP and NDP", "no pattern excludes it"},
           {"Calico, VXLAN: pod", "cali0f7bd5f9fc5", "nothing", "excluded"},
           {"Calico, VXLAN: another pod", "cali2b7a1c90d3e", "nothing", "excluded"},
       }},
      {"calico_ipip.nl",
       {
           {"Calico, IPIP: loopback", "lo", "nothing", "excluded"},
           {"Calico, IPIP: uplink", "ens3", "ARP and NDP", ""},
           {"Calico, IPIP: tunnel", "tunl0", "nothing", "excluded, NOARP"},
           {"Calico, IPIP: pod", "cali5e21ad7a7c9", "nothing", "excluded"},
       }},
      {"flannel.nl",
       {
           {"Flannel: loopback", "lo", "nothing", "excluded"},
           {"Flannel: uplink", "enp1s0", "ARP and NDP", ""},
           {"Flannel: Docker's bridge", "docker0", "nothing", "excluded"},
           {"Flannel: overlay", "flannel.1", "nothing", "excluded"},
           {"Flannel: bridge", "cni0", "nothing", "excluded"},
           {"Flannel: pod", "veth8f2c11d0", "nothing", "excluded"},
       }},
      {"cilium.nl",
       {
           {"Cilium: loopback", "lo", "nothing", "excluded"},
           {"Cilium: uplink", "ens192", "ARP and NDP", ""},
           {"Cilium: cilium_net", "cilium_net", "nothing", "NOARP"},
           {"Cilium: cilium_host", "cilium_host", "nothing", "NOARP"},
           {"Cilium: overlay", "cilium_vxlan", "ARP and NDP", "no pattern excludes it"},
           {"Cilium: health", "lxc_health", "nothing", "excluded"},
           {"Cilium: pod", "lxc4fb8a62b5c0e", "nothing", "excluded"},
       }},
      {"ipvs.nl",
       {
           {"IPVS: loopback", "lo", "nothing", "excluded"},
           {"IPVS: uplink", "eth0", "ARP and NDP", ""},
           {"IPVS: dummy of the module", "dummy0", "nothing", "excluded, NOARP, down"},
           {"IPVS: kube-ipvs0", "kube-ipvs0", "nothing", "excluded, NOARP, down"},
           {"IPVS: NodeLocal DNSCache", "nodelocaldns", "nothing", "excluded, NOARP"},
       }},
      {"bond_vlan.nl",
       {
           {"bond: loopback", "lo", "nothing", "excluded"},
           {"bond: active port", "eno1", "if named: ARP", "enslaved, no link-local"},
           {"bond: port without carrier", "eno2", "if named: ARP", "enslaved, no link-local"},
           {"bond: unused port", "eno3", "nothing", "down"},
           {"bond: bond", "bond0", "ARP and NDP", ""},
           {"bond: VLAN", "bond0.100", "ARP and NDP", ""},
           {"bond: VLAN that is down", "bond0.200", "nothing", "down"},
       }},
      {"vrf.nl",
       {
           {"VRF: loopback", "lo", "nothing", "excluded"},
           {"VRF: member", "eth0", "if named: ARP and NDP", "enslaved"},
           {"VRF: not a member", "eth1", "ARP and NDP", ""},
           {"VRF: VRF", "mgmt", "nothing", "NOARP"},
       }},
      {"bridges.nl",
       {
           {"bridges: loopback", "lo", "nothing", "excluded"},
           {"bridges: port of a bridge", "enp2s0", "if named: ARP", "enslaved, no link-local"},
           {"bridges: port of Open vSwitch", "enp3s0", "if named: ARP", "enslaved, no link-local"},
           {"bridges: bridge", "br0", "ARP and NDP", ""},
           {"bridges: libvirt's bridge", "virbr0", "nothing", "excluded"},
           {"bridges: virtual machine", "vnet0", "if named: ARP and NDP", "enslaved"},
           {"bridges: datapath of Open vSwitch", "ovs-system", "nothing", "down"},
           {"bridges: bridge of Open vSwitch", "br-ex", "ARP and NDP", ""},
       }},
      {"tunnels.nl",
       {
           {"tunnels: loopback", "lo", "nothing", "excluded"},
           {"tunnels: Wi-Fi", "wlan0", "ARP and NDP", ""},
           {"tunnels: WireGuard", "wg0", "nothing", "NOARP, no MAC"},
           {"tunnels: PPP", "ppp0", "nothing", "NOARP, no MAC"},
           {"tunnels: InfiniBand", "ib0", "nothing", "no MAC of six octets"},
           {"tunnels: SIT", "sit0", "nothing", "NOARP, down"},
           {"tunnels: ipvlan, layer 3", "ipvl0", "nothing", "NOARP"},
           {"tunnels: macvlan", "macvlan0", "ARP and NDP", ""},
       }},
      {"addresses.nl",
       {
           {"link-local: usable", "plain0", "ARP and NDP", ""},
           {"link-local: tentative", "tentative0", "ARP", "still in doubt"},
           {"link-local: duplicate", "duplicate0", "ARP", "another host's"},
           {"link-local: optimistic", "optimistic0", "ARP", "still in doubt"},
           {"link-local: deprecated", "deprecated0", "ARP and NDP", "nothing better"},
           {"link-local: several", "several0", "ARP and NDP", ""},
           {"link-local: none", "ipv4only0", "ARP", "IPv4 only"},
       }},
  };
  return tables;
}

TEST_CASE("Which interfaces of a node answer", "[links]") {
  if (!kReadable) {
    WARN("skipped: the dumps are of little-endian machines");
    return;
  }
  for (const Table& table : Tables()) {
    const Node node(table.node);
    CAPTURE(table.node);
    CHECK(node.links.all().size() == table.rows.size());  // no interface is left out
    for (const Row& row : table.rows) {
      INFO(row.name << " (" << row.interface << "): " << row.why);
      const Link* link = node.links.FindByName(row.interface);
      REQUIRE(link != nullptr);
      CHECK(AnswersOf(*link) == row.want);
    }
  }
}

TEST_CASE("Of several link-local addresses of a dump the lowest that may be used counts",
          "[links]") {
  if (!kReadable) {
    WARN("skipped: the dumps are of little-endian machines");
    return;
  }
  const Node node("addresses.nl");
  CHECK(node.links.FindByName("several0")->link_local == net::Ipv6Address::Parse("fe80::5"));
}

TEST_CASE("A composed dump says what the recorded one says", "[links]") {
  if (!kReadable) {
    WARN("skipped: the dumps are of little-endian machines");
    return;
  }
  const net::RtnetlinkDatagram recorded = net::DecodeRtnetlink(Read("pods.nl"));
  const net::RtnetlinkDatagram composed = net::DecodeRtnetlink(Read("pods.composed.nl"));
  REQUIRE(recorded.messages.size() == composed.messages.size());
  std::size_t found = 0;
  for (const net::RtnetlinkMessage& message : recorded.messages) {
    for (const net::RtnetlinkMessage& other : composed.messages) {  // addresses in another order
      found += other.body == message.body ? 1 : 0;
    }
  }
  CHECK(found == recorded.messages.size());
}

std::string Text(const std::vector<LinkEvent>& events) {
  std::string text;
  for (const LinkEvent& event : events) {
    text += text.empty() ? "" : ", ";
    text += std::string(LinkChangeName(event.change)) + " " + event.name;
  }
  return text;
}

TEST_CASE("What a real kernel tells becomes the events that matter", "[links]") {
  if (!kReadable) {
    WARN("skipped: the dumps are of little-endian machines");
    return;
  }
  struct Case {
    const char* name;
    const char* want;  // of eth0 and whatever becomes of it; the other end of its wire is left out
    const char* interface;  // to look at afterwards, and
    const char* answers;    // what it answers then
  };
  const auto c = GENERATE(values<Case>({
      {"mac_changed", "mac_changed eth0", "eth0", "ARP and NDP"},
      {"renamed", "removed eth0, added lan0, carrier_up lan0, link_local_changed lan0", "lan0",
       "ARP and NDP"},
      {"renamed_while_up", "renamed lan0", "lan0", "ARP and NDP"},
      {"deleted", "removed eth0", "eth0", "gone"},
      {"recreated", "removed eth0, added eth0, carrier_up eth0, link_local_changed eth0", "eth0",
       "ARP and NDP"},
      {"enslaved", "enslavement_changed eth0, carrier_up br0, link_local_changed br0", "eth0",
       "if named: ARP and NDP"},
      {"freed", "enslavement_changed eth0, carrier_down br0", "eth0", "ARP and NDP"},
      {"bridge_deleted", "enslavement_changed eth0, removed br0", "eth0", "ARP and NDP"},
      {"carrier_lost", "carrier_down eth0", "eth0", "ARP and NDP"},
      {"carrier_back", "carrier_down eth0, carrier_up eth0", "eth0", "ARP and NDP"},
      {"down", "removed eth0", "eth0", "nothing"},
      {"macvlan_added", "added macvlan0, link_local_changed macvlan0", "macvlan0", "ARP and NDP"},
      {"link_local_replaced", "link_local_changed eth0", "eth0", "ARP and NDP"},
      {"deprecated", "link_local_changed eth0", "eth0", "ARP and NDP"},
      {"ipv6_switched_off", "link_local_changed eth0", "eth0", "ARP"},
      {"tentative", "removed eth0, added eth0, carrier_up eth0, link_local_changed eth0", "eth0",
       "ARP and NDP"},
      {"duplicate", "removed eth0, added eth0, carrier_up eth0", "eth0", "ARP"},
  }));
  DYNAMIC_SECTION(c.name) {
    Node node(std::string(c.name) + ".nl");
    const net::RtnetlinkDatagram then =
        net::DecodeRtnetlink(Read(std::string(c.name) + ".then.nl"));
    CHECK_FALSE(then.malformed);
    std::vector<LinkEvent> events;
    for (const net::RtnetlinkMessage& message : then.messages) {
      for (const LinkEvent& event : node.Apply(message)) {
        if (event.name != "wire") {
          events.push_back(event);
        }
      }
    }
    CHECK(Text(events) == c.want);
    const Link* link = node.links.FindByName(c.interface);
    CHECK((link == nullptr ? "gone" : AnswersOf(*link)) == c.answers);
  }
}

}  // namespace
}  // namespace stentor::speaker
