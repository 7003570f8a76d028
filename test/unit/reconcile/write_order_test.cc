// SPDX-License-Identifier: Apache-2.0

/// \file
/// An address that goes from one Service to another is shown at one of them at a time.

#include <algorithm>
#include <string>
#include <vector>

#include "test/support/catch.h"
#include "test/unit/reconcile/rows.h"

namespace stentor::controller {
namespace {

const char* const kX = "192.0.2.1";
const char* const kY = "192.0.2.2";

model::Service Named(std::string name, Found found) {
  model::Service service = found;
  service.key.name = std::move(name);
  service.uid = "uid-of-" + service.key.name;
  return service;
}

Texts Written(const Cluster& cluster) {
  Texts texts;
  for (const WriteStatus& write : cluster.writes) {
    std::string text = write.service->key.name + ":";
    for (const std::string& ip : write.ingress_ips) {
      text += " " + ip;
    }
    texts.push_back(std::move(text));
  }
  return texts;
}

WriteStatus WriteOf(const Cluster& cluster, const std::string& name) {
  const auto it = std::ranges::find_if(cluster.writes, [&name](const WriteStatus& write) {
    return write.service->key.name == name;
  });
  REQUIRE(it != cluster.writes.end());
  return *it;
}

void Accept(Cluster& cluster, const WriteStatus& write) {
  cluster.reconciler.OnWriteDone(write.id, write.service->key, cluster.Store(write));
}

// "a" shows and holds kX, "b" waits for it; now "a" wants kY.
void StartExchange(Cluster& cluster) {
  cluster.SetPools({MakePool("pool", {"192.0.2.1-192.0.2.2"})});
  cluster.Put(Named("a", Found().Status({kX}, "pool").LoadBalancerIp(kX)));
  cluster.Put(Named("b", Found().LoadBalancerIp(kX)));
  cluster.Synced();
  cluster.Run();
  REQUIRE(cluster.ReasonOf("b") == "AddressInUse");
  model::Service a = cluster.services.at("a");
  a.load_balancer_ip = kY;
  cluster.Put(a);
  cluster.Take();
  REQUIRE(Written(cluster) == Texts{"a: 192.0.2.2"});
}

// "a" and "b" show an address each, and want each other's.
void StartSwap(Cluster& cluster) {
  cluster.SetPools({MakePool("pool", {"192.0.2.1-192.0.2.2"})});
  cluster.Put(Named("a", Found().Status({kX}, "pool")));
  cluster.Put(Named("b", Found().Status({kY}, "pool")));
  cluster.Synced();
  cluster.Run();
  for (const auto& [name, ip] : {std::pair("a", kY), std::pair("b", kX)}) {
    model::Service service = cluster.services.at(name);
    service.load_balancer_ip = ip;
    cluster.Put(service);
  }
  cluster.Take();
}

}  // namespace

TEST_CASE("Who gets an address waits until the former owner's write is done", "[write_order]") {
  Cluster cluster;
  StartExchange(cluster);
  const WriteStatus write = WriteOf(cluster, "a");
  SECTION("which it is at once") { Accept(cluster, write); }
  SECTION("which fails, is tried again, and is done") {
    cluster.reconciler.OnWriteFailed(write.id, write.service->key, WriteFailure::kRetry);
    cluster.Take();
    CHECK(cluster.writes.empty());
    cluster.reconciler.Retry({"default", "b"});
    cluster.Take();
    CHECK(cluster.writes.empty());
    cluster.reconciler.Retry(write.service->key);
    cluster.Take();
    REQUIRE(Written(cluster) == Texts{"a: 192.0.2.2"});
    Accept(cluster, cluster.writes[0]);
  }
  SECTION("which meets a conflict") {
    model::Service edited = cluster.services.at("a");
    edited.labels["x"] = "y";
    cluster.Put(edited);
    cluster.reconciler.OnWriteFailed(write.id, write.service->key, WriteFailure::kConflict);
    cluster.Take();
    REQUIRE(Written(cluster) == Texts{"a: 192.0.2.2"});
    Accept(cluster, cluster.writes[0]);
  }
  SECTION("of which the answer is lost, but the watch tells") {
    const model::Service stored = cluster.Store(write);
    cluster.reconciler.OnWriteFailed(write.id, write.service->key, WriteFailure::kRetry);
    cluster.Take();
    CHECK(cluster.writes.empty());
    cluster.reconciler.UpsertService(stored);
  }
  SECTION("of which the answer can't be read, but the watch tells") {
    const model::Service stored = cluster.Store(write);
    cluster.reconciler.OnWriteDone(write.id, write.service->key, std::nullopt);
    cluster.Take();
    CHECK(cluster.writes.empty());
    cluster.reconciler.UpsertService(stored);
  }
  SECTION("or the former owner is gone") { cluster.Remove("a"); }
  SECTION("or is another object of that name") {
    model::Service other = cluster.services.at("a");
    other.uid = "another";
    other.ingress_ips.clear();
    other.annotations.clear();
    cluster.Put(other);
  }
  SECTION("or is somebody else's, who may show it for ever") {
    model::Service other = cluster.services.at("a");
    other.load_balancer_class = "somebody.example/else";
    cluster.Put(other);
    cluster.reconciler.OnWriteFailed(write.id, write.service->key, WriteFailure::kConflict);
    cluster.services.at("a").type = "ClusterIP";  // for the fixture, which knows no classes
  }
  cluster.Run();
  CHECK(cluster.AddressesOf("b") == Texts{kX});
  CHECK(cluster.ReasonOf("b").empty());
}

TEST_CASE("An admission webhook that puts an address back holds nobody up for ever",
          "[write_order]") {
  Cluster cluster;
  StartExchange(cluster);
  const WriteStatus write = WriteOf(cluster, "a");
  model::Service stored = cluster.Store(write);
  stored.ingress_ips = {kX};
  cluster.services["a"] = stored;
  cluster.reconciler.OnWriteDone(write.id, write.service->key, stored);
  cluster.reconciler.UpsertService(stored);
  cluster.Take();
  CHECK(Written(cluster) == Texts{"b: 192.0.2.1"});
}

TEST_CASE("Two who swap their addresses: one gives up before it gets", "[write_order]") {
  Cluster cluster;
  StartSwap(cluster);
  REQUIRE(Written(cluster) == Texts{"b:"});
  Accept(cluster, cluster.writes[0]);
  cluster.Run();
  CHECK(cluster.AddressesOf("b") == Texts{kX});
  CHECK(cluster.AddressesOf("a") == Texts{kY});
  CHECK(cluster.write_count == 2);
}

TEST_CASE("Nobody waits in a circle", "[write_order]") {
  // Three pools, one address each, are dealt anew: everybody's address is shown at the next one.
  Cluster cluster;
  const auto pools = [](const std::string& first, const std::string& second,
                        const std::string& third) {
    return std::vector{MakePool("a", {first}), MakePool("b", {second}), MakePool("c", {third})};
  };
  cluster.SetPools(pools("192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32"));
  for (const char* name : {"a", "b", "c"}) {
    cluster.Put(Named(name, Found().Pool(name)));
  }
  cluster.Synced();
  cluster.Run();
  cluster.write_count = 0;
  cluster.SetPools(pools("192.0.2.2/32", "192.0.2.3/32", "192.0.2.1/32"));
  cluster.Run();
  CHECK(cluster.AddressesOf("a") == Texts{"192.0.2.2"});
  CHECK(cluster.AddressesOf("b") == Texts{"192.0.2.3"});
  CHECK(cluster.AddressesOf("c") == Texts{"192.0.2.1"});
  CHECK(cluster.write_count <= 6);  // each gives up and gets, at most
}

TEST_CASE("Who leaves the watch, and still shows its address, is waited for", "[write_order]") {
  Cluster cluster;
  cluster.SetPools({MakePool("pool", {"192.0.2.1/32"})});
  cluster.Put(Named("a", Found().Status({kX}, "pool")));
  cluster.Put(Named("b", Found()));
  cluster.Synced();
  cluster.Run();
  REQUIRE(cluster.AddressesOf("b").empty());
  model::Service a = cluster.services.at("a");
  a.type = "ClusterIP";
  cluster.reconciler.DeleteService(a.key);
  cluster.Put(a);
  cluster.Take();
  REQUIRE(Written(cluster) == Texts{"a:"});
  const WriteStatus write = cluster.writes[0];
  SECTION("until it is cleared") { Accept(cluster, write); }
  SECTION("until it is gone") {
    cluster.services.erase("a");
    cluster.reconciler.OnWriteFailed(write.id, a.key, WriteFailure::kConflict);
  }
  cluster.Take();
  CHECK(Written(cluster) == Texts{"b: 192.0.2.1"});
}

TEST_CASE("Who is handed an address that it may share does not wait", "[write_order]") {
  Cluster cluster;
  cluster.SetPools({MakePool("pool", {"192.0.2.1/32"})});
  Found sharing = Found().Annotation("metallb.io/allow-shared-ip", "key");
  cluster.Put(Named("a", sharing));
  cluster.Synced();
  cluster.Run();
  model::Service b = Named("b", sharing);
  b.ports = {{.protocol = "TCP", .port = 443}};
  cluster.Put(b);
  cluster.Take();
  CHECK(Written(cluster) == Texts{"b: 192.0.2.1"});
}

TEST_CASE("A write of unknown fate may still show its address", "[write_order]") {
  Cluster cluster;
  const auto pools = [](const char* address) {
    return std::vector{MakePool("pool", {address}), MakePool("rest", {"192.0.2.16/28"})};
  };
  cluster.SetPools(pools("192.0.2.1/32"));
  cluster.Put(Named("a", Found().Pool("pool")));
  cluster.Synced();
  cluster.Take();
  const WriteStatus lost = WriteOf(cluster, "a");
  REQUIRE(lost.ingress_ips == Texts{kX});
  cluster.reconciler.OnWriteFailed(lost.id, lost.service->key, WriteFailure::kRetry);
  // It shall have another address now, and "b" the one that was perhaps written.
  cluster.SetPools({MakePool("pool", {"192.0.2.2/32"}), MakePool("rest", {"192.0.2.16/28"})});
  cluster.Take();
  REQUIRE(Written(cluster) == Texts{"a: 192.0.2.2"});
  const WriteStatus second = WriteOf(cluster, "a");
  cluster.SetPools({MakePool("p", {"192.0.2.1/32"}), MakePool("pool", {"192.0.2.2/32"})});
  cluster.Put(Named("b", Found().LoadBalancerIp(kX)));
  cluster.Take();
  CHECK(cluster.writes.empty());
  Accept(cluster, second);
  cluster.Take();
  CHECK(Written(cluster) == Texts{"b: 192.0.2.1"});
}

TEST_CASE("Where it is not known whether an address is shown, a write makes it sure",
          "[write_order]") {
  Cluster cluster;
  std::vector<config::Pool> pools = {MakePool("pool", {"192.0.2.1/32"})};
  cluster.SetPools(pools);
  cluster.Put(Named("a", Found()));
  cluster.Synced();
  cluster.Take();
  const WriteStatus lost = WriteOf(cluster, "a");
  cluster.reconciler.OnWriteFailed(lost.id, lost.service->key, WriteFailure::kRetry);
  // The pool is for another namespace from now on; "a" was never seen with an address.
  pools[0].service_allocation = config::ServiceAllocation{.namespaces = {"shop"}};
  cluster.SetPools(pools);
  cluster.Put(Named("b", Found().Namespace("shop")));
  cluster.Take();
  REQUIRE(Written(cluster) == Texts{"a:"});
  Accept(cluster, cluster.writes[0]);
  cluster.Run();
  CHECK(cluster.AddressesOf("b") == Texts{kX});
}

}  // namespace stentor::controller
