// SPDX-License-Identifier: Apache-2.0

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "speaker/election/election.h"

namespace stentor::speaker {
namespace {

// Every Service elected anew, as after the death of a node: Services x nodes.
void BM_ElectAll(benchmark::State& state) {
  const auto services = static_cast<std::uint32_t>(state.range(0));
  const auto node_count = static_cast<std::size_t>(state.range(1));
  std::vector<model::Node> nodes;
  std::vector<Speaker> speakers;
  for (std::size_t i = 0; i < node_count; ++i) {
    model::Node node;
    node.name = "worker-" + std::to_string(i);
    node.labels = {{"kubernetes.io/hostname", node.name}};
    speakers.push_back({.node = node.name});
    nodes.push_back(std::move(node));
  }
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
BENCHMARK(BM_ElectAll)
    ->Args({1000, 3})
    ->Args({1000, 10})
    ->Args({1000, 100})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace stentor::speaker
