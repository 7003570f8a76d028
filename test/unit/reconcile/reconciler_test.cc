// SPDX-License-Identifier: Apache-2.0
#include "controller/reconcile/reconciler.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "test/support/catch.h"
#include "test/unit/reconcile/reconciler_fixture.h"

namespace stentor::controller {
namespace {

std::vector<config::Pool> OnePool(const std::string& addresses = "192.0.2.0/30") {
  return {MakePool("pool", {addresses})};
}

model::Service WithStatus(std::string name, Texts ingress) {
  model::Service service = MakeService(std::move(name));
  service.ingress_ips = std::move(ingress);
  service.annotations[std::string(kAllocatedFromAnnotation)] = "pool";
  return service;
}

// A cluster in force with one pool and one Service, "web", whose write is in `writes`.
void StartWithOneWrite(Cluster& cluster) {
  cluster.SetPools(OnePool());
  cluster.Put(MakeService("web"));
  cluster.Synced();
  cluster.Take();
  REQUIRE(cluster.writes.size() == 1);
}

}  // namespace

TEST_CASE("Nothing is done before the configuration and all Services are known", "[reconciler]") {
  Cluster cluster;
  cluster.Put(MakeService("web"));
  cluster.Take();
  CHECK(cluster.writes.empty());
  SECTION("the configuration comes first") {
    cluster.SetPools(OnePool());
    cluster.Take();
    CHECK_FALSE(cluster.reconciler.Started());
    CHECK(cluster.writes.empty());
    cluster.Synced();
  }
  SECTION("the Services come first") {
    cluster.Synced();
    cluster.Take();
    CHECK_FALSE(cluster.reconciler.Started());
    CHECK(cluster.writes.empty());
    cluster.SetPools(OnePool());
  }
  cluster.Run();
  CHECK(cluster.reconciler.Started());
  CHECK(cluster.AddressesOf("web") == Texts{"192.0.2.0"});
}

TEST_CASE("Where a pool selects by namespace labels, nothing is given out before they are known",
          "[reconciler]") {
  Cluster cluster;
  std::vector<config::Pool> pools = OnePool();
  pools[0].service_allocation = config::ServiceAllocation{
      .namespace_selectors = {{.requirements = {{.key = "team", .values = {"a"}}}}}};
  cluster.SetPools(pools);
  cluster.Put(WithStatus("web", {"192.0.2.2"}));
  cluster.reconciler.ServicesSynced();
  cluster.Take();
  CHECK(cluster.writes.empty());
  CHECK_FALSE(cluster.reconciler.Started());
  cluster.reconciler.UpsertNamespace("default", {{"team", "a"}});
  cluster.reconciler.NamespacesSynced();
  cluster.Run();
  CHECK(cluster.AddressesOf("web") == Texts{"192.0.2.2"});
  CHECK(cluster.write_count == 0);
  // Labels of the namespace change: the Service loses it, and gets it back.
  cluster.reconciler.UpsertNamespace("default", {});
  cluster.Run();
  CHECK(cluster.AddressesOf("web").empty());
  cluster.reconciler.UpsertNamespace("default", {{"team", "a"}});
  cluster.Run();
  CHECK(cluster.AddressesOf("web") == Texts{"192.0.2.0"});
}

TEST_CASE("A restart moves nobody: claims come before wishes", "[reconciler]") {
  Cluster cluster;
  cluster.SetPools(OnePool());
  model::Service greedy = MakeService("a-comes-first");
  greedy.load_balancer_ip = "192.0.2.0";
  cluster.Put(greedy);
  cluster.Put(MakeService("b-new"));
  cluster.Put(WithStatus("c-old", {"192.0.2.1"}));
  cluster.Put(WithStatus("d-old", {"192.0.2.0"}));
  cluster.Synced();
  cluster.Run();
  CHECK(cluster.AddressesOf("d-old") == Texts{"192.0.2.0"});
  CHECK(cluster.AddressesOf("c-old") == Texts{"192.0.2.1"});
  CHECK(cluster.AddressesOf("b-new") == Texts{"192.0.2.2"});
  CHECK(cluster.AddressesOf("a-comes-first").empty());
  CHECK(cluster.ReasonOf("a-comes-first") == "AddressInUse");
  CHECK(cluster.reconciler.WaitingCount() == 1);
  CHECK(cluster.write_count == 2);
}

TEST_CASE("Until a first pool is seen, all is left as it is, and claims come first then",
          "[reconciler]") {
  Cluster cluster;
  cluster.Put(MakeService("a-new"));
  cluster.Put(WithStatus("b-old", {"192.0.2.0"}));
  cluster.Synced();
  cluster.SetPools({});
  cluster.Run();
  CHECK(cluster.reconciler.Started());
  CHECK(cluster.AddressesOf("b-old") == Texts{"192.0.2.0"});
  CHECK(cluster.write_count == 0);
  cluster.SetPools(OnePool());
  cluster.Run();
  CHECK(cluster.AddressesOf("b-old") == Texts{"192.0.2.0"});
  CHECK(cluster.AddressesOf("a-new") == Texts{"192.0.2.1"});
}

TEST_CASE("While pools may be missing, nobody gets what a Service shows that cannot claim it",
          "[reconciler]") {
  Cluster cluster;
  model::Service dual = WithStatus("b-old", {"192.0.2.0", "2001:db8::1"});
  dual.cluster_ips = {"198.51.100.10", "2001:db8:1::10"};
  dual.ip_families = {net::IpFamily::kIpv4, net::IpFamily::kIpv6};
  dual.ip_family_policy = "RequireDualStack";
  cluster.Put(dual);
  cluster.Put(MakeService("a-new"));
  cluster.Synced();
  config::Config config;
  config.pools = {MakePool("pool", {"192.0.2.0/30"})};
  config.pools_may_be_missing = true;
  cluster.reconciler.SetConfig(config);
  cluster.Run();
  CHECK(cluster.write_count == 0);
  config.pools = {MakePool("pool", {"192.0.2.0/30", "2001:db8::/120"})};
  config.pools_may_be_missing = false;
  cluster.reconciler.SetConfig(config);
  cluster.Run();
  CHECK(cluster.AddressesOf("b-old") == Texts{"192.0.2.0", "2001:db8::1"});
  CHECK(cluster.AddressesOf("a-new") == Texts{"192.0.2.1"});
}

TEST_CASE("Two claims of one address: the first by name keeps it", "[reconciler]") {
  Cluster cluster;
  cluster.SetPools(OnePool());
  cluster.Put(WithStatus("b", {"192.0.2.3"}));
  cluster.Put(WithStatus("a", {"192.0.2.3"}));
  cluster.Synced();
  cluster.Run();
  CHECK(cluster.AddressesOf("a") == Texts{"192.0.2.3"});
  CHECK(cluster.AddressesOf("b") == Texts{"192.0.2.0"});
  CHECK(cluster.write_count == 1);
}

TEST_CASE("The write and the events say what MetalLB's say", "[reconciler]") {
  Cluster cluster;
  StartWithOneWrite(cluster);
  CHECK(cluster.writes[0].service->key.name == "web");
  CHECK(cluster.writes[0].ingress_ips == Texts{"192.0.2.0"});
  CHECK(cluster.writes[0].pool == "pool");
  CHECK(cluster.EventTexts() == Texts{"IPAllocated: Assigned IP [\"192.0.2.0\"]"});
  REQUIRE(cluster.facts.size() == 1);
  CHECK(cluster.facts[0].kind == FactKind::kAllocated);
  CHECK(cluster.facts[0].addresses == Texts{"192.0.2.0"});
}

TEST_CASE("Where nothing changes, nothing is written and nothing said", "[reconciler]") {
  Cluster cluster;
  cluster.SetPools(OnePool());
  cluster.Put(MakeService("web"));
  model::Service failing = MakeService("failing");
  failing.load_balancer_ip = "203.0.113.1";
  cluster.Put(failing);
  cluster.Synced();
  cluster.Run();
  REQUIRE(cluster.HasWarning());
  REQUIRE(cluster.write_count == 2);  // addresses of the one, the condition of the other
  SECTION("a label changes") {
    for (model::Service service : {cluster.services.at("web"), cluster.services.at("failing")}) {
      service.labels["x"] = "y";
      cluster.Put(service);
    }
  }
  SECTION("a relist repeats everything") {
    for (const auto& [name, service] : cluster.services) {
      cluster.reconciler.UpsertService(service);
    }
    cluster.Synced();
  }
  SECTION("the same configuration again") { cluster.SetPools(OnePool()); }
  SECTION("a pool that concerns nobody") {
    auto pools = OnePool();
    pools.push_back(MakePool("zz", {"203.0.113.128/25"}));
    cluster.SetPools(pools);
  }
  SECTION("a retry that is not needed") { cluster.reconciler.Retry({"default", "web"}); }
  cluster.Take();
  CHECK(cluster.writes.empty());
  CHECK(cluster.EventTexts() == Texts{});
  CHECK(cluster.facts.empty());
}

TEST_CASE("A pool is edited", "[reconciler]") {
  Cluster cluster;
  cluster.SetPools(OnePool());
  cluster.Put(MakeService("web"));
  cluster.Put(MakeService("zoo"));
  cluster.Synced();
  cluster.Run();
  cluster.write_count = 0;
  SECTION("renamed: addresses stay, the annotation follows") {
    cluster.SetPools({MakePool("new-name", {"192.0.2.0/30"})});
    cluster.Run();
    CHECK(cluster.AddressesOf("web") == Texts{"192.0.2.0"});
    CHECK(cluster.PoolOf("web") == "new-name");
    CHECK(cluster.events.empty());
    CHECK(cluster.write_count == 2);
  }
  SECTION("cut: only who lies outside moves") {
    cluster.SetPools({MakePool("pool", {"192.0.2.1-192.0.2.3"})});
    cluster.Run();
    CHECK(cluster.AddressesOf("web") == Texts{"192.0.2.2"});
    CHECK(cluster.AddressesOf("zoo") == Texts{"192.0.2.1"});
    CHECK(cluster.write_count == 1);
    CHECK_FALSE(cluster.HasWarning());
    CHECK_THAT(cluster.EventTexts().at(0), Catch::StartsWith("ClearAssignment: current IP for "));
  }
  SECTION("all pools gone: everybody loses the address, without an event") {
    cluster.SetPools({});
    cluster.Run();
    CHECK(cluster.AddressesOf("web").empty());
    CHECK(cluster.PoolOf("web").empty());
    CHECK(cluster.events.empty());
    cluster.SetPools(OnePool());
    cluster.Run();
    CHECK(cluster.AddressesOf("web") == Texts{"192.0.2.0"});
    CHECK(cluster.AddressesOf("zoo") == Texts{"192.0.2.1"});
  }
}

TEST_CASE("What comes free goes to those who wait", "[reconciler]") {
  Cluster cluster;
  cluster.SetPools(OnePool("192.0.2.1/32"));
  cluster.Put(MakeService("a"));
  cluster.Put(MakeService("b"));
  cluster.Put(MakeService("c"));
  cluster.Synced();
  cluster.Run();
  REQUIRE(cluster.AddressesOf("a") == Texts{"192.0.2.1"});
  REQUIRE(cluster.reconciler.WaitingCount() == 2);
  SECTION("its holder is deleted") { cluster.Remove("a"); }
  SECTION("its holder is no load balancer any more") {
    model::Service service = cluster.services.at("a");
    service.type = "ClusterIP";
    cluster.Put(service);
  }
  SECTION("its holder asks for something else") {
    model::Service service = cluster.services.at("a");
    service.annotations["metallb.io/address-pool"] = "none";
    cluster.Put(service);
  }
  cluster.Run();
  CHECK(cluster.AddressesOf("b") == Texts{"192.0.2.1"});
  CHECK(cluster.AddressesOf("c").empty());
  const auto it = cluster.services.find("a");
  CHECK((it == cluster.services.end() || it->second.ingress_ips.empty()));
}

TEST_CASE("A pool that grows serves those who wait", "[reconciler]") {
  Cluster cluster;
  cluster.SetPools(OnePool("192.0.2.1/32"));
  cluster.Put(MakeService("a"));
  cluster.Put(MakeService("b"));
  cluster.Synced();
  cluster.Run();
  cluster.SetPools(OnePool("192.0.2.1-192.0.2.2"));
  cluster.Run();
  CHECK(cluster.AddressesOf("b") == Texts{"192.0.2.2"});
  CHECK(cluster.reconciler.WaitingCount() == 0);
}

TEST_CASE("A write that meets a conflict waits for the newer object", "[reconciler]") {
  Cluster cluster;
  StartWithOneWrite(cluster);
  const WriteStatus write = cluster.writes[0];
  SECTION("which the watch brings later") {
    cluster.reconciler.OnWriteFailed(write.id, write.service->key, WriteFailure::kConflict);
    cluster.Take();
    CHECK(cluster.writes.empty());
    model::Service edited = cluster.services.at("web");
    edited.labels["x"] = "y";
    cluster.Put(edited);
  }
  SECTION("which the watch brought while it was under way") {
    model::Service edited = cluster.services.at("web");
    edited.labels["x"] = "y";
    cluster.Put(edited);
    cluster.Take();
    CHECK(cluster.writes.empty());  // one at a time
    cluster.reconciler.OnWriteFailed(write.id, write.service->key, WriteFailure::kConflict);
  }
  cluster.Take();
  REQUIRE(cluster.writes.size() == 1);
  CHECK(cluster.events.empty());  // said already
  CHECK(cluster.writes[0].service->labels.contains("x"));
  CHECK(cluster.writes[0].ingress_ips == Texts{"192.0.2.0"});
  CHECK(cluster.writes[0].id != write.id);
}

TEST_CASE("A write that fails is asked for again after Retry, not before", "[reconciler]") {
  Cluster cluster;
  StartWithOneWrite(cluster);
  const WriteStatus write = cluster.writes[0];
  cluster.reconciler.OnWriteFailed(write.id, write.service->key, WriteFailure::kRetry);
  cluster.Take();
  CHECK(cluster.writes.empty());
  SECTION("nothing was written") {
    cluster.reconciler.Retry(write.service->key);
    cluster.Take();
    REQUIRE(cluster.writes.size() == 1);
    CHECK(cluster.writes[0].ingress_ips == Texts{"192.0.2.0"});
    CHECK(cluster.events.empty());
  }
  SECTION("it was written after all") {
    cluster.reconciler.UpsertService(cluster.Store(write));
    cluster.reconciler.Retry(write.service->key);
    cluster.Take();
    CHECK(cluster.writes.empty());
  }
  SECTION("the Service is gone") {
    cluster.Remove("web");
    cluster.reconciler.Retry(write.service->key);
    cluster.Take();
    CHECK(cluster.writes.empty());
    CHECK(cluster.reconciler.Allocator().size() == 0);
  }
}

TEST_CASE("An address is free again where its Service changes its type during a write",
          "[reconciler]") {
  Cluster cluster;
  StartWithOneWrite(cluster);
  const WriteStatus write = cluster.writes[0];
  model::Service service = cluster.services.at("web");
  service.type = "ClusterIP";
  cluster.Put(service);
  cluster.Take();
  cluster.reconciler.OnWriteFailed(write.id, write.service->key, WriteFailure::kConflict);
  cluster.Run();
  CHECK(cluster.reconciler.Allocator().size() == 0);
  cluster.Put(MakeService("other"));
  cluster.Run();
  CHECK(cluster.AddressesOf("other") == Texts{"192.0.2.0"});
}

TEST_CASE("Deprecated annotations are told of with a change, once", "[reconciler]") {
  Cluster cluster;
  cluster.SetPools(OnePool());
  model::Service service = MakeService("web");
  service.annotations["metallb.universe.tf/address-pool"] = "pool";
  service.annotations["metallb.universe.tf/allow-shared-ip"] = "key";
  cluster.Put(service);
  model::Service settled = WithStatus("settled", {"192.0.2.3"});
  settled.annotations["metallb.universe.tf/address-pool"] = "pool";
  cluster.Put(settled);
  cluster.Synced();
  cluster.Run();
  const auto count = [&cluster] {
    return std::ranges::count(cluster.events, "deprecatedAnnotation", &EmitEvent::reason);
  };
  CHECK(count() == 2);  // of the one that was written
  service = cluster.services.at("web");
  service.load_balancer_ip = "192.0.2.2";
  cluster.Put(service);
  cluster.Run();
  CHECK(cluster.AddressesOf("web") == Texts{"192.0.2.2"});
  CHECK(count() == 0);
}

TEST_CASE("Only Services of our class are touched", "[reconciler]") {
  struct Case {
    const char* flag;
    std::optional<std::string> service_class;
    bool ours;
  };
  const auto c = GENERATE(values<Case>({
      {"", std::nullopt, true},
      {"", "x.example/y", false},
      {"x.example/y", "x.example/y", true},
      {"x.example/y", "x.example/z", false},
      {"x.example/y", std::nullopt, false},
  }));
  CAPTURE(c.flag, c.service_class.value_or("(none)"));
  Cluster cluster(c.flag);
  cluster.SetPools(OnePool());
  model::Service fresh = MakeService("fresh");
  fresh.load_balancer_class = c.service_class;
  cluster.Put(fresh);
  model::Service served = MakeService("served");  // with an address that no pool has
  served.load_balancer_class = c.service_class;
  served.ingress_ips = {"203.0.113.7"};
  cluster.Put(served);
  cluster.Synced();
  cluster.Run();
  CHECK(cluster.write_count == (c.ours ? 2 : 0));
  CHECK((cluster.AddressesOf("served") == Texts{"203.0.113.7"}) == !c.ours);
  CHECK(cluster.events.empty() == !c.ours);
}

TEST_CASE("A Service that was ours is freed when it changes its type, with a class too",
          "[reconciler]") {
  Cluster cluster("x.example/y");
  cluster.SetPools(OnePool());
  model::Service service = MakeService("web");
  service.load_balancer_class = "x.example/y";
  cluster.Put(service);
  cluster.Synced();
  cluster.Run();
  service = cluster.services.at("web");
  service.type = "ClusterIP";
  service.load_balancer_class.reset();  // as the API server does it
  cluster.Put(service);
  cluster.Run();
  CHECK(cluster.AddressesOf("web").empty());
  CHECK(cluster.PoolOf("web").empty());
  CHECK(cluster.reconciler.Allocator().size() == 0);
}

TEST_CASE("Services share an address where keys, ports and backends allow it", "[reconciler]") {
  Cluster cluster;
  cluster.SetPools(OnePool());
  const auto put = [&cluster](std::string name, std::uint16_t port, model::TrafficPolicy policy,
                              std::string app) {
    model::Service service = MakeService(std::move(name));
    service.annotations["metallb.io/allow-shared-ip"] = "key";
    service.ports = {{.protocol = "TCP", .port = port}};
    service.external_traffic_policy = policy;
    service.selector = {{"app", std::move(app)}};
    cluster.Put(service);
  };
  using enum model::TrafficPolicy;
  put("a", 80, kCluster, "a");
  put("b", 443, kCluster, "b");  // with a
  put("c", 80, kCluster, "a");   // the port is taken
  put("d", 22, kLocal, "d");     // another backend
  put("e", 23, kLocal, "d");     // with d
  put("f", 24, kLocal, "f");     // yet another
  cluster.Synced();
  cluster.Run();
  CHECK(cluster.AddressesOf("a") == Texts{"192.0.2.0"});
  CHECK(cluster.AddressesOf("b") == Texts{"192.0.2.0"});
  CHECK(cluster.AddressesOf("c") == Texts{"192.0.2.1"});
  CHECK(cluster.AddressesOf("d") == Texts{"192.0.2.2"});
  CHECK(cluster.AddressesOf("e") == Texts{"192.0.2.2"});
  CHECK(cluster.AddressesOf("f") == Texts{"192.0.2.3"});
  // b takes another port: it may stay. Then it stops sharing: it must go, and there is nothing
  // left.
  put("b", 8443, kCluster, "b");
  cluster.Run();
  CHECK(cluster.write_count == 6 + 1);  // the status that the edit lost
  model::Service alone = cluster.services.at("b");
  alone.annotations.erase("metallb.io/allow-shared-ip");
  cluster.Put(alone);
  cluster.Run();
  CHECK(cluster.AddressesOf("b").empty());
  CHECK(cluster.HasWarning());
}

}  // namespace stentor::controller
