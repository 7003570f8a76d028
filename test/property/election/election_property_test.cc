// SPDX-License-Identifier: Apache-2.0
#include <rapidcheck.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "speaker/election/election.h"
#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

// A cluster, whose speakers are some of its nodes.
struct Cluster {
  std::vector<model::Node> nodes;
  std::vector<Speaker> speakers;
  std::vector<model::Endpoint> endpoints;
  net::IpAddress address;
  model::TrafficPolicy policy = model::TrafficPolicy::kCluster;
  config::FailBackDelay fail_back{};
};

Cluster AnyCluster() {
  Cluster cluster;
  const auto count = *rc::gen::inRange<std::size_t>(1, 12);
  for (std::size_t i = 0; i < count; ++i) {
    model::Node node;
    node.name = "node-" + std::to_string(i);
    node.network_unavailable = *rc::gen::weightedElement<bool>({{9, false}, {1, true}});
    cluster.nodes.push_back(node);
    if (*rc::gen::weightedElement<bool>({{4, true}, {1, false}})) {
      cluster.speakers.push_back({.node = node.name, .yields = *rc::gen::arbitrary<bool>()});
    }
    if (*rc::gen::arbitrary<bool>()) {
      cluster.endpoints.push_back({.node = node.name, .can_serve = *rc::gen::arbitrary<bool>()});
    }
  }
  cluster.fail_back = *rc::gen::element(config::FailBackDelay{}, config::kNeverFailBack);
  cluster.address = net::Ipv4Address(*rc::gen::arbitrary<std::uint32_t>());
  cluster.policy = *rc::gen::element(model::TrafficPolicy::kCluster, model::TrafficPolicy::kLocal);
  for (Speaker& speaker : cluster.speakers) {
    if (*rc::gen::weightedElement<bool>({{2, false}, {1, true}})) {
      speaker.claims = std::make_shared<const Claims>(
          Claims{{.address = AddressKeyOf(cluster.address), .epoch = *rc::gen::inRange(1U, 4U)}});
    }
  }
  return cluster;
}

std::uint32_t EpochOf(const Cluster& cluster, std::string_view node) {
  const auto it = std::ranges::find(cluster.speakers, node, &Speaker::node);
  return it == cluster.speakers.end() || !it->claims ? 0 : it->claims->front().epoch;
}

Decision Decide(const Cluster& cluster, std::string_view self) {
  const model::Labels labels;
  const std::vector<net::IpAddress> ingress = {cluster.address};
  const std::vector<config::L2Advertisement> ads = {{.fail_back = cluster.fail_back}};
  const ServiceFacts service{.ingress = ingress,
                             .labels = labels,
                             .traffic_policy = cluster.policy,
                             .endpoints = cluster.endpoints,
                             .advertisements = ads,
                             .own_epoch = EpochOf(cluster, self)};
  return Elect(service, {.nodes = cluster.nodes, .speakers = cluster.speakers}, self);
}

std::vector<std::string> Announcers(const Cluster& cluster) {
  std::vector<std::string> announcers;
  for (const model::Node& node : cluster.nodes) {
    if (Decide(cluster, node.name).announce()) {
      announcers.push_back(node.name);
    }
  }
  return announcers;
}

}  // namespace

TEST_CASE("Of those who know the same facts at most one announces, and everybody names it",
          "[election]") {
  CHECK(rc::check([] {
    const Cluster cluster = AnyCluster();
    const std::vector<std::string> announcers = Announcers(cluster);
    RC_ASSERT(announcers.size() <= 1);
    for (const model::Node& node : cluster.nodes) {
      const Decision decision = Decide(cluster, node.name);
      if (decision.reason == DecisionReason::kNoServingEndpoint) {
        RC_ASSERT(announcers.empty());
        continue;
      }
      RC_ASSERT((decision.winner() != nullptr) == !announcers.empty());
      // The parentheses keep RC_ASSERT from taking the expression apart, and from evaluating all.
      RC_ASSERT((announcers.empty() || *decision.winner() == announcers.front()));
      RC_ASSERT(decision.candidates.size() + decision.excluded.size() == cluster.nodes.size());
    }
  }));
}

TEST_CASE("The order in which facts were learned doesn't matter", "[election]") {
  CHECK(rc::check([] {
    Cluster cluster = AnyCluster();
    const Decision before = Decide(cluster, "node-0");
    std::reverse(cluster.nodes.begin(), cluster.nodes.end());
    std::reverse(cluster.speakers.begin(), cluster.speakers.end());
    std::reverse(cluster.endpoints.begin(), cluster.endpoints.end());
    const Decision after = Decide(cluster, "node-0");
    RC_ASSERT(before.reason == after.reason);
    RC_ASSERT(before.candidates == after.candidates);
    RC_ASSERT(before.excluded == after.excluded);
  }));
}

TEST_CASE("The death of a speaker that doesn't announce moves nothing", "[election]") {
  CHECK(rc::check([] {
    Cluster cluster = AnyCluster();
    for (Speaker& speaker : cluster.speakers) {
      speaker.yields = false;
    }
    RC_PRE(!cluster.speakers.empty());
    const std::vector<std::string> before = Announcers(cluster);
    const auto victim = *rc::gen::inRange<std::size_t>(0, cluster.speakers.size());
    const std::string name = cluster.speakers[victim].node;
    cluster.speakers.erase(cluster.speakers.begin() + static_cast<std::ptrdiff_t>(victim));
    const std::vector<std::string> after = Announcers(cluster);
    RC_ASSERT((before == after || before == std::vector<std::string>{name}));
  }));
}

}  // namespace stentor::speaker
