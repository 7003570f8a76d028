// SPDX-License-Identifier: Apache-2.0

/// \file
/// What a speaker announces, and why it ceases to (spec 4.5).

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "test/unit/speaker_reconcile/fixture.h"

namespace stentor::speaker {

TEST_CASE("The speaker's reconciler announces what its node wins", "[speaker-reconcile]") {
  Fixture winner("iris1");
  const auto changes = winner.reconciler.Reconcile(kNow);
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].service == kKey);
  CHECK(changes[0].uid == "uid");
  CHECK(changes[0].verdict == Verdict::kAnnounced);
  CHECK(changes[0].addresses == std::vector{kVip});
  CHECK(changes[0].pool == "pool");
  CHECK(changes[0].winner == "iris1");
  CHECK(winner.reconciler.announcements() == Announcements{{kVip, {}}});
  CHECK(winner.reconciler.AnnouncedServices() ==
        std::vector<AnnouncedService>{
            {.service = kKey, .uid = "uid", .addresses = {kVip}, .interfaces = {}}});
  CHECK(winner.reconciler.Reconcile(kNow).empty());

  Fixture loser("iris2");
  CHECK(loser.reconciler.Reconcile(kNow).empty());
  CHECK(loser.reconciler.announcements().empty());
  CHECK(loser.reconciler.AnnouncedServices().empty());
}

