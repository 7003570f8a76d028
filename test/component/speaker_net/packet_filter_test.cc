// SPDX-License-Identifier: Apache-2.0
// The filters of packet_filter.h in the kernel: it must let in what the interpreter of the unit
// tests lets in, frame by frame.

#include "speaker/announce/packet_filter.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <random>
#include <set>
#include <vector>

#include "common/base/unique_fd.h"
#include "common/net/arp.h"
#include "common/net/ndp.h"
#include "test/component/speaker_net/packet_namespaces.h"
#include "test/component/speaker_net/raw_sender.h"
#include "test/support/catch.h"
#include "test/support/classic_bpf.h"

namespace stentor::speaker {
namespace {

using test::FrameFacts;
using test::Inside;
using test::Namespace;
using test::RawSender;
using test::RunBpf;

constexpr net::MacAddress kNodeMac({0x02, 0, 0, 0, 0, 0x20});
constexpr net::MacAddress kHostMac({0x02, 0, 0, 0, 0, 0x10});
constexpr std::size_t kBatch = 40;
constexpr int kAgainMs = 100;
constexpr int kMostTimes = 100;

struct Wire {
  Namespace node;
  Namespace client;

  Wire() {
    client.Run(
        "ip link add c0 address 02:00:00:00:00:10 type veth peer name net0 "
        "address 02:00:00:00:00:20 netns {peer} && ip link set c0 up",
        &node);
    node.Run("ip link set net0 up");
  }

