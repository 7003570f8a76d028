// SPDX-License-Identifier: Apache-2.0
// PacketPorts with the kernel's own notifications: ports for ARP and NDP on the links of a node.
// The judge is the kernel of a client.

#include <net/if.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <string>
#include <vector>

#include "test/component/speaker_net/live_node.h"
#include "test/component/speaker_net/raw_sender.h"

namespace stentor::speaker {
namespace {

using namespace std::chrono_literals;
using test::LiveNode;
using test::RawSender;
using Names = std::vector<std::string>;

const net::IpAddress kV4 = net::Ipv4Address::FromOctets(192, 0, 2, 111);

net::IpAddress Ip(const std::string& text) {
  const auto address = net::IpAddress::Parse(text);
  REQUIRE(address.has_value());
  return *address;
}

const net::IpAddress& V6() {
  static const net::IpAddress address = Ip("2001:db8::111");
  return address;
}

// Makes the client's kernel ask; the packet itself goes nowhere.
void Ask(const LiveNode& n, const std::string& address) {
  n.client.Run("bash -c 'echo x > /dev/udp/" + address + "/9' || true");
}

constexpr const char* kNeighbours = "ip neigh show dev c0";

std::size_t SocketsOf(const LiveNode& n, const char* ethertype) {
  const std::string lines =
      n.node.Output(std::string("grep -c ' ") + ethertype + " ' /proc/net/packet || true");
  return static_cast<std::size_t>(std::stoul(lines));
}

TEST_CASE("A client's kernel resolves both families, by what is announced", "[live]") {
  STENTOR_REQUIRE_NAMESPACES();
  LiveNode n(LiveNode::kOneWire);
  n.client.Run(LiveNode::kClientUp);
  REQUIRE(n.Await([&n] {
    const Link* link = n.links.FindByName("net0");
    return link != nullptr && link->carrier && link->answers_ndp;
  }));
  n.SetAnnounced({{kV4, {}}, {V6(), {}}});
  REQUIRE(n.AwaitOpened("ARP on net0"));
  REQUIRE(n.AwaitOpened("NDP on net0"));
  Ask(n, "192.0.2.111");
  CHECK(n.AwaitClient(kNeighbours, "192.0.2.111 lladdr 02:00:00:00:00:20 REACHABLE"));
  Ask(n, "2001:db8::111");
  CHECK(n.AwaitClient(kNeighbours, "2001:db8::111 lladdr 02:00:00:00:00:20 REACHABLE"));
  Ask(n, "2001:db8::112");
  CHECK(n.AwaitClient(kNeighbours, "2001:db8::112 FAILED"));
  CHECK(n.announcer.Counters(V6())->responses_sent >= 1);
  CHECK(n.failed == Names());
  CHECK(n.ports.Ready().ok());
}

TEST_CASE("Ports are opened for the families that are announced, and no others", "[live]") {
  STENTOR_REQUIRE_NAMESPACES();
  LiveNode n(LiveNode::kOneWire);
  n.client.Run(LiveNode::kClientUp);
  REQUIRE(n.Await([&n] {
    return n.links.FindByName("net0") != nullptr && n.links.FindByName("net0")->answers_ndp;
  }));
  CHECK(n.opened == Names());
  SECTION("IPv4 only") {
    n.SetAnnounced({{kV4, {}}});
    REQUIRE(n.AwaitOpened("ARP on net0"));
    CHECK(SocketsOf(n, "0806") == 1);
    CHECK(SocketsOf(n, "86dd") == 0);
    CHECK(n.node.Output("grep -c ff0200000000000000000001ff000111 /proc/net/igmp6 || true") ==
          "0\n");
  }
  SECTION("IPv6 only") {
    n.SetAnnounced({{V6(), {}}});
    REQUIRE(n.AwaitOpened("NDP on net0"));
    CHECK(SocketsOf(n, "0806") == 0);
    CHECK(SocketsOf(n, "86dd") == 1);
    CHECK(n.node.Output("grep -c ff0200000000000000000001ff000111 /proc/net/igmp6") == "1\n");
  }
  SECTION("on standby nothing is wanted, and both are there") {
    n.SetStandby({net::IpFamily::kIpv4, net::IpFamily::kIpv6});
    REQUIRE(n.AwaitOpened("NDP on net0"));
    CHECK(n.opened == Names{"ARP on net0", "NDP on net0"});
    CHECK(n.ports.Ready().ok());
    n.SetAnnounced({{kV4, {}}, {V6(), {}}});
    Ask(n, "192.0.2.111");
    CHECK(n.AwaitClient(kNeighbours, "192.0.2.111 lladdr 02:00:00:00:00:20"));
    CHECK(n.opened.size() == 2);
  }
  CHECK(n.failed == Names());
}

TEST_CASE("A port that nobody wants stays for a while, and hears nothing", "[live]") {
  STENTOR_REQUIRE_NAMESPACES();
  LiveNode n(LiveNode::kOneWire);
  n.client.Run("ip link set c0 up");
  n.SetAnnounced({{kV4, {}}});
  REQUIRE(n.AwaitOpened("ARP on net0"));
  const RawSender host(n.client, "c0");
  host.Request(kV4.ipv4());
  REQUIRE(n.Await([&n] { return n.announcer.Counters(kV4)->responses_sent == 1; }));
  n.SetAnnounced({});
  host.Request(kV4.ipv4());
  n.SetAnnounced({{kV4, {}}});
  host.Request(kV4.ipv4());
  CHECK(n.Await([&n] { return n.announcer.Counters(kV4)->responses_sent == 1; }));
  REQUIRE(n.ports.Stats().size() == 1);
  CHECK(n.ports.Stats()[0].received == 2);
  CHECK(n.opened.size() == 1);
  CHECK(n.closed == Names());
}

TEST_CASE("Ports follow their link", "[live]") {
  STENTOR_REQUIRE_NAMESPACES();
  LiveNode n(LiveNode::kOneWire);
  n.client.Run(LiveNode::kClientUp);
  n.SetAnnounced({{kV4, {}}, {V6(), {}}});
  REQUIRE(n.AwaitOpened("ARP on net0"));
  REQUIRE(n.AwaitOpened("NDP on net0"));
  n.opened.clear();
  const auto resolved = [&n](const std::string& mac) {
    n.client.Run("ip neigh flush dev c0");
    Ask(n, "192.0.2.111");
    Ask(n, "2001:db8::111");
    const bool v4 = n.AwaitClient(kNeighbours, "192.0.2.111 lladdr " + mac);
    const bool v6 = n.AwaitClient(kNeighbours, "2001:db8::111 lladdr " + mac);
    return v4 && v6;
  };
  SECTION("another MAC, told by gratuitous frames") {
    REQUIRE(resolved("02:00:00:00:00:20"));
    n.Ip("link set net0 address 02:00:00:00:00:2f");
    CHECK(n.AwaitClient(kNeighbours, "192.0.2.111 lladdr 02:00:00:00:00:2f"));
    CHECK(n.AwaitClient(kNeighbours, "2001:db8::111 lladdr 02:00:00:00:00:2f"));
    CHECK(resolved("02:00:00:00:00:2f"));
  }
  SECTION("another name") {
    n.Ip("link set net0 name other0");
    REQUIRE(n.Await([&n] { return n.links.FindByName("other0") != nullptr; }));
    CHECK(resolved("02:00:00:00:00:20"));
    CHECK(n.opened == Names());
    REQUIRE_FALSE(n.ports.Stats().empty());
    CHECK(n.ports.Stats()[0].interface == "other0");
  }
  SECTION("down and up") {
    n.Ip("link set net0 down");
    REQUIRE(n.Await([&n] { return n.closed.size() == 2; }));
    n.Ip("link set net0 up");
    REQUIRE(n.Await([&n] { return n.opened.size() == 2; }));
    CHECK(resolved("02:00:00:00:00:20"));
  }
  SECTION("deleted and made again") {
    n.Ip("link del net0");
    REQUIRE(n.Await([&n] { return n.links.FindByName("net0") == nullptr; }));
    n.Ip(LiveNode::kOneWire);
    n.client.Run(LiveNode::kClientUp);
    REQUIRE(n.Await([&n] { return n.opened.size() == 2; }));
    CHECK(resolved("02:00:00:00:00:20"));
  }
  SECTION("deleted and made again under its number") {
    const auto index = static_cast<std::uint32_t>(n.links.FindByName("net0")->index);
    n.Ip("link del net0");
    std::string again = LiveNode::kOneWire;
    again.insert(std::string("link add net0").size(), " index " + std::to_string(index));
    n.Ip(again);
    n.client.Run(LiveNode::kClientUp);
    REQUIRE(n.Await([&n] { return n.opened.size() >= 2; }));
    CHECK(resolved("02:00:00:00:00:20"));
  }
  SECTION("flapping") {
    for (int i = 0; i < 30; ++i) {
      n.Ip("link set net0 down\nlink set net0 up");
      static_cast<void>(n.Await([] { return true; }));
    }
    CHECK(resolved("02:00:00:00:00:20"));
  }
  SECTION("a macvlan added late") {
    n.Ip(
        "link add link net0 name child0 address 02:00:00:00:00:21 type macvlan mode bridge\n"
        "link set child0 up");
    REQUIRE(n.AwaitOpened("ARP on child0"));
    REQUIRE(n.AwaitOpened("NDP on child0"));
  }
  CHECK(n.Await([&n] { return n.ports.Ready().ok(); }));
  CHECK(n.ports.Progress().ok());
}

std::ptrdiff_t OpenDescriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return std::distance(begin(all), end(all));
}

TEST_CASE("Ports that were closed do not pile up while a link flaps", "[live]") {
  STENTOR_REQUIRE_NAMESPACES();
  LiveNode n(LiveNode::kOneWire);
  n.client.Run("ip link set c0 up");
  n.SetAnnounced({{kV4, {}}, {V6(), {}}});
  REQUIRE(n.AwaitOpened("ARP on net0"));
  REQUIRE(n.AwaitOpened("NDP on net0"));
  const std::ptrdiff_t before = OpenDescriptors();
  std::ptrdiff_t most = before;
  for (int i = 0; i < 40; ++i) {
    const std::size_t opened = n.opened.size();
    n.Ip("link set net0 down\nlink set net0 up");
    REQUIRE(n.Await([&] { return n.opened.size() > opened; }));
    most = std::max(most, OpenDescriptors());
  }
  CHECK(most <= before + 12);
  // Await() has the file of a namespace open.
  CHECK(n.Await([&] { return n.ports.Ready().ok() && OpenDescriptors() <= before + 1; }));
}

TEST_CASE("An address that becomes usable for NDP later opens the port then", "[live]") {
  STENTOR_REQUIRE_NAMESPACES();
  LiveNode n(std::string(LiveNode::kOneWire) + "link set net0 addrgenmode none\n");
  n.client.Run(LiveNode::kClientUp);
  n.node.Run("ip -6 addr flush dev net0");
  REQUIRE(n.Await([&n] {
    const Link* link = n.links.FindByName("net0");
    return link != nullptr && link->can_answer && !link->answers_ndp;
  }));
  n.SetAnnounced({{V6(), {}}});
  CHECK(n.opened == Names());
  n.Ip("addr add fe80::20/64 dev net0");
  REQUIRE(n.AwaitOpened("NDP on net0"));
  Ask(n, "2001:db8::111");
  CHECK(n.AwaitClient(kNeighbours, "2001:db8::111 lladdr 02:00:00:00:00:20"));
}

TEST_CASE("Many ports are opened one in a turn of the loop", "[live]") {
  STENTOR_REQUIRE_NAMESPACES();
  std::string lines;
  for (int i = 0; i < 6; ++i) {
    const std::string number = std::to_string(i);
    lines += "link add p" + number + " type veth peer name q" + number + " netns {peer}\n";
    lines += "link set p" + number + " up\n";
  }
  // Only the first {peer} of a command is replaced: one command each.
  LiveNode n("link set lo up");
  std::size_t at = 0;
  for (std::size_t end = lines.find('\n'); end != std::string::npos;
       at = end + 1, end = lines.find('\n', at)) {
    n.Ip(lines.substr(at, end - at));
  }
  int turns = 0;
  std::vector<int> opened_in;
  std::function<void()> turn = [&] {
    ++turns;
    if (opened_in.size() < 6) {
      n.loop.Post(turn);
    }
  };
  n.on_opened = [&] { opened_in.push_back(turns); };
  n.loop.Post(turn);
  REQUIRE(n.Await([&n] {
    std::size_t able = 0;
    for (const auto& [index, link] : n.links.all()) {
      able += link.answers_arp ? 1 : 0;
    }
    return able == 6;
  }));
  n.announcer.SetAnnounced({{kV4, {}}}, n.loop.Now());
  n.loop.Post([&n] { n.ports.Update(); });
  REQUIRE(n.Await([&] { return opened_in.size() == 6; }));
  CHECK(std::adjacent_find(opened_in.begin(), opened_in.end()) == opened_in.end());
  CHECK(n.ports.Ready().ok());
}

}  // namespace
}  // namespace stentor::speaker
