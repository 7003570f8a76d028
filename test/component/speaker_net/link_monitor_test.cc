// SPDX-License-Identifier: Apache-2.0
// LinkMonitor against the kernel, in a network namespace.

#include "speaker/net/link_monitor.h"

#include <poll.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "common/base/time.h"
#include "test/component/speaker_net/packet_namespaces.h"
#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

using namespace std::chrono_literals;
using test::Inside;
using test::Namespace;

constexpr Duration kDeadline = 5s;

struct Watched {
  Namespace node;
  Links links{NameFilter()};
  std::unique_ptr<LinkMonitor> monitor;
  std::vector<LinkEvent> events;

  explicit Watched(const char* setup, const LinkMonitorOptions& options = {}) {
    node.Run(setup);
    const Inside inside(node);
    auto opened = LinkMonitor::Open(links, options);
    REQUIRE(opened.ok());
    monitor = *std::move(opened);
  }

  // Reads until `condition` holds; false where it doesn't within the deadline.
  bool Await(const std::function<bool()>& condition) {
    const TimePoint end = std::chrono::steady_clock::now() + kDeadline;
    while (!condition()) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          end - std::chrono::steady_clock::now());
      pollfd item{.fd = monitor->fd(), .events = POLLIN, .revents = 0};
      if (left.count() <= 0 || poll(&item, 1, static_cast<int>(left.count())) != 1) {
        return condition();
      }
      const absl::Status status = monitor->OnReadable(&events);
      INFO(status.ToString());
      REQUIRE(status.ok());
    }
    return true;
  }

  bool AwaitSynced() {
    return Await([this] { return monitor->synced(); });
  }

  bool AwaitEvent(LinkChange change, const std::string& name) {
    const bool seen = Await([&, this] {
      for (const LinkEvent& event : events) {
        if (event.change == change && event.name == name) {
          return true;
        }
      }
      return false;
    });
    events.clear();
    return seen;
  }

  [[nodiscard]] const Link* Find(const char* name) const { return links.FindByName(name); }
};

constexpr const char* kPair = "ip link add a0 type veth peer name b0 && ip link set b0 up";

TEST_CASE("The first dump finds links and addresses", "[links]") {
  STENTOR_REQUIRE_NAMESPACES();
  Watched w(
      "ip link add a0 type veth peer name b0 && ip link set b0 up && "
      "ip link set a0 address 02:00:00:00:00:20 up && ip addr add 192.0.2.7/24 dev a0 && "
      "ip link add br0 type bridge && ip link set b0 master br0");
  REQUIRE(w.AwaitSynced());
  const Link* a0 = w.Find("a0");
  REQUIRE(a0 != nullptr);
  CHECK(a0->answers_arp);
  CHECK(a0->carrier);
  CHECK(a0->mac == net::MacAddress({0x02, 0, 0, 0, 0, 0x20}));
  CHECK(a0->addresses.count(net::Ipv4Address::FromOctets(192, 0, 2, 7)) == 1);
  REQUIRE(w.Find("b0") != nullptr);
  CHECK_FALSE(w.Find("b0")->answers_arp);  // a port of the bridge
  REQUIRE(w.Find("lo") != nullptr);
  CHECK_FALSE(w.Find("lo")->answers_arp);
  REQUIRE(w.Find("br0") != nullptr);
  CHECK_FALSE(w.Find("br0")->answers_arp);  // down
}

TEST_CASE("Changes of a link are told by the kernel, not looked for", "[links]") {
  STENTOR_REQUIRE_NAMESPACES();
  Watched w(kPair);
  REQUIRE(w.AwaitSynced());
  w.node.Run("ip link set a0 up");
  REQUIRE(w.AwaitEvent(LinkChange::kAdded, "a0"));

  SECTION("MAC") {
    w.node.Run("ip link set a0 address 02:00:00:00:00:2f");
    CHECK(w.AwaitEvent(LinkChange::kMacChanged, "a0"));
    CHECK(w.Find("a0")->mac == net::MacAddress({0x02, 0, 0, 0, 0, 0x2f}));
  }
  SECTION("name") {
    w.node.Run(
        "ip link set a0 name c0 || (ip link set a0 down && ip link set a0 name c0 && "
        "ip link set c0 up)");
    CHECK(w.Await([&w] { return w.Find("c0") != nullptr && w.Find("c0")->answers_arp; }));
    CHECK(w.Find("a0") == nullptr);
  }
  SECTION("down and up") {
    w.node.Run("ip link set a0 down");
    CHECK(w.AwaitEvent(LinkChange::kRemoved, "a0"));
    w.node.Run("ip link set a0 up");
    CHECK(w.AwaitEvent(LinkChange::kAdded, "a0"));
  }
  SECTION("carrier") {
    REQUIRE(w.Await([&w] { return w.Find("a0")->carrier; }));
    w.events.clear();
    w.node.Run("ip link set b0 down");
    CHECK(w.AwaitEvent(LinkChange::kCarrierDown, "a0"));
    w.node.Run("ip link set b0 up");
    CHECK(w.AwaitEvent(LinkChange::kCarrierUp, "a0"));
  }
  SECTION("enslaved and freed") {
    w.node.Run("ip link add br0 type bridge && ip link set a0 master br0");
    CHECK(w.AwaitEvent(LinkChange::kEnslavementChanged, "a0"));
    CHECK_FALSE(w.Find("a0")->answers_arp);
    CHECK(w.Find("a0")->can_answer);
    w.node.Run("ip link set a0 nomaster");
    CHECK(w.AwaitEvent(LinkChange::kEnslavementChanged, "a0"));
    REQUIRE(w.Find("a0") != nullptr);  // the bridge's own "deleted" was not mistaken for the link's
    CHECK(w.Find("a0")->answers_arp);
  }
  SECTION("deleted and made again") {
    w.node.Run("ip link del a0");
    CHECK(w.AwaitEvent(LinkChange::kRemoved, "a0"));
    CHECK(w.Find("a0") == nullptr);
    w.node.Run(std::string(kPair) + " && ip link set a0 up");
    CHECK(w.AwaitEvent(LinkChange::kAdded, "a0"));
  }
  SECTION("a macvlan added late") {
    w.node.Run("ip link add link a0 name m0 type macvlan mode bridge && ip link set m0 up");
    CHECK(w.AwaitEvent(LinkChange::kAdded, "m0"));
  }
  SECTION("address added and removed") {
    const net::IpAddress address = net::Ipv4Address::FromOctets(192, 0, 2, 7);
    w.node.Run("ip addr add 192.0.2.7/24 dev a0");
    CHECK(w.Await([&] { return w.Find("a0")->addresses.count(address) == 1; }));
    w.node.Run("ip addr del 192.0.2.7/24 dev a0");
    CHECK(w.Await([&] { return w.Find("a0")->addresses.count(address) == 0; }));
  }
}

