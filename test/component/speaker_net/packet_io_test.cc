// SPDX-License-Identifier: Apache-2.0
// PacketIo and the pure announcer behind it, on a veth pair between two network namespaces. The
// judge is the kernel of the other end: its neighbour table.

#include "speaker/net/packet_io.h"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "speaker/announce/announcer.h"
#include "speaker/net/link_monitor.h"
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
constexpr net::Ipv4Address kOtherVip = net::Ipv4Address::FromOctets(192, 0, 2, 112);
constexpr Duration kDeadline = 5s;

TimePoint Now() { return std::chrono::steady_clock::now(); }

bool WaitReadable(int fd, Duration limit) {
  pollfd item{.fd = fd, .events = POLLIN, .revents = 0};
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(limit).count();
  return poll(&item, 1, static_cast<int>(milliseconds)) == 1;
}

// A node (net0) and a client (c0) on one wire.
struct Segment {
  Namespace node;
  Namespace client;
  Links links{NameFilter()};
  std::unique_ptr<LinkMonitor> monitor;
  Announcer announcer{links, {}};

  Segment() {
    node.Run("ip link add net0 type veth peer name c0 netns {peer}", &client);
    node.Run("ip link set net0 address 02:00:00:00:00:20 up");
    client.Run("ip link set c0 up && ip addr add 192.0.2.1/24 dev c0");
    const Inside inside(node);
    auto opened = LinkMonitor::Open(links);
    REQUIRE(opened.ok());
    monitor = *std::move(opened);
    const TimePoint end = Now() + kDeadline;
    while (!(monitor->synced() && links.FindByName("net0") != nullptr &&
             links.FindByName("net0")->carrier)) {
      REQUIRE(Now() < end);
      REQUIRE(WaitReadable(monitor->fd(), kDeadline));
      std::vector<LinkEvent> events;
      REQUIRE(monitor->OnReadable(&events).ok());
      announcer.OnLinkEvents(events, Now());
    }
  }

  [[nodiscard]] IfIndex net0() const { return links.FindByName("net0")->index; }

  std::unique_ptr<PacketIo> OpenPort() {
    const Inside inside(node);
    auto port = PacketIo::Open("net0", net0(), Filter());
    INFO(port.status().ToString());
    REQUIRE(port.ok());
    return *std::move(port);
  }

  [[nodiscard]] BpfProgram Filter() const {
    return BuildArpFilter(announcer.Ipv4AddressesOn(net0()), net0());
  }

  // Answers what arrives, as the speaker does, until `until` or for `limit`. True where `until`.
  bool Serve(PacketIo* port, Duration limit, const std::function<bool()>& until) {
    const TimePoint end = Now() + limit;
    while (Now() < end) {
      if (until()) {
        return true;
      }
      for (const OutgoingFrame& frame : announcer.Poll(Now())) {
        REQUIRE(port->Send(frame.bytes).ok());
      }
      if (!WaitReadable(port->fd(), 20ms)) {
        continue;
      }
      REQUIRE(port->OnReadable([this, port](Bytes frame) {
                    const ArpDecision decision = announcer.OnArpFrame(net0(), frame, Now());
                    if (const auto* answer = std::get_if<ArpAnswer>(&decision)) {
                      CHECK(port->Send(answer->frame).ok());
                    }
                  })
                  .ok());
    }
    return until();
  }

  // The client's neighbour entry; empty where it has none.
  [[nodiscard]] std::string Neighbour(const char* address) const {
    return client.Output(std::string("ip neigh show dev c0 to ") + address);
  }
};

bool Has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

TEST_CASE("The kernel of a client resolves what we announce, and nothing else", "[packet]") {
  STENTOR_REQUIRE_NAMESPACES();
  Segment s;
  s.announcer.Announce(kVip, {}, Now());
  const std::unique_ptr<PacketIo> port = s.OpenPort();

  // The packets themselves go nowhere; they make the kernel ask.
  s.client.Run("bash -c 'echo x > /dev/udp/192.0.2.111/9'");
  s.client.Run("bash -c 'echo x > /dev/udp/192.0.2.112/9'");
  CHECK(s.Serve(port.get(), kDeadline,
                [&s] { return Has(s.Neighbour("192.0.2.111"), "02:00:00:00:00:20 REACHABLE"); }));
  CHECK(s.Serve(port.get(), 10s, [&s] { return Has(s.Neighbour("192.0.2.112"), "FAILED"); }));
  CHECK(s.announcer.Counters(kVip)->responses_sent >= 1);
  CHECK(s.announcer.Drops(net::IpFamily::kIpv4, DropReason::kNotAnnounced) ==
        0);  // the kernel filter kept them out
}

