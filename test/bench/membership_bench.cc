// SPDX-License-Identifier: Apache-2.0

#include <benchmark/benchmark.h>

#include <array>
#include <chrono>
#include <ctime>
#include <string>
#include <vector>

#include "speaker/membership/datagram.h"
#include "speaker/membership/keys.h"
#include "speaker/membership/membership.h"
#include "test/sim/membership/lan/bounds.h"
#include "test/sim/membership/lan/detection.h"

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

struct NamedProfile {
  const char* name;
  Profile profile;
};

NamedProfile ProfileAt(std::int64_t index) {
  switch (index) {
    case 0:
      return {.name = "lan", .profile = LanProfile()};
    case 1:
      return {.name = "fast", .profile = FastProfile()};
    default:
      return {.name = "wan", .profile = WanProfile()};
  }
}

// Speakers on a simulated LAN that loses 1 % of all datagrams. Timed is one second of its time:
// all that all speakers send, receive and decide, and what the simulation itself takes. Then one
// crashes, again and again: from the crash until the first speaker has noticed it, and until all
// addresses are answered again.
void BM_Segment(benchmark::State& state) {
  const NamedProfile profile = ProfileAt(state.range(0));
  const sim::LanOptions options{.speakers = static_cast<std::size_t>(state.range(1)),
                                .addresses = 100,
                                .seed = 1,
                                .profile = profile.profile,
                                .quality = {.loss = 0.01}};
  const auto lan = sim::StartedLan(options, std::chrono::milliseconds(5));
  if (!lan) {
    state.SkipWithError("the speakers did not come to one view");
    return;
  }
  lan->RunFor(std::chrono::seconds(2));
  lan->ResetCounts();
  const std::clock_t begin = std::clock();
  for (auto _ : state) {
    lan->RunFor(std::chrono::seconds(1));
  }
  const double cpu = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  const double node_seconds =
      static_cast<double>(state.iterations()) * static_cast<double>(lan->size());
  state.counters["datagrams/s"] = static_cast<double>(lan->datagrams()) / node_seconds;
  state.counters["octets/s"] = static_cast<double>(lan->octets()) / node_seconds;
  state.counters["cpu_us/s"] = cpu * 1e6 / node_seconds;

  std::vector<Duration> noticed;
  std::vector<Duration> taken_over;
  for (int i = 0; i < 30; ++i) {
    const auto detection = sim::CrashOnce(*lan, sim::OwnerOf(*lan));
    if (!detection) {
      state.SkipWithError("the speakers did not come to one view");
      return;
    }
    noticed.push_back(detection->noticed);
    taken_over.push_back(detection->taken_over);
  }
  const sim::Quantiles first = sim::QuantilesOf(noticed);
  const sim::Quantiles moved = sim::QuantilesOf(taken_over);
  state.counters["noticed_ms"] = sim::Ms(first.median);
  state.counters["noticed_worst"] = sim::Ms(first.worst);
  state.counters["moved_ms"] = sim::Ms(moved.median);
  state.counters["moved_p99"] = sim::Ms(moved.p99);
  state.counters["moved_worst"] = sim::Ms(moved.worst);
  state.SetLabel(profile.name);
}
BENCHMARK(BM_Segment)
    ->ArgNames({"profile", "speakers"})
    ->ArgsProduct({{0, 1, 2}, {3, 10, 100}})
    ->Iterations(10)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace stentor::speaker
