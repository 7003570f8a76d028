// SPDX-License-Identifier: Apache-2.0

/// \file
/// Preferences with weights (spec 1.2, 4.5 step 6), interfaces and conflict policies: what the
/// advertisements that cover a node say together.

#include <string>
#include <vector>

#include "test/unit/election/world.h"

namespace stentor::speaker {
namespace {

using Ads = std::vector<config::L2Advertisement>;

std::vector<const config::L2Advertisement*> Pointers(const Ads& ads) {
  std::vector<const config::L2Advertisement*> pointers;
  for (const config::L2Advertisement& ad : ads) {
    pointers.push_back(&ad);
  }
  return pointers;
}

config::L2Advertisement Prefers(std::vector<model::PreferredNodeSelector> preferences) {
  config::L2Advertisement ad;
  ad.preferences = std::move(preferences);
  return ad;
}

config::L2Advertisement On(std::vector<std::string> interfaces) {
  config::L2Advertisement ad;
  ad.interfaces = std::move(interfaces);
  return ad;
}

config::L2Advertisement Only(const std::string& node, config::L2Advertisement ad) {
  ad.node_selectors = AdFor(node).node_selectors;
  return ad;
}

}  // namespace

TEST_CASE("PreferenceScore adds up what matches", "[election]") {
  // MetalLB: TestPreferredNodeScores, TestPreferredScoresFor.
  struct Case {
    const char* name;
    Ads ads;
    model::Labels labels;  // of node iris1
    int want;
  };
  const auto c = GENERATE(values<Case>({
      {"no advertisement", {}, {{"zone", "a"}}, 0},
      {"no preference", {Prefers({})}, {{"zone", "a"}}, 0},
      {"one, and it matches",
       {Prefers({{.weight = 5, .preference = Select("zone", "a")}})},
       {{"zone", "a"}},
       5},
      {"one, and it doesn't",
       {Prefers({{.weight = 5, .preference = Select("zone", "a")}})},
       {{"zone", "b"}},
       0},
      {"two of three",
       {Prefers({{.weight = 5, .preference = Select("zone", "a")},
                 {.weight = 7, .preference = Select("disk", "ssd")},
                 {.weight = 100, .preference = Select("zone", "b")}})},
       {{"zone", "a"}, {"disk", "ssd"}},
       12},
      {"the same one twice",
       {Prefers({{.weight = 5, .preference = Select("zone", "a")},
                 {.weight = 5, .preference = Select("zone", "a")}})},
       {{"zone", "a"}},
       10},
      {"of two advertisements",
       {Prefers({{.weight = 5, .preference = Select("zone", "a")}}),
        Prefers({{.weight = 7, .preference = Select("disk", "ssd")}})},
       {{"zone", "a"}, {"disk", "ssd"}},
       12},
      {"of two advertisements that say the same",
       {Prefers({{.weight = 5, .preference = Select("zone", "a")}}),
        Prefers({{.weight = 5, .preference = Select("zone", "a")}})},
       {{"zone", "a"}},
       10},
      {"not of an advertisement for other nodes",
       {Only("iris9", Prefers({{.weight = 50, .preference = {}}}))},
       {{"zone", "a"}},
       0},
      {"of an advertisement for this node",
       {Only("iris1", Prefers({{.weight = 50, .preference = {}}}))},
       {},
       50},
      {"an empty selector matches every node", {Prefers({{.weight = 3, .preference = {}}})}, {}, 3},
      {"the greatest weight, a hundred times",
       Ads(100, Prefers({{.weight = 100, .preference = {}}})),
       {},
       10'000},
  }));
  DYNAMIC_SECTION(c.name) {
    CHECK(PreferenceScore(Pointers(c.ads), NodeWith("iris1", c.labels)) == c.want);
  }
}

TEST_CASE("Elect: preferences come before the hash", "[election]") {
  // MetalLB: TestShouldAnnouncePreferredNode, TestShouldAnnouncePreferredNodeFailover.
  struct Case {
    const char* name;
    void (*change)(World&);
    std::vector<Candidate> want;
  };
  const auto c = GENERATE(values<Case>({
      {"the preferred one wins", [](World&) {}, {{"iris1", 10}, {"iris2", 0}}},
      {"the preferred one dies",
       [](World& w) { w.speakers = {{.node = "iris2"}}; },
       {{"iris2", 0}}},
      {"the preferred one yields", [](World& w) { w.speakers[0].yields = true; }, {{"iris2", 0}}},
      {"the preferred one is excluded",
       [](World& w) { w.nodes[0].labels[std::string(kExcludeNodeLabel)] = ""; },
       {{"iris2", 0}}},
      {"the preferred one has no endpoint of a Local Service",
       [](World& w) {
         w.policy = model::TrafficPolicy::kLocal;
         w.endpoints = {{.node = "iris2", .can_serve = true}};
       },
       {{"iris2", 0}}},
      {"the preferred one loses the label",
       [](World& w) { w.ads = {Preferring("iris3", 10)}; },
       {{"iris2", 0}, {"iris1", 0}}},
      {"all are preferred alike: the hash decides",
       [](World& w) { w.ads = {Preferring("iris1", 10), Preferring("iris2", 10)}; },
       {{"iris2", 10}, {"iris1", 10}}},
      {"more weight wins",
       [](World& w) { w.ads = {Preferring("iris1", 11), Preferring("iris2", 10)}; },
       {{"iris1", 11}, {"iris2", 10}}},
      {"an advertisement for other Services doesn't count",
       [](World& w) {
         w.ads.push_back(Preferring("iris2", 99));
         w.ads[1].service_selectors = {Select("app", "web")};
       },
       {{"iris1", 10}, {"iris2", 0}}},
      {"an advertisement counts only on its own nodes",
       [](World& w) {
         w.ads.push_back(AdFor("iris2"));
         w.ads[1].preferences = {{.weight = 99, .preference = {}}};
       },
       {{"iris2", 99}, {"iris1", 10}}},
  }));
  DYNAMIC_SECTION(c.name) {
    World world;
    world.ads = {Preferring("iris1", 10)};
    c.change(world);
    CHECK(world.For("iris1").candidates == c.want);
    CHECK(world.Announcer() == c.want.front().node);
  }
}

TEST_CASE("Elect: the winner may announce on the union of interfaces", "[election]") {
  // MetalLB: TestIPAdvertisementFor.
  struct Case {
    const char* name;
    Ads ads;
    InterfaceChoice want;
  };
  const auto c = GENERATE(values<Case>({
      {"none is named: all", {On({})}, {.all = true, .names = {}}},
      {"one", {On({"eth0"})}, {.all = false, .names = {"eth0"}}},
      {"two, sorted", {On({"eth1", "eth0"})}, {.all = false, .names = {"eth0", "eth1"}}},
      {"of two advertisements, each once",
       {On({"eth1", "eth0"}), On({"eth0", "vlan7"})},
       {.all = false, .names = {"eth0", "eth1", "vlan7"}}},
      {"one of two names none: all", {On({"eth0"}), On({})}, {.all = true, .names = {}}},
      {"not of an advertisement for another node",
       {Only("iris2", On({"eth0"})), Only("iris1", On({"eth9"}))},
       {.all = false, .names = {"eth0"}}},
      {"another node's advertisement names none",
       {Only("iris2", On({"eth0"})), Only("iris1", On({}))},
       {.all = false, .names = {"eth0"}}},
  }));
  DYNAMIC_SECTION(c.name) {
    World world;
    world.ads = c.ads;
    REQUIRE(world.Announcer() == "iris2");
    CHECK(world.For("iris2").interfaces == c.want);
    CHECK(world.For("iris1").interfaces == InterfaceChoice{});
  }
}

TEST_CASE("Elect: the strictest policy of those that cover the node holds", "[election]") {
  using enum config::ConflictPolicy;
  const auto says = [](config::ConflictPolicy policy) {
    config::L2Advertisement ad;
    ad.conflict_policy = policy;
    return ad;
  };
  struct Case {
    const char* name;
    Ads ads;
    config::ConflictPolicy want;
  };
  const std::vector<Case> cases = {
      {"warn", {says(kWarn)}, kWarn},
      {"strict", {says(kStrict)}, kStrict},
      {"both", {says(kWarn), says(kStrict), says(kWarn)}, kStrict},
      {"strict for another node", {says(kWarn), Only("iris1", says(kStrict))}, kWarn},
      {"strict for this node", {says(kWarn), Only("iris2", says(kStrict))}, kStrict},
      {"strict for other Services",
       {says(kWarn),
        [&] {
          config::L2Advertisement ad = says(kStrict);
          ad.service_selectors = {Select("app", "web")};
          return ad;
        }()},
       kWarn},
  };
  for (const Case& c : cases) {
    DYNAMIC_SECTION(c.name) {
      World world;
      world.ads = c.ads;
      const Decision decision = world.For("iris2");
      REQUIRE(decision.announce());
      CHECK(decision.conflict_policy == c.want);
      CHECK(world.For("iris1").conflict_policy == kWarn);  // it doesn't announce
    }
  }
}

}  // namespace stentor::speaker
