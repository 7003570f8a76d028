// SPDX-License-Identifier: Apache-2.0

/// \file
/// Endpoints and the traffic policy (spec 4.5, steps 1 and 5).

#include <string>
#include <vector>

#include "test/unit/election/world.h"

namespace stentor::speaker {
namespace {

using model::TrafficPolicy;
using E = std::vector<model::Endpoint>;

void Local(World& w, E endpoints) {
  w.policy = TrafficPolicy::kLocal;
  w.endpoints = std::move(endpoints);
}

}  // namespace

TEST_CASE("Elect: endpoints and traffic policy", "[election]") {
  struct Case {
    const char* name;
    World world;
    const char* announcer;
    DecisionReason of_iris2;
  };
  using enum DecisionReason;
  const auto c = GENERATE(values<Case>({
      {"cluster, endpoints on both", With([](World&) {}), "iris2", kAnnounced},
      {"cluster, endpoint on the other node only",
       With([](World& w) { w.endpoints = E{{.node = "iris1", .can_serve = true}}; }), "iris2",
       kAnnounced},
      {"cluster, endpoint on the winner only",
       With([](World& w) { w.endpoints = E{{.node = "iris2", .can_serve = true}}; }), "iris2",
       kAnnounced},
      {"cluster, endpoint on a node that isn't ours",
       With([](World& w) { w.endpoints = E{{.node = "elsewhere", .can_serve = true}}; }), "iris2",
       kAnnounced},
      {"cluster, endpoint without a node",
       With([](World& w) { w.endpoints = E{{.node = "", .can_serve = true}}; }), "iris2",
       kAnnounced},
      {"cluster, one of two can serve", With([](World& w) { w.endpoints[1].can_serve = false; }),
       "iris2", kAnnounced},
      {"cluster, no endpoints", With([](World& w) { w.endpoints.clear(); }), "",
       kNoServingEndpoint},
      {"cluster, nothing can serve", With([](World& w) {
         w.endpoints[0].can_serve = false;
         w.endpoints[1].can_serve = false;
       }),
       "", kNoServingEndpoint},
      {"local, endpoints on both", With([](World& w) { w.policy = TrafficPolicy::kLocal; }),
       "iris2", kAnnounced},
      {"local, endpoint on iris1",
       With([](World& w) { Local(w, {{.node = "iris1", .can_serve = true}}); }), "iris1",
       kNotOwner},
      {"local, endpoint on iris2",
       With([](World& w) { Local(w, {{.node = "iris2", .can_serve = true}}); }), "iris2",
       kAnnounced},
      {"local, no endpoints", With([](World& w) { Local(w, {}); }), "", kNoServingEndpoint},
      {"local, iris2's endpoint can't serve", With([](World& w) {
         Local(w, {{.node = "iris1", .can_serve = true}, {.node = "iris2", .can_serve = false}});
       }),
       "iris1", kNotOwner},
      {"local, nothing can serve", With([](World& w) {
         Local(w, {{.node = "iris1", .can_serve = false}, {.node = "iris2", .can_serve = false}});
       }),
       "", kNoServingEndpoint},
      {"local, two endpoints on iris2, one serves", With([](World& w) {
         Local(w, {{.node = "iris2", .can_serve = false},
                   {.node = "iris2", .can_serve = true},
                   {.node = "iris1", .can_serve = true}});
       }),
       "iris2", kAnnounced},
      {"local, endpoint without a node",
       With([](World& w) { Local(w, {{.node = "", .can_serve = true}}); }), "", kNotOwner},
      {"local, endpoint on a node without a speaker", With([](World& w) {
         Local(w, {{.node = "iris2", .can_serve = true}});
         w.speakers = {{.node = "iris1"}};
       }),
       "", kNotOwner},
      {"local, endpoint on a node that isn't there",
       With([](World& w) { Local(w, {{.node = "iris9", .can_serve = true}}); }), "", kNotOwner},
      {"local, the node with the endpoint yields, nobody else has one", With([](World& w) {
         Local(w, {{.node = "iris2", .can_serve = true}});
         w.speakers[1].yields = true;
       }),
       "iris2", kAnnounced},
      {"local, one of the nodes with endpoints yields", With([](World& w) {
         w.policy = TrafficPolicy::kLocal;
         w.speakers[1].yields = true;
       }),
       "iris1", kNotOwner},
      {"no address yet", With([](World& w) { w.ingress.clear(); }), "", kNoAddress},
      {"the first address decides for both families",
       With([](World& w) { w.ingress.push_back(*net::IpAddress::Parse("2001:db8::1")); }), "iris2",
       kAnnounced},
      {"the IPv6 address comes first: 10.20.30.2 would go to iris1", With([](World& w) {
         w.ingress = {*net::IpAddress::Parse("2001:db8::1"), *net::IpAddress::Parse("10.20.30.2")};
       }),
       "iris2", kAnnounced},
      {"the IPv4 address comes first: 2001:db8::1 would go to iris2", With([](World& w) {
         w.ingress = {*net::IpAddress::Parse("10.20.30.2"), *net::IpAddress::Parse("2001:db8::1")};
       }),
       "iris1", kNotOwner},
  }));
  DYNAMIC_SECTION(c.name) {
    CHECK(c.world.Announcer() == c.announcer);
    CHECK(DecisionReasonName(c.world.For("iris2").reason) == DecisionReasonName(c.of_iris2));
    CHECK(c.world.For("iris2").reason == c.of_iris2);
  }
}

TEST_CASE("Two speakers agree on who is usable for a Local Service", "[election]") {
  // MetalLB: TestUsableNodesEPSlices.
  struct Case {
    const char* name;
    World world;
    std::vector<std::string> candidates;
    const char* why_not_iris1;
  };
  const auto c = GENERATE(values<Case>({
      {"two endpoints, different nodes",
       With([](World& w) {
         Local(w, {{.node = "iris1", .can_serve = true}, {.node = "iris2", .can_serve = true}});
       }),
       {"iris2", "iris1"},
       ""},
      {"two endpoints, same node",
       With([](World& w) {
         Local(w, {{.node = "iris1", .can_serve = true}, {.node = "iris1", .can_serve = true}});
       }),
       {"iris1"},
       ""},
      {"two endpoints, same node, one is not ready",
       With([](World& w) {
         Local(w, {{.node = "iris1", .can_serve = true}, {.node = "iris1", .can_serve = false}});
       }),
       {"iris1"},
       ""},
      {"two endpoints, different nodes, one is not ready",
       With([](World& w) {
         Local(w, {{.node = "iris1", .can_serve = false}, {.node = "iris2", .can_serve = true}});
       }),
       {"iris2"},
       "no_local_endpoint"},
      {"a third, whose speaker is dead",
       With([](World& w) {
         Local(w, {{.node = "iris1", .can_serve = true}, {.node = "iris3", .can_serve = true}});
         w.nodes.push_back(NodeWith("iris3"));
       }),
       {"iris1"},
       ""},
      {"the node of an endpoint is excluded",
       With([](World& w) {
         w.policy = TrafficPolicy::kLocal;
         w.nodes[0].labels[std::string(kExcludeNodeLabel)] = "";
       }),
       {"iris2"},
       "exclude_label"},
  }));
  DYNAMIC_SECTION(c.name) {
    for (const char* self : {"iris1", "iris2"}) {
      const Decision decision = c.world.For(self);
      std::vector<std::string> names;
      for (const Candidate& candidate : decision.candidates) {
        names.push_back(candidate.node);
      }
      CHECK(names == c.candidates);
      CHECK(WhyNot(decision, "iris1") == c.why_not_iris1);
    }
  }
}

}  // namespace stentor::speaker
