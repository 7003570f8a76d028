// SPDX-License-Identifier: Apache-2.0

/// \file
/// What Elector spends. That it comes to the same results as Elect() is checked by each table of
/// this folder, and in test/property/election.

#include <string>
#include <vector>

#include "test/unit/election/world.h"

namespace stentor::speaker {
namespace {

constexpr std::size_t kNodes = 100;

// One Service of a cluster with a hundred nodes.
class Large {
 public:
  Large() {
    world.nodes.clear();
    world.speakers.clear();
    for (std::size_t i = 0; i < kNodes; ++i) {
      world.nodes.push_back(NodeWith("node-" + std::to_string(i)));
      world.speakers.push_back({.node = world.nodes.back().name});
    }
    world.endpoints = {{.node = "node-5", .can_serve = true},
                       {.node = "node-6", .can_serve = true}};
  }

  // Decides in a new view, and returns how many digests that took.
  std::uint64_t Spend() {
    const std::uint64_t before = elector.digests();
    const ClusterFacts cluster = world.Cluster();
    const ServiceFacts service = world.Service();
    elector.SetView(cluster);
    winner = std::string(elector.Decide(service, ranking).winner);
    const Decision fresh = Elect(service, cluster, "node-0");
    CHECK(winner == (fresh.winner() != nullptr ? *fresh.winner() : ""));
    return elector.digests() - before;
  }

  World world;
  Elector elector{"node-0"};
  Ranking ranking;
  std::string winner;
};

}  // namespace

TEST_CASE("What an election costs", "[elector]") {
  Large large;
  REQUIRE(large.Spend() == kNodes);
  CHECK(large.Spend() == 0);
  const auto erase_speaker = [&large](const std::string& name) {
    std::erase_if(large.world.speakers, [&](const Speaker& s) { return s.node == name; });
  };

  SECTION("deaths cost nothing, the winner's included, as long as one of the first eight lives") {
    for (int i = 0; i < 7; ++i) {
      erase_speaker(large.winner);
      CHECK(large.Spend() == 0);
    }
    erase_speaker(large.winner);
    CHECK(large.Spend() == kNodes - 8);  // all that are left
  }
  SECTION("a return costs nothing") {
    const std::string first = large.winner;
    erase_speaker(first);
    CHECK(large.Spend() == 0);
    large.world.speakers.push_back({.node = first});
    CHECK(large.Spend() == 0);
    CHECK(large.winner == first);
  }
  SECTION("a reason to yield costs nothing") {
    for (Speaker& speaker : large.world.speakers) {
      speaker.yields = speaker.node == large.winner;
    }
    CHECK(large.Spend() == 0);
  }
  SECTION("a network that is unavailable costs nothing") {
    for (model::Node& node : large.world.nodes) {
      node.network_unavailable = node.name == large.winner;
    }
    CHECK(large.Spend() == 0);
  }
  SECTION("a new node costs one digest, with and without a speaker") {
    large.world.nodes.push_back(NodeWith("node-new"));
    CHECK(large.Spend() == 1);
    large.world.speakers.push_back({.node = "node-new"});
    CHECK(large.Spend() == 0);
  }
  SECTION("a node that goes costs nothing") {
    std::erase_if(large.world.nodes,
                  [&](const model::Node& node) { return node.name == large.winner; });
    CHECK(large.Spend() == 0);
  }
  SECTION("labels that no advertisement looks at cost nothing") {
    large.world.nodes[7].labels["rack"] = "9";
    CHECK(large.Spend() == 0);
  }
  SECTION("an advertisement that says the same costs nothing") {
    large.world.ads.push_back(AdFor("node-9"));
    CHECK(large.Spend() == 0);
  }
  SECTION("a preference for one node costs one digest") {
    large.world.ads.push_back(Preferring("node-9", 5));
    CHECK(large.Spend() == 1);
    CHECK(large.winner == "node-9");
  }
  SECTION("a Local Service costs as many as it has nodes with endpoints") {
    large.world.policy = model::TrafficPolicy::kLocal;
    large.ranking = {};
    CHECK(large.Spend() == 2);
    erase_speaker(large.winner);
    CHECK(large.Spend() == 0);
  }
  SECTION("where nobody can announce, nothing is spent") {
    large.world.speakers.clear();
    large.ranking = {};
    CHECK(large.Spend() == 0);
  }
  SECTION("a Service that wasn't looked at for a while costs all again") {
    for (int i = 0; i < 3; ++i) {
      large.world.nodes.push_back(NodeWith("other-" + std::to_string(i)));
      large.elector.SetView({.nodes = large.world.nodes, .speakers = large.world.speakers});
    }
    CHECK(large.Spend() == kNodes + 3);
  }
}

TEST_CASE("Nodes that come and go for ever leave nothing behind", "[elector]") {
  Large large;
  large.world.nodes.resize(3);
  for (int i = 0; i < 1000; ++i) {
    large.world.nodes[static_cast<std::size_t>(i) % 3] = NodeWith("node-x" + std::to_string(i));
    large.world.speakers = {{.node = large.world.nodes[0].name}};
    (void)large.Spend();
    REQUIRE(large.elector.numbers() <= 8);
    REQUIRE(large.elector.domains() <= 2);
  }
  CHECK(large.winner == large.world.nodes[0].name);
}

TEST_CASE("A ranking stays small", "[elector]") {
  CHECK(sizeof(Ranking) <= 112);  // ten thousand Services: 1.1 MB
}

}  // namespace stentor::speaker
