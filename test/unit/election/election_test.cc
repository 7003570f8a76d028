// SPDX-License-Identifier: Apache-2.0
#include "speaker/election/election.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

using model::TrafficPolicy;

const net::IpAddress kIp = net::Ipv4Address::FromOctets(10, 20, 30, 1);

std::string ToHex(const crypto::Sha256Digest& digest) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const std::byte b : digest) {
    out += kDigits[std::to_integer<std::size_t>(b >> 4U)];
    out += kDigits[std::to_integer<std::size_t>(b & std::byte{0xf})];
  }
  return out;
}

model::LabelSelector Select(const std::string& key, const std::string& value) {
  return {.requirements = {{.key = key, .op = model::SelectorOperator::kIn, .values = {value}}}};
}

model::Node NodeWith(const std::string& name, model::Labels labels = {}) {
  labels["kubernetes.io/hostname"] = name;
  return {.name = name, .labels = std::move(labels), .network_unavailable = false};
}

config::L2Advertisement AdFor(const std::string& node) {
  config::L2Advertisement ad;
  ad.node_selectors = {Select("kubernetes.io/hostname", node)};
  return ad;
}

// MetalLB's fixture: two nodes with speakers, one Service with 10.20.30.1 that iris2 wins.
struct World {
  std::vector<model::Node> nodes = {NodeWith("iris1"), NodeWith("iris2")};
  std::vector<Speaker> speakers = {{.node = "iris1"}, {.node = "iris2"}};
  std::vector<net::IpAddress> ingress = {kIp};
  model::Labels labels;
  TrafficPolicy policy = TrafficPolicy::kCluster;
  bool shared = false;
  bool ignore_exclude = false;
  std::vector<model::Endpoint> endpoints = {{.node = "iris1", .can_serve = true},
                                            {.node = "iris2", .can_serve = true}};
  std::vector<config::L2Advertisement> ads = std::vector<config::L2Advertisement>(1);

  [[nodiscard]] Decision For(std::string_view self) const {
    const ServiceFacts service{.ingress = ingress,
                               .labels = labels,
                               .traffic_policy = policy,
                               .may_share_address = shared,
                               .endpoints = endpoints,
                               .advertisements = ads};
    return Elect(service,
                 {.nodes = nodes, .speakers = speakers, .ignore_exclude_label = ignore_exclude},
                 self);
  }
  // Who announces, as each of the nodes decides for itself; "" for nobody, "?" for several.
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

std::optional<Exclusion> WhyNot(const Decision& decision, const std::string& node) {
  for (const ExcludedNode& excluded : decision.excluded) {
    if (excluded.node == node) {
      return excluded.reason;
    }
  }
  return std::nullopt;
}

World With(void (*change)(World&)) {
  World world;
  change(world);
  return world;
}

}  // namespace

TEST_CASE("CandidateDigest is MetalLB's", "[election]") {
  // printf 'iris1#10.20.30.1' | sha256sum
  CHECK(ToHex(CandidateDigest("iris1", kIp)) ==
        "e42ad61a4159fa2d143f5233840565a80f498b6a1e7998d68190d2a357882e2b");
  CHECK(ToHex(CandidateDigest("iris2", kIp)) ==
        "af6cb4e7605814d2f0ccb427ae44f1981dca8e59f928a994747b78ef36224c1a");
  CHECK(ToHex(CandidateDigest("iris3", *net::IpAddress::Parse("2001:DB8:0::1"))) ==
        "449ace5e43b7e1843eb0357a42b279b517f7aebb89fe9eb52f1ceef68327c73a");
}

