// SPDX-License-Identifier: Apache-2.0

/// \file
/// What the reconciler says about itself; and that what changes nothing says nothing.

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "test/unit/speaker_reconcile/fixture.h"

namespace stentor::speaker {

TEST_CASE("What changes nothing is not told", "[speaker-reconcile]") {
  // MetalLB holds elections on some changes of Nodes only (its node controller's predicate); here
  // all may come, and nothing goes out.
  struct Case {
    const char* name;
    std::function<void(Reconciler&)> change;
  };
  const auto node = [](void (*change)(model::Node&)) {
    return [change](Reconciler& r) {
      model::Node changed = NodeNamed("iris1");
      change(changed);
      r.UpsertNode(changed);
    };
  };
  const std::vector<Case> cases = {
      {"nothing", [](Reconciler&) {}},
      {"the same Service", [](Reconciler& r) { r.UpsertService(WebService()); }},
      {"a label of the Service that nobody asks for",
       [](Reconciler& r) {
         auto service = WebService();
         service.labels = {{"a", "b"}};
         r.UpsertService(service);
       }},
      {"the same slice", [](Reconciler& r) { r.UpsertSlice(WebSlice()); }},
      {"a slice with as many endpoints elsewhere",
       [](Reconciler& r) { r.UpsertSlice(WebSlice(true, "iris1")); }},
      {"a slice of a Service that nobody knows",
       [](Reconciler& r) { r.UpsertSlice(SliceOf("unknown")); }},
      {"the end of a slice that nobody knows",
       [](Reconciler& r) { r.DeleteSlice({"default", "unknown"}); }},
      {"the end of a Service that nobody knows",
       [](Reconciler& r) { r.DeleteService({"default", "unknown"}); }},
      {"the same node", node([](model::Node&) {})},
      {"a node's label", node([](model::Node& n) { n.labels["a"] = "b"; })},
      {"a node's address", node([](model::Node& n) { n.addresses = {kOtherVip}; })},
      {"a node that is not Ready, with membership", node([](model::Node& n) { n.ready = false; })},
      {"a node more that has no speaker", [](Reconciler& r) { r.UpsertNode(NodeNamed("iris3")); }},
      {"the other node's end", [](Reconciler& r) { r.DeleteNode("iris2"); }},
      {"the end of a node that nobody knows", [](Reconciler& r) { r.DeleteNode("iris9"); }},
      {"the other speaker's death",
       [](Reconciler& r) { r.SetSpeakers({{.node = "iris1"}}, true); }},
      {"the same configuration", [](Reconciler& r) { r.SetConfig(OnePool()); }},
      {"another pool",
       [](Reconciler& r) {
         config::Config config = OnePool();
         config.pools.push_back({.name = "other", .ranges = {{kVip6, kVip6}}});
         config.pools[0].ranges.pop_back();
         r.SetConfig(config);
       }},
      {"the interfaces", [](Reconciler& r) { r.SetInterfaces({"eth0"}); }},
      {"a status", [](Reconciler& r) { r.NoteStatus(kKey, true); }},
      {"that all statuses are known", [](Reconciler& r) { r.SetStatusesKnown(); }},
      {"a Service that isn't ours",
       [](Reconciler& r) {
         auto service = ServiceNamed("other", {"10.20.30.1"});
         service.type = "ClusterIP";
         r.UpsertService(service);
       }},
  };
  for (const Case& c : cases) {
    DYNAMIC_SECTION(c.name) {
      Fixture fixture;
      REQUIRE(fixture.reconciler.Reconcile(kNow).size() == 1);
      const Announcements before = fixture.reconciler.announcements();
      const std::uint64_t revision = fixture.reconciler.revision();
      c.change(fixture.reconciler);
      CHECK(fixture.reconciler.Reconcile(kNow).empty());
      CHECK(fixture.reconciler.announcements() == before);
      CHECK(fixture.reconciler.revision() == revision);
      CHECK(fixture.reconciler.TakeFailures().empty());
      CHECK(fixture.reconciler.TakeSlicesToList().empty());
    }
  }
}

TEST_CASE("Addresses that are not announced are named with the reason", "[speaker-reconcile]") {
  Fixture fixture;
  Reconciler& reconciler = fixture.reconciler;
  using List = std::vector<UnannouncedAddress>;
  reconciler.UpsertService(ServiceNamed("pending", {}));
  reconciler.UpsertService(ServiceNamed("idle", {"10.20.30.2", "2001:db8:0:1::ffff"}));
  reconciler.UpsertService(ServiceNamed("foreign", {"192.0.2.1"}));
  reconciler.UpsertService(ServiceNamed("elsewhere", {"10.20.30.1"}));
  reconciler.UpsertSlice(SliceOf("elsewhere"));
  auto other = ServiceNamed("other", {"10.20.30.2"});
  other.type = "ClusterIP";
  reconciler.UpsertService(other);
  CHECK(reconciler.Unannounced(9).empty());  // nothing has been decided
  (void)reconciler.Reconcile(kNow);
  const List all = {
      {{"default", "foreign"}, *net::IpAddress::Parse("192.0.2.1"), "ipNotAllowed"},
      {{"default", "idle"}, kVip, "noServingEndpoint"},
      {{"default", "idle"}, kVip6, "noServingEndpoint"},
  };
  CHECK(reconciler.Unannounced(9) == all);
  CHECK(reconciler.Unannounced(2) == List{all[0], all[1]});
  CHECK(reconciler.Unannounced(0).empty());

  reconciler.SetConfig(OnePool({}));
  (void)reconciler.Reconcile(kNow);
  const List uncovered = reconciler.Unannounced(9);
  REQUIRE(uncovered.size() == 5);
  CHECK(uncovered[0] ==
        UnannouncedAddress{{"default", "elsewhere"}, kOtherVip, "noMatchingAdvertisement"});
  CHECK(uncovered[4] == UnannouncedAddress{kKey, kVip, "noMatchingAdvertisement"});
}

TEST_CASE("An address that no node can announce is named by all", "[speaker-reconcile]") {
  Fixture fixture;
  Reconciler& reconciler = fixture.reconciler;
  reconciler.UpsertService(ServiceNamed("elsewhere", {"10.20.30.1"}));
  reconciler.UpsertSlice(SliceOf("elsewhere"));
  for (const char* const name : {"iris1", "iris2"}) {
    auto node = NodeNamed(name);
    node.labels["node.kubernetes.io/exclude-from-external-load-balancers"] = "";
    reconciler.UpsertNode(node);
  }
  (void)reconciler.Reconcile(kNow);
  const std::vector<UnannouncedAddress> found = reconciler.Unannounced(9);
  REQUIRE_FALSE(found.empty());
  CHECK(found[0] == UnannouncedAddress{{"default", "elsewhere"}, kOtherVip, "notOwner"});
}

TEST_CASE("Nodes without a living speaker are counted", "[speaker-reconcile]") {
  Fixture fixture;
  fixture.reconciler.UpsertNode(NodeNamed("iris3"));
  CHECK(fixture.reconciler.NodesWithout({}) == 3);
  CHECK(fixture.reconciler.NodesWithout({{.node = "iris1"}, {.node = "iris9"}}) == 2);
  fixture.reconciler.DeleteNode("iris2");
  CHECK(fixture.reconciler.NodesWithout({{.node = "iris1"}, {.node = "iris9"}}) == 1);
}

TEST_CASE("Services are counted by the reason for what they are", "[speaker-reconcile]") {
  Fixture fixture;
  Reconciler& reconciler = fixture.reconciler;
  const auto counts = [&reconciler] {
    (void)reconciler.Reconcile(kNow);
    std::map<std::string, std::size_t> nonzero;
    for (const auto& [reason, count] : reconciler.VerdictCounts()) {
      if (count > 0) {
        nonzero.emplace(reason, count);
      }
    }
    return nonzero;
  };
  using Counts = std::map<std::string, std::size_t>;
  CHECK(reconciler.VerdictCounts().size() == 11);
  CHECK(counts() == Counts{{"announced", 1}});

  reconciler.UpsertService(ServiceNamed("pending", {}));
  reconciler.UpsertService(ServiceNamed("idle", {"10.20.30.2"}));
  reconciler.UpsertService(ServiceNamed("foreign", {"192.0.2.1"}));
  reconciler.UpsertService(ServiceNamed("broken", {"x"}));
  reconciler.UpsertService(ServiceNamed("elsewhere", {"10.20.30.1"}));
  reconciler.UpsertSlice(SliceOf("elsewhere"));
  auto other = ServiceNamed("other", {"10.20.30.2"});
  other.type = "ClusterIP";
  reconciler.UpsertService(other);
  CHECK(counts() == Counts{{"announced", 1},
                           {"noIP", 1},
                           {"noServingEndpoint", 1},
                           {"ipNotAllowed", 1},
                           {"invalidIP", 1},
                           {"notOwner", 1}});
  CHECK(counts() == Counts{{"announced", 1},
                           {"noIP", 1},
                           {"noServingEndpoint", 1},
                           {"ipNotAllowed", 1},
                           {"invalidIP", 1},
                           {"notOwner", 1}});

  for (const char* gone : {"pending", "idle", "foreign", "broken", "elsewhere", "other"}) {
    reconciler.DeleteService({"default", gone});
  }
  CHECK(counts() == Counts{{"announced", 1}});
  reconciler.SetSpeakers(BothSpeakers(), false);
  CHECK(counts() == Counts{{"notReady", 1}});
  reconciler.SetSpeakers(BothSpeakers(), true);
  reconciler.SetConfig(OnePool({{.name = "a", .interfaces = {"eth9"}}}));
  reconciler.SetInterfaces({});
  CHECK(counts() == Counts{{"interfaceMissing", 1}});
  reconciler.SetConfig(OnePool({}));
  CHECK(counts() == Counts{{"noMatchingAdvertisement", 1}});
  reconciler.DeleteService(kKey);
  CHECK(counts().empty());
}

TEST_CASE("Every verdict and reason has a word of its own", "[speaker-reconcile]") {
  std::set<std::string_view> words;
  for (std::size_t i = 0; i < kVerdictCount; ++i) {
    words.insert(VerdictName(static_cast<Verdict>(i)));
  }
  CHECK(words.size() == kVerdictCount);
  CHECK_FALSE(words.contains("unknown"));
  for (const auto decision :
       {DecisionReason::kNoServingEndpoint, DecisionReason::kSharedIpWithServiceSelector,
        DecisionReason::kNoMatchingAdvertisement, DecisionReason::kNotOwner}) {
    words.insert(ReasonName(Verdict::kNotElected, decision));
  }
  CHECK(words.size() == kVerdictCount + 4);
}

TEST_CASE("A decision can be explained", "[speaker-reconcile]") {
  struct Case {
    const char* name;
    std::function<void(Reconciler&)> change;
    const char* want;
  };
  const std::vector<Case> cases = {
      {"announced", [](Reconciler&) {},
       "default/web: announced; addresses 10.20.30.2; pool pool; candidates iris1, iris2"},
      {"another node wins by preference",
       [](Reconciler& r) {
         model::Node node = NodeNamed("iris2");
         node.labels["disk"] = "ssd";
         r.UpsertNode(node);
         config::L2Advertisement ad;
         ad.preferences = {
             {.weight = 7,
              .preference = {
                  .requirements = {{.key = "disk", .op = model::SelectorOperator::kExists}}}}};
         r.SetConfig(OnePool({ad}));
       },
       "default/web: notOwner; addresses 10.20.30.2; pool pool; candidates iris2 (score 7), "
       "iris1"},
      {"a node without a speaker", [](Reconciler& r) { r.SetSpeakers({{.node = "iris1"}}, true); },
       "default/web: announced; addresses 10.20.30.2; pool pool; candidates iris1; excluded iris2 "
       "(no_speaker)"},
      {"nobody can", [](Reconciler& r) { r.SetSpeakers({{.node = "iris9"}}, true); },
       "default/web: notOwner; addresses 10.20.30.2; pool pool; excluded iris1 (no_speaker), iris2 "
       "(no_speaker), iris9 (unknown_node)"},
      {"no endpoints", [](Reconciler& r) { r.UpsertSlice(WebSlice(false)); },
       "default/web: noServingEndpoint; addresses 10.20.30.2; pool pool"},
      {"no address", [](Reconciler& r) { r.UpsertService(WebService({})); }, "default/web: noIP"},
      {"an address of no pool", [](Reconciler& r) { r.UpsertService(WebService({"192.0.2.1"})); },
       "default/web: ipNotAllowed; addresses 192.0.2.1"},
  };
  for (const Case& c : cases) {
    DYNAMIC_SECTION(c.name) {
      Fixture fixture;
      CHECK_FALSE(fixture.reconciler.Explain(kKey).has_value());
      c.change(fixture.reconciler);
      (void)fixture.reconciler.Reconcile(kNow);
      const auto explanation = fixture.reconciler.Explain(kKey);
      REQUIRE(explanation.has_value());
      CHECK(ToString(*explanation) == c.want);
      CHECK_FALSE(fixture.reconciler.Explain({"default", "unknown"}).has_value());
    }
  }
}

TEST_CASE("The addresses of all Services of our class are known", "[speaker-reconcile]") {
  Fixture fixture("iris2");  // which announces nothing
  fixture.reconciler.UpsertService(ServiceNamed("both", {"10.20.30.1", "2001:db8:0:1::ffff"}));
  fixture.reconciler.UpsertService(ServiceNamed("shares", {"10.20.30.2"}));
  auto other = ServiceNamed("other", {"10.20.30.9"});
  other.load_balancer_class = "x";
  fixture.reconciler.UpsertService(other);
  CHECK(fixture.reconciler.Addresses() == std::set{kOtherVip, kVip, kVip6});
  fixture.reconciler.DeleteService({"default", "both"});
  CHECK(fixture.reconciler.Addresses() == std::set{kVip});
}

TEST_CASE("An explanation doesn't grow with the cluster", "[speaker-reconcile]") {
  Fixture fixture;
  std::vector<Speaker> speakers = BothSpeakers();
  for (int i = 0; i < 100; ++i) {
    speakers.push_back({.node = "ghost-" + std::to_string(i)});
  }
  fixture.reconciler.SetSpeakers(speakers, true);
  (void)fixture.reconciler.Reconcile(kNow);
  const std::string text = ToString(*fixture.reconciler.Explain(kKey));
  CHECK_THAT(text, Catch::EndsWith(" and 80 more"));
  CHECK(text.size() < 1000);
}

}  // namespace stentor::speaker
