// SPDX-License-Identifier: Apache-2.0

/// \file
/// Services and configurations that nobody should make.

#include <string>
#include <vector>

#include "test/support/catch.h"
#include "test/unit/reconcile/rows.h"

namespace stentor::controller {
namespace {

// "web" and "other", at rest with an address each.
void Start(Cluster& cluster) {
  cluster.SetPools({MakePool("p", {"192.0.2.0/29"})});
  model::Service other = Found();
  other.key.name = "other";
  other.uid = "uid-of-other";
  cluster.Put(other);
  cluster.Put(Found());
  cluster.Synced();
  cluster.Run();
  REQUIRE(cluster.AddressesOf("other") == Texts{"192.0.2.0"});
  REQUIRE(cluster.AddressesOf("web") == Texts{"192.0.2.1"});
  cluster.write_count = 0;
}

}  // namespace

TEST_CASE("A status that is edited by hand is put right", "[bad_input]") {
  Cluster cluster;
  Start(cluster);
  model::Service web = cluster.services.at("web");
  Texts expected = {"192.0.2.1"};
  SECTION("its address is removed") { web.ingress_ips.clear(); }
  SECTION("the annotation is removed") { web.annotations.clear(); }
  SECTION("the annotation names another pool") {
    web.annotations[std::string(kAllocatedFromAnnotation)] = "q";
  }
  SECTION("the address of another Service is put in") {
    web.ingress_ips = {"192.0.2.0"};
    expected = {"192.0.2.1"};
  }
  SECTION("an address of no pool is put in") {
    web.ingress_ips = {"203.0.113.1"};
    expected = {"192.0.2.1"};
  }
  SECTION("a free address of the pool is put in: it may have it") {
    web.ingress_ips = {"192.0.2.6"};
    expected = {"192.0.2.6"};
  }
  SECTION("its address is there twice") {
    web.ingress_ips = {"192.0.2.1", "192.0.2.1"};
    expected = {"192.0.2.1"};
  }
  SECTION("one of another family is added") { web.ingress_ips.emplace_back("2001:db8::1"); }
  SECTION("text is put in") {
    web.ingress_ips = {"web.example", ""};
    expected = {"192.0.2.1"};
  }
  SECTION("a thousand are put in") {
    for (int i = 0; i < 1000; ++i) {
      web.ingress_ips.push_back("10.0." + std::to_string(i / 256) + "." + std::to_string(i % 256));
    }
    expected = {"192.0.2.1"};
  }
  cluster.Put(web);
  cluster.Run();
  CHECK(cluster.AddressesOf("web") == expected);
  CHECK(cluster.PoolOf("web") == "p");
  CHECK(cluster.AddressesOf("other") == Texts{"192.0.2.0"});
  CHECK(cluster.write_count <= 1);
  CHECK(cluster.reconciler.Allocator().Usage("p", net::IpFamily::kIpv4).in_use == 2);
}

TEST_CASE("A configuration that changes without an effect costs no write and no event",
          "[bad_input]") {
  Cluster cluster;
  Start(cluster);
  for (int i = 0; i < 1000; ++i) {
    config::Config config;
    config.pools = {MakePool("p", {"192.0.2.0/29"})};
    config.remarks = {"of no consequence " + std::to_string(i)};
    if (i % 2 == 0) {
      config.pools[0].auto_assign = false;  // concerns nobody who has an address
    }
    cluster.reconciler.SetConfig(config);
    CHECK(cluster.reconciler.TakeActions().empty());
  }
}

TEST_CASE("A pool that comes and goes ends where it was", "[bad_input]") {
  Cluster cluster;
  Start(cluster);
  for (int i = 0; i < 100; ++i) {
    cluster.SetPools({MakePool("p", {i % 2 == 0 ? "198.51.100.0/29" : "192.0.2.0/29"})});
    cluster.Take();  // writes that nobody answers in time
  }
  cluster.SetPools({MakePool("p", {"192.0.2.0/29"})});
  Cluster after;
  for (const auto& [name, service] : cluster.services) {
    after.services[name] = service;
    after.reconciler.UpsertService(service);
  }
  after.SetPools({MakePool("p", {"192.0.2.0/29"})});
  after.Synced();
  after.Run();
  CHECK(after.write_count == 0);
  CHECK(after.AddressesOf("web") == Texts{"192.0.2.1"});
}

}  // namespace stentor::controller
