// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// MetalLB's fixture for the tables of this folder: two nodes with speakers, one Service with
/// 10.20.30.1, which iris2 wins by hash.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "speaker/election/election.h"
#include "speaker/election/elector.h"
#include "test/support/catch.h"

namespace stentor::speaker {

inline const net::IpAddress kIp = net::Ipv4Address::FromOctets(10, 20, 30, 1);

inline model::LabelSelector Select(const std::string& key, const std::string& value) {
  return {.requirements = {{.key = key, .op = model::SelectorOperator::kIn, .values = {value}}}};
}

inline model::Node NodeWith(const std::string& name, model::Labels labels = {}) {
  labels["kubernetes.io/hostname"] = name;
  return {.name = name, .labels = std::move(labels), .network_unavailable = false, .ready = true};
}

inline config::L2Advertisement AdFor(const std::string& node) {
  config::L2Advertisement ad;
  ad.node_selectors = {Select("kubernetes.io/hostname", node)};
  return ad;
}

/// With a preference of `weight` for `node`.
inline config::L2Advertisement Preferring(const std::string& node, int weight) {
  config::L2Advertisement ad;
  ad.preferences = {{.weight = weight, .preference = Select("kubernetes.io/hostname", node)}};
  return ad;
}

struct World {
  std::vector<model::Node> nodes = {NodeWith("iris1"), NodeWith("iris2")};
  std::vector<Speaker> speakers = {{.node = "iris1"}, {.node = "iris2"}};
  std::vector<net::IpAddress> ingress = {kIp};
  model::Labels labels;
  model::TrafficPolicy policy = model::TrafficPolicy::kCluster;
  bool shared = false;
  bool ignore_exclude = false;
  bool membership = true;
  std::vector<model::Endpoint> endpoints = {{.node = "iris1", .can_serve = true},
                                            {.node = "iris2", .can_serve = true}};
  std::vector<config::L2Advertisement> ads = std::vector<config::L2Advertisement>(1);

  /// `node` claims the first address.
  void Claim(std::string_view node, std::uint32_t epoch) {
    const auto it = std::ranges::find(speakers, node, &Speaker::node);
    it->claims = std::make_shared<const Claims>(
        Claims{{.address = AddressKeyOf(ingress.front()), .epoch = epoch}});
  }

  /// Views on this world, as it is now.
  [[nodiscard]] ServiceFacts Service() const {
    return {.ingress = ingress,
            .labels = labels,
            .traffic_policy = policy,
            .may_share_address = shared,
            .endpoints = endpoints,
            .advertisements = ads};
  }
  [[nodiscard]] ClusterFacts Cluster() const {
    return {.nodes = nodes,
            .speakers = speakers,
            .ignore_exclude_label = ignore_exclude,
            .membership = membership};
  }

  /// What the speaker on `self` decides; what Elector says must be the same.
  [[nodiscard]] Decision For(std::string_view self) const {
    const auto own = std::ranges::find(speakers, self, &Speaker::node);
    const bool claims = own != speakers.end() && own->claims && !ingress.empty();
    ServiceFacts service = Service();
    service.own_epoch = claims ? EpochOf(*own->claims, AddressKeyOf(ingress[0])) : 0;
    const ClusterFacts cluster = Cluster();
    Decision decision = Elect(service, cluster, self);
    Elector elector{std::string(self)};
    elector.SetView(cluster);
    Ranking ranking;
    for (int repeated = 0; repeated < 2; ++repeated) {
      const Vote vote = elector.Decide(service, ranking);
      CHECK(vote.reason == decision.reason);
      CHECK(std::string(vote.winner) == (decision.winner() ? *decision.winner() : ""));
      CHECK((vote.epoch > 0) == decision.tenant);
      if (decision.announce()) {
        REQUIRE(vote.interfaces != nullptr);
        CHECK(*vote.interfaces == decision.interfaces);
        CHECK(vote.conflict_policy == decision.conflict_policy);
      }
    }
    return decision;
  }

  /// Who announces, as each of the nodes decides for itself; "" for nobody, "?" for several.
  [[nodiscard]] std::string Announcer() const {
    std::string found;
    for (const model::Node& node : nodes) {
      if (For(node.name).announce()) {
        found = found.empty() ? node.name : "?";
      }
    }
    return found;
  }
};

inline World With(void (*change)(World&)) {
  World world;
  change(world);
  return world;
}

/// Why `node` is no candidate, in snake_case; "" where it is one, "?" where it is not mentioned.
inline std::string WhyNot(const Decision& decision, const std::string& node) {
  const auto excluded = std::ranges::find(decision.excluded, node, &ExcludedNode::node);
  if (excluded != decision.excluded.end()) {
    return std::string(ExclusionName(excluded->reason));
  }
  return std::ranges::find(decision.candidates, node, &Candidate::node) != decision.candidates.end()
             ? ""
             : "?";
}

}  // namespace stentor::speaker
