// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "speaker/net/link_monitor.h"
#include "speaker/net/packet_ports.h"
#include "test/component/speaker_net/packet_namespaces.h"
#include "test/support/catch.h"

namespace stentor::test {

/// Links, announcer and packet ports as a speaker has them, in the namespace of a node, driven by
/// the kernel's own notifications. Beside it the namespace of a client.
class LiveNode {
 public:
  Namespace node;
  Namespace client;
  std::vector<std::string> opened;  ///< "ARP on net0", in order
  std::vector<std::string> closed;
  std::vector<std::string> failed;
  std::function<void()> on_opened;  ///< May be empty.
  std::function<void()> after_frames;

  io::EventLoop loop;
  speaker::Links links{speaker::NameFilter()};
  speaker::Announcer announcer{links, {.repeat_interval = std::chrono::milliseconds(20)}};
  speaker::PacketPorts ports{
      loop,
      links,
      announcer,
      {.before_frames = [] {},
       .after_frames =
           [this] {
             if (after_frames) {
               after_frames();
             }
           },
       .on_opened =
           [this](const std::string& name, net::IpFamily family) {
             opened.push_back(PortName(name, family));
             if (on_opened) {
               on_opened();
             }
           },
       .on_closed = [this](const std::string& name,
                           net::IpFamily family) { closed.push_back(PortName(name, family)); },
       .on_failed =
           [this](const std::string& name, net::IpFamily family, const absl::Status& why) {
             failed.push_back(PortName(name, family) + ": " + why.ToString());
           }}};

  /// `lines`: commands of ip(8) that make the node's links, one a line. IPv6 addresses are usable
  /// at once there, without duplicate address detection.
  explicit LiveNode(const std::string& lines) {
    for (const Namespace* one : {&node, &client}) {
      one->Run("for i in all default; do echo 0 > /proc/sys/net/ipv6/conf/$i/accept_dad; done");
      one->Run("ip link set lo up");
    }
    Ip(lines);
    {
      const Inside inside(node);
      auto opened_monitor = speaker::LinkMonitor::Open(links);
      REQUIRE(opened_monitor.ok());
      monitor_ = *std::move(opened_monitor);
    }
    watch_ = std::make_unique<io::DescriptorWatch>(loop, monitor_->fd(), [this] {
      std::vector<speaker::LinkEvent> events;
      const absl::Status status = monitor_->OnReadable(&events);
      INFO(status.ToString());
      REQUIRE(status.ok());
      ports.OnLinkEvents(events);
    });
    REQUIRE(Await([this] { return monitor_->synced(); }));
  }

  /// For one wire: net0 with the MAC 02:00:00:00:00:20, and the client's c0 with addresses.
  static constexpr const char* kOneWire =
      "link add net0 type veth peer name c0 netns {peer}\n"
      "link set net0 address 02:00:00:00:00:20 up\n";
  static constexpr const char* kClientUp =
      "ip link set c0 address 02:00:00:00:00:10 up && ip addr add 192.0.2.1/24 dev c0 && "
      "ip addr add 2001:db8::1/64 dev c0";

  /// Commands of ip(8) for the node, one a line.
  void Ip(const std::string& lines) {
    node.Run("ip -batch - <<'END'\n" + lines + "\nEND", &client);
  }

  void SetAnnounced(const speaker::Announcements& desired) {
    const Inside inside(node);
    announcer.SetAnnounced(desired, loop.Now());
    ports.Update();
  }

  void SetStandby(const std::set<net::IpFamily>& families) {
    const Inside inside(node);
    ports.SetStandby(families);
  }

  /// Runs the loop, in the node's namespace, until `condition` holds; false where it doesn't
  /// within the deadline.
  bool Await(const std::function<bool()>& condition, Duration deadline = std::chrono::seconds(10)) {
    const Inside inside(node);
    const TimePoint end = loop.Now() + deadline;
    io::Timer timer(loop);
    const std::function<void()> look = [&] {
      if (condition() || loop.Now() >= end) {
        loop.Stop();
      } else {
        timer.ArmAfter(std::chrono::milliseconds(2), look);
      }
    };
    timer.ArmAfter(Duration(0), look);
    loop.Run();
    return condition();
  }

  /// Until what a command prints in the client's namespace contains `part`.
  bool AwaitClient(const std::string& command, const std::string& part) {
    std::string last;
    const bool seen = Await([&] {
      last = client.Output(command);
      return last.find(part) != std::string::npos;
    });
    UNSCOPED_INFO(command << " printed: " << last);
    return seen;
  }

  bool AwaitOpened(const std::string& port) {
    return Await([&] { return std::count(opened.begin(), opened.end(), port) > 0; });
  }

 private:
  static std::string PortName(const std::string& name, net::IpFamily family) {
    return (family == net::IpFamily::kIpv4 ? "ARP on " : "NDP on ") + name;
  }

  std::unique_ptr<speaker::LinkMonitor> monitor_;
  std::unique_ptr<io::DescriptorWatch> watch_;
};

}  // namespace stentor::test