TEST_CASE("The order in which facts arrive does not matter", "[speaker-reconcile]") {
  std::vector<std::function<void(Reconciler&)>> inputs = {
      [](Reconciler& r) { r.UpsertNode(NodeNamed("iris1")); },
      [](Reconciler& r) { r.SetConfig(OnePool()); },
      [](Reconciler& r) { r.SetSpeakers({{.node = "iris1"}}, true); },
      [](Reconciler& r) { r.UpsertSlice(WebSlice()); },
      [](Reconciler& r) { r.UpsertService(WebService()); }};
  std::vector<std::size_t> order = {0, 1, 2, 3, 4};
  do {
    Reconciler reconciler({.node = "iris1"});
    std::size_t announced = 0;
    for (const std::size_t i : order) {
      CHECK(reconciler.announcements().empty());
      inputs[i](reconciler);
      announced += reconciler.Reconcile(kNow).size();
    }
    CHECK(announced == 1);
    CHECK(AddressesOf(reconciler.announcements()) == std::vector{kVip});
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_CASE("The speaker's reconciler withdraws when a reason is gone", "[speaker-reconcile]") {
  struct Case {
    const char* name;
    std::function<void(Reconciler&)> change;
    const char* reason;
  };
  const auto with = [](void (*change)(model::Service&)) {
    return [change](Reconciler& r) {
      model::Service service = WebService();
      change(service);
      r.UpsertService(service);
    };
  };
  const std::vector<Case> cases = {
      {"the Service is deleted", [](Reconciler& r) { r.DeleteService(kKey); }, "notMine"},
      {"the Service becomes a ClusterIP", with([](model::Service& s) { s.type = "ClusterIP"; }),
       "notMine"},
      {"the Service gets a class, and so loses its type's meaning here",
       with([](model::Service& s) { s.load_balancer_class = "somebody.else/lb"; }), "notMine"},
      {"the Service loses its address", with([](model::Service& s) { s.ingress_ips.clear(); }),
       "noIP"},
      {"the status holds something else than addresses",
       with([](model::Service& s) { s.ingress_ips.emplace_back("what"); }), "invalidIP"},
      {"the status holds an address with a prefix",
       with([](model::Service& s) { s.ingress_ips = {"10.20.30.2/32"}; }), "invalidIP"},
      {"the address is of no pool", with([](model::Service& s) { s.ingress_ips = {"192.0.2.1"}; }),
       "ipNotAllowed"},
      {"one of two addresses is of no pool",
       with([](model::Service& s) { s.ingress_ips.emplace_back("2001:db9::1"); }), "ipNotAllowed"},
      {"the pool is gone", [](Reconciler& r) { r.SetConfig({}); }, "ipNotAllowed"},
      {"the two addresses are of different pools",
       [](Reconciler& r) {
         config::Config config = OnePool();
         config.pools.push_back({.name = "other",
                                 .ranges = {config.pools[0].ranges.back()},
                                 .l2_advertisements = {{.name = "all"}}});
         config.pools[0].ranges.pop_back();
         r.SetConfig(config);
         r.UpsertService(WebService({"10.20.30.2", "2001:db8::1"}));
       },
       "ipNotAllowed"},
      {"the last endpoint stops serving", [](Reconciler& r) { r.UpsertSlice(WebSlice(false)); },
       "noServingEndpoint"},
      {"the slice is deleted", [](Reconciler& r) { r.DeleteSlice({"default", "web-abc"}); },
       "noServingEndpoint"},
      {"the slice becomes another Service's",
       [](Reconciler& r) {
         auto slice = WebSlice();
         slice.service_name = "other";
         r.UpsertSlice(slice);
       },
       "noServingEndpoint"},
      {"the traffic policy becomes Local, and the endpoint is elsewhere",
       with([](model::Service& s) { s.external_traffic_policy = model::TrafficPolicy::kLocal; }),
       "notOwner"},
      {"the advertisement goes", [](Reconciler& r) { r.SetConfig(OnePool({})); },
       "noMatchingAdvertisement"},
      {"the advertisement is for other nodes",
       [](Reconciler& r) {
         config::L2Advertisement ad;
         ad.node_selectors = {
             {.requirements = {{.key = "rack", .op = model::SelectorOperator::kExists}}}};
         r.SetConfig(OnePool({ad}));
       },
       "noMatchingAdvertisement"},
      {"the advertisement is for other Services",
       [](Reconciler& r) {
         config::L2Advertisement ad;
         ad.service_selectors = {
             {.requirements = {{.key = "tier", .op = model::SelectorOperator::kExists}}}};
         r.SetConfig(OnePool({ad}));
       },
       "noMatchingAdvertisement"},
      {"the advertisement selects Services, and this one shares its address",
       [](Reconciler& r) {
         config::L2Advertisement ad;
         ad.service_selectors = {model::LabelSelector{}};
         r.SetConfig(OnePool({ad}));
         model::Service service = WebService();
         service.annotations = {{"metallb.io/allow-shared-ip", "key"}};
         r.UpsertService(service);
       },
       "sharedIPWithServiceSelector"},
      {"likewise with the annotation's older name, and no value",
       [](Reconciler& r) {
         config::L2Advertisement ad;
         ad.service_selectors = {model::LabelSelector{}};
         r.SetConfig(OnePool({ad}));
         model::Service service = WebService();
         service.annotations = {{"metallb.universe.tf/allow-shared-ip", ""}};
         r.UpsertService(service);
       },
       "sharedIPWithServiceSelector"},
      {"this node is deleted", [](Reconciler& r) { r.DeleteNode("iris1"); },
       "noMatchingAdvertisement"},
      {"this node is excluded",
       [](Reconciler& r) {
         model::Node node = NodeNamed("iris1");
         node.labels[std::string(kExcludeNodeLabel)] = "";
         r.UpsertNode(node);
       },
       "notOwner"},
      {"this node's network is unavailable",
       [](Reconciler& r) {
         model::Node node = NodeNamed("iris1");
         node.network_unavailable = true;
         r.UpsertNode(node);
       },
       "notOwner"},
      {"this speaker is not in the list of the living",
       [](Reconciler& r) { r.SetSpeakers({{.node = "iris2"}}, true); }, "notOwner"},
      {"this speaker yields",
       [](Reconciler& r) {
         r.SetSpeakers({{.node = "iris1", .yields = true}, {.node = "iris2"}}, true);
       },
       "notOwner"},
      {"this speaker must hold back", [](Reconciler& r) { r.SetSpeakers(BothSpeakers(), false); },
       "notReady"},
      {"its interface is gone",
       [](Reconciler& r) {
         r.SetConfig(OnePool({{.name = "a", .interfaces = {"eth9"}}}));
         r.SetInterfaces({"eth0"});
       },
       "interfaceMissing"},
  };
  for (const Case& c : cases) {
    DYNAMIC_SECTION(c.name) {
      Fixture fixture;
      REQUIRE(fixture.reconciler.Reconcile(kNow).size() == 1);
      c.change(fixture.reconciler);
      const auto changes = fixture.reconciler.Reconcile(kNow);
      REQUIRE(changes.size() == 1);
      CHECK(ReasonName(changes[0].verdict, changes[0].decision) == c.reason);
      CHECK(changes[0].addresses == std::vector{kVip});
      CHECK(fixture.reconciler.announcements().empty());
      CHECK(fixture.reconciler.AnnouncedServices().empty());
      CHECK(fixture.reconciler.Reconcile(kNow).empty());
    }
  }
}

TEST_CASE("A death among the speakers moves the address", "[speaker-reconcile]") {
  Fixture fixture("iris2");
  CHECK(fixture.reconciler.Reconcile(kNow).empty());
  fixture.reconciler.SetSpeakers({{.node = "iris2"}}, true);
  REQUIRE(fixture.reconciler.Reconcile(kNow).size() == 1);
  CHECK(fixture.reconciler.announcements().contains(kVip));
  fixture.reconciler.SetSpeakers(BothSpeakers(), true);
  const auto changes = fixture.reconciler.Reconcile(kNow);
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].winner == "iris1");
  CHECK(fixture.reconciler.announcements().empty());
}