TEST_CASE("Elect: endpoints and traffic policy", "[election]") {
  struct Case {
    const char* name;
    World world;
    const char* announcer;
  };
  using E = std::vector<model::Endpoint>;
  const std::vector<Case> cases = {
      {"cluster, endpoints on both", With([](World&) {}), "iris2"},
      {"cluster, endpoint on the other node only",
       With([](World& w) { w.endpoints = E{{.node = "iris1", .can_serve = true}}; }), "iris2"},
      {"cluster, endpoint on a node that isn't ours",
       With([](World& w) { w.endpoints = E{{.node = "elsewhere", .can_serve = true}}; }), "iris2"},
      {"cluster, no endpoints", With([](World& w) { w.endpoints.clear(); }), ""},
      {"cluster, nothing can serve", With([](World& w) {
         w.endpoints =
             E{{.node = "iris1", .can_serve = false}, {.node = "iris2", .can_serve = false}};
       }),
       ""},
      {"local, endpoints on both", With([](World& w) { w.policy = TrafficPolicy::kLocal; }),
       "iris2"},
      {"local, endpoint on iris1", With([](World& w) {
         w.policy = TrafficPolicy::kLocal;
         w.endpoints = E{{.node = "iris1", .can_serve = true}};
       }),
       "iris1"},
      {"local, iris2's endpoint can't serve", With([](World& w) {
         w.policy = TrafficPolicy::kLocal;
         w.endpoints[1].can_serve = false;
       }),
       "iris1"},
      {"local, two endpoints on iris2, one serves", With([](World& w) {
         w.policy = TrafficPolicy::kLocal;
         w.endpoints[1].can_serve = false;
         w.endpoints.push_back({.node = "iris2", .can_serve = true});
       }),
       "iris2"},
      {"local, endpoint without a node", With([](World& w) {
         w.policy = TrafficPolicy::kLocal;
         w.endpoints = E{{.node = "", .can_serve = true}};
       }),
       ""},
      {"local, endpoint on a node without a speaker", With([](World& w) {
         w.policy = TrafficPolicy::kLocal;
         w.endpoints = E{{.node = "iris2", .can_serve = true}};
         w.speakers = {{.node = "iris1"}};
       }),
       ""},
      {"no address yet", With([](World& w) { w.ingress.clear(); }), ""},
      {"the first address decides for both families",
       With([](World& w) { w.ingress.push_back(*net::IpAddress::Parse("2001:db8::1")); }), "iris2"},
  };
  for (const Case& c : cases) {
    DYNAMIC_SECTION(c.name) { CHECK(c.world.Announcer() == c.announcer); }
  }
}

TEST_CASE("Elect: which nodes are usable", "[election]") {
  struct Case {
    const char* name;
    World world;
    const char* announcer;
    std::optional<Exclusion> why_not_iris2;
  };
  const std::vector<Case> cases = {
      {"both", With([](World&) {}), "iris2", std::nullopt},
      {"no speaker on iris2", With([](World& w) { w.speakers.pop_back(); }), "iris1",
       Exclusion::kNoSpeaker},
      {"no Node object for iris2", With([](World& w) { w.nodes.pop_back(); }), "iris1",
       Exclusion::kUnknownNode},
      {"iris2's network is unavailable",
       With([](World& w) { w.nodes[1].network_unavailable = true; }), "iris1",
       Exclusion::kNetworkUnavailable},
      {"iris2 is excluded",
       With([](World& w) { w.nodes[1].labels[std::string(kExcludeNodeLabel)] = ""; }), "iris1",
       Exclusion::kExcludeLabel},
      {"iris2 is excluded, which is ignored", With([](World& w) {
         w.nodes[1].labels[std::string(kExcludeNodeLabel)] = "true";
         w.ignore_exclude = true;
       }),
       "iris2", std::nullopt},
      {"both are excluded", With([](World& w) {
         w.nodes[0].labels[std::string(kExcludeNodeLabel)] = "";
         w.nodes[1].labels[std::string(kExcludeNodeLabel)] = "";
       }),
       "", Exclusion::kExcludeLabel},
      {"iris2 has no endpoint of a Local Service", With([](World& w) {
         w.policy = TrafficPolicy::kLocal;
         w.endpoints.pop_back();
       }),
       "iris1", Exclusion::kNoLocalEndpoint},
      {"the advertisement covers iris1 only", With([](World& w) { w.ads = {AdFor("iris1")}; }),
       "iris1", Exclusion::kNoAdvertisement},
      {"one of two advertisements covers iris2",
       With([](World& w) { w.ads = {AdFor("iris1"), AdFor("iris2")}; }), "iris2", std::nullopt},
      {"no advertisement at all", With([](World& w) { w.ads.clear(); }), "",
       Exclusion::kNoAdvertisement},
      {"an advertisement for no node that exists", With([](World& w) { w.ads = {AdFor("iris9")}; }),
       "", Exclusion::kNoAdvertisement},
      {"iris2 yields", With([](World& w) { w.speakers[1].yields = true; }), "iris1",
       Exclusion::kYields},
      {"all yield: health is ignored", With([](World& w) {
         w.speakers[0].yields = true;
         w.speakers[1].yields = true;
       }),
       "iris2", std::nullopt},
      {"only a node that is no candidate doesn't yield", With([](World& w) {
         w.speakers[1].yields = true;
         w.ads = {AdFor("iris2")};
       }),
       "iris2", std::nullopt},
  };
  for (const Case& c : cases) {
    DYNAMIC_SECTION(c.name) {
      CHECK(c.world.Announcer() == c.announcer);
      CHECK(WhyNot(c.world.For("iris1"), "iris2") == c.why_not_iris2);
    }
  }
}