  [[nodiscard]] net::IfIndex net0() const {
    const Inside inside(node);
    return net::IfIndex{if_nametoindex("net0")};
  }
};

// A capture on net0, behind a filter. Takes nothing before it has one: what the kernel itself says
// on a new link would look like a frame of the test.
class Capture {
 public:
  Capture(const Wire& wire, std::uint16_t protocol) {
    const Inside inside(wire.node);
    socket_.Reset(socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    REQUIRE(socket_.IsOpen());
    address_.sll_family = AF_PACKET;
    address_.sll_protocol = htons(protocol);
    address_.sll_ifindex = static_cast<int>(wire.net0());
  }

  // An errno value, or 0.
  [[nodiscard]] int Attach(const BpfProgram& program) const {
    std::vector<sock_filter> instructions;
    for (const BpfInstruction& i : program) {
      instructions.push_back(
          {.code = i.code, .jt = i.jump_true, .jf = i.jump_false, .k = i.operand});
    }
    const sock_fprog raw{.len = static_cast<unsigned short>(instructions.size()),
                         .filter = instructions.data()};
    if (setsockopt(socket_.Get(), SOL_SOCKET, SO_ATTACH_FILTER, &raw, sizeof(raw)) != 0 ||
        bind(socket_.Get(), reinterpret_cast<const sockaddr*>(&address_), sizeof(address_)) != 0) {
      return errno;
    }
    return 0;
  }

  // The frames that arrive, from `first` up to and with the one that ends with `last`. That one is
  // sent again where nothing arrives: a new namespace may lose it.
  [[nodiscard]] std::multiset<std::uint32_t> SerialsUntil(
      std::uint32_t first, std::uint32_t last, const std::function<void()>& send_last) const {
    std::multiset<std::uint32_t> serials;
    int silent = 0;
    while (!serials.contains(last)) {
      pollfd waiting{.fd = socket_.Get(), .events = POLLIN, .revents = 0};
      if (poll(&waiting, 1, kAgainMs) == 0) {
        REQUIRE(++silent < kMostTimes);
        send_last();
        continue;
      }
      std::array<std::byte, 256> frame{};
      const ssize_t length = recv(socket_.Get(), frame.data(), frame.size(), 0);
      REQUIRE(length > 4);
      std::uint32_t serial = 0;
      std::memcpy(&serial, frame.data() + length - 4, 4);
      if (serial >= first) {  // else it is what was sent twice
        serials.insert(serial);
      }
    }
    return serials;
  }

 private:
  UniqueFd socket_;
  sockaddr_ll address_{};
};

FrameFacts FactsOf(Bytes frame, net::IfIndex link) {
  net::MacAddress::Octets octets{};
  std::memcpy(octets.data(), frame.data(), octets.size());
  const net::MacAddress destination(octets);
  const std::uint32_t type = destination.IsBroadcast() ? 1U
                             : destination.IsGroup()   ? 2U
                             : destination == kNodeMac ? 0U
                                                       : 3U;
  return {.packet_type = type, .interface = link};
}

// Sends `frames`, and `wanted` (which the filter lets in) behind each batch of them.
void CheckAgainstInterpreter(const Wire& wire, const Capture& capture, const BpfProgram& program,
                             const std::vector<std::vector<std::byte>>& frames,
                             const std::vector<std::byte>& wanted) {
  const RawSender sender(wire.client, "c0");
  const net::IfIndex link = wire.net0();
  std::uint32_t serial = 0;
  std::multiset<std::uint32_t> want;
  std::size_t accepted = 0;
  std::size_t rejected = 0;
  const auto numbered = [&serial](std::vector<std::byte> frame) {
    const auto* octets = reinterpret_cast<const std::byte*>(&serial);
    frame.insert(frame.end(), octets, octets + 4);
    return frame;
  };
  const auto send_wanted = [&] { sender.Send(numbered(wanted)); };
  const auto send = [&](const std::vector<std::byte>& body) {
    ++serial;
    const std::vector<std::byte> frame = numbered(body);
    const bool lets_in = RunBpf(program, frame, FactsOf(frame, link)) != 0;
    lets_in ? ++accepted : ++rejected;
    if (lets_in) {
      want.insert(serial);
    }
    sender.Send(frame);
  };
  // From here on the wire carries what is sent.
  send_wanted();
  CHECK(capture.SerialsUntil(0, serial, send_wanted).size() == 1);
  std::uint32_t first = serial + 1;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    send(frames[i]);
    if (i % kBatch == kBatch - 1 || i + 1 == frames.size()) {
      send(wanted);
      CHECK(capture.SerialsUntil(first, serial, send_wanted) == want);
      want.clear();
      first = serial + 1;
    }
  }
  CHECK(accepted > frames.size() / 10);
  CHECK(rejected > frames.size() / 10);
}

TEST_CASE("The kernel understands the NDP filter as the unit tests do", "[packet]") {
  STENTOR_REQUIRE_NAMESPACES();
  const Wire wire;
  std::mt19937_64 random(6);
  std::vector<net::Ipv6Address> addresses;
  for (int i = 0; i < 250; ++i) {  // some share words, some share none
    const std::uint64_t high = i % 2 == 0 ? random() : 0x20010db800000000U;
    addresses.push_back(net::IpAddress::FromNumber(net::IpFamily::kIpv6, high, random()).ipv6());
  }
  const BpfProgram program = BuildNdpFilter(addresses, wire.net0());
  const Capture capture(wire, 0x86dd);
  REQUIRE(capture.Attach(program) == 0);

  const auto frame_for = [](const net::Ipv6Address& target) {
    const net::NdFrame frame = net::EncodeNd(net::DadProbe(kHostMac, target));
    return std::vector<std::byte>(frame.bytes().begin(), frame.bytes().end());
  };
  std::vector<std::vector<std::byte>> frames;
  for (int i = 0; i < 2000; ++i) {
    std::vector<std::byte> frame = frame_for(addresses[random() % addresses.size()]);
    const net::MacAddress::Octets to =
        i % 3 == 0 ? kNodeMac.octets() : net::MacAddress({0x33, 0x33, 0xff, 0, 0, 1}).octets();
    std::memcpy(frame.data(), to.data(), to.size());
    if (i % 2 == 0) {  // the filter looks at all of what follows the Ethernet addresses
      frame[12 + random() % (frame.size() - 12)] ^=
          std::byte{static_cast<std::uint8_t>(1U << (random() % 8U))};
    }
    frames.push_back(std::move(frame));
  }
  CheckAgainstInterpreter(wire, capture, program, frames, frame_for(addresses.front()));
}

TEST_CASE("The kernel understands the ARP filter as the unit tests do", "[packet]") {
  STENTOR_REQUIRE_NAMESPACES();
  const Wire wire;
  std::mt19937 random(7);
  std::vector<net::Ipv4Address> addresses;
  for (int i = 0; i < 600; ++i) {
    addresses.emplace_back(static_cast<std::uint32_t>(random()));
  }
  const BpfProgram program = BuildArpFilter(addresses, wire.net0());
  const Capture capture(wire, 0x0806);
  REQUIRE(capture.Attach(program) == 0);

  const auto frame_of = [](const net::ArpPacket& packet) {
    const net::ArpFrame frame = net::EncodeArp(packet);
    return std::vector<std::byte>(frame.begin(), frame.end());
  };
  std::vector<std::vector<std::byte>> frames;
  for (int i = 0; i < 2000; ++i) {
    const net::Ipv4Address address = addresses[random() % addresses.size()];
    std::vector<std::byte> frame =
        frame_of(i % 3 == 0 ? net::ArpProbe(kHostMac, address)
                            : net::GratuitousArpPacket(kHostMac, address,
                                                       i % 3 == 1 ? net::GratuitousArp::kRequest
                                                                  : net::GratuitousArp::kReply));
    if (i % 2 == 0) {
      frame[12 + random() % (frame.size() - 12)] ^=
          std::byte{static_cast<std::uint8_t>(1U << (random() % 8U))};
    }
    frames.push_back(std::move(frame));
  }
  CheckAgainstInterpreter(wire, capture, program, frames,
                          frame_of(net::ArpProbe(kHostMac, addresses.front())));
}

TEST_CASE("The kernel takes filters of the greatest length, or says that it has no room",
          "[packet]") {
  STENTOR_REQUIRE_NAMESPACES();
  const Wire wire;
  std::mt19937_64 random(8);
  std::vector<net::Ipv6Address> v6;
  std::vector<net::Ipv4Address> v4;
  for (int i = 0; i < 5000; ++i) {
    v6.push_back(net::IpAddress::FromNumber(net::IpFamily::kIpv6, random(), random()).ipv6());
    v4.emplace_back(static_cast<std::uint32_t>(random()));
  }
  const Capture ndp(wire, 0x86dd);
  const Capture arp(wire, 0x0806);
  for (const std::size_t limit : {kMinBpfInstructions, std::size_t{1000}, kMaxBpfInstructions}) {
    CAPTURE(limit);
    const BpfProgram for_ndp = BuildNdpFilter(v6, wire.net0(), limit);
    const BpfProgram for_arp = BuildArpFilter(v4, wire.net0(), limit);
    CHECK(for_ndp.size() > limit / 2);
    // EINVAL would be the checker's; ENOMEM is net.core.optmem_max, which was 20 KiB before 6.8.
    const bool may_lack_room = limit > 1000;
    const int ndp_error = ndp.Attach(for_ndp);
    const int arp_error = arp.Attach(for_arp);
    CHECK((ndp_error == 0 || (may_lack_room && ndp_error == ENOMEM)));
    CHECK((arp_error == 0 || (may_lack_room && arp_error == ENOMEM)));
  }
}

}  // namespace
}  // namespace stentor::speaker
