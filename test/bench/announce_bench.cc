// SPDX-License-Identifier: Apache-2.0
// What a frame and a change cost in the pure part of the speaker, without any system call.

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "speaker/announce/announcer.h"
#include "speaker/announce/arp_filter.h"

namespace stentor::speaker {
namespace {

constexpr net::MacAddress kHost({0x02, 0, 0, 0, 0, 0x10});

net::Ipv4Address AddressOf(std::int64_t number) {
  return net::Ipv4Address(net::Ipv4Address::FromOctets(198, 18, 0, 1).value() +
                          static_cast<std::uint32_t>(number) * 7);
}

Announcements Many(std::int64_t count) {
  Announcements desired;
  for (std::int64_t i = 0; i < count; ++i) {
    desired[AddressOf(i)] = std::nullopt;
  }
  return desired;
}

// One link, so that the number of addresses is the only axis.
struct Node {
  Links links{NameFilter()};
  Announcer announcer{links, {}};

  Node() {
    const net::LinkMessage message{
        .index = IfIndex{2},
        .flags = net::kLinkUp | net::kLinkBroadcast | net::kLinkRunning | net::kLinkLowerUp,
        .name = "eth0",
        .mac = net::MacAddress({0x02, 0, 0, 0, 0, 0x20})};
    announcer.OnLinkEvents(links.Apply(message), TimePoint());
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

void AnswerRequest(benchmark::State& state) {
  Node node;
  node.announcer.SetAnnounced(Many(state.range(0)), TimePoint());
  const net::ArpFrame frame = RequestFor(AddressOf(state.range(0) / 2));
  for (auto _ : state) {
    benchmark::DoNotOptimize(node.announcer.OnArpFrame(IfIndex{2}, frame));
  }
}
BENCHMARK(AnswerRequest)->Arg(1)->Arg(1000)->Arg(10000);

void DropForeignRequest(benchmark::State& state) {
  Node node;
  node.announcer.SetAnnounced(Many(1000), TimePoint());
  const net::ArpFrame frame = RequestFor(net::Ipv4Address::FromOctets(203, 0, 113, 9));
  for (auto _ : state) {
    benchmark::DoNotOptimize(node.announcer.OnArpFrame(IfIndex{2}, frame));
  }
}
BENCHMARK(DropForeignRequest);

void ReconcileWithoutChange(benchmark::State& state) {
  Node node;
  const Announcements desired = Many(state.range(0));
  node.announcer.SetAnnounced(desired, TimePoint());
  for (auto _ : state) {
    benchmark::DoNotOptimize(node.announcer.SetAnnounced(desired, TimePoint()));
  }
}
BENCHMARK(ReconcileWithoutChange)->Arg(1000)->Arg(10000);

void TakeOver(benchmark::State& state) {
  const Announcements desired = Many(state.range(0));
  for (auto _ : state) {
    Node node;
    TimePoint now;
    node.announcer.SetAnnounced(desired, now);
    std::int64_t frames = 0;
    while (frames < state.range(0)) {
      now += std::chrono::milliseconds(10);
      frames += static_cast<std::int64_t>(node.announcer.Poll(now).size());
    }
  }
}
BENCHMARK(TakeOver)->Arg(1000)->Arg(10000)->Unit(benchmark::kMicrosecond);

void BuildFilter(benchmark::State& state) {
  std::vector<net::Ipv4Address> addresses;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    addresses.push_back(AddressOf(i));
  }
  std::size_t instructions = 0;
  for (auto _ : state) {
    instructions = BuildArpFilter(addresses, IfIndex{2}).size();
  }
  state.counters["instructions"] = static_cast<double>(instructions);
}
BENCHMARK(BuildFilter)->Arg(1)->Arg(1000)->Arg(10000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace stentor::speaker
