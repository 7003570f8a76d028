// SPDX-License-Identifier: Apache-2.0
// What a frame and a change cost in the pure part of the speaker, without any system call.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "speaker/announce/announcer.h"
#include "speaker/announce/packet_filter.h"

namespace stentor::speaker {
namespace {

constexpr net::MacAddress kHost({0x02, 0, 0, 0, 0, 0x10});
constexpr IfIndex kLink{2};

net::Ipv4Address AddressOf(std::int64_t number) {
  return net::Ipv4Address(net::Ipv4Address::FromOctets(198, 18, 0, 1).value() +
                          static_cast<std::uint32_t>(number) * 7);
}

net::Ipv6Address Ipv6AddressOf(std::int64_t number) {
  return net::IpAddress::FromNumber(net::IpFamily::kIpv6, 0x2001'0db8'0000'0000ULL,
                                    1 + static_cast<std::uint64_t>(number) * 7)
      .ipv6();
}

Announcements Many(std::int64_t count, net::IpFamily family = net::IpFamily::kIpv4,
                   const AnnouncementSpec& spec = {}) {
  Announcements desired;
  for (std::int64_t i = 0; i < count; ++i) {
    if (family == net::IpFamily::kIpv4) {
      desired[AddressOf(i)] = spec;
    } else {
      desired[Ipv6AddressOf(i)] = spec;
    }
  }
  return desired;
}

// One link, so that the number of addresses is the only axis.
struct Node {
  Links links{NameFilter()};
  Announcer announcer{links, {}};

