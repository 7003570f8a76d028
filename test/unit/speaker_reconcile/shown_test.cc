// SPDX-License-Identifier: Apache-2.0

/// \file
/// What the reconciler shows to a saved state, and when it says that this has changed.

#include <functional>
#include <string>
#include <vector>

#include "test/unit/speaker_reconcile/fixture.h"

namespace stentor::speaker {
namespace {

std::vector<model::Service> ShownBy(const Reconciler& reconciler) {
  std::vector<model::Service> shown;
  reconciler.ForEachService([&shown](const model::Service& service) { shown.push_back(service); });
  return shown;
}

}  // namespace

TEST_CASE("A Service is shown as far as the election needs it", "[speaker-reconcile]") {
  Reconciler reconciler({.node = "iris1", .load_balancer_class = "stentor"});
  model::Service service = WebService({"10.20.30.2", "2001:DB8:0:1::FFFF"});
  service.labels = {{"a", "b"}};
  service.annotations = {{"metallb.universe.tf/allow-shared-ip", "key"}, {"other", "x"}};
  service.load_balancer_class = "stentor";
  service.external_traffic_policy = model::TrafficPolicy::kLocal;
  service.health_check_node_port = 30'001;
  service.resource_version = "7";
  service.ports = {{"TCP", 80}};
  reconciler.UpsertService(service);

  model::Service expected;
  expected.key = kKey;
  expected.uid = "uid";
  expected.labels = {{"a", "b"}};
  expected.annotations = {{"metallb.io/allow-shared-ip", ""}};
  expected.type = "LoadBalancer";
  expected.load_balancer_class = "stentor";
  expected.external_traffic_policy = model::TrafficPolicy::kLocal;
  expected.health_check_node_port = 30'001;
  expected.ingress_ips = {"10.20.30.2", "2001:db8:0:1::ffff"};
  CHECK(ShownBy(reconciler) == std::vector{expected});
}

TEST_CASE("An address that is none is shown as one", "[speaker-reconcile]") {
  Fixture f;
  f.reconciler.UpsertService(WebService({"10.20.30.2", "not an address"}));
  REQUIRE(ShownBy(f.reconciler).size() == 1);
  CHECK(ShownBy(f.reconciler)[0].ingress_ips == std::vector<std::string>{"10.20.30.2", "invalid"});
}

TEST_CASE("What changes nothing that is shown is not noticed", "[speaker-reconcile]") {
  struct Case {
    const char* name;
    std::function<void(Reconciler&)> change;
    bool noticed;
    std::size_t shown;
  };
  const auto service = [](void (*change)(model::Service&)) {
    return [change](Reconciler& r) {
      model::Service changed = WebService();
      change(changed);
      r.UpsertService(changed);
    };
  };
  const std::vector<Case> cases = {
      {"nothing", [](Reconciler&) {}, false, 1},
      {"the same Service", service([](model::Service&) {}), false, 1},
      {"what nobody asks for", service([](model::Service& s) {
         s.resource_version = "8";
         s.annotations = {{"a", "b"}};
         s.ports = {{"TCP", 443}};
       }),
       false, 1},
      {"a label", service([](model::Service& s) { s.labels = {{"a", "b"}}; }), true, 1},
      {"another one of its name", service([](model::Service& s) { s.uid = "other"; }), true, 1},
      {"another address", service([](model::Service& s) { s.ingress_ips = {"10.20.30.1"}; }), true,
       1},
      {"it has no address any more", service([](model::Service& s) { s.ingress_ips = {}; }), true,
       1},
      {"an address that is none", service([](model::Service& s) { s.ingress_ips = {"x"}; }), true,
       1},
      {"it may share its address",
       service([](model::Service& s) { s.annotations = {{"metallb.io/allow-shared-ip", "k"}}; }),
       true, 1},
      {"its traffic policy",
       service([](model::Service& s) { s.external_traffic_policy = model::TrafficPolicy::kLocal; }),
       true, 1},
      {"the port of its health check",
       service([](model::Service& s) { s.health_check_node_port = 30'001; }), true, 1},
      {"it is of another type", service([](model::Service& s) { s.type = "ClusterIP"; }), true, 0},
      {"it is of another class", service([](model::Service& s) { s.load_balancer_class = "x"; }),
       true, 0},
      {"it goes", [](Reconciler& r) { r.DeleteService(kKey); }, true, 0},
      {"one that is not ours",
       [](Reconciler& r) {
         model::Service other = ServiceNamed("other", {"10.20.30.1"});
         other.load_balancer_class = "x";
         r.UpsertService(other);
       },
       false, 1},
      {"one more", [](Reconciler& r) { r.UpsertService(ServiceNamed("one-more", {})); }, true, 2},
      {"its endpoints", [](Reconciler& r) { r.UpsertSlice(WebSlice(false)); }, true, 1},
      {"a node", [](Reconciler& r) { r.UpsertNode(NodeNamed("iris3")); }, false, 1},
  };
  for (const Case& c : cases) {
    DYNAMIC_SECTION(c.name) {
      Fixture f;
      CHECK(f.reconciler.TakeChanged());
      CHECK_FALSE(f.reconciler.TakeChanged());
      c.change(f.reconciler);
      CHECK(f.reconciler.TakeChanged() == c.noticed);
      CHECK_FALSE(f.reconciler.TakeChanged());
      CHECK(ShownBy(f.reconciler).size() == c.shown);
      (void)f.reconciler.Reconcile(kNow);
      CHECK_FALSE(f.reconciler.TakeChanged());  // an election is no fact
    }
  }
}

}  // namespace stentor::speaker
