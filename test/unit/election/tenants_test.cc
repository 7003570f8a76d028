// SPDX-License-Identifier: Apache-2.0

/// \file
/// Services that stay where they are: who claims them, and whose claim counts.

#include <chrono>
#include <string>
#include <vector>

#include "test/unit/election/world.h"

namespace stentor::speaker {
namespace {

config::L2Advertisement Staying(config::L2Advertisement ad = {}) {
  ad.fail_back = config::kNeverFailBack;
  return ad;
}

// iris1 claims the Service, which the order would give to iris2.
World Claimed(void (*change)(World&)) {
  World world;
  world.ads = {Staying()};
  world.Claim("iris1", 3);
  change(world);
  return world;
}

}  // namespace

TEST_CASE("Elect: who claims a Service that stays keeps it", "[election]") {
  struct Case {
    const char* name;
    World world;
    const char* announcer;
    bool tenant;
  };
  const auto c = GENERATE(values<Case>({
      {"one claims it", Claimed([](World&) {}), "iris1", true},
      {"nobody does", Claimed([](World& w) { w.speakers[0].claims = nullptr; }), "iris2", false},
      {"this speaker's own configuration lets nothing stay",
       Claimed([](World& w) { w.ads = {{}}; }), "iris1", true},
      {"one of the speakers doesn't understand claims",
       Claimed([](World& w) { w.speakers[1].understands_claims = false; }), "iris2", false},
      {"one without a Node doesn't understand claims",
       Claimed([](World& w) { w.speakers.push_back({.node = "x", .understands_claims = false}); }),
       "iris2", false},
      {"it stays for a while only",
       Claimed([](World& w) { w.ads[0].fail_back = std::chrono::milliseconds(1); }), "iris1", true},
      {"one of two advertisements lets it stay", Claimed([](World& w) { w.ads = {{}, Staying()}; }),
       "iris1", true},
      {"the one that lets it stay covers another node only",
       Claimed([](World& w) { w.ads = {AdFor("iris1"), Staying(AdFor("iris2"))}; }), "iris1", true},
      {"the one that lets it stay is for other Services", Claimed([](World& w) {
         w.ads.push_back({});
         w.ads[0].service_selectors = {Select("app", "other")};
       }),
       "iris1", true},
      {"the other one, whom the order prefers, claims it too, and earlier",
       Claimed([](World& w) { w.Claim("iris2", 2); }), "iris1", true},
      {"the other one claims it too, and later", Claimed([](World& w) { w.Claim("iris2", 4); }),
       "iris2", true},
      {"both claim it under the same epoch: the order decides",
       Claimed([](World& w) { w.Claim("iris2", 3); }), "iris2", true},
      {"a weight for the other one",
       Claimed([](World& w) { w.ads.push_back(Preferring("iris2", 100)); }), "iris1", true},
      {"it yields", Claimed([](World& w) { w.speakers[0].yields = true; }), "iris2", false},
      {"all yield", Claimed([](World& w) {
         w.speakers[0].yields = true;
         w.speakers[1].yields = true;
       }),
       "iris1", true},
      {"it is dead", Claimed([](World& w) { w.speakers.erase(w.speakers.begin()); }), "iris2",
       false},
      {"its node is excluded",
       Claimed([](World& w) { w.nodes[0].labels[std::string(kExcludeNodeLabel)] = ""; }), "iris2",
       false},
      {"no advertisement covers it any more",
       Claimed([](World& w) { w.ads = {Staying(AdFor("iris2"))}; }), "iris2", false},
      {"Local, with an endpoint on both",
       Claimed([](World& w) { w.policy = model::TrafficPolicy::kLocal; }), "iris1", true},
      {"Local, and its endpoint can't serve", Claimed([](World& w) {
         w.policy = model::TrafficPolicy::kLocal;
         w.endpoints[0].can_serve = false;
       }),
       "iris2", false},
      {"Local, it yields", Claimed([](World& w) {
         w.policy = model::TrafficPolicy::kLocal;
         w.speakers[0].yields = true;
       }),
       "iris2", false},
      {"what it claims is the second address",
       Claimed([](World& w) { w.ingress = {net::Ipv4Address::FromOctets(10, 20, 30, 3), kIp}; }),
       "iris1", false},
      {"what it claims is the first of two",
       Claimed([](World& w) { w.ingress.push_back(net::Ipv4Address::FromOctets(10, 20, 30, 2)); }),
       "iris1", true},
      {"there is no membership", Claimed([](World& w) { w.membership = false; }), "iris2", false},
  }));
  DYNAMIC_SECTION(c.name) {
    CHECK(c.world.Announcer() == c.announcer);
    CHECK(c.world.For("iris2").tenant == c.tenant);
    CHECK(c.world.For("iris1").tenant == c.tenant);
  }
}

TEST_CASE("Elect: the tenant comes first, the others in their order", "[election]") {
  World world;
  for (const char* name : {"iris3", "iris4"}) {
    world.nodes.push_back(NodeWith(name));
    world.speakers.push_back({.node = name});
  }
  world.ads = {Staying()};
  std::vector<Candidate> order = world.For("iris1").candidates;
  REQUIRE(order.size() == 4);
  world.Claim(order[2].node, 1);
  std::rotate(order.begin(), order.begin() + 2, order.begin() + 3);
  CHECK(world.For("iris1").candidates == order);
}

TEST_CASE("What others claim can change within a view", "[elector]") {
  World world;
  world.ads = {Staying()};
  const ServiceFacts service = world.Service();
  Elector elector{"iris2"};
  Ranking ranking;
  elector.SetView(world.Cluster());
  const Vote before = elector.Decide(service, ranking);
  REQUIRE(before.winner == "iris2");
  const std::uint64_t digests = elector.digests();
  world.Claim("iris1", 7);
  elector.SetClaims({.nodes = {}, .speakers = world.speakers});
  CHECK(before.winner == "iris2");
  CHECK(elector.Decide(service, ranking).winner == "iris1");
  CHECK(elector.Decide(service, ranking).epoch == 7);
  CHECK(elector.digests() == digests);  // who comes first is known already
  world.speakers[0].claims = nullptr;
  elector.SetClaims({.nodes = {}, .speakers = world.speakers});
  CHECK(elector.Decide(service, ranking).winner == "iris2");
}

TEST_CASE("While a speaker doesn't understand claims, a vote says that nothing stays",
          "[elector]") {
  World world;
  world.ads = {Staying()};
  world.Claim("iris1", 7);
  const ServiceFacts service = world.Service();
  Elector elector{"iris2"};
  Ranking ranking;
  elector.SetView(world.Cluster());
  CHECK(elector.Decide(service, ranking).winner == "iris1");
  world.speakers[1].understands_claims = false;
  elector.SetClaims({.nodes = {}, .speakers = world.speakers});
  CHECK(elector.Decide(service, ranking).winner == "iris2");
  CHECK(elector.Decide(service, ranking).epoch == 0);
  CHECK(elector.Decide(service, ranking).fail_back == config::FailBackDelay::zero());
  world.speakers[1].understands_claims = true;
  elector.SetClaims({.nodes = {}, .speakers = world.speakers});
  CHECK(elector.Decide(service, ranking).winner == "iris1");
}

TEST_CASE("A vote says for how long a Service stays that this node claims and nobody can serve",
          "[elector]") {
  World world;
  world.endpoints.clear();
  Elector elector{"iris2"};
  Ranking ranking;
  const auto vote = [&] {
    elector.SetView(world.Cluster());
    ServiceFacts service = world.Service();
    service.own_epoch = 1;
    return elector.Decide(service, ranking);
  };
  world.ads = {Staying()};
  CHECK(vote().fail_back == config::kNeverFailBack);
  CHECK(vote().reason == DecisionReason::kNoServingEndpoint);
  world.ads = {{}};
  CHECK(vote().fail_back == config::FailBackDelay::zero());
  CHECK(vote().reason == DecisionReason::kNoServingEndpoint);
}

TEST_CASE("A vote says who would win otherwise, and for how long the Service stays", "[elector]") {
  World world;
  world.ads = {Staying(), {}};
  world.ads[0].fail_back = std::chrono::seconds(5);
  world.Claim("iris1", 7);
  const ServiceFacts service = world.Service();
  Elector elector{"iris2"};
  Ranking ranking;
  const auto vote = [&] {
    elector.SetView(world.Cluster());
    return elector.Decide(service, ranking);
  };
  CHECK(vote().winner == "iris1");
  CHECK(vote().first == "iris2");
  CHECK(vote().epoch == 7);
  CHECK(vote().fail_back == std::chrono::seconds(5));
  SECTION("an advertisement says for longer") {
    world.ads[1].fail_back = std::chrono::minutes(1);
    CHECK(vote().fail_back == std::chrono::minutes(1));
  }
  SECTION("the claim is another one") {
    world.Claim("iris1", 9);
    CHECK(vote().epoch == 9);
  }
  SECTION("the claim is gone") {
    world.speakers[0].claims = nullptr;
    CHECK(vote().winner == "iris2");
    CHECK(vote().epoch == 0);
  }
  SECTION("who claims it dies, comes back with its claim, and then without") {
    const std::vector<Speaker> both = world.speakers;
    world.speakers.erase(world.speakers.begin());
    CHECK(vote().winner == "iris2");
    world.speakers = both;
    CHECK(vote().winner == "iris1");
    world.speakers.erase(world.speakers.begin());
    CHECK(vote().winner == "iris2");
    world.speakers.push_back({.node = "iris1"});
    CHECK(vote().winner == "iris2");
    CHECK(vote().epoch == 0);
  }
}

}  // namespace stentor::speaker