TEST_CASE("Changed addresses are announced instead of the old ones", "[speaker-reconcile]") {
  struct Case {
    const char* name;
    std::vector<std::string> from;
    std::vector<std::string> to;
    std::vector<net::IpAddress> want;
  };
  const auto c = GENERATE(values<Case>({
      {"another address", {"10.20.30.2"}, {"10.20.30.1"}, {kOtherVip}},
      {"a second family", {"10.20.30.2"}, {"10.20.30.2", "2001:db8:0:1::ffff"}, {kVip, kVip6}},
      {"one family less", {"10.20.30.2", "2001:db8:0:1::ffff"}, {"10.20.30.2"}, {kVip}},
      {"the other family only", {"10.20.30.2"}, {"2001:db8:0:1::ffff"}, {kVip6}},
      {"the same in another order: the first one decides who announces",
       {"10.20.30.2", "2001:db8:0:1::ffff"},
       {"2001:db8:0:1::ffff", "10.20.30.2"},
       {kVip, kVip6}},
  }));
  DYNAMIC_SECTION(c.name) {
    Fixture fixture;
    fixture.reconciler.SetSpeakers({{.node = "iris1"}}, true);
    fixture.reconciler.UpsertService(WebService(c.from));
    (void)fixture.reconciler.Reconcile(kNow);
    fixture.reconciler.UpsertService(WebService(c.to));
    const auto changes = fixture.reconciler.Reconcile(kNow);
    REQUIRE(changes.size() == 1);
    CHECK(changes[0].verdict == Verdict::kAnnounced);
    CHECK(AddressesOf(fixture.reconciler.announcements()) == c.want);
  }
}

TEST_CASE("The first address decides for both families", "[speaker-reconcile]") {
  Fixture fixture("iris1");  // by 2001:db8:0:1::ffff, iris2 would win
  fixture.reconciler.UpsertService(WebService({"10.20.30.2", "2001:db8:0:1::ffff"}));
  REQUIRE(fixture.reconciler.Reconcile(kNow).size() == 1);
  CHECK(AddressesOf(fixture.reconciler.announcements()) == std::vector{kVip, kVip6});
  fixture.reconciler.UpsertService(WebService({"2001:db8:0:1::ffff", "10.20.30.2"}));
  const auto changes = fixture.reconciler.Reconcile(kNow);
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].winner == "iris2");
}