  Node() {
    const net::LinkMessage message{
        .index = kLink,
        .flags = net::kLinkUp | net::kLinkBroadcast | net::kLinkRunning | net::kLinkLowerUp,
        .name = "eth0",
        .mac = net::MacAddress({0x02, 0, 0, 0, 0, 0x20})};
    announcer.OnLinkEvents(links.Apply(message), TimePoint());
    const net::AddressMessage local{
        .index = kLink, .address = *net::IpAddress::Parse("fe80::20"), .prefix_length = 64};
    announcer.OnLinkEvents(links.Apply(local), TimePoint());
  }
};

net::ArpFrame RequestFor(net::Ipv4Address target) {
  return net::EncodeArp({.destination = net::MacAddress::Broadcast(),
                         .source = kHost,
                         .operation = net::kArpRequest,
                         .sender_mac = kHost,
                         .sender_ip = net::Ipv4Address::FromOctets(198, 18, 0, 0),
                         .target_mac = {},
                         .target_ip = target});
}

net::NdFrame SolicitationFor(const net::Ipv6Address& target) {
  const net::Ipv6Address group = net::SolicitedNodeGroup(target);
  return net::EncodeNd({.destination = net::MulticastMac(group),
                        .source = kHost,
                        .ip_source = *net::Ipv6Address::Parse("fe80::10"),
                        .ip_destination = group,
                        .kind = net::NdKind::kSolicitation,
                        .target = target,
                        .link_layer_address = kHost});
}

void AnswerRequest(benchmark::State& state) {
  Node node;
  node.announcer.SetAnnounced(Many(state.range(0)), TimePoint());
  const net::ArpFrame frame = RequestFor(AddressOf(state.range(0) / 2));
  for (auto _ : state) {
    benchmark::DoNotOptimize(node.announcer.OnArpFrame(kLink, frame, TimePoint()));
  }
}
BENCHMARK(AnswerRequest)->Arg(1)->Arg(1000)->Arg(10000);

void AnswerSolicitation(benchmark::State& state) {
  Node node;
  node.announcer.SetAnnounced(Many(state.range(0), net::IpFamily::kIpv6), TimePoint());
  const net::NdFrame frame = SolicitationFor(Ipv6AddressOf(state.range(0) / 2));
  for (auto _ : state) {
    benchmark::DoNotOptimize(node.announcer.OnNdFrame(kLink, frame.bytes(), TimePoint()));
  }
}
BENCHMARK(AnswerSolicitation)->Arg(1)->Arg(1000)->Arg(10000);

void DropForeignRequest(benchmark::State& state) {
  Node node;
  node.announcer.SetAnnounced(Many(1000), TimePoint());
  const net::ArpFrame frame = RequestFor(net::Ipv4Address::FromOctets(203, 0, 113, 9));
  for (auto _ : state) {
    benchmark::DoNotOptimize(node.announcer.OnArpFrame(kLink, frame, TimePoint()));
  }
}
BENCHMARK(DropForeignRequest);

// A stranger who claims an address with ever new MACs, on a node with many links.
void JudgeForeignClaim(benchmark::State& state) {
  Node node;
  for (std::uint32_t i = 0; i < state.range(0); ++i) {
    const net::LinkMessage pod{.index = IfIndex{100 + i},
                               .flags = net::kLinkNoArp,
                               .name = "pod" + std::to_string(i),
                               .mac = net::MacAddress({2, 9, 0, 0, 0, 1})};
    node.announcer.OnLinkEvents(node.links.Apply(pod), TimePoint());
  }
  node.announcer.SetAnnounced(Many(1000), TimePoint());
  std::uint32_t number = 0;
  for (auto _ : state) {
    ++number;
    const net::MacAddress mac(
        {2, 1, 0, 0, static_cast<std::uint8_t>(number >> 8U), static_cast<std::uint8_t>(number)});
    const net::ArpFrame frame =
        net::EncodeArp(net::GratuitousArpPacket(mac, AddressOf(500), net::GratuitousArp::kReply));
    benchmark::DoNotOptimize(node.announcer.OnArpFrame(kLink, frame, TimePoint()));
  }
}
BENCHMARK(JudgeForeignClaim)->Arg(1)->Arg(100);

void ReconcileWithoutChange(benchmark::State& state) {
  Node node;
  const Announcements desired = Many(state.range(0));
  node.announcer.SetAnnounced(desired, TimePoint());
  for (auto _ : state) {
    benchmark::DoNotOptimize(node.announcer.SetAnnounced(desired, TimePoint()));
  }
}
BENCHMARK(ReconcileWithoutChange)->Arg(1000)->Arg(10000);

bool IsProbe(const OutgoingFrame& frame) {
  return std::get<net::ArpPacket>(net::DecodeArp(frame.bytes)).sender_ip.IsUnspecified();
}

// Until each has been told once; what is new is probed besides.
void TakeOverAs(benchmark::State& state, net::IpFamily family, bool probe) {
  const Announcements desired = Many(state.range(0), family, {.probe = probe});
  double milliseconds = 0;
  for (auto _ : state) {
    Node node;
    TimePoint now;
    node.announcer.SetAnnounced(desired, now);
    for (absl::flat_hash_set<net::IpAddress> told;;) {
      for (const OutgoingFrame& frame : node.announcer.Poll(now)) {
        if (probe && IsProbe(frame)) {
          continue;
        }
        told.insert(frame.address);
      }
      if (told.size() == desired.size()) {
        break;
      }
      now = std::max(now, *node.announcer.NextDeadline());
    }
    milliseconds = std::chrono::duration<double, std::milli>(now - TimePoint()).count();
  }
  state.counters["told_after_ms"] = milliseconds;  // in the announcer's own time
}

void TakeOver(benchmark::State& state) { TakeOverAs(state, net::IpFamily::kIpv4, false); }
BENCHMARK(TakeOver)->Arg(1000)->Arg(10000)->Unit(benchmark::kMicrosecond);

void TakeOverIpv6(benchmark::State& state) { TakeOverAs(state, net::IpFamily::kIpv6, false); }
BENCHMARK(TakeOverIpv6)->Arg(1000)->Unit(benchmark::kMicrosecond);

void AnnounceNew(benchmark::State& state) { TakeOverAs(state, net::IpFamily::kIpv4, true); }
BENCHMARK(AnnounceNew)->Arg(1000)->Unit(benchmark::kMicrosecond);

void BuildFilter(benchmark::State& state) {
  std::vector<net::Ipv4Address> addresses;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    addresses.push_back(AddressOf(i));
  }
  std::size_t instructions = 0;
  for (auto _ : state) {
    instructions = BuildArpFilter(addresses, kLink).size();
  }
  state.counters["instructions"] = static_cast<double>(instructions);
}
BENCHMARK(BuildFilter)->Arg(1)->Arg(1000)->Arg(10000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace stentor::speaker
