// SPDX-License-Identifier: Apache-2.0

/// \file
/// What a change of the view costs a speaker: every Service is elected anew. Arguments: Services,
/// nodes.

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "speaker/election/election.h"
#include "speaker/reconcile/reconciler.h"

namespace stentor::speaker {
namespace {

model::Node NodeNumber(std::size_t i) {
  model::Node node;
  node.name = "worker-" + std::to_string(i);
  node.labels = {{"kubernetes.io/hostname", node.name}};
  return node;
}

std::vector<Speaker> Speakers(std::size_t count) {
  std::vector<Speaker> speakers;
  for (std::size_t i = 0; i < count; ++i) {
    speakers.push_back({.node = NodeNumber(i).name});
  }
  return speakers;
}

// A speaker on worker-0 that knows everything.
class Cluster {
 public:
  Cluster(benchmark::State& state, model::TrafficPolicy policy)
      : services_(static_cast<std::uint32_t>(state.range(0))),
        nodes_(static_cast<std::size_t>(state.range(1))),
        reconciler({.node = "worker-0"}) {
    config::Config config;
    config.pools.push_back({.name = "pool",
                            .ranges = {{*net::IpAddress::Parse("198.18.0.0"),
                                        *net::IpAddress::Parse("198.19.255.255")}},
                            .l2_advertisements = {{.name = "all"}}});
    reconciler.SetConfig(config);
    for (std::size_t i = 0; i < nodes_; ++i) {
      reconciler.UpsertNode(NodeNumber(i));
    }
    reconciler.SetSpeakers(Speakers(nodes_), true);
    for (std::uint32_t i = 0; i < services_; ++i) {
      model::Service service;
      service.key = {"default", "service-" + std::to_string(i)};
      service.type = "LoadBalancer";
      service.external_traffic_policy = policy;
      service.ingress_ips = {net::Ipv4Address(0xC6120000U + i).ToString()};
      reconciler.UpsertService(service);
      model::EndpointSlice slice{.key = {"default", service.key.name + "-x"},
                                 .service_name = service.key.name};
      for (std::size_t e = 0; e < 10; ++e) {
        slice.endpoints.push_back(
            {.node = NodeNumber((i + e * 7) % nodes_).name, .can_serve = true});
      }
      reconciler.UpsertSlice(slice);
    }
  }

  [[nodiscard]] std::size_t nodes() const { return nodes_; }

 private:
  std::uint32_t services_;
  std::size_t nodes_;

 public:
  Reconciler reconciler;
};

// The first time: everybody's hash for every address.
void BM_FirstElection(benchmark::State& state) {
  for (auto _ : state) {
    state.PauseTiming();
    Cluster cluster(state, model::TrafficPolicy::kCluster);
    state.ResumeTiming();
    benchmark::DoNotOptimize(cluster.reconciler.Reconcile(TimePoint()));
  }
}
BENCHMARK(BM_FirstElection)->Args({1000, 100})->Args({10'000, 500})->Unit(benchmark::kMillisecond);

void MembersComeAndGo(benchmark::State& state, model::TrafficPolicy policy) {
  Cluster cluster(state, policy);
  benchmark::DoNotOptimize(cluster.reconciler.Reconcile(TimePoint()));
  const std::vector<Speaker> all = Speakers(cluster.nodes());
  std::size_t victim = 0;
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<Speaker> speakers = all;
    victim = victim % (cluster.nodes() - 1) + 1;
    speakers.erase(speakers.begin() + static_cast<std::ptrdiff_t>(victim));
    cluster.reconciler.SetSpeakers(speakers, true);
    state.ResumeTiming();
    benchmark::DoNotOptimize(cluster.reconciler.Reconcile(TimePoint()));
  }
}

void BM_MemberDies(benchmark::State& state) {
  MembersComeAndGo(state, model::TrafficPolicy::kCluster);
}
BENCHMARK(BM_MemberDies)
    ->Args({1000, 3})
    ->Args({1000, 100})
    ->Args({10'000, 500})
    ->Unit(benchmark::kMillisecond);

void BM_MemberDiesLocal(benchmark::State& state) {
  MembersComeAndGo(state, model::TrafficPolicy::kLocal);
}
BENCHMARK(BM_MemberDiesLocal)->Args({1000, 100})->Unit(benchmark::kMillisecond);

// A Node that was not there before, and has no speaker yet.
void BM_NodeJoins(benchmark::State& state) {
  Cluster cluster(state, model::TrafficPolicy::kCluster);
  benchmark::DoNotOptimize(cluster.reconciler.Reconcile(TimePoint()));
  bool there = false;
  for (auto _ : state) {
    state.PauseTiming();
    if (there) {
      cluster.reconciler.DeleteNode("worker-new");
      benchmark::DoNotOptimize(cluster.reconciler.Reconcile(TimePoint()));
    }
    model::Node node = NodeNumber(0);
    node.name = "worker-new";
    cluster.reconciler.UpsertNode(node);
    there = true;
    state.ResumeTiming();
    benchmark::DoNotOptimize(cluster.reconciler.Reconcile(TimePoint()));
  }
}
BENCHMARK(BM_NodeJoins)->Args({1000, 100})->Args({10'000, 500})->Unit(benchmark::kMillisecond);

// For comparison: without anything remembered.
void BM_ElectAll(benchmark::State& state) {
  const auto services = static_cast<std::uint32_t>(state.range(0));
  const auto node_count = static_cast<std::size_t>(state.range(1));
  std::vector<model::Node> nodes;
  for (std::size_t i = 0; i < node_count; ++i) {
    nodes.push_back(NodeNumber(i));
  }
  const std::vector<Speaker> speakers = Speakers(node_count);
  const model::Labels labels;
  const std::vector<model::Endpoint> endpoints = {{.node = "worker-0", .can_serve = true}};
  const std::vector<config::L2Advertisement> ads(1);
  for (auto _ : state) {
    std::size_t announced = 0;
    for (std::uint32_t i = 0; i < services; ++i) {
      const std::vector<net::IpAddress> ingress = {net::Ipv4Address(0xC6120000U + i)};
      const ServiceFacts service{
          .ingress = ingress, .labels = labels, .endpoints = endpoints, .advertisements = ads};
      announced += Elect(service, {.nodes = nodes, .speakers = speakers}, "worker-0").announce();
    }
    benchmark::DoNotOptimize(announced);
  }
  state.SetItemsProcessed(state.iterations() * services);
}
BENCHMARK(BM_ElectAll)->Args({1000, 3})->Args({1000, 100})->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace stentor::speaker