TEST_CASE("Elect says why, with MetalLB's words", "[election]") {
  config::L2Advertisement selective;
  selective.service_selectors = {Select("app", "web"), Select("app", "api")};
  struct Case {
    const char* name;
    World world;
    DecisionReason want;
    const char* metallb;
  };
  std::vector<Case> cases = {
      {"wins", With([](World&) {}), DecisionReason::kAnnounced, "announced"},
      {"loses", With([](World& w) {
         w.endpoints = {{.node = "x", .can_serve = true}};
         w.nodes.push_back(NodeWith("iris3"));
         w.speakers.push_back({.node = "iris3"});
       }),
       DecisionReason::kNotOwner, "notOwner"},
      {"no address", With([](World& w) { w.ingress.clear(); }), DecisionReason::kNoAddress,
       "noIPAllocated"},
      {"no endpoints", With([](World& w) { w.endpoints.clear(); }),
       DecisionReason::kNoServingEndpoint, "notOwner"},
      {"not covered", With([](World& w) { w.ads = {AdFor("iris1")}; }),
       DecisionReason::kNoMatchingAdvertisement, "noMatchingAdvertisement"},
      {"no advertisement", With([](World& w) { w.ads.clear(); }),
       DecisionReason::kNoMatchingAdvertisement, "noMatchingAdvertisement"},
      {"selected", With([](World& w) { w.labels = {{"app", "api"}}; }), DecisionReason::kAnnounced,
       "announced"},
      {"not selected", With([](World& w) { w.labels = {{"app", "db"}}; }),
       DecisionReason::kNoMatchingAdvertisement, "noMatchingAdvertisement"},
      {"selected, but shares its address", With([](World& w) {
         w.labels = {{"app", "api"}};
         w.shared = true;
       }),
       DecisionReason::kSharedIpWithServiceSelector, "sharedIPWithServiceSelector"},
      {"shares its address, and the selective one is for others", With([](World& w) {
         w.labels = {{"app", "db"}};
         w.shared = true;
       }),
       DecisionReason::kNoMatchingAdvertisement, "noMatchingAdvertisement"},
      {"shares its address, one of two advertisements is selective", With([](World& w) {
         w.labels = {{"app", "web"}};
         w.shared = true;
         w.ads.resize(2);
       }),
       DecisionReason::kSharedIpWithServiceSelector, "sharedIPWithServiceSelector"},
      {"shares its address, no selector", With([](World& w) { w.shared = true; }),
       DecisionReason::kAnnounced, "announced"},
  };
  for (Case& c : cases) {
    if (!c.world.labels.empty()) {
      c.world.ads.front() = selective;
    }
    DYNAMIC_SECTION(c.name) {
      const Decision decision = c.world.For("iris2");
      CHECK(decision.reason == c.want);
      CHECK(decision.announce() == (c.want == DecisionReason::kAnnounced));
      CHECK(DecisionReasonName(decision.reason) == c.metallb);
    }
  }
}

TEST_CASE("Elect: a selector takes its nodes along", "[election]") {
  World world;  // the advertisement for iris2 is for other Services, so only iris1 is left
  world.ads = {AdFor("iris1"), AdFor("iris2")};
  world.ads[1].service_selectors = {Select("app", "web")};
  CHECK(world.Announcer() == "iris1");
  CHECK(world.For("iris2").reason == DecisionReason::kNoMatchingAdvertisement);
  CHECK(*world.For("iris2").winner() == "iris1");
  world.labels = {{"app", "web"}};
  CHECK(world.Announcer() == "iris2");
}

