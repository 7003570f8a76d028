// SPDX-License-Identifier: Apache-2.0

#include <benchmark/benchmark.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "speaker/membership/datagram.h"
#include "speaker/membership/keys.h"
#include "speaker/membership/membership.h"

namespace stentor::speaker {
namespace {

// A heartbeat from encoding to its opened and decoded body.
void BM_HeartbeatSealAndOpen(benchmark::State& state) {
  const Keyring keyring(std::vector<std::string>{"secret"});
  Channel sender = keyring.MakeChannel(keyring.sealing_key(), 1, "worker-001", "worker-002");
  Channel receiver = keyring.MakeChannel(keyring.sealing_key(), 1, "worker-001", "worker-002");
  std::array<std::byte, kMaxDatagramSize> plaintext;
  std::uint64_t counter = 0;
  std::size_t octets = 0;
  for (auto _ : state) {
    ++counter;
    const std::vector<std::byte> header = EncodeHeader(
        {.key = keyring.sealing_key(), .boot = 1, .counter = counter, .node = "worker-001"});
    const std::vector<std::byte> sealed = sender.Seal(counter, header, EncodeBody({}));
    octets = header.size() + sealed.size();
    const auto size = receiver.Open(counter, header, sealed, plaintext);
    benchmark::DoNotOptimize(DecodeBody(Bytes(plaintext).first(size.value())));
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["octets_per_heartbeat"] = static_cast<double>(octets);
}
BENCHMARK(BM_HeartbeatSealAndOpen);

// What a stranger's forged datagram costs, with a boot id that has to have its key derived.
void BM_ForgedDatagram(benchmark::State& state) {
  std::uint64_t random = 0;
  Membership membership({.node = "worker-001", .secrets = {"secret"}},
                        [&random] { return ++random; });
  const net::IpAddress peer = net::Ipv4Address::FromOctets(192, 0, 2, 2);
  const TimePoint now{std::chrono::hours(1)};
  static_cast<void>(membership.SetPeers(now, {{.node = "worker-002", .addresses = {peer}}}));
  std::vector<std::byte> forged =
      EncodeHeader({.key = Keyring(std::vector<std::string>{"secret"}).sealing_key(),
                    .boot = 9,
                    .counter = 1,
                    .node = "worker-002"});
  forged.resize(forged.size() + 64);
  for (auto _ : state) {
    benchmark::DoNotOptimize(membership.OnDatagram(now, peer, forged));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_ForgedDatagram);

// One second of a full mesh: all that all members send, receive and decide, in virtual time.
void BM_MeshSecond(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  std::uint64_t random = 0;
  TimePoint now{std::chrono::hours(1)};
  std::vector<PeerAddress> peers;
  std::vector<std::unique_ptr<Membership>> members;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string node = "worker-" + std::to_string(i);
    peers.push_back({.node = node, .addresses = {net::Ipv4Address(static_cast<std::uint32_t>(i))}});
    members.push_back(std::make_unique<Membership>(
        Membership::Options{.node = node, .secrets = {"secret"}, .profile = LanProfile()},
        [&random] { return ++random; }));
  }
  std::vector<std::pair<std::size_t, OutgoingDatagram>> wire;
  const auto take = [&wire](std::size_t from, Actions actions) {
    for (OutgoingDatagram& datagram : actions.send) {
      wire.emplace_back(from, std::move(datagram));
    }
  };
  std::uint64_t datagrams = 0;
  std::uint64_t octets = 0;
  const auto run = [&](Duration span) {
    for (const TimePoint until = now + span; now < until; now += std::chrono::milliseconds(5)) {
      for (std::size_t i = 0; i < count; ++i) {
        if (members[i]->NextDeadline().value_or(TimePoint::max()) <= now) {
          take(i, members[i]->Poll(now));
        }
      }
      for (std::size_t next = 0; next < wire.size(); ++next) {
        const auto [from, datagram] = wire[next];
        ++datagrams;
        octets += datagram.bytes.size();
        const auto to = static_cast<std::size_t>(datagram.destination.low());
        take(to, members[to]->OnDatagram(now, peers[from].addresses.front(), datagram.bytes));
      }
      wire.clear();
    }
  };
  for (std::size_t i = 0; i < count; ++i) {
    take(i, members[i]->SetPeers(now, peers));
  }
  run(std::chrono::seconds(2));
  datagrams = 0;
  octets = 0;
  for (auto _ : state) {
    run(std::chrono::seconds(1));
  }
  const double node_seconds = static_cast<double>(state.iterations()) * static_cast<double>(count);
  state.counters["datagrams_per_node_second"] = static_cast<double>(datagrams) / node_seconds;
  state.counters["octets_per_node_second"] = static_cast<double>(octets) / node_seconds;
}
BENCHMARK(BM_MeshSecond)->Arg(3)->Arg(10)->Arg(100)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace stentor::speaker