TEST_CASE("A gratuitous announcement moves a client's neighbour entry", "[packet]") {
  STENTOR_REQUIRE_NAMESPACES();
  Segment s;
  s.client.Run("ip neigh add 192.0.2.111 lladdr 02:00:00:00:00:99 nud stale dev c0");
  const std::unique_ptr<PacketIo> port = s.OpenPort();
  s.announcer.Announce(kVip, {}, Now());
  REQUIRE(port->SetFilter(s.Filter()).ok());
  CHECK(s.Serve(port.get(), kDeadline,
                [&s] { return Has(s.Neighbour("192.0.2.111"), "02:00:00:00:00:20"); }));
}

// The targets of all frames that wait; the last one must be `last`, sent after all others.
std::vector<net::Ipv4Address> ReceiveUntil(PacketIo* port, net::Ipv4Address last) {
  std::vector<net::Ipv4Address> targets;
  const TimePoint end = Now() + kDeadline;
  while (targets.empty() || targets.back() != last) {
    REQUIRE(Now() < end);
    REQUIRE(WaitReadable(port->fd(), kDeadline));
    REQUIRE(port->OnReadable([&targets](Bytes frame) {
                  const auto packet = net::DecodeArp(frame);
                  REQUIRE(std::holds_alternative<net::ArpPacket>(packet));
                  targets.push_back(std::get<net::ArpPacket>(packet).target_ip);
                })
                .ok());
  }
  return targets;
}

TEST_CASE("The kernel filter lets in requests for our addresses only", "[packet]") {
  STENTOR_REQUIRE_NAMESPACES();
  Segment s;
  s.announcer.Announce(kVip, {}, Now());
  s.announcer.Announce(kOtherVip, {}, Now());
  const std::unique_ptr<PacketIo> port = s.OpenPort();
  const RawSender sender(s.client, "c0");
  sender.Request(net::Ipv4Address::FromOctets(192, 0, 2, 50));
  sender.Request(kVip, net::kArpReply);
  sender.Request(kVip, net::kArpRequest, net::MacAddress({0x02, 0, 0, 0, 0, 0x77}));
  sender.Request(kVip, net::kArpRequest, net::MacAddress({0x02, 0, 0, 0, 0, 0x20}));
  sender.Request(kOtherVip);
  CHECK(ReceiveUntil(port.get(), kOtherVip) == std::vector<net::Ipv4Address>{kVip, kOtherVip});
  CHECK(port->stats().received == 2);
}

TEST_CASE("Frames of a VLAN don't pass, priority-tagged ones do", "[packet]") {
  STENTOR_REQUIRE_NAMESPACES();
  Segment s;
  s.announcer.Announce(kVip, {}, Now());
  s.announcer.Announce(kOtherVip, {}, Now());
  const std::unique_ptr<PacketIo> port = s.OpenPort();
  const RawSender sender(s.client, "c0");
  const auto tagged = [](net::Ipv4Address target, std::uint8_t high, std::uint8_t low) {
    const net::MacAddress host({0x02, 0, 0, 0, 0, 0x10});
    const net::ArpFrame plain = net::EncodeArp({.destination = net::MacAddress::Broadcast(),
                                                .source = host,
                                                .operation = net::kArpRequest,
                                                .sender_mac = host,
                                                .sender_ip = {},
                                                .target_mac = {},
                                                .target_ip = target});
    std::vector<std::byte> frame(plain.begin(), plain.end());
    const std::vector<std::byte> tag = {std::byte{0x81}, std::byte{0}, std::byte{high},
                                        std::byte{low}};
    frame.insert(frame.begin() + 12, tag.begin(), tag.end());
    return frame;
  };
  sender.Send(tagged(kVip, 0, 5));
  sender.Send(tagged(kOtherVip, 0xe0, 0));
  CHECK(ReceiveUntil(port.get(), kOtherVip) == std::vector<net::Ipv4Address>{kOtherVip});
}

TEST_CASE("Requests for the addresses of a macvlan child stay with the child", "[packet]") {
  STENTOR_REQUIRE_NAMESPACES();
  Segment s;
  s.node.Run(
      "ip link add link net0 name child0 address 02:00:00:00:00:21 type macvlan "
      "mode bridge && ip link set child0 up");
  s.announcer.Announce(kVip, {}, Now());
  s.announcer.Announce(kOtherVip, {}, Now());
  const std::unique_ptr<PacketIo> port = s.OpenPort();
  const RawSender sender(s.client, "c0");
  sender.Request(kVip, net::kArpRequest, net::MacAddress({0x02, 0, 0, 0, 0, 0x21}));
  sender.Request(kOtherVip);
  CHECK(ReceiveUntil(port.get(), kOtherVip) == std::vector<net::Ipv4Address>{kOtherVip});
}

