// SPDX-License-Identifier: Apache-2.0
// NeighborMonitor on the neighbour tables of a network namespace.

#include "speaker/net/neighbor_monitor.h"

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "test/component/speaker_net/packet_namespaces.h"
#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

using namespace std::chrono_literals;
using net::MacAddress;
using test::Inside;
using test::Namespace;
using Macs = std::set<MacAddress>;

constexpr Duration kDeadline = 10s;

net::IpAddress Ip(const char* text) {
  const auto address = net::IpAddress::Parse(text);
  REQUIRE(address.has_value());
  return *address;
}

MacAddress Mac(std::uint8_t last) { return MacAddress({0x02, 0, 0, 0, 0, last}); }

// A node (net0) whose kernel knows two neighbours from before.
struct Node {
  Namespace space;
  io::EventLoop loop;
  std::vector<Macs> told;
  std::vector<std::string> failed;
  std::optional<NeighborMonitor> monitor;

  explicit Node(const NeighborMonitorOptions& options = {}) {
    space.Run(
        "ip link add net0 type veth peer name net1 && ip link set net1 up && "
        "ip link set net0 up && ip addr add 192.0.2.1/24 dev net0");
    Neighbour("add 192.0.2.11 lladdr 02:00:00:00:00:11 nud reachable");
    Neighbour("add 192.0.2.99 lladdr 02:00:00:00:00:99 nud reachable");
    monitor.emplace(
        loop,
        NeighborMonitor::Observer{
            .on_macs = [this](Macs macs) { told.push_back(std::move(macs)); },
            .on_failed = [this](const absl::Status& why) { failed.push_back(why.ToString()); }},
        options);
  }

  void Neighbour(const std::string& what) const { space.Run("ip neigh " + what + " dev net0"); }

  void Follow(const std::set<net::IpAddress>& addresses) {
    const Inside inside(space);
    monitor->SetNodeAddresses(addresses);
  }

  bool AwaitMacs(const Macs& want) {
    const Inside inside(space);
    const TimePoint end = loop.Now() + kDeadline;
    io::Timer timer(loop);
    const auto there = [&] { return !told.empty() && told.back() == want; };
    const std::function<void()> look = [&] {
      if (there() || loop.Now() >= end) {
        loop.Stop();
      } else {
        timer.ArmAfter(2ms, look);
      }
    };
    timer.ArmAfter(0ms, look);
    loop.Run();
    return there();
  }
};

TEST_CASE("The MACs of nodes are found and followed", "[neighbours]") {
  STENTOR_REQUIRE_NAMESPACES();
  Node n;
  n.Follow({Ip("192.0.2.11"), Ip("192.0.2.12"), Ip("2001:db8::12")});
  REQUIRE(n.AwaitMacs({Mac(0x11)}));
  SECTION("a neighbour that comes later") {
    n.Neighbour("add 192.0.2.12 lladdr 02:00:00:00:00:12 nud stale");
    CHECK(n.AwaitMacs({Mac(0x11), Mac(0x12)}));
  }
  SECTION("by IPv6") {
    n.Neighbour("add 2001:db8::12 lladdr 02:00:00:00:00:13 nud reachable");
    CHECK(n.AwaitMacs({Mac(0x11), Mac(0x13)}));
  }
  SECTION("one that has another MAC") {
    n.Neighbour("replace 192.0.2.11 lladdr 02:00:00:00:00:14 nud reachable");
    CHECK(n.AwaitMacs({Mac(0x14)}));
  }
  SECTION("one that the kernel forgets stays") {
    n.Neighbour("del 192.0.2.11");
    n.Neighbour("add 192.0.2.12 lladdr 02:00:00:00:00:12 nud stale");
    CHECK(n.AwaitMacs({Mac(0x11), Mac(0x12)}));
  }
  SECTION("a node that comes later, with a neighbour that was there before") {
    n.Follow({Ip("192.0.2.11"), Ip("192.0.2.99")});
    CHECK(n.AwaitMacs({Mac(0x11), Mac(0x99)}));
  }
  SECTION("a node that goes") {
    n.Follow({Ip("192.0.2.12")});
    CHECK(n.AwaitMacs({}));
  }
  CHECK(n.failed.empty());
}

TEST_CASE("Nothing is told where nothing is known, and nothing is opened without nodes",
          "[neighbours]") {
  STENTOR_REQUIRE_NAMESPACES();
  Node n;
  n.Follow({});
  CHECK(n.space.Output("awk 'NR > 1 && $3 > 0' /proc/net/netlink") == "");  // those of processes
  CHECK(n.told.empty());
}

TEST_CASE("Lost notifications of neighbours lead to a new dump", "[neighbours]") {
  STENTOR_REQUIRE_NAMESPACES();
  Node n({.receive_buffer_octets = 4096});
  n.Follow({Ip("192.0.2.11"), Ip("192.0.2.12")});
  REQUIRE(n.AwaitMacs({Mac(0x11)}));
  // Nobody reads meanwhile: far more than the buffer holds; what matters comes last.
  n.space.Run(
      "(for i in $(seq 2 250); do echo neigh replace 192.0.2.$i lladdr 02:00:00:00:01:00 "
      "nud reachable dev net0; done; "
      "echo neigh replace 192.0.2.12 lladdr 02:00:00:00:00:12 nud reachable dev net0; "
      "echo neigh replace 192.0.2.11 lladdr 02:00:00:00:00:15 nud reachable dev net0"
      ") | ip -batch -");
  // The kernel counts what it could not deliver in the ninth column.
  CHECK(n.space.Output("awk 'NR > 1 { lost += $9 } END { print lost + 0 }' /proc/net/netlink") !=
        "0\n");
  CHECK(n.AwaitMacs({Mac(0x12), Mac(0x15)}));
  CHECK(n.failed.empty());
}

}  // namespace
}  // namespace stentor::speaker
