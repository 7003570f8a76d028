// SPDX-License-Identifier: Apache-2.0

/// \file
/// Which advertisements are for a Service (spec 4.5, steps 2 and 3), and MetalLB's words for it.

#include <string>
#include <vector>

#include "test/unit/election/world.h"

namespace stentor::speaker {
namespace {

config::L2Advertisement ForServices(std::vector<model::LabelSelector> selectors) {
  config::L2Advertisement ad;
  ad.service_selectors = std::move(selectors);
  return ad;
}

config::L2Advertisement WebAndApi() {
  return ForServices({Select("app", "web"), Select("app", "api")});
}

}  // namespace

TEST_CASE("Elect says why, with MetalLB's words", "[election]") {
  struct Case {
    const char* name;
    World world;
    DecisionReason want;
    const char* metallb;
  };
  using enum DecisionReason;
  const auto c = GENERATE(values<Case>({
      {"wins", With([](World&) {}), kAnnounced, "announced"},
      {"loses", With([](World& w) {
         w.nodes.push_back(NodeWith("iris3"));
         w.speakers.push_back({.node = "iris3"});
       }),
       kNotOwner, "notOwner"},
      {"nobody can", With([](World& w) { w.speakers.clear(); }), kNotOwner, "notOwner"},
      {"no address", With([](World& w) { w.ingress.clear(); }), kNoAddress, "noIPAllocated"},
      {"no endpoints", With([](World& w) { w.endpoints.clear(); }), kNoServingEndpoint, "notOwner"},
      {"no endpoints comes before no advertisement", With([](World& w) {
         w.endpoints.clear();
         w.ads.clear();
       }),
       kNoServingEndpoint, "notOwner"},
      {"not covered", With([](World& w) { w.ads = {AdFor("iris1")}; }), kNoMatchingAdvertisement,
       "noMatchingAdvertisement"},
      {"no advertisement", With([](World& w) { w.ads.clear(); }), kNoMatchingAdvertisement,
       "noMatchingAdvertisement"},
      {"this node is deleted", With([](World& w) { w.nodes.pop_back(); }), kNoMatchingAdvertisement,
       "noMatchingAdvertisement"},
  }));
  DYNAMIC_SECTION(c.name) {
    const Decision decision = c.world.For("iris2");
    CHECK(decision.reason == c.want);
    CHECK(decision.announce() == (c.want == kAnnounced));
    CHECK(DecisionReasonName(decision.reason) == c.metallb);
  }
}

TEST_CASE("Elect: advertisements select Services", "[election]") {
  // MetalLB: TestL2ServiceSelectors, TestL2AdsForService.
  struct Case {
    const char* name;
    std::vector<config::L2Advertisement> ads;
    model::Labels labels;
    bool announced;
  };
  const auto c = GENERATE(values<Case>({
      {"no selector, no label", {config::L2Advertisement{}}, {}, true},
      {"no selector, a label", {config::L2Advertisement{}}, {{"app", "db"}}, true},
      {"the first of two", {WebAndApi()}, {{"app", "web"}}, true},
      {"the second of two", {WebAndApi()}, {{"app", "api"}}, true},
      {"neither of two", {WebAndApi()}, {{"app", "db"}}, false},
      {"no label", {WebAndApi()}, {}, false},
      {"another label of the same value", {WebAndApi()}, {{"name", "web"}}, false},
      {"more labels than asked for", {WebAndApi()}, {{"app", "web"}, {"tier", "gold"}}, true},
      {"an empty selector selects all", {ForServices({model::LabelSelector{}})}, {}, true},
      {"a second one has no selector",
       {WebAndApi(), config::L2Advertisement{}},
       {{"app", "db"}},
       true},
      {"two, of which one matches",
       {ForServices({Select("app", "db")}), ForServices({Select("app", "web")})},
       {{"app", "web"}},
       true},
      {"two, of which none matches",
       {ForServices({Select("app", "db")}), ForServices({Select("app", "web")})},
       {{"app", "api"}},
       false},
      {"all conditions of a selector count",
       {ForServices({{.requirements = {{.key = "app",
                                        .op = model::SelectorOperator::kEquals,
                                        .values = {"web"}},
                                       {.key = "tier", .op = model::SelectorOperator::kExists}}}})},
       {{"app", "web"}},
       false},
      {"an operator that there is not selects nothing",
       {ForServices({{.requirements = {{.key = "app",
                                        .op = model::SelectorOperator::kUnknown,
                                        .values = {"web"},
                                        .unknown_op = "Gt"}}}})},
       {{"app", "web"}},
       false},
  }));
  DYNAMIC_SECTION(c.name) {
    World world;
    world.ads = c.ads;
    world.labels = c.labels;
    CHECK(world.Announcer() == (c.announced ? "iris2" : ""));
    CHECK(world.For("iris2").reason ==
          (c.announced ? DecisionReason::kAnnounced : DecisionReason::kNoMatchingAdvertisement));
  }
}

TEST_CASE("Elect: who shares an address may not be selected by label", "[election]") {
  // MetalLB: TestL2SharedIPWithServiceSelectors. Those who share it could be told apart by labels,
  // and the address be announced from two nodes.
  struct Case {
    const char* name;
    std::vector<config::L2Advertisement> ads;
    model::Labels labels;
    bool shared;
    const char* want;
  };
  const auto c = GENERATE(values<Case>({
      {"selected, doesn't share", {WebAndApi()}, {{"app", "api"}}, false, "announced"},
      {"selected, shares", {WebAndApi()}, {{"app", "api"}}, true, "sharedIPWithServiceSelector"},
      {"shares, not selected", {WebAndApi()}, {{"app", "db"}}, true, "noMatchingAdvertisement"},
      {"shares, no selector", {config::L2Advertisement{}}, {{"app", "api"}}, true, "announced"},
      {"shares, one of two that match is selective",
       {WebAndApi(), config::L2Advertisement{}},
       {{"app", "web"}},
       true,
       "sharedIPWithServiceSelector"},
      {"shares, the selective one of two is for others",
       {WebAndApi(), config::L2Advertisement{}},
       {{"app", "db"}},
       true,
       "announced"},
      {"shares, an empty selector is a selector too",
       {ForServices({model::LabelSelector{}})},
       {},
       true,
       "sharedIPWithServiceSelector"},
      {"shares, the selective one is for other nodes",
       {[] {
          config::L2Advertisement ad = AdFor("iris1");
          ad.service_selectors = {Select("app", "web")};
          return ad;
        }(),
        AdFor("iris2")},
       {{"app", "web"}},
       true,
       "sharedIPWithServiceSelector"},
  }));
  DYNAMIC_SECTION(c.name) {
    World world;
    world.ads = c.ads;
    world.labels = c.labels;
    world.shared = c.shared;
    CHECK(DecisionReasonName(world.For("iris2").reason) == c.want);
    CHECK(world.Announcer() == (std::string(c.want) == "announced" ? "iris2" : ""));
  }
}

TEST_CASE("Elect: a selector takes its nodes along", "[election]") {
  // MetalLB: TestL2ServiceSelectorFiltersCandidateNodes, TestL2NoMatchingAdForServiceAndNode.
  World world;  // the advertisement for iris2 is for other Services, so only iris1 is left
  world.ads = {AdFor("iris1"), AdFor("iris2")};
  world.ads[1].service_selectors = {Select("app", "web")};
  CHECK(world.Announcer() == "iris1");
  CHECK(world.For("iris2").reason == DecisionReason::kNoMatchingAdvertisement);
  CHECK(*world.For("iris2").winner() == "iris1");
  CHECK(WhyNot(world.For("iris1"), "iris2") == "no_advertisement");
  world.labels = {{"app", "web"}};
  CHECK(world.Announcer() == "iris2");
}

TEST_CASE("Elect: nodes with different advertisements elect the same one", "[election]") {
  // MetalLB: TestL2ElectionConsistentButAdsPerNode, TestShouldAnnounceSplitBrainWithMixedAds.
  World world;
  world.ads = {AdFor("iris1"), AdFor("iris2")};
  world.ads[0].interfaces = {"eth0"};
  world.ads[1].interfaces = {"eth1"};
  world.ads[0].preferences = {
      {.weight = 5, .preference = Select("kubernetes.io/hostname", "iris2")}};
  CHECK(world.Announcer() == "iris2");  // a preference for a node that it doesn't cover is none
  CHECK(*world.For("iris1").winner() == "iris2");
  CHECK(world.For("iris2").interfaces == InterfaceChoice{.all = false, .names = {"eth1"}});
  world.ads[0].preferences[0].preference = Select("kubernetes.io/hostname", "iris1");
  CHECK(world.Announcer() == "iris1");
  CHECK(*world.For("iris2").winner() == "iris1");
  CHECK(world.For("iris1").interfaces == InterfaceChoice{.all = false, .names = {"eth0"}});
}

}  // namespace stentor::speaker
