// SPDX-License-Identifier: Apache-2.0
#include "speaker/reconcile/reconciler.h"

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

// By SHA-256 of "node#address", iris1 comes before iris2 for this address (computed apart).
const net::IpAddress kVip = *net::IpAddress::Parse("10.20.30.2");
const net::IpAddress kOtherVip = *net::IpAddress::Parse("10.20.30.1");
const model::ServiceKey kKey{"default", "web"};

config::Config OnePool() {
  config::Config config;
  config.pools.push_back(
      {.name = "pool",
       .ranges = {{*net::IpAddress::Parse("10.20.30.0"), *net::IpAddress::Parse("10.20.30.255")}},
       .l2_advertisements = {{.name = "all"}}});
  return config;
}

model::Service WebService(std::vector<std::string> ips = {"10.20.30.2"}) {
  model::Service service;
  service.key = kKey;
  service.uid = "uid";
  service.type = "LoadBalancer";
  service.ingress_ips = std::move(ips);
  return service;
}

model::EndpointSlice WebSlice(bool can_serve = true, const char* node = "iris2") {
  return {.key = {"default", "web-abc"},
          .service_name = "web",
          .endpoints = {{.node = node, .can_serve = can_serve}}};
}

model::Node NodeNamed(const char* name) {
  model::Node node;
  node.name = name;
  return node;
}

// A speaker that knows all it has to know to announce kVip from `self`.
class Fixture {
 public:
  explicit Fixture(const char* self = "iris1") : reconciler({.node = self}) {
    reconciler.UpsertNode(NodeNamed("iris1"));
    reconciler.UpsertNode(NodeNamed("iris2"));
    reconciler.SetConfig(OnePool());
    reconciler.SetSpeakers({{.node = "iris1"}, {.node = "iris2"}}, true);
    reconciler.UpsertSlice(WebSlice());
    reconciler.UpsertService(WebService());
  }
  Reconciler reconciler;
};

TEST_CASE("The speaker's reconciler announces what its node wins", "[speaker-reconcile]") {
  Fixture winner("iris1");
  const auto changes = winner.reconciler.Reconcile();
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].service == kKey);
  CHECK(changes[0].verdict == Verdict::kAnnounced);
  CHECK(changes[0].pool == "pool");
  CHECK(winner.reconciler.announcements() == Announcements{{kVip, std::nullopt}});
  CHECK(winner.reconciler.Reconcile().empty());

  Fixture loser("iris2");
  CHECK(loser.reconciler.Reconcile().empty());
  CHECK(loser.reconciler.announcements().empty());
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
      announced += reconciler.Reconcile().size();
    }
    CHECK(announced == 1);
    CHECK(reconciler.announcements() == Announcements{{kVip, std::nullopt}});
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_CASE("The speaker's reconciler withdraws when a reason is gone", "[speaker-reconcile]") {
  struct Case {
    const char* name;
    std::function<void(Reconciler&)> change;
    Verdict verdict;
    DecisionReason decision;
  };
  const auto c = GENERATE(values<Case>({
      {"the Service is deleted", [](Reconciler& r) { r.DeleteService(kKey); }, Verdict::kNotMine,
       DecisionReason::kNotOwner},
      {"the Service becomes a ClusterIP",
       [](Reconciler& r) {
         auto service = WebService();
         service.type = "ClusterIP";
         r.UpsertService(service);
       },
       Verdict::kNotMine, DecisionReason::kNotOwner},
      {"the Service gets another class",
       [](Reconciler& r) {
         auto service = WebService();
         service.load_balancer_class = "somebody.else/lb";
         r.UpsertService(service);
       },
       Verdict::kNotMine, DecisionReason::kNotOwner},
      {"the Service loses its address", [](Reconciler& r) { r.UpsertService(WebService({})); },
       Verdict::kNoAddress, DecisionReason::kNotOwner},
      {"the status holds something else than addresses",
       [](Reconciler& r) { r.UpsertService(WebService({"10.20.30.2", "what"})); },
       Verdict::kInvalidIp, DecisionReason::kNotOwner},
      {"the pool is gone", [](Reconciler& r) { r.SetConfig({}); }, Verdict::kIpNotAllowed,
       DecisionReason::kNotOwner},
      {"the last endpoint stops serving", [](Reconciler& r) { r.UpsertSlice(WebSlice(false)); },
       Verdict::kNotElected, DecisionReason::kNoServingEndpoint},
      {"the slice is deleted", [](Reconciler& r) { r.DeleteSlice({"default", "web-abc"}); },
       Verdict::kNotElected, DecisionReason::kNoServingEndpoint},
      {"this node is deleted", [](Reconciler& r) { r.DeleteNode("iris1"); }, Verdict::kNotElected,
       DecisionReason::kNoMatchingAdvertisement},
      {"this speaker must hold back",
       [](Reconciler& r) { r.SetSpeakers({{.node = "iris1"}, {.node = "iris2"}}, false); },
       Verdict::kNotReady, DecisionReason::kAnnounced},
  }));
  DYNAMIC_SECTION(c.name) {
    Fixture fixture;
    REQUIRE(fixture.reconciler.Reconcile().size() == 1);
    c.change(fixture.reconciler);
    const auto changes = fixture.reconciler.Reconcile();
    REQUIRE(changes.size() == 1);
    CHECK(VerdictName(changes[0].verdict) == VerdictName(c.verdict));
    if (c.verdict == Verdict::kNotElected) {
      CHECK(DecisionReasonName(changes[0].decision) == DecisionReasonName(c.decision));
    }
    CHECK(changes[0].addresses == std::vector{kVip});
    CHECK(fixture.reconciler.announcements().empty());
  }
}