TEST_CASE("Lost notifications lead to a new dump", "[links]") {
  STENTOR_REQUIRE_NAMESPACES();
  Watched w(kPair, {.receive_buffer_octets = 4096});
  REQUIRE(w.AwaitSynced());
  // Nobody reads meanwhile: far more than the buffer holds.
  w.node.Run(
      "for i in $(seq 60); do ip link set b0 alias x$i; done; ip link set a0 up; "
      "ip link add late0 type veth peer name late1; ip link set late0 up; ip link del a0");
  // The kernel counts what it could not deliver in the ninth column.
  CHECK(w.node.Output("awk 'NR > 1 { lost += $9 } END { print lost + 0 }' /proc/net/netlink") !=
        "0\n");
  CHECK(w.Await([&w] {
    return w.Find("late0") != nullptr && w.Find("late0")->answers_arp && w.Find("a0") == nullptr;
  }));
}

TEST_CASE("Dumps keep their distance however often notifications are lost", "[links]") {
  STENTOR_REQUIRE_NAMESPACES();
  Watched w(kPair, {.receive_buffer_octets = 4096});
  REQUIRE(w.AwaitSynced());
  const std::uint64_t before = w.monitor->dumps();
  const TimePoint start = std::chrono::steady_clock::now();
  for (int i = 0; i < 30; ++i) {
    w.node.Run("for i in $(seq 60); do echo link set b0 alias x$i; done | ip -batch -");
    for (int turn = 0; turn < 3; ++turn) {
      REQUIRE(w.monitor->OnReadable(&w.events).ok());
    }
  }
  const Duration passed = std::chrono::steady_clock::now() - start;
  const std::uint64_t dumps = w.monitor->dumps() - before;
  CHECK(dumps >= 1);
  CHECK(dumps <= 2 + static_cast<std::uint64_t>(passed / LinkMonitor::kDumpInterval));
  // And the last loss is made good without anything else happening.
  w.node.Run("for i in $(seq 60); do echo link set b0 alias x$i; done | ip -batch -");
  w.node.Run("ip link set a0 up");
  CHECK(w.Await([&w] { return w.Find("a0")->answers_arp && !w.monitor->dumping(); }));
}

TEST_CASE("After a flood of changes all is as the kernel has it", "[links]") {
  STENTOR_REQUIRE_NAMESPACES();
  Watched w("true");
  REQUIRE(w.AwaitSynced());
  w.node.Run(
      "(for round in 1 2 3; do for i in $(seq 40); do "
      "echo link add p$i type veth peer name q$i; echo link set p$i up; echo link set q$i up; "
      "echo link set p$i address 02:00:00:00:0$round:$(printf %02x $i); "
      "echo addr add 192.0.2.$i/32 dev p$i; done; "
      "[ $round = 3 ] || for i in $(seq 40); do echo link del p$i; done; done; "
      "echo link add done0 type veth peer name done1; echo link set done0 up) "
      "| ip -batch - >/dev/null 2>&1 &");
  REQUIRE(w.Await([&w] { return w.Find("done0") != nullptr && w.Find("done0")->answers_arp; }));
  CHECK(w.Await([&w] { return w.links.all().size() == 83; }));  // 40 pairs, done0 and 1, lo
  for (int i = 1; i <= 40; ++i) {
    const std::string name = "p" + std::to_string(i);
    INFO(name);
    const auto last = static_cast<std::uint8_t>(i);
    CHECK(w.Await([&] {
      const Link* link = w.Find(name.c_str());
      return link != nullptr && link->answers_arp && link->carrier &&
             link->mac == net::MacAddress({0x02, 0, 0, 0, 0x03, last}) &&
             link->addresses.count(net::Ipv4Address::FromOctets(192, 0, 2, last)) == 1;
    }));
  }
}

TEST_CASE("A hundred links are found by one dump", "[links]") {
  STENTOR_REQUIRE_NAMESPACES();
  Watched w(
      "for i in $(seq 50); do echo link add p$i type veth peer name q$i; "
      "echo link set p$i up; echo link set q$i up; done | ip -batch -");
  REQUIRE(w.AwaitSynced());
  int eligible = 0;
  for (const auto& [index, link] : w.links.all()) {
    eligible += link.answers_arp ? 1 : 0;
  }
  CHECK(eligible == 100);
}

}  // namespace
}  // namespace stentor::speaker
