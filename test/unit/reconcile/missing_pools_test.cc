// SPDX-License-Identifier: Apache-2.0

/// \file
/// A controller that starts while a kind of pool can't be read: nobody loses an address for it.

#include "test/support/catch.h"
#include "test/unit/reconcile/reconciler_fixture.h"

namespace stentor::controller {
namespace {

void SetPools(Cluster& cluster, std::vector<config::Pool> pools, bool missing) {
  config::Config config;
  config.pools = std::move(pools);
  config.pools_may_be_missing = missing;
  cluster.reconciler.SetConfig(std::move(config));
}

model::Service Holding(const std::string& name, const std::string& address) {
  model::Service service = MakeService(name);
  service.ingress_ips = {address};
  service.annotations[std::string(kAllocatedFromAnnotation)] = "old";
  return service;
}

config::Pool Known() { return MakePool("known", {"192.0.2.0/28"}); }
config::Pool Old() { return MakePool("old", {"198.51.100.0-198.51.100.1"}); }

}  // namespace

TEST_CASE("What may be of a missing pool is left alone, all else is served", "[reconcile]") {
  Cluster cluster;
  cluster.Put(Holding("has-one", "198.51.100.0"));
  cluster.Put(MakeService("new"));
  cluster.Synced();
  SetPools(cluster, {Known()}, true);
  cluster.Run();
  CHECK(cluster.write_count == 1);
  CHECK(cluster.AddressesOf("new") == Texts{"192.0.2.0"});
  CHECK(cluster.AddressesOf("has-one") == Texts{"198.51.100.0"});
  CHECK_FALSE(cluster.HasWarning());

  SECTION("until the pool is there: its address is its own, before anybody else gets one") {
    model::Service first = MakeService("a-first");  // settled before has-one, by its name
    first.annotations["metallb.io/address-pool"] = "old";
    cluster.Put(first);
    cluster.Run();
    SetPools(cluster, {Known(), Old()}, false);
    cluster.Run();
    CHECK(cluster.AddressesOf("has-one") == Texts{"198.51.100.0"});
    CHECK(cluster.PoolOf("has-one") == "old");
    CHECK(cluster.AddressesOf("a-first") == Texts{"198.51.100.1"});
  }
  SECTION("or is known not to be") {
    SetPools(cluster, {Known()}, false);
    cluster.Run();
    CHECK(cluster.AddressesOf("has-one") == Texts{"192.0.2.1"});
  }
  SECTION("and when it goes") {
    cluster.Remove("has-one");
    cluster.Run();
    CHECK(cluster.write_count == 1);
  }
}

TEST_CASE("A pool that was taken away is no missing pool", "[reconcile]") {
  Cluster cluster;
  cluster.Put(Holding("has-one", "198.51.100.0"));
  cluster.Synced();
  SetPools(cluster, {Known(), Old()}, true);
  cluster.Run();
  CHECK(cluster.AddressesOf("has-one") == Texts{"198.51.100.0"});
  SetPools(cluster, {Known()}, true);
  cluster.Run();
  CHECK(cluster.AddressesOf("has-one") == Texts{"192.0.2.0"});
}

}  // namespace stentor::controller