TEST_CASE("A death among the speakers moves the address", "[speaker-reconcile]") {
  Fixture fixture("iris2");
  CHECK(fixture.reconciler.Reconcile().empty());
  fixture.reconciler.SetSpeakers({{.node = "iris2"}}, true);
  REQUIRE(fixture.reconciler.Reconcile().size() == 1);
  CHECK(fixture.reconciler.announcements().contains(kVip));
  fixture.reconciler.SetSpeakers({{.node = "iris1"}, {.node = "iris2"}}, true);
  const auto changes = fixture.reconciler.Reconcile();
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].winner == "iris1");
  CHECK(fixture.reconciler.announcements().empty());
}

TEST_CASE("A changed address is announced instead of the old one", "[speaker-reconcile]") {
  Fixture fixture;
  fixture.reconciler.SetSpeakers({{.node = "iris1"}}, true);
  (void)fixture.reconciler.Reconcile();
  fixture.reconciler.UpsertService(WebService({"10.20.30.1"}));
  REQUIRE(fixture.reconciler.Reconcile().size() == 1);
  CHECK(fixture.reconciler.announcements() == Announcements{{kOtherVip, std::nullopt}});
}

TEST_CASE("The interfaces of Services that share an address add up", "[speaker-reconcile]") {
  Fixture fixture;
  auto config = OnePool();
  config.pools[0].l2_advertisements = {{.name = "a", .interfaces = {"eth0"}},
                                       {.name = "b", .interfaces = {"eth1"}}};
  fixture.reconciler.SetConfig(config);
  auto second = WebService();
  second.key.name = "web2";
  auto slice = WebSlice();
  slice.key.name = "web2-abc";
  slice.service_name = "web2";
  fixture.reconciler.UpsertService(second);
  fixture.reconciler.UpsertSlice(slice);
  CHECK(fixture.reconciler.Reconcile().size() == 2);
  CHECK(fixture.reconciler.announcements() ==
        Announcements{{kVip, std::set<std::string>{"eth0", "eth1"}}});
  fixture.reconciler.DeleteService(kKey);
  CHECK(fixture.reconciler.Reconcile().size() == 1);
  CHECK(fixture.reconciler.announcements().contains(kVip));
}

TEST_CASE("Only Services of the wanted class are announced", "[speaker-reconcile]") {
  struct Case {
    const char* name;
    const char* flag;
    std::optional<std::string> of_service;
    bool announced;
  };
  const auto c = GENERATE(values<Case>({{"no flag, no class", "", std::nullopt, true},
                                        {"no flag, a class", "", "x", false},
                                        {"flag, no class", "x", std::nullopt, false},
                                        {"flag, same class", "x", "x", true},
                                        {"flag, other class", "x", "y", false}}));
  DYNAMIC_SECTION(c.name) {
    Reconciler reconciler({.node = "iris1", .load_balancer_class = c.flag});
    reconciler.UpsertNode(NodeNamed("iris1"));
    reconciler.SetConfig(OnePool());
    reconciler.SetSpeakers({{.node = "iris1"}}, true);
    reconciler.UpsertSlice(WebSlice());
    auto service = WebService();
    service.load_balancer_class = c.of_service;
    reconciler.UpsertService(service);
    CHECK(reconciler.Reconcile().size() == (c.announced ? 1U : 0U));
  }
}

}  // namespace
}  // namespace stentor::speaker
