// SPDX-License-Identifier: Apache-2.0

/// \file
/// Which nodes are candidates (spec 4.5, step 4), with the reason where one is not.

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "test/unit/election/world.h"

namespace stentor::speaker {

TEST_CASE("Elect: which nodes are usable", "[election]") {
  struct Case {
    const char* name;
    World world;
    const char* announcer;
    const char* why_not_iris2;
  };
  const auto c = GENERATE(values<Case>({
      {"both", With([](World&) {}), "iris2", ""},
      {"no speaker on iris2", With([](World& w) { w.speakers.pop_back(); }), "iris1", "no_speaker"},
      {"no speaker anywhere", With([](World& w) { w.speakers.clear(); }), "", "no_speaker"},
      {"a speaker on a node that nobody knows",
       With([](World& w) { w.speakers.push_back({.node = "iris3"}); }), "iris2", ""},
      {"no Node object for iris2", With([](World& w) { w.nodes.pop_back(); }), "iris1",
       "unknown_node"},
      {"iris2's network is unavailable",
       With([](World& w) { w.nodes[1].network_unavailable = true; }), "iris1",
       "network_unavailable"},
      {"every network is unavailable", With([](World& w) {
         w.nodes[0].network_unavailable = true;
         w.nodes[1].network_unavailable = true;
       }),
       "", "network_unavailable"},
      {"iris2 is not Ready: with membership that doesn't count",
       With([](World& w) { w.nodes[1].ready = false; }), "iris2", ""},
      {"iris2 is excluded",
       With([](World& w) { w.nodes[1].labels[std::string(kExcludeNodeLabel)] = ""; }), "iris1",
       "exclude_label"},
      {"iris2 is excluded, whatever the value",
       With([](World& w) { w.nodes[1].labels[std::string(kExcludeNodeLabel)] = "false"; }), "iris1",
       "exclude_label"},
      {"iris1 is excluded",
       With([](World& w) { w.nodes[0].labels[std::string(kExcludeNodeLabel)] = ""; }), "iris2", ""},
      {"iris2 is excluded, which is ignored", With([](World& w) {
         w.nodes[1].labels[std::string(kExcludeNodeLabel)] = "true";
         w.ignore_exclude = true;
       }),
       "iris2", ""},
      {"both are excluded", With([](World& w) {
         w.nodes[0].labels[std::string(kExcludeNodeLabel)] = "";
         w.nodes[1].labels[std::string(kExcludeNodeLabel)] = "";
       }),
       "", "exclude_label"},
      {"the network counts before the label", With([](World& w) {
         w.nodes[1].labels[std::string(kExcludeNodeLabel)] = "";
         w.nodes[1].network_unavailable = true;
       }),
       "iris1", "network_unavailable"},
      {"iris2 has no endpoint of a Local Service", With([](World& w) {
         w.policy = model::TrafficPolicy::kLocal;
         w.endpoints.pop_back();
       }),
       "iris1", "no_local_endpoint"},
      {"iris2 yields", With([](World& w) { w.speakers[1].yields = true; }), "iris1", "yields"},
      {"all yield: health is ignored", With([](World& w) {
         w.speakers[0].yields = true;
         w.speakers[1].yields = true;
       }),
       "iris2", ""},
      {"a node that is no candidate can't make another one yield", With([](World& w) {
         w.speakers[1].yields = true;
         w.ads = {AdFor("iris2")};
       }),
       "iris2", ""},
  }));
  DYNAMIC_SECTION(c.name) {
    CHECK(c.world.Announcer() == c.announcer);
    CHECK(WhyNot(c.world.For("iris1"), "iris2") == c.why_not_iris2);
  }
}

TEST_CASE("Elect: advertisements select nodes", "[election]") {
  // MetalLB: TestShouldAnnounceFromNodes.
  struct Case {
    const char* name;
    World world;
    const char* announcer;
    DecisionReason of_iris2;
  };
  using enum DecisionReason;
  const auto c = GENERATE(values<Case>({
      {"no selector: all nodes", With([](World&) {}), "iris2", kAnnounced},
      {"iris1 by name", With([](World& w) { w.ads = {AdFor("iris1")}; }), "iris1",
       kNoMatchingAdvertisement},
      {"iris2 by name", With([](World& w) { w.ads = {AdFor("iris2")}; }), "iris2", kAnnounced},
      {"each by an advertisement of its own",
       With([](World& w) { w.ads = {AdFor("iris1"), AdFor("iris2")}; }), "iris2", kAnnounced},
      {"both by two selectors of one advertisement", With([](World& w) {
         w.ads[0].node_selectors = {Select("kubernetes.io/hostname", "iris1"),
                                    Select("kubernetes.io/hostname", "iris2")};
       }),
       "iris2", kAnnounced},
      {"by a label that both have", With([](World& w) {
         w.nodes[0].labels["rack"] = "1";
         w.nodes[1].labels["rack"] = "1";
         w.ads[0].node_selectors = {Select("rack", "1")};
       }),
       "iris2", kAnnounced},
      {"by a label that one has", With([](World& w) {
         w.nodes[0].labels["rack"] = "1";
         w.ads[0].node_selectors = {Select("rack", "1")};
       }),
       "iris1", kNoMatchingAdvertisement},
      {"all conditions of a selector count", With([](World& w) {
         w.nodes[0].labels["rack"] = "1";
         w.nodes[1].labels["rack"] = "1";
         w.ads[0].node_selectors = {Select("rack", "1")};
         w.ads[0].node_selectors[0].requirements.push_back({.key = "kubernetes.io/hostname",
                                                            .op = model::SelectorOperator::kNotIn,
                                                            .values = {"iris2"}});
       }),
       "iris1", kNoMatchingAdvertisement},
      {"an empty selector: all nodes",
       With([](World& w) { w.ads[0].node_selectors = {model::LabelSelector{}}; }), "iris2",
       kAnnounced},
      {"a node that doesn't exist", With([](World& w) { w.ads = {AdFor("iris9")}; }), "",
       kNoMatchingAdvertisement},
      {"no advertisement at all", With([](World& w) { w.ads.clear(); }), "",
       kNoMatchingAdvertisement},
      {"iris1 by name, but it has no speaker", With([](World& w) {
         w.ads = {AdFor("iris1")};
         w.speakers = {{.node = "iris2"}};
       }),
       "", kNoMatchingAdvertisement},
      {"iris1 by name, Local, its endpoint is on iris2", With([](World& w) {
         w.ads = {AdFor("iris1")};
         w.policy = model::TrafficPolicy::kLocal;
         w.endpoints = {{.node = "iris2", .can_serve = true}};
       }),
       "", kNoMatchingAdvertisement},
  }));
  DYNAMIC_SECTION(c.name) {
    CHECK(c.world.Announcer() == c.announcer);
    CHECK(DecisionReasonName(c.world.For("iris2").reason) == DecisionReasonName(c.of_iris2));
    if (c.of_iris2 == kNoMatchingAdvertisement) {
      CHECK(WhyNot(c.world.For("iris1"), "iris2") == "no_advertisement");
    }
  }
}

TEST_CASE("Elect: without membership every Node has a speaker", "[election]") {
  // MetalLB: TestUsableNodesEPSlicesWithSpeakerlistDisabled; beyond it, Ready counts.
  struct Case {
    const char* name;
    World world;
    const char* announcer;
    const char* why_not_iris2;
  };
  const auto c = GENERATE(values<Case>({
      {"all are Ready", With([](World&) {}), "iris2", ""},
      {"the list of speakers has no meaning", With([](World& w) { w.speakers.clear(); }), "iris2",
       ""},
      {"nor what they yield", With([](World& w) { w.speakers[1].yields = true; }), "iris2", ""},
      {"nor a speaker without a Node",
       With([](World& w) { w.speakers.push_back({.node = "iris9"}); }), "iris2", ""},
      {"iris2 is not Ready", With([](World& w) { w.nodes[1].ready = false; }), "iris1",
       "not_ready"},
      {"nobody is Ready: that is ignored", With([](World& w) {
         w.nodes[0].ready = false;
         w.nodes[1].ready = false;
       }),
       "iris2", ""},
      {"the only one that is Ready can't announce it", With([](World& w) {
         w.nodes[1].ready = false;
         w.ads = {AdFor("iris2")};
       }),
       "iris2", ""},
      {"Local, and the node with the endpoint is not Ready", With([](World& w) {
         w.nodes[1].ready = false;
         w.policy = model::TrafficPolicy::kLocal;
         w.endpoints = {{.node = "iris2", .can_serve = true}};
       }),
       "iris2", ""},
      {"iris2 is excluded",
       With([](World& w) { w.nodes[1].labels[std::string(kExcludeNodeLabel)] = ""; }), "iris1",
       "exclude_label"},
      {"iris2 doesn't exist", With([](World& w) { w.nodes.pop_back(); }), "iris1", "?"},
  }));
  DYNAMIC_SECTION(c.name) {
    World world = c.world;
    world.membership = false;
    CHECK(world.Announcer() == c.announcer);
    CHECK(WhyNot(world.For("iris1"), "iris2") == c.why_not_iris2);
  }
}

TEST_CASE("Every reason has a name of its own", "[election]") {
  std::set<std::string_view> names;
  for (std::uint8_t i = 0; i <= static_cast<std::uint8_t>(Exclusion::kNotReady); ++i) {
    names.insert(ExclusionName(static_cast<Exclusion>(i)));
  }
  CHECK(names.size() == 8);
  CHECK_FALSE(names.contains("unknown"));
}

}  // namespace stentor::speaker