TEST_CASE("A Local Service that goes and comes back at once has the endpoints of now",
          "[speaker-reconcile]") {
  Fixture fixture("iris1");
  auto service = WebService();
  service.external_traffic_policy = model::TrafficPolicy::kLocal;
  fixture.reconciler.UpsertService(service);
  fixture.reconciler.UpsertSlice(WebSlice(true, "iris1"));
  REQUIRE(fixture.reconciler.Reconcile(kNow).size() == 1);
  fixture.reconciler.DeleteService(kKey);
  fixture.reconciler.UpsertSlice(WebSlice(true, "iris2"));  // while nobody needs it
  fixture.reconciler.UpsertService(service);
  const auto changes = fixture.reconciler.Reconcile(kNow);
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].winner == "iris2");
}

TEST_CASE("Only Services of the wanted class are announced", "[speaker-reconcile]") {
  // MetalLB: TestLBClass.
  struct Case {
    const char* name;
    const char* flag;
    std::optional<std::string> of_service;
    bool announced;
  };
  const auto c = GENERATE(values<Case>({{"no flag, no class", "", std::nullopt, true},
                                        {"no flag, a class", "", "x", false},
                                        {"no flag, an empty class", "", "", false},
                                        {"flag, no class", "x", std::nullopt, false},
                                        {"flag, same class", "x", "x", true},
                                        {"flag, other class", "x", "y", false}}));
  DYNAMIC_SECTION(c.name) {
    Fixture fixture("iris1", {.load_balancer_class = c.flag});
    auto service = WebService();
    service.load_balancer_class = c.of_service;
    fixture.reconciler.UpsertService(service);
    fixture.reconciler.UpsertSlice(WebSlice());
    CHECK(fixture.reconciler.Reconcile(kNow).size() == (c.announced ? 1U : 0U));
  }
}

TEST_CASE("With a class, a Service that becomes a ClusterIP is let go", "[speaker-reconcile]") {
  // MetalLB leaks it: the API server drops the class together with the type.
  Fixture fixture("iris1", {.load_balancer_class = "x"});
  auto service = WebService();
  service.load_balancer_class = "x";
  fixture.reconciler.UpsertService(service);
  fixture.reconciler.UpsertSlice(WebSlice());
  REQUIRE(fixture.reconciler.Reconcile(kNow).size() == 1);
  service.load_balancer_class.reset();
  service.type = "ClusterIP";
  fixture.reconciler.UpsertService(service);
  CHECK(fixture.reconciler.Reconcile(kNow).size() == 1);
  CHECK(fixture.reconciler.announcements().empty());
}

TEST_CASE("--ignore-exclude-lb lets an excluded node announce", "[speaker-reconcile]") {
  for (const bool ignored : {false, true}) {
    DYNAMIC_SECTION((ignored ? "given" : "not given")) {
      Fixture fixture("iris1", {.ignore_exclude_label = ignored});
      model::Node node = NodeNamed("iris1");
      node.labels[std::string(kExcludeNodeLabel)] = "";
      fixture.reconciler.UpsertNode(node);
      CHECK(fixture.reconciler.Reconcile(kNow).size() == (ignored ? 1U : 0U));
    }
  }
}

TEST_CASE("Without membership, Nodes that are Ready announce", "[speaker-reconcile]") {
  Fixture fixture("iris2", {.membership = false});
  fixture.reconciler.SetSpeakers({}, true);
  CHECK(fixture.reconciler.Reconcile(kNow).empty());
  model::Node node = NodeNamed("iris1");
  node.ready = false;
  fixture.reconciler.UpsertNode(node);
  REQUIRE(fixture.reconciler.Reconcile(kNow).size() == 1);
  CHECK(fixture.reconciler.announcements().contains(kVip));
  node.ready = true;
  fixture.reconciler.UpsertNode(node);
  CHECK(fixture.reconciler.Reconcile(kNow).size() == 1);
  CHECK(fixture.reconciler.announcements().empty());
}

}  // namespace stentor::speaker
