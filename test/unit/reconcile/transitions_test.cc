// SPDX-License-Identifier: Apache-2.0

/// \file
/// A Service with an address is edited, or the pools are: what it keeps, and what it gives up.

#include <functional>
#include <string>
#include <vector>

#include "test/support/catch.h"
#include "test/unit/reconcile/rows.h"

namespace stentor::controller {
namespace {

using Edit = std::function<void(model::Service&)>;

// One pool of both families, and one of IPv4.
std::vector<config::Pool> TwoPools() {
  return {MakePool("both", {"192.0.2.0/29", "2001:db8::/125"}),
          MakePool("v4", {"198.51.100.0/29"})};
}

void Become(Cluster& cluster, const Found& found) {
  model::Service wanted = found;
  model::Service service = cluster.services.at("web");
  service.cluster_ips = wanted.cluster_ips;
  service.ip_families = wanted.ip_families;
  service.ip_family_policy = wanted.ip_family_policy;
  cluster.Put(service);
  cluster.Run();
}

}  // namespace

TEST_CASE("Family policies, from each to each", "[transitions]") {
  const Texts v4 = {"192.0.2.0"};
  const Texts v6 = {"2001:db8::"};
  const Texts both = {"192.0.2.0", "2001:db8::"};
  struct Case {
    const char* name;
    Found before;
    Texts first;
    Found after;
    Texts then;
    Texts events = {};
  };
  const auto c = GENERATE_COPY(values<Case>({
      {"SingleStack to PreferDualStack with a second cluster address",
       Found(),
       v4,
       Found().Dual("PreferDualStack"),
       both,
       {"IPAllocated"}},
      {"SingleStack to PreferDualStack without one: nothing flaps", Found(), v4,
       Found().Policy("PreferDualStack"), v4},
      {"SingleStack to RequireDualStack",
       Found(),
       v4,
       Found().Dual("RequireDualStack"),
       both,
       {"IPAllocated"}},
      {"SingleStack to RequireDualStack without a second cluster address",
       Found(),
       v4,
       Found().Policy("RequireDualStack"),
       {},
       {"not enough clusterips"}},
      {"SingleStack IPv4 to SingleStack IPv6", Found(), v4, Found().V6(), v6, {"IPAllocated"}},
      {"SingleStack IPv6 to PreferDualStack",
       Found().V6(),
       v6,
       Found().DualV6First("PreferDualStack"),
       {"2001:db8::", "192.0.2.0"},
       {"IPAllocated"}},
      {"PreferDualStack to SingleStack",
       Found().Dual("PreferDualStack"),
       both,
       Found(),
       v4,
       {"IPAllocated"}},
      {"PreferDualStack to SingleStack IPv6",
       Found().Dual("PreferDualStack"),
       both,
       Found().V6(),
       v6,
       {"IPAllocated"}},
      {"PreferDualStack to RequireDualStack", Found().Dual("PreferDualStack"), both,
       Found().Dual("RequireDualStack"), both},
      {"RequireDualStack to PreferDualStack", Found().Dual("RequireDualStack"), both,
       Found().Dual("PreferDualStack"), both},
      {"RequireDualStack to SingleStack",
       Found().Dual("RequireDualStack"),
       both,
       Found(),
       v4,
       {"IPAllocated"}},
      {"PreferDualStack loses its second cluster address",
       Found().Dual("PreferDualStack"),
       both,
       Found().Policy("PreferDualStack"),
       v4,
       {"IPAllocated"}},
  }));
  DYNAMIC_SECTION(c.name) {
    Cluster cluster;
    cluster.SetPools(TwoPools());
    cluster.Put(c.before);
    cluster.Synced();
    cluster.Run();
    REQUIRE(cluster.AddressesOf("web") == c.first);
    Become(cluster, c.after);
    CHECK(cluster.AddressesOf("web") == c.then);
    Texts events;
    for (const EmitEvent& event : cluster.events) {
      events.push_back(event.reason);
    }
    CHECK(events == c.events);
    CHECK(cluster.PoolOf("web") == (c.then.empty() ? "" : "both"));
    // Back again, and nothing has been lost on the way.
    Become(cluster, c.before);
    CHECK(cluster.AddressesOf("web").size() == c.first.size());
    CHECK(cluster.reconciler.Allocator().size() == 1);
  }
}

TEST_CASE("PreferDualStack without a second family waits for it", "[transitions]") {
  Cluster cluster;
  cluster.SetPools({MakePool("p", {"192.0.2.0/29"})});
  cluster.Put(Found().Dual("PreferDualStack"));
  cluster.Synced();
  cluster.Run();
  REQUIRE(cluster.AddressesOf("web") == Texts{"192.0.2.0"});
  CHECK(cluster.ReasonOf("web").empty());  // it is served
  SECTION("the pool becomes one of both") {
    cluster.SetPools({MakePool("p", {"192.0.2.0/29", "2001:db8::/125"})});
    cluster.Run();
    CHECK(cluster.AddressesOf("web") == Texts{"192.0.2.0", "2001:db8::"});
    CHECK(cluster.EventTexts() == Texts{"IPAllocated: Assigned additional IP [\"2001:db8::\"]"});
  }
  SECTION("another pool has one: that is not for it") {
    cluster.SetPools({MakePool("p", {"192.0.2.0/29"}), MakePool("q", {"2001:db8::/125"})});
    cluster.Run();
    CHECK(cluster.AddressesOf("web") == Texts{"192.0.2.0"});
    CHECK(cluster.events.empty());  // that was said already
  }
}

TEST_CASE("When an address is kept, and when it is released", "[transitions]") {
  const std::vector<config::Pool> start = {MakePool("p", {"192.0.2.0/29", "2001:db8::/125"})};
  const auto changed = [&start](const std::function<void(config::Pool&)>& change) {
    std::vector<config::Pool> pools = start;
    change(pools[0]);
    return pools;
  };
  const auto only = [](const char* key, const char* value) {
    return std::vector<model::LabelSelector>{{.requirements = {{.key = key, .values = {value}}}}};
  };
  struct Case {
    const char* name;
    std::vector<config::Pool> pools;
    bool kept;
    const char* pool = "p";
  };
  // The Service shows 192.0.2.0 and 2001:db8::, and has the label tier=gold.
  const auto c = GENERATE_COPY(values<Case>({
      {"the pool is renamed", {MakePool("q", {"192.0.2.0/29", "2001:db8::/125"})}, true, "q"},
      {"the pool grows", {MakePool("p", {"192.0.2.0/24", "2001:db8::/64"})}, true},
      {"the pool shrinks around it", {MakePool("p", {"192.0.2.0/32", "2001:db8::/128"})}, true},
      {"the pool is split, and both lie in one part",
       {MakePool("p1", {"192.0.2.0/30", "2001:db8::/126"}),
        MakePool("p2", {"192.0.2.4/30", "2001:db8::4/126"})},
       true,
       "p1"},
      {"autoAssign is turned off", changed([](auto& pool) { pool.auto_assign = false; }), true},
      {"the pool gets a priority", changed([](auto& pool) {
         pool.service_allocation = config::ServiceAllocation{.priority = 5};
       }),
       true},
      {"the pool is for its namespace", changed([](auto& pool) {
         pool.service_allocation = config::ServiceAllocation{.namespaces = {"default"}};
       }),
       true},
      {"the pool is for Services like it", changed([&](auto& pool) {
         pool.service_allocation =
             config::ServiceAllocation{.service_selectors = only("tier", "gold")};
       }),
       true},
      {"a better pool is there",
       {MakePool("a", {"198.51.100.0/29", "2001:db8:a::/125"}), start[0]},
       true},
      {"the pool is gone", {MakePool("z", {"198.51.100.0/29", "2001:db8:a::/125"})}, false},
      {"the pool shrinks past one of them",
       {MakePool("p", {"192.0.2.0/29", "2001:db8::4/126"})},
       false},
      {"the pool is split between them",
       {MakePool("p1", {"192.0.2.0/29"}), MakePool("p2", {"2001:db8::/125"})},
       false},
      {"avoidBuggyIPs is turned on", changed([](auto& pool) { pool.avoid_buggy_ips = true; }),
       false},
      {"the pool is for another namespace", changed([](auto& pool) {
         pool.service_allocation = config::ServiceAllocation{.namespaces = {"shop"}};
       }),
       false},
      {"the pool is for other Services", changed([&](auto& pool) {
         pool.service_allocation =
             config::ServiceAllocation{.service_selectors = only("tier", "silver")};
       }),
       false},
      {"the pool is for namespaces with a label that its own has not", changed([&](auto& pool) {
         pool.service_allocation =
             config::ServiceAllocation{.namespace_selectors = only("team", "a")};
       }),
       false},
      {"all pools are gone", {}, false},
  }));
  DYNAMIC_SECTION(c.name) {
    Cluster cluster;
    cluster.SetPools(start);
    cluster.Put(Found().Dual("RequireDualStack").Label("tier", "gold"));
    cluster.Synced();
    cluster.Run();
    const Texts held = {"192.0.2.0", "2001:db8::"};
    REQUIRE(cluster.AddressesOf("web") == held);
    cluster.write_count = 0;
    cluster.SetPools(c.pools);
    cluster.Run();
    CHECK((cluster.AddressesOf("web") == held) == c.kept);
    if (c.kept) {
      CHECK(cluster.PoolOf("web") == c.pool);
      CHECK(cluster.write_count == (std::string(c.pool) == "p" ? 0 : 1));
      CHECK(cluster.events.empty());
    } else {
      CHECK(cluster.write_count == 1);
    }
  }
}

TEST_CASE("When an edit of the Service releases its address", "[transitions]") {
  struct Case {
    const char* name;
    Edit edit;
    bool kept;
  };
  // "web" shares 192.0.2.0 with "other", which has port 443.
  using S = model::Service;
  const auto c = GENERATE(values<Case>({
      {"a label", [](S& s) { s.labels["x"] = "y"; }, true},
      {"a port that is free there", [](S& s) { s.ports = {{.protocol = "TCP", .port = 81}}; },
       true},
      {"a port of another protocol", [](S& s) { s.ports = {{.protocol = "UDP", .port = 443}}; },
       true},
      {"a port that collides", [](S& s) { s.ports = {{.protocol = "TCP", .port = 443}}; }, false},
      {"externalTrafficPolicy Local",
       [](S& s) {
         s.external_traffic_policy = model::TrafficPolicy::kLocal;
         s.selector = {{"app", "web"}};
       },
       false},
      {"externalTrafficPolicy Local with an empty selector",
       [](S& s) { s.external_traffic_policy = model::TrafficPolicy::kLocal; }, true},
      {"another sharing key", [](S& s) { s.annotations["metallb.io/allow-shared-ip"] = "another"; },
       false},
      {"no sharing key", [](S& s) { s.annotations.erase("metallb.io/allow-shared-ip"); }, false},
      {"the pool that it is of", [](S& s) { s.annotations["metallb.io/address-pool"] = "p"; },
       true},
      {"another pool", [](S& s) { s.annotations["metallb.io/address-pool"] = "q"; }, false},
      {"the address that it has", [](S& s) { s.load_balancer_ip = "192.0.2.0"; }, true},
      {"another address", [](S& s) { s.load_balancer_ip = "192.0.2.7"; }, false},
      {"no load balancer", [](S& s) { s.type = "NodePort"; }, false},
  }));
  DYNAMIC_SECTION(c.name) {
    Cluster cluster;
    cluster.SetPools({MakePool("p", {"192.0.2.0/29"}), MakePool("q", {"198.51.100.0/29"})});
    model::Service web = Found().Annotation("metallb.io/allow-shared-ip", "key");
    model::Service other = web;
    other.key.name = "other";
    other.uid = "uid-of-other";
    other.ports = {{.protocol = "TCP", .port = 443}};
    cluster.Put(web);
    cluster.Put(other);
    cluster.Synced();
    cluster.Run();
    REQUIRE(cluster.AddressesOf("web") == Texts{"192.0.2.0"});
    REQUIRE(cluster.AddressesOf("other") == Texts{"192.0.2.0"});
    web = cluster.services.at("web");
    c.edit(web);
    cluster.Put(web);
    cluster.Run();
    CHECK((cluster.AddressesOf("web") == Texts{"192.0.2.0"}) == c.kept);
    CHECK(cluster.AddressesOf("other") == Texts{"192.0.2.0"});
  }
}

TEST_CASE("Conditions of sharing change in place where a Service is alone", "[transitions]") {
  Cluster cluster;
  cluster.SetPools({MakePool("p", {"192.0.2.0/29"})});
  cluster.Put(Found().Annotation("metallb.io/allow-shared-ip", "key"));
  cluster.Synced();
  cluster.Run();
  cluster.write_count = 0;
  model::Service web = cluster.services.at("web");
  web.annotations["metallb.io/allow-shared-ip"] = "another";
  web.ports = {{.protocol = "UDP", .port = 53}};
  cluster.Put(web);
  cluster.Run();
  CHECK(cluster.AddressesOf("web") == Texts{"192.0.2.0"});
  CHECK(cluster.write_count == 0);
  CHECK(cluster.events.empty());
}

TEST_CASE("A Service moves to a second pool and back, and its address is for others meanwhile",
          "[transitions]") {
  Cluster cluster;
  cluster.SetPools({MakePool("p", {"192.0.2.0/32"}), MakePool("q", {"198.51.100.0/32"})});
  cluster.Put(Found());
  cluster.Synced();
  cluster.Run();
  REQUIRE(cluster.PoolOf("web") == "p");
  model::Service web = cluster.services.at("web");
  web.annotations["metallb.io/address-pool"] = "q";
  cluster.Put(web);
  cluster.Run();
  CHECK(cluster.AddressesOf("web") == Texts{"198.51.100.0"});
  CHECK(cluster.PoolOf("web") == "q");
  model::Service other = Found();
  other.key.name = "other";
  cluster.Put(other);
  cluster.Run();
  CHECK(cluster.AddressesOf("other") == Texts{"192.0.2.0"});
  web = cluster.services.at("web");
  web.annotations["metallb.io/address-pool"] = "p";
  cluster.Put(web);
  cluster.Run();
  CHECK(cluster.AddressesOf("web").empty());
  CHECK(cluster.ReasonOf("web") == "NoAvailableAddress");
  cluster.Remove("other");
  cluster.Run();
  CHECK(cluster.AddressesOf("web") == Texts{"192.0.2.0"});
}

TEST_CASE("A dual-stack Service from pools that become dual", "[transitions]") {
  Cluster cluster;
  cluster.SetPools({MakePool("p", {"192.0.2.0/31"}), MakePool("q", {"2001:db8::/127"})});
  cluster.Put(Found().Dual("RequireDualStack"));
  cluster.Synced();
  cluster.Run();
  CHECK(cluster.AddressesOf("web").empty());
  CHECK(cluster.MessageOf("web") ==
        "no available IPs; pool p: no IPv6 addresses; pool q: no IPv4 addresses");
  cluster.SetPools({MakePool("p", {"192.0.2.0/31", "2001:db8::/127"})});
  cluster.Run();
  CHECK(cluster.AddressesOf("web") == Texts{"192.0.2.0", "2001:db8::"});
  cluster.SetPools({MakePool("p", {"192.0.2.0/31"}), MakePool("q", {"2001:db8::/127"})});
  cluster.Run();
  CHECK(cluster.AddressesOf("web").empty());  // not one of two
  CHECK(cluster.ReasonOf("web") == "NoAvailableAddress");
}

}  // namespace stentor::controller
