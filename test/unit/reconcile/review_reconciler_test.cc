// SPDX-License-Identifier: Apache-2.0
/// \file
/// Services that are made anew, change their type, or meet a configuration before what it selects
/// by is known.

#include "controller/reconcile/reconciler.h"

#include <algorithm>

#include "test/support/catch.h"

namespace stentor::controller {
namespace {

const model::ServiceKey kWeb{"default", "web"};

model::Service Service(const std::string& uid, const std::string& version) {
  model::Service service;
  service.key = kWeb;
  service.uid = uid;
  service.resource_version = version;
  service.type = "LoadBalancer";
  service.cluster_ips = {"198.18.0.10"};
  service.ports = {{.protocol = "TCP", .port = 80}};
  return service;
}

// As it is once `write` was accepted.
model::Service Written(const WriteStatus& write, const std::string& version) {
  model::Service service = *write.service;
  service.resource_version = version;
  service.ingress_ips = write.ingress_ips;
  service.annotations.erase(std::string(kAllocatedFromAnnotation));
  if (write.pool) {
    service.annotations.emplace(kAllocatedFromAnnotation, *write.pool);
  }
  return service;
}

model::IpAddressPoolResource PoolResource() {
  model::IpAddressPoolResource pool;
  pool.key = {"metallb-system", "pool"};
  pool.addresses = {"192.0.2.10-192.0.2.19"};
  return pool;
}

config::Config ConfigOf(const model::IpAddressPoolResource& pool) {
  const auto config = config::Parse({.pools = {pool}, .l2_advertisements = {}});
  REQUIRE(config.ok());
  return *config;
}

template <typename Kind>
std::vector<Kind> Only(const std::vector<Action>& actions) {
  std::vector<Kind> found;
  for (const Action& action : actions) {
    if (const auto* one = std::get_if<Kind>(&action)) {
      found.push_back(*one);
    }
  }
  return found;
}

// A reconciler in which the Service "web" has its address, and its status says so.
struct Served {
  Reconciler reconciler{ReconcilerOptions{}};
  model::Service web;

  Served() {
    reconciler.SetConfig(ConfigOf(PoolResource()));
    reconciler.UpsertService(Service("first", "5"));
    reconciler.ServicesSynced();
    const auto writes = Only<WriteStatus>(reconciler.TakeActions());
    REQUIRE(writes.size() == 1);
    web = Written(writes[0], "6");
    reconciler.OnWriteDone(writes[0].id, kWeb, web);
    REQUIRE(reconciler.TakeActions().empty());
  }
};

}  // namespace

TEST_CASE("A Service of the same name and another uid is another Service", "[reconciler]") {
  Served s;
  s.reconciler.UpsertService(Service("second", "20"));  // a list, which told of no deletion
  const auto actions = s.reconciler.TakeActions();
  const auto writes = Only<WriteStatus>(actions);
  REQUIRE(writes.size() == 1);
  CHECK(writes[0].service->uid == "second");
  const auto events = Only<EmitEvent>(actions);
  REQUIRE(events.size() == 1);
  CHECK(events[0].reason == "IPAllocated");
  CHECK(events[0].service->uid == "second");

  SECTION("and what was seen of the former one before is not what is there now") {
    s.reconciler.UpsertService(s.web);
    s.reconciler.OnWriteDone(writes[0].id, kWeb, Written(writes[0], "21"));
    CHECK(s.reconciler.TakeActions().empty());
    CHECK(s.reconciler.Allocator().Find(kWeb).has_value());
  }
}

TEST_CASE("The answer to a former Service's write does not end the write of the new one",
          "[reconciler]") {
  Reconciler reconciler{ReconcilerOptions{}};
  reconciler.SetConfig(ConfigOf(PoolResource()));
  reconciler.UpsertService(Service("first", "5"));
  reconciler.ServicesSynced();
  const auto first = Only<WriteStatus>(reconciler.TakeActions());
  REQUIRE(first.size() == 1);
  reconciler.UpsertService(Service("second", "7"));
  const auto second = Only<WriteStatus>(reconciler.TakeActions());
  REQUIRE(second.size() == 1);
  reconciler.OnWriteFailed(first[0].id, kWeb, WriteFailure::kConflict);
  CHECK(reconciler.TakeActions().empty());
  reconciler.OnWriteFailed(second[0].id, kWeb, WriteFailure::kRetry);
  reconciler.Retry(kWeb);
  CHECK(Only<WriteStatus>(reconciler.TakeActions()).size() == 1);
}

TEST_CASE(
    "A pool that begins to select by labels of namespaces takes nothing before they are known",
    "[reconciler]") {
  Served s;
  model::IpAddressPoolResource pool = PoolResource();
  pool.has_service_allocation = true;
  pool.namespace_selectors = {{.requirements = {{.key = "team", .values = {"blue"}}}}};
  s.reconciler.SetConfig(ConfigOf(pool));
  CHECK(s.reconciler.TakeActions().empty());

  SECTION("a namespace that it selects keeps its addresses") {
    s.reconciler.UpsertNamespace("default", {{"team", "blue"}});
    CHECK(s.reconciler.TakeActions().empty());
    s.reconciler.NamespacesSynced();
    CHECK(s.reconciler.TakeActions().empty());
    CHECK(s.reconciler.Allocator().Find(kWeb).has_value());
  }
  SECTION("another one loses them") {
    s.reconciler.UpsertNamespace("default", {{"team", "red"}});
    s.reconciler.NamespacesSynced();
    const auto writes = Only<WriteStatus>(s.reconciler.TakeActions());
    REQUIRE(writes.size() == 1);
    CHECK(writes[0].ingress_ips.empty());
  }
  SECTION("a configuration that replaces it meanwhile is in force at once") {
    pool = PoolResource();
    pool.addresses = {"192.0.2.30-192.0.2.39"};
    s.reconciler.SetConfig(ConfigOf(pool));
    const auto writes = Only<WriteStatus>(s.reconciler.TakeActions());
    REQUIRE(writes.size() == 1);
    CHECK(writes[0].ingress_ips == std::vector<std::string>{"192.0.2.30"});
  }
}

TEST_CASE("What bears a trace of ours but is no load balancer is cleared and forgotten",
          "[reconciler]") {
  Served s;
  model::Service other = s.web;
  other.type = "ClusterIP";
  other.resource_version = "9";
  s.reconciler.DeleteService(kWeb);   // it left the watch
  s.reconciler.UpsertService(other);  // and was looked at
  auto writes = Only<WriteStatus>(s.reconciler.TakeActions());
  REQUIRE(writes.size() == 1);
  CHECK(writes[0].ingress_ips.empty());
  CHECK_FALSE(writes[0].pool.has_value());

  SECTION("done") {
    s.reconciler.OnWriteDone(writes[0].id, kWeb, Written(writes[0], "10"));
    CHECK(s.reconciler.TakeActions().empty());
  }
  SECTION("after a conflict it is given again as it is now, which no watch does") {
    s.reconciler.OnWriteFailed(writes[0].id, kWeb, WriteFailure::kConflict);
    CHECK(s.reconciler.TakeActions().empty());
    // The very version that was refused: it was read before the conflicting change was seen.
    s.reconciler.UpsertService(other);
    writes = Only<WriteStatus>(s.reconciler.TakeActions());
    REQUIRE(writes.size() == 1);
    s.reconciler.OnWriteDone(writes[0].id, kWeb, Written(writes[0], "12"));
    CHECK(s.reconciler.TakeActions().empty());
  }
}

}  // namespace stentor::controller
