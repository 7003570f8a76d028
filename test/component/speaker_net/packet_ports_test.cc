// SPDX-License-Identifier: Apache-2.0
// PacketPorts on the real event loop, on a veth pair between two network namespaces.

#include "speaker/net/packet_ports.h"

#include <net/if.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "test/component/speaker_net/packet_namespaces.h"
#include "test/component/speaker_net/raw_sender.h"
#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

using namespace std::chrono_literals;
using test::Inside;
using test::Namespace;
using test::RawSender;

constexpr net::Ipv4Address kVip = net::Ipv4Address::FromOctets(192, 0, 2, 111);
constexpr Duration kDeadline = 5s;

// A node whose net0 has a port, and a client behind the wire.
struct Node {
  Namespace node;
  Namespace client;
  bool was_away = false;  // then this node has nothing to say any more
  std::vector<std::string> opened;
  std::vector<std::string> failed;

  io::EventLoop loop;
  Links links{NameFilter()};
  Announcer announcer{links, {.repeat_interval = 10ms}};
  PacketPorts ports{
      loop,
      links,
      announcer,
      {.before_frames =
           [this] {
             if (std::exchange(was_away, false)) {
               SetAnnounced({});
             }
           },
       .after_frames = {},
       .on_opened = [this](const std::string& name, net::IpFamily) { opened.push_back(name); },
       .on_closed = [](const std::string&, net::IpFamily) {},
       .on_failed = [this](const std::string&, net::IpFamily,
                           const absl::Status& why) { failed.push_back(why.ToString()); }}};

  Node() {
    node.Run("ip link add net0 type veth peer name c0 netns {peer}", &client);
    client.Run("ip link set c0 up");
    node.Run("ip link set net0 address 02:00:00:00:00:20 up");
  }

  // Tells the ports of net0, whose name may have become `real_name` by now.
  void LinkUp(const char* real_name = "net0") {
    const Inside inside(node);
    ports.OnLinkEvents(links.Apply(
        {.index = IfIndex{if_nametoindex(real_name)},
         .flags = net::kLinkUp | net::kLinkBroadcast | net::kLinkRunning | net::kLinkLowerUp,
         .name = "net0",
         .mac = net::MacAddress({0x02, 0, 0, 0, 0, 0x20}),
         .master = {}}));
  }

  void SetAnnounced(const Announcements& desired) {
    const Inside inside(node);
    announcer.SetAnnounced(desired, loop.Now());
    ports.Update();
  }

  // Runs the loop until `condition` holds; false where it doesn't within the deadline.
  bool Await(const std::function<bool()>& condition) {
    const TimePoint end = loop.Now() + kDeadline;
    io::Timer timer(loop);
    const std::function<void()> look = [&] {
      if (condition() || loop.Now() >= end) {
        loop.Stop();
      } else {
        timer.ArmAfter(2ms, look);
      }
    };
    timer.ArmAfter(0ms, look);
    loop.Run();
    return condition();
  }
};

TEST_CASE("What waited during a pause is put to the owner before it is answered", "[ports]") {
  STENTOR_REQUIRE_NAMESPACES();
  Node n;
  n.SetAnnounced({{kVip, {}}});
  n.LinkUp();
  REQUIRE(n.opened.size() == 1);
  const RawSender host(n.client, "c0");
  SECTION("requests") {
    n.was_away = true;
    host.Request(kVip);
    CHECK(n.Await(
        [&n] { return n.announcer.Drops(net::IpFamily::kIpv4, DropReason::kNotAnnounced) == 1; }));
  }
  SECTION("gratuitous frames") {
    REQUIRE(n.announcer.NextDeadline().has_value());
    n.was_away = true;
    CHECK(n.Await([&n] { return !n.announcer.NextDeadline().has_value(); }));
    CHECK(n.announcer.Announced().empty());
  }
}

TEST_CASE("A node answers for more addresses than an exact filter has room for", "[ports]") {
  STENTOR_REQUIRE_NAMESPACES();
  Node n;
  // As before Linux 6.8, where a network namespace has no such limit of its own.
  n.node.Run("sysctl -qw net.core.optmem_max=20480 || true");
  Announcements many;
  for (std::uint32_t i = 0; i < 5000; ++i) {
    many.emplace(net::Ipv4Address(net::Ipv4Address::FromOctets(198, 18, 0, 1).value() + i * 7),
                 AnnouncementSpec());
  }
  const net::Ipv4Address first = many.begin()->first.ipv4();
  const net::Ipv4Address last = many.rbegin()->first.ipv4();
  SECTION("when the port is opened") {
    n.SetAnnounced(many);
    n.LinkUp();
  }
  SECTION("when they are announced") {
    n.ports.SetStandby({net::IpFamily::kIpv4});
    n.LinkUp();
    REQUIRE(n.opened.size() == 1);
    n.SetAnnounced(many);
  }
  CHECK(n.failed == std::vector<std::string>());
  REQUIRE(n.opened.size() == 1);
  const RawSender host(n.client, "c0");
  host.Request(first);
  host.Request(last);
  CHECK(n.Await([&] {
    return n.announcer.Counters(first)->responses_sent == 1 &&
           n.announcer.Counters(last)->responses_sent == 1;
  }));
}

TEST_CASE("A port that fails is opened again and announces again", "[ports]") {
  STENTOR_REQUIRE_NAMESPACES();
  Node n;
  n.SetAnnounced({{kVip, {}}});
  n.node.Run("ip link set net0 name other0");
  const Inside inside(n.node);  // where the timer opens it
  n.LinkUp("other0");
  REQUIRE(n.opened.empty());
  REQUIRE(n.failed.size() == 1);
  n.node.Run("ip link set other0 name net0");
  CHECK(n.Await([&n] { return n.opened.size() == 1; }));
  REQUIRE(n.announcer.NextDeadline().has_value());
  const RawSender host(n.client, "c0");
  host.Request(kVip);
  CHECK(n.Await([&n] { return n.announcer.Counters(kVip)->responses_sent == 1; }));
}

TEST_CASE("An interface made again under its number, unnoticed, is in its groups again",
          "[ports]") {
  STENTOR_REQUIRE_NAMESPACES();
  Node n;
  const auto vip = net::Ipv6Address::Parse("2001:db8::111");
  REQUIRE(vip.has_value());
  const auto joined = [&n] {
    return n.node.Output("grep -c ff0200000000000000000001ff000111 /proc/net/igmp6 || true") ==
           "1\n";
  };
  n.SetAnnounced({{*vip, {}}});
  n.LinkUp();
  const Inside inside(n.node);
  const IfIndex index{if_nametoindex("net0")};
  n.ports.OnLinkEvents(n.links.Apply({.index = index,
                                      .address = *net::IpAddress::Parse("fe80::20"),
                                      .prefix_length = 64,
                                      .flags = 0}));
  REQUIRE(n.opened.size() == 1);
  REQUIRE(joined());
  n.node.Run("ip link del net0");
  n.node.Run("ip link add net0 index " + std::to_string(static_cast<std::uint32_t>(index)) +
                 " type veth peer name c0 netns {peer}",
             &n.client);
  n.client.Run("ip link set c0 up");
  n.node.Run("ip link set net0 address 02:00:00:00:00:20 up");
  CHECK_FALSE(joined());
  CHECK(n.Await([&n] { return n.opened.size() == 2; }));
  CHECK(joined());
}

}  // namespace
}  // namespace stentor::speaker
