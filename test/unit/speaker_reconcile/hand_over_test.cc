// SPDX-License-Identifier: Apache-2.0

/// \file
/// Which addresses that a node gives up are another one's from now on.

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "test/unit/speaker_reconcile/fixture.h"

namespace stentor::speaker {
namespace {

using HandedOvers = std::map<net::IpAddress, HandedOver>;

HandedOvers ToIris2(std::vector<net::IpAddress> addresses = {kVip}) {
  HandedOvers handed;
  for (const net::IpAddress& address : addresses) {
    handed[address] = {.service = kKey, .winner = "iris2"};
  }
  return handed;
}

/// iris1, which announces kVip.
struct Announcing : Fixture {
  Announcing() { (void)reconciler.Reconcile(kNow); }
};

TEST_CASE("An address goes over to whoever lives and wins it", "[speaker-reconcile]") {
  struct Case {
    const char* name;
    std::function<void(Reconciler&)> change;
    HandedOvers want;
  };
  const std::vector<Case> cases = {
      {"this speaker stops",
       [](Reconciler& r) {
         r.SetSpeakers({{.node = "iris1", .yields = true}, {.node = "iris2"}}, true);
       },
       ToIris2()},
      {"this node is drained by its label",
       [](Reconciler& r) {
         model::Node node = NodeNamed("iris1");
         node.labels = {{std::string(kExcludeNodeLabel), ""}};
         r.UpsertNode(node);
       },
       ToIris2()},
      {"its network is unavailable",
       [](Reconciler& r) {
         model::Node node = NodeNamed("iris1");
         node.network_unavailable = true;
         r.UpsertNode(node);
       },
       ToIris2()},
      {"no advertisement covers this node any more",
       [](Reconciler& r) {
         model::LabelSelector other;
         other.requirements = {
             {.key = "other", .op = model::SelectorOperator::kEquals, .values = {"yes"}}};
         model::Node node = NodeNamed("iris2");
         node.labels = {{"other", "yes"}};
         r.UpsertNode(node);
         r.SetConfig(OnePool({{.name = "some", .node_selectors = {other}}}));
       },
       ToIris2()},
      {"this speaker stops, and no other is there",
       [](Reconciler& r) { r.SetSpeakers({{.node = "iris1", .yields = true}}, true); },
       {}},
      {"this speaker is gone, and so is the other",
       [](Reconciler& r) { r.SetSpeakers({}, true); },
       {}},
      {"this speaker may not announce, though it should",
       [](Reconciler& r) { r.SetSpeakers(BothSpeakers(), false); },
       {}},
      {"this speaker may not announce, and another one should",
       [](Reconciler& r) {
         r.SetSpeakers({{.node = "iris1", .yields = true}, {.node = "iris2"}}, false);
       },
       {}},
      {"the Service is deleted", [](Reconciler& r) { r.DeleteService(kKey); }, {}},
      {"the Service loses its address", [](Reconciler& r) { r.UpsertService(WebService({})); }, {}},
      {"the Service gets an address that another node wins",
       [](Reconciler& r) { r.UpsertService(WebService({"10.20.30.1"})); },
       {}},
      {"no endpoint is left", [](Reconciler& r) { r.UpsertSlice(WebSlice(false)); }, {}},
      {"no pool has the address", [](Reconciler& r) { r.SetConfig({}); }, {}},
      {"no advertisement is left", [](Reconciler& r) { r.SetConfig(OnePool({})); }, {}},
      {"this node has none of the interfaces",
       [](Reconciler& r) {
         r.SetInterfaces({"eth0"});
         r.SetConfig(OnePool({{.name = "named", .interfaces = {"eth7"}}}));
       },
       {}},
  };
  for (const Case& c : cases) {
    DYNAMIC_SECTION(c.name) {
      Announcing node;
      CHECK(node.reconciler.handed_over().empty());
      const std::uint64_t revision = node.reconciler.revision();
      c.change(node.reconciler);
      (void)node.reconciler.Reconcile(kNow);
      CHECK(node.reconciler.handed_over() == c.want);
      const bool still_announced = !node.reconciler.announcements().empty();
      CHECK((node.reconciler.revision() > revision) == !still_announced);
    }
  }
}

TEST_CASE("It stays handed over until the successor is another, or none", "[speaker-reconcile]") {
  Announcing node;
  Reconciler& r = node.reconciler;
  const std::vector<Speaker> without_us = {{.node = "iris1", .yields = true}, {.node = "iris2"}};
  r.SetSpeakers(without_us, true);
  (void)r.Reconcile(kNow);
  REQUIRE(r.handed_over() == ToIris2());
  const std::uint64_t revision = r.revision();

  SECTION("nothing changes") {
    r.UpsertNode(NodeNamed("iris3"));
    (void)r.Reconcile(kNow);
    CHECK(r.handed_over() == ToIris2());
    CHECK(r.revision() == revision);
  }
  SECTION("it comes back") {
    r.SetSpeakers(BothSpeakers(), true);
    (void)r.Reconcile(kNow);
    CHECK(r.handed_over().empty());
    CHECK(AddressesOf(r.announcements()) == std::vector{kVip});
  }
  SECTION("the Service goes") {
    r.DeleteService(kKey);
    (void)r.Reconcile(kNow);
    CHECK(r.handed_over().empty());
    CHECK(r.revision() > revision);
  }
  SECTION("this speaker was paused") {
    r.SetSpeakers(without_us, false);
    (void)r.Reconcile(kNow);
    CHECK(r.handed_over().empty());
    CHECK(r.revision() > revision);
    r.SetSpeakers(without_us, true);
    (void)r.Reconcile(kNow);
    CHECK(r.handed_over().empty());  // it has been silent meanwhile
  }
  SECTION("the successor yields too, after this speaker has left") {
    r.SetSpeakers({{.node = "iris2", .yields = true}}, true);
    (void)r.Reconcile(kNow);
    CHECK(r.handed_over() == ToIris2());
  }
}

TEST_CASE("Of two Services with one address, the one that stays keeps it", "[speaker-reconcile]") {
  Announcing node;
  Reconciler& r = node.reconciler;
  const auto shared = [](model::Service service) {
    service.annotations = {{"metallb.io/allow-shared-ip", "key"}};
    return service;
  };
  // Only here has the second one an endpoint.
  model::Service local = shared(ServiceNamed("local", {"10.20.30.2"}));
  local.external_traffic_policy = model::TrafficPolicy::kLocal;
  r.UpsertService(shared(WebService()));
  r.UpsertService(local);
  r.UpsertSlice(SliceOf("local", true, "iris1"));
  (void)r.Reconcile(kNow);
  r.SetSpeakers({{.node = "iris1", .yields = true}, {.node = "iris2"}}, true);
  (void)r.Reconcile(kNow);
  CHECK(AddressesOf(r.announcements()) == std::vector{kVip});  // desired, so it is no hand-over
  CHECK(r.handed_over() == ToIris2());
}

}  // namespace
}  // namespace stentor::speaker
