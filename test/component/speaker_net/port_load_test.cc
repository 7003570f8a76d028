// SPDX-License-Identifier: Apache-2.0
// PacketPorts under load, and when frames no longer arrive.

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "common/net/ndp.h"
#include "speaker/net/port_progress.h"
#include "test/component/speaker_net/live_node.h"
#include "test/component/speaker_net/raw_sender.h"

namespace stentor::speaker {
namespace {

using namespace std::chrono_literals;
using test::LiveNode;
using test::RawSender;

const net::IpAddress kV4 = net::Ipv4Address::FromOctets(192, 0, 2, 111);
constexpr std::uint64_t kBurst = 1000;

net::Ipv6Address V6() { return *net::Ipv6Address::Parse("2001:db8::111"); }

net::NdFrame Solicitation() {
  const net::MacAddress host({0x02, 0, 0, 0, 0, 0x10});
  const net::Ipv6Address group = net::SolicitedNodeGroup(V6());
  return net::EncodeNd({.destination = net::MulticastMac(group),
                        .source = host,
                        .ip_source = *net::Ipv6Address::Parse("2001:db8::1"),
                        .ip_destination = group,
                        .kind = net::NdKind::kSolicitation,
                        .target = V6(),
                        .link_layer_address = host});
}

TEST_CASE("A burst of a thousand requests waits in the port", "[load]") {
  STENTOR_REQUIRE_NAMESPACES();
  LiveNode n(LiveNode::kOneWire);
  n.client.Run("ip link set c0 up");
  const RawSender host(n.client, "c0");
  SECTION("ARP") {
    n.SetAnnounced({{kV4, {}}});
    REQUIRE(n.AwaitOpened("ARP on net0"));
    for (std::uint64_t i = 0; i < kBurst; ++i) {
      host.Request(kV4.ipv4());
    }
    CHECK(n.Await([&n] { return n.announcer.Counters(kV4)->responses_sent == kBurst; }));
  }
  SECTION("NDP") {
    REQUIRE(n.Await([&n] {
      return n.links.FindByName("net0") != nullptr && n.links.FindByName("net0")->answers_ndp;
    }));
    n.SetAnnounced({{V6(), {}}});
    REQUIRE(n.AwaitOpened("NDP on net0"));
    const net::NdFrame frame = Solicitation();
    for (std::uint64_t i = 0; i < kBurst; ++i) {
      host.Send(frame.bytes());
    }
    CHECK(n.Await([&n] { return n.announcer.Counters(V6())->responses_sent == kBurst; }));
  }
  CHECK(n.ports.Stats().at(0).dropped == 0);
}

TEST_CASE("A flood on one port leaves the others their turn", "[load]") {
  STENTOR_REQUIRE_NAMESPACES();
  LiveNode n(LiveNode::kOneWire);
  n.Ip("link add net1 type veth peer name c1 netns {peer}\nlink set net1 up");
  n.client.Run("ip link set c0 up; ip link set c1 up");
  const net::IpAddress other = net::Ipv4Address::FromOctets(192, 0, 2, 112);
  n.SetAnnounced({{kV4, {.interfaces = AllowedInterfaces::Only({"net0"})}},
                  {other, {.interfaces = AllowedInterfaces::Only({"net1"})}}});
  REQUIRE(n.AwaitOpened("ARP on net0"));
  REQUIRE(n.AwaitOpened("ARP on net1"));
  const RawSender flood(n.client, "c0");
  const RawSender honest(n.client, "c1");
  for (std::uint64_t i = 0; i < kBurst; ++i) {
    flood.Request(kV4.ipv4());
  }
  honest.Request(other.ipv4());
  std::uint64_t before_honest = 0;  // answers to the flood before the one that matters
  n.after_frames = [&] {
    if (before_honest == 0 && n.announcer.Counters(other)->responses_sent == 1) {
      before_honest = n.announcer.Counters(kV4)->responses_sent + 1;
    }
  };
  REQUIRE(n.Await([&n] { return n.announcer.Counters(kV4)->responses_sent == kBurst; }));
  REQUIRE(before_honest > 0);
  // One wake-up's worth, and what was in front of it in the same turn.
  CHECK(before_honest <= 2 * PacketIo::kMaxFramesPerWake + 1);
}

// Takes every packet socket of this process out of every epoll of it: their frames still arrive in
// the kernel, but nobody hears of them.
void CutOff(const LiveNode& n) {
  namespace fs = std::filesystem;
  std::vector<int> epolls;
  std::vector<int> sockets;
  std::vector<std::string> inodes;
  // The inode is the last column.
  const std::string text = n.node.Output("awk 'NR > 1 { print $9 }' /proc/net/packet");
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc/self/fd")) {
    std::error_code ignored;  // the directory's own descriptor is gone by now
    const std::string target = fs::read_symlink(entry.path(), ignored).string();
    const int fd = std::stoi(entry.path().filename().string());
    if (target == "anon_inode:[eventpoll]") {
      epolls.push_back(fd);
    } else if (target.starts_with("socket:[") &&
               text.find(target.substr(8, target.size() - 9) + "\n") != std::string::npos) {
      sockets.push_back(fd);
    }
  }
  REQUIRE_FALSE(sockets.empty());
  int cut = 0;
  for (const int epoll : epolls) {
    for (const int socket : sockets) {
      cut += epoll_ctl(epoll, EPOLL_CTL_DEL, socket, nullptr) == 0 ? 1 : 0;
    }
  }
  REQUIRE(cut > 0);
}

TEST_CASE("A port that is stuck is opened again, and told of where that doesn't help", "[load]") {
  STENTOR_REQUIRE_NAMESPACES();
  LiveNode n(LiveNode::kOneWire);
  n.client.Run("ip link set c0 up");
  n.SetAnnounced({{kV4, {}}});
  REQUIRE(n.AwaitOpened("ARP on net0"));
  const RawSender host(n.client, "c0");
  CutOff(n);
  host.Request(kV4.ipv4());
  REQUIRE(n.Await([&n] { return n.opened.size() == 2; }, 20s));
  REQUIRE(n.failed.size() == 1);
  CHECK(n.failed[0].find("frames wait") != std::string::npos);
  CHECK(n.ports.Progress().ok());
  SECTION("it works again") {
    host.Request(kV4.ipv4());
    CHECK(n.Await([&n] { return n.announcer.Counters(kV4)->responses_sent == 1; }));
    CHECK(n.ports.Progress().ok());
  }
  SECTION("it doesn't") {
    CutOff(n);
    host.Request(kV4.ipv4());
    CHECK(n.Await([&n] { return !n.ports.Progress().ok(); }, 20s));
  }
}

TEST_CASE("PortProgress compares what came with what was read", "[progress]") {
  using std::chrono::milliseconds;
  struct Look {
    int second;
    std::uint64_t offered;
    std::uint64_t taken;
    bool stuck;
  };
  struct Case {
    const char* name;
    std::vector<Look> looks;
  };
  const auto c = GENERATE(values<Case>({
      {"nothing happens", {{0, 0, 0, false}, {2, 0, 0, false}, {9, 0, 0, false}}},
      {"all is read", {{0, 0, 0, false}, {2, 5, 5, false}, {4, 9, 9, false}}},
      {"frames came just before the look", {{0, 0, 0, false}, {2, 1, 0, false}, {4, 1, 1, false}}},
      {"none is read", {{0, 0, 0, false}, {2, 1, 0, false}, {4, 1, 0, true}, {6, 1, 0, true}}},
      {"more come, none is read", {{0, 3, 3, false}, {2, 9, 3, false}, {4, 12, 3, true}}},
      {"there was no time yet", {{0, 0, 0, false}, {2, 1, 0, false}, {3, 1, 0, false}}},
      {"it got going again", {{0, 1, 0, false}, {2, 1, 0, true}, {4, 2, 2, false}}},
      {"a part is read: slow, not stuck", {{0, 9, 0, false}, {2, 20, 4, false}, {4, 30, 8, false}}},
      {"frames that libpcap keeps to itself",
       {{0, 5, 4, false}, {2, 5, 4, false}, {4, 5, 4, false}}},
  }));
  // A look comes when the loop gets to it.
  const milliseconds late = GENERATE(milliseconds(0), milliseconds(1));
  DYNAMIC_SECTION(c.name << ", the first looks " << late.count() << " ms late") {
    PortProgress progress;
    for (const Look& look : c.looks) {
      INFO("second " << look.second);
      const TimePoint time(std::chrono::seconds(look.second));
      CHECK(progress.Look(look.second <= 2 ? time + late : time, look.offered, look.taken) ==
            look.stuck);
    }
  }
}

}  // namespace
}  // namespace stentor::speaker
