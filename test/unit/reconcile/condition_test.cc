// SPDX-License-Identifier: Apache-2.0

/// \file
/// The condition by which a Service says why it has no address.

#include <string>
#include <vector>

#include "controller/allocator/explain.h"
#include "test/support/catch.h"
#include "test/unit/reconcile/rows.h"

namespace stentor::controller {
namespace {

// A cluster at rest, with the Services of `found` by their order.
void Start(Cluster& cluster, std::vector<config::Pool> pools,
           const std::vector<model::Service>& found) {
  cluster.SetPools(std::move(pools));
  for (const model::Service& service : found) {
    cluster.Put(service);
  }
  cluster.Synced();
  cluster.Run();
}

model::Service Named(std::string name, Found found) {
  model::Service service = found;
  service.key.name = std::move(name);
  service.uid = "uid-of-" + service.key.name;
  return service;
}

}  // namespace

TEST_CASE("The condition says why, pool by pool", "[condition]") {
  std::vector<config::Pool> pools = {
      MakePool("a-manual", {"203.0.113.0/24"}), MakePool("b-shop", {"198.51.100.0/24"}),
      MakePool("c-gold", {"198.51.101.0/24"}),  MakePool("d-v6", {"2001:db8::/64"}),
      MakePool("e-odd", {"203.0.114.0/32"}),    MakePool("f-one", {"192.0.2.1/32"}),
  };
  pools[0].auto_assign = false;
  pools[1].service_allocation = config::ServiceAllocation{.namespaces = {"shop"}};
  pools[2].service_allocation = config::ServiceAllocation{
      .service_selectors = {{.requirements = {{.key = "tier", .values = {"gold"}}}}}};
  pools[4].avoid_buggy_ips = true;
  struct Case {
    const char* name;
    model::Service found;
    const char* reason;
    const char* message;
  };
  const auto c = GENERATE_COPY(values<Case>({
      {"any address", Found(), "NoAvailableAddress",
       "no available IPs; pool d-v6: no IPv4 addresses; pool e-odd: avoidBuggyIPs leaves no IPv4 "
       "addresses; pool f-one: no free IPv4 address; pool a-manual: autoAssign is off; pool "
       "b-shop: namespace default is not selected; pool c-gold: no serviceSelector matches the "
       "service"},
      {"both families", Found().Dual("RequireDualStack"), "NoAvailableAddress",
       "no available IPs; pool d-v6: no IPv4 addresses; pool e-odd: avoidBuggyIPs leaves no IPv4 "
       "addresses; pool f-one: no IPv6 addresses; pool a-manual: autoAssign is off; pool b-shop: "
       "namespace default is not selected; pool c-gold: no serviceSelector matches the service"},
      {"an address in use", Found().LoadBalancerIp("192.0.2.1"), "AddressInUse",
       "can't change sharing key for \"default/web\", address also in use by default/first; pool "
       "f-one: 192.0.2.1 is used by default/first"},
      {"an address that the pool avoids", Found().LoadBalancerIp("203.0.114.0"),
       "AddressNotAllowed",
       "[\"203.0.114.0\"] is not allowed in config; pool e-odd: avoidBuggyIPs excludes "
       "203.0.114.0"},
      {"an address of no pool", Found().LoadBalancerIp("203.0.115.1"), "AddressNotAllowed",
       "[\"203.0.115.1\"] is not allowed in config"},
      {"an address of a pool for others", Found().LoadBalancerIp("198.51.100.1"), "PoolNotAllowed",
       "pool b-shop not compatible for ip assignment; pool b-shop: namespace default is not "
       "selected"},
      {"addresses of two pools", Found().Dual("RequireDualStack").Ips("203.0.113.1,2001:db8::1"),
       "AddressNotAllowed",
       "[\"203.0.113.1\" \"2001:db8::1\"] is not allowed in config; pool a-manual: 2001:db8::1 is "
       "not of this pool; pool d-v6: 203.0.113.1 is not of this pool"},
      {"an address of another pool than asked for",
       Found().LoadBalancerIp("203.0.113.1").Pool("f-one"), "AddressNotAllowed",
       "requested loadBalancer IP(s) [\"203.0.113.1\"] is not compatible with requested address "
       "pool f-one; pool a-manual: it is not the pool that was asked for; pool f-one: 203.0.113.1 "
       "is not of this pool"},
      {"a full pool", Found().Pool("f-one"), "NoAvailableAddress",
       "no available IPs in pool \"f-one\" for ipv4 IPFamily; pool f-one: no free IPv4 address"},
      {"a pool without the family", Found().Pool("d-v6"), "NoAvailableAddress",
       "no available IPs in pool \"d-v6\" for ipv4 IPFamily; pool d-v6: no IPv4 addresses"},
      {"a pool for others", Found().Pool("c-gold"), "PoolNotAllowed",
       "pool c-gold not compatible for ip assignment; pool c-gold: no serviceSelector matches the "
       "service"},
      {"no such pool", Found().Pool("none"), "PoolNotFound", "unknown pool \"none\""},
      {"the other family", Found().LoadBalancerIp("2001:db8::1"), "RequestInvalid",
       "requested loadBalancer IP(s) [\"2001:db8::1\"] does not match the ipFamily of the service"},
      {"no address", Found().LoadBalancerIp("please"), "RequestInvalid",
       "invalid spec.loadBalancerIP \"please\""},
      {"no address, while it has one",
       Found().LoadBalancerIp("please").Status({"203.0.113.7"}, "a-manual"), "RequestInvalid",
       "invalid requested loadbalancer IPs: invalid spec.loadBalancerIP \"please\"; it keeps "
       "[\"203.0.113.7\"]"},
      {"no cluster address", Found().ClusterIps({}), "NoClusterIP",
       "the service has no cluster IP"},
      {"headless", Found().ClusterIps({"None"}), "NoClusterIP",
       "Failed to retrieve clusterIPs family: [None] are not usable"},
      {"dual stack with one cluster address", Found().Policy("RequireDualStack"), "NoClusterIP",
       "Service requires dual stack but not enough clusterips [198.51.100.10]"},
  }));
  DYNAMIC_SECTION(c.name) {
    Cluster cluster;
    Start(cluster, pools, {Named("first", Found().LoadBalancerIp("192.0.2.1"))});
    cluster.Put(c.found);
    cluster.Run();
    const auto& condition = cluster.services.at("web").address_allocated;
    REQUIRE(condition);
    CHECK(condition->status == "False");
    CHECK(condition->reason == c.reason);
    CHECK(condition->message == c.message);
    CHECK(condition->observed_generation == 0);
  }
}

TEST_CASE("All pools are taken away", "[condition]") {
  Cluster cluster;
  Start(cluster, {MakePool("p", {"192.0.2.1/32"})}, {Found()});
  cluster.SetPools({});
  cluster.Run();
  CHECK(cluster.AddressesOf("web").empty());
  CHECK(cluster.ReasonOf("web") == "NoPools");
  CHECK(cluster.MessageOf("web") == "no address pools are configured");
  cluster.SetPools({MakePool("p", {"192.0.2.1/32"})});
  cluster.Run();
  CHECK(cluster.ReasonOf("web").empty());
  CHECK(cluster.write_count == 3);  // each of them once
}

TEST_CASE("A message names few pools and is never long", "[condition]") {
  std::vector<config::Pool> pools;
  for (int i = 100; i < 200; ++i) {
    pools.push_back(
        MakePool("pool-" + std::to_string(i), {"2001:db8:" + std::to_string(i) + "::/64"}));
  }
  Cluster cluster;
  SECTION("many pools") {
    Start(cluster, pools, {Found()});
    CHECK(cluster.MessageOf("web").starts_with(
        "no available IPs; pool pool-100: no IPv4 addresses; pool pool-101: no IPv4 addresses; "));
    CHECK(cluster.MessageOf("web").ends_with(" more pools"));
    CHECK(cluster.MessageOf("web").size() > kMaxRefusalOctets - 100);
  }
  SECTION("just enough pools are all named") {
    pools.resize(20);
    Start(cluster, pools, {Found()});
    CHECK(cluster.MessageOf("web").ends_with("; pool pool-119: no IPv4 addresses"));
  }
  SECTION("names as long as Kubernetes allows, of characters that are more than an octet") {
    pools[0].name = std::string(253, 'a');
    Start(cluster, pools, {Found()});
  }
  SECTION("a wish as long as an annotation may be") {
    std::string wish;
    while (wish.size() < 200'000) {
      wish += "\xC3\xBC";
    }
    Start(cluster, pools, {Found().Ips(wish)});
    CHECK(cluster.ReasonOf("web") == "RequestInvalid");
  }
  SECTION("a pool's name that is no name") {
    Start(cluster, pools, {Found().Pool("\xC3\xBC" + std::string(200'000, 'x'))});
    CHECK(cluster.ReasonOf("web") == "PoolNotFound");
  }
  CHECK(cluster.MessageOf("web").size() <= kMaxRefusalOctets);
  CHECK((cluster.MessageOf("web").back() & '\xC0') != '\xC0');  // whole characters
}

TEST_CASE("A thousand who wait for a pool that fills and empties are written to once",
          "[condition]") {
  Cluster cluster;
  cluster.SetPools({MakePool("both", {"192.0.2.0-192.0.2.9", "2001:db8::-2001:db8::9"})});
  for (int i = 0; i < 1000; ++i) {
    const std::string policy = i % 2 == 0 ? "RequireDualStack" : "SingleStack";
    Found found;
    if (i % 2 == 0) {
      found.Dual(policy);
    } else if (i % 4 == 1) {
      found.V6();
    }
    cluster.Put(Named("s" + std::to_string(1000 + i), found));
  }
  cluster.Synced();
  cluster.Run();
  CHECK(cluster.write_count == 1000);
  // Those who are served go, one by one; each time one or two of those who wait take their place.
  for (int i = 0; i < 40; ++i) {
    cluster.write_count = 0;
    for (const auto& [name, service] : cluster.services) {
      if (!service.ingress_ips.empty()) {
        cluster.Remove(std::string(name));
        break;
      }
    }
    cluster.Run();
    CHECK(cluster.write_count <= 2);
  }
}

TEST_CASE("The condition is written on change only", "[condition]") {
  Cluster cluster;
  Start(cluster, {MakePool("p", {"192.0.2.1/32"})}, {Named("first", Found()), Found()});
  REQUIRE(cluster.ReasonOf("web") == "NoAvailableAddress");
  cluster.write_count = 0;
  SECTION("a relist repeats everything") {
    for (const auto& [name, service] : cluster.services) {
      cluster.reconciler.UpsertService(service);
    }
    cluster.Run();
    CHECK(cluster.write_count == 0);
  }
  SECTION("somebody else writes to the object") {
    model::Service service = cluster.services.at("web");
    service.labels["x"] = "y";
    cluster.Put(service);
    cluster.Run();
    CHECK(cluster.write_count == 0);
  }
  SECTION("another controller starts") {
    Cluster restarted;
    for (const auto& [name, service] : cluster.services) {
      restarted.services[name] = service;
      restarted.reconciler.UpsertService(service);
    }
    restarted.SetPools({MakePool("p", {"192.0.2.1/32"})});
    restarted.Synced();
    restarted.Run();
    CHECK(restarted.write_count == 0);
    CHECK(restarted.reconciler.WaitingCount() == 1);
  }
  SECTION("its reason changes") {
    model::Service service = cluster.services.at("web");
    service.annotations["metallb.io/address-pool"] = "none";
    cluster.Put(service);
    cluster.Run();
    CHECK(cluster.write_count == 1);
    CHECK(cluster.ReasonOf("web") == "PoolNotFound");
  }
  SECTION("another pool is there, which has nothing for it either") {
    cluster.SetPools({MakePool("p", {"192.0.2.1/32"}), MakePool("q", {"2001:db8::/64"})});
    cluster.Run();
    CHECK(cluster.write_count == 1);
    CHECK_THAT(cluster.MessageOf("web"), Catch::EndsWith("pool q: no IPv4 addresses"));
  }
  SECTION("it gets its address: one write takes the condition away") {
    cluster.Remove("first");
    cluster.Run();
    CHECK(cluster.write_count == 1);
    CHECK(cluster.AddressesOf("web") == Texts{"192.0.2.1"});
    CHECK(cluster.ReasonOf("web").empty());
  }
  SECTION("it is no load balancer any more") {
    model::Service service = cluster.services.at("web");
    service.type = "ClusterIP";
    cluster.Put(service);
    cluster.Run();
    CHECK(cluster.write_count == 1);
    CHECK(cluster.ReasonOf("web").empty());
    CHECK(cluster.reconciler.WaitingCount() == 0);
  }
  SECTION("somebody edits it") {
    model::Service service = cluster.services.at("web");
    SECTION("away") { service.address_allocated.reset(); }
    SECTION("to True") { service.address_allocated->status = "True"; }
    SECTION("to something else") { service.address_allocated->message = "all is well"; }
    cluster.Put(service);
    cluster.Run();
    CHECK(cluster.write_count == 1);
    CHECK(cluster.MessageOf("web") == "no available IPs; pool p: no free IPv4 address");
    CHECK(cluster.services.at("web").address_allocated->status == "False");
  }
  CHECK(cluster.reconciler.TakeActions().empty());
}

TEST_CASE("Where generations are kept, the condition says which one it is about", "[condition]") {
  Cluster cluster;
  model::Service service = Found().Pool("none");
  service.generation = 3;
  Start(cluster, {MakePool("p", {"192.0.2.1/32"})}, {service});
  CHECK(cluster.services.at("web").address_allocated->observed_generation == 3);
  CHECK(cluster.write_count == 1);
  service = cluster.services.at("web");
  service.generation = 4;
  service.ports.push_back({.protocol = "TCP", .port = 443});
  cluster.Put(service);
  cluster.Run();
  CHECK(cluster.services.at("web").address_allocated->observed_generation == 4);
  CHECK(cluster.write_count == 2);
}

TEST_CASE("An API server that keeps no conditions is not asked again and again", "[condition]") {
  Cluster cluster;
  cluster.SetPools({MakePool("p", {"192.0.2.1/32"})});
  cluster.Put(Named("first", Found()));
  cluster.Put(Found());
  cluster.Synced();
  const auto run = [&cluster](bool versions_grow) {
    int writes = 0;
    for (int round = 0; round < 10; ++round) {
      cluster.Take();
      for (const WriteStatus& write : cluster.writes) {
        ++writes;
        const std::string before = cluster.services.at(write.service->key.name).resource_version;
        model::Service stored = cluster.Store(write);
        stored.address_allocated.reset();
        if (!versions_grow && write.ingress_ips.empty()) {
          stored.resource_version = before;
        }
        cluster.services[stored.key.name] = stored;
        cluster.reconciler.OnWriteDone(write.id, stored.key, stored);
        cluster.reconciler.UpsertService(stored);
      }
    }
    return writes;
  };
  const bool versions_grow = GENERATE(false, true);
  CHECK(run(versions_grow) == 2);
  // An edit by others brings one more try.
  model::Service service = cluster.services.at("web");
  service.labels["x"] = "y";
  cluster.Put(service);
  CHECK(run(versions_grow) == 1);
  // What else has to be written, is.
  cluster.Remove("first");
  CHECK(run(versions_grow) == 1);
  CHECK(cluster.AddressesOf("web") == Texts{"192.0.2.1"});
}

}  // namespace stentor::controller