TEST_CASE("Elect: preferences come before the hash", "[election]") {
  World world;
  world.ads[0].preferences = {
      {.weight = 10, .preference = Select("kubernetes.io/hostname", "iris1")}};
  CHECK(world.Announcer() == "iris1");
  CHECK(world.For("iris1").candidates ==
        std::vector<Candidate>{{.node = "iris1", .score = 10}, {.node = "iris2", .score = 0}});
  SECTION("the preferred one dies") {
    world.speakers = {{.node = "iris2"}};
    CHECK(world.Announcer() == "iris2");
  }
  SECTION("the preferred one yields") {
    world.speakers[0].yields = true;
    CHECK(world.Announcer() == "iris2");
  }
  SECTION("equal preferences leave it to the hash") {
    world.ads[0].preferences.push_back({.weight = 10, .preference = {}});
    world.ads[0].preferences[0].weight = 0;
    CHECK(world.Announcer() == "iris2");
  }
  SECTION("preferences of an advertisement count only on its own nodes") {
    world.ads.push_back(AdFor("iris2"));
    world.ads[1].preferences = {{.weight = 99, .preference = {}}};
    CHECK(world.For("iris1").candidates ==
          std::vector<Candidate>{{.node = "iris2", .score = 99}, {.node = "iris1", .score = 10}});
  }
}

TEST_CASE("PreferenceScore adds up what matches", "[election]") {
  config::L2Advertisement ad;
  ad.preferences = {{.weight = 5, .preference = Select("zone", "a")},
                    {.weight = 7, .preference = Select("disk", "ssd")},
                    {.weight = 100, .preference = Select("zone", "b")}};
  config::L2Advertisement elsewhere = AdFor("iris9");
  elsewhere.preferences = {{.weight = 50, .preference = {}}};
  const std::vector<const config::L2Advertisement*> ads = {&ad, &elsewhere};
  CHECK(PreferenceScore(ads, NodeWith("iris1")) == 0);
  CHECK(PreferenceScore(ads, NodeWith("iris1", {{"zone", "a"}})) == 5);
  CHECK(PreferenceScore(ads, NodeWith("iris1", {{"zone", "a"}, {"disk", "ssd"}})) == 12);
  CHECK(PreferenceScore(ads, NodeWith("iris9", {{"zone", "b"}})) == 150);
}

TEST_CASE("SortCandidates: score descending, then digest ascending", "[election]") {
  struct Case {
    const char* name;
    std::vector<Candidate> in;
    std::vector<std::string> want;
  };
  const std::vector<Case> cases = {
      {"none", {}, {}},
      {"one", {{"iris1", 0}}, {"iris1"}},
      {"two", {{"iris1", 0}, {"iris2", 0}}, {"iris2", "iris1"}},
      {"three", {{"iris1", 0}, {"iris2", 0}, {"iris3", 0}}, {"iris3", "iris2", "iris1"}},
      {"three, in another order",
       {{"iris3", 0}, {"iris1", 0}, {"iris2", 0}},
       {"iris3", "iris2", "iris1"}},
      {"a higher score first",
       {{"iris1", 1}, {"iris2", 0}, {"iris3", 0}},
       {"iris1", "iris3", "iris2"}},
      {"scores alone", {{"iris1", 2}, {"iris2", 3}, {"iris3", 1}}, {"iris2", "iris1", "iris3"}},
  };
  for (const Case& c : cases) {
    DYNAMIC_SECTION(c.name) {
      std::vector<Candidate> candidates = c.in;
      SortCandidates(candidates, kIp);
      std::vector<std::string> names;
      for (const Candidate& candidate : candidates) {
        names.push_back(candidate.node);
      }
      CHECK(names == c.want);
    }
  }
}

TEST_CASE("Elect: the winner may announce on the union of interfaces", "[election]") {
  World world;
  world.ads = {AdFor("iris2"), AdFor("iris2"), AdFor("iris1")};
  world.ads[0].interfaces = {"eth1", "eth0"};
  world.ads[1].interfaces = {"eth0", "vlan7"};
  CHECK(world.For("iris2").interfaces ==
        InterfaceChoice{.all = false, .names = {"eth0", "eth1", "vlan7"}});
  CHECK(world.For("iris1").interfaces == InterfaceChoice{});  // doesn't announce
  world.ads[1].interfaces.clear();
  CHECK(world.For("iris2").interfaces == InterfaceChoice{.all = true, .names = {}});
}

TEST_CASE("Every reason has a name", "[election]") {
  std::set<std::string_view> names;
  for (std::uint8_t i = 0; i <= static_cast<std::uint8_t>(Exclusion::kYields); ++i) {
    names.insert(ExclusionName(static_cast<Exclusion>(i)));
  }
  CHECK(names.size() == 7);
  CHECK_FALSE(names.contains("unknown"));
}

}  // namespace stentor::speaker