TEST_CASE("No request is lost while filters are swapped", "[packet]") {
  STENTOR_REQUIRE_NAMESPACES();
  Segment s;
  s.announcer.Announce(kVip, {}, Now());
  s.announcer.Announce(kOtherVip, {}, Now());
  const std::unique_ptr<PacketIo> port = s.OpenPort();
  const BpfProgram small = BuildArpFilter({kVip, kOtherVip}, s.net0());
  std::vector<net::Ipv4Address> many = {kVip, kOtherVip};
  for (std::uint32_t i = 0; i < 1000; ++i) {
    many.emplace_back(net::Ipv4Address::FromOctets(198, 18, 0, 1).value() + i * 7);
  }
  const BpfProgram large = BuildArpFilter(many, s.net0());
  const RawSender sender(s.client, "c0");
  for (int i = 0; i < 400; ++i) {
    sender.Request(kVip);
    REQUIRE(port->SetFilter(i % 2 == 0 ? large : small).ok());
  }
  sender.Request(kOtherVip);
  CHECK(ReceiveUntil(port.get(), kOtherVip).size() == 401);
  CHECK(port->stats().dropped == 0);
}

TEST_CASE("The kernel takes filters of no, one and many addresses", "[packet]") {
  STENTOR_REQUIRE_NAMESPACES();
  Segment s;
  const std::unique_ptr<PacketIo> port = s.OpenPort();
  const std::uint32_t count = GENERATE(0U, 1U, 1000U);
  std::vector<net::Ipv4Address> addresses;
  for (std::uint32_t i = 0; i < count; ++i) {
    addresses.emplace_back(net::Ipv4Address::FromOctets(198, 18, 0, 1).value() + i * 7);
  }
  const BpfProgram filter = BuildArpFilter(addresses, s.net0());
  const absl::Status status = port->SetFilter(filter);
  INFO(status.ToString());
  CHECK(status.ok());
  if (count > 1) {
    const RawSender sender(s.client, "c0");
    sender.Request(addresses.front());
    sender.Request(addresses.back());
    CHECK(ReceiveUntil(port.get(), addresses.back()) ==
          std::vector<net::Ipv4Address>{addresses.front(), addresses.back()});
  }
}

TEST_CASE("An interface that is deleted is reported, by reading and by sending", "[packet]") {
  STENTOR_REQUIRE_NAMESPACES();
  Segment s;
  const std::unique_ptr<PacketIo> port = s.OpenPort();
  s.node.Run("ip link del net0");
  REQUIRE(WaitReadable(port->fd(), kDeadline));
  CHECK(port->OnReadable([](Bytes) {}).status().code() == absl::StatusCode::kUnavailable);
  CHECK(port->Send(net::EncodeArp({})).code() == absl::StatusCode::kUnavailable);
}

TEST_CASE("An interface that is down can't send, and works again when it is up", "[packet]") {
  STENTOR_REQUIRE_NAMESPACES();
  Segment s;
  s.announcer.Announce(kVip, {}, Now());
  const std::unique_ptr<PacketIo> port = s.OpenPort();
  s.node.Run("ip link set net0 down");
  CHECK(port->Send(net::EncodeArp({})).code() == absl::StatusCode::kUnavailable);
  s.node.Run("ip link set net0 up");
  const RawSender sender(s.client, "c0");
  sender.Request(kVip);
  CHECK(ReceiveUntil(port.get(), kVip) == std::vector<net::Ipv4Address>{kVip});
}

TEST_CASE("Opening what is not there says so", "[packet]") {
  STENTOR_REQUIRE_NAMESPACES();
  Segment s;
  const Inside inside(s.node);
  const BpfProgram none = BuildArpFilter({}, s.net0());
  SECTION("no such name") {
    CHECK(PacketIo::Open("nosuch0", IfIndex{77}, none).status().code() ==
          absl::StatusCode::kNotFound);
  }
  SECTION("the name belongs to another interface by now") {
    CHECK(PacketIo::Open("net0", IfIndex{7777}, none).status().code() ==
          absl::StatusCode::kNotFound);
  }
}

}  // namespace
}  // namespace stentor::speaker
