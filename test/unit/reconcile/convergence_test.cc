// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "test/support/catch.h"
#include "test/unit/reconcile/reconciler_fixture.h"

namespace stentor::controller {
namespace {

const std::string kPool(kAllocatedFromAnnotation);
const Texts kDualIps = {"198.51.100.10", "2001:db8:ffff::10"};

// A Service as it is found, and what becomes of it.
struct Case {
  const char* name;
  std::function<void(model::Service&)> change;  // of a Service with one IPv4 cluster address
  Texts ingress;
  const char* pool = "";  // of the annotation
  bool warning = false;
};

void Status(model::Service& service, Texts ingress, const std::string& pool = "") {
  service.ingress_ips = std::move(ingress);
  if (!pool.empty()) {
    service.annotations[kPool] = pool;
  }
}

void Dual(model::Service& service, const std::string& policy) {
  service.cluster_ips = kDualIps;
  service.ip_family_policy = policy;
  service.ip_families = {net::IpFamily::kIpv4, net::IpFamily::kIpv6};
}

void V6(model::Service& service) {
  service.cluster_ips = {"2001:db8:ffff::10"};
  service.ip_families = {net::IpFamily::kIpv6};
}

std::vector<config::Pool> Pools() {
  std::vector<config::Pool> pools = {
      MakePool("pool1", {"192.0.2.0/31"}),
      MakePool("pool2", {"192.0.2.8/31", "2001:db8::/127"}),
      MakePool("pool3", {"2001:db8:3::/127"}),
      MakePool("pool4", {"192.0.2.16/31", "2001:db8:4::/127"}),
      MakePool("shop", {"192.0.2.32/31"}),
  };
  pools[1].auto_assign = false;
  pools[4].service_allocation = config::ServiceAllocation{.priority = 1, .namespaces = {"shop"}};
  return pools;
}

// Each row alone in a cluster: nobody else holds an address.
std::vector<Case> Cases() {
  using S = model::Service;
  return {
      // --- Type and cluster address ---
      {"type ClusterIP", [](S& s) { s.type = "ClusterIP"; }, {}},
      {"type NodePort, status is cleared",
       [](S& s) {
         s.type = "NodePort";
         Status(s, {"192.0.2.0"}, "pool1");
       },
       {}},
      {"type ClusterIP, annotation is cleared",
       [](S& s) {
         s.type = "ClusterIP";
         Status(s, {}, "pool1");
       },
       {}},
      {"no cluster address", [](S& s) { s.cluster_ips = {}; }, {}},
      {"no cluster address, status is cleared",
       [](S& s) {
         s.cluster_ips = {};
         Status(s, {"192.0.2.0"}, "pool1");
       },
       {}},
      {"headless", [](S& s) { s.cluster_ips = {"None"}; }, {}, "", true},
      {"RequireDualStack with one cluster address",
       [](S& s) {
         s.ip_family_policy = "RequireDualStack";
         Status(s, {"192.0.2.0"}, "pool1");
       },
       {},
       "",
       true},

      // --- Nothing in the status ---
      {"simple", [](S&) {}, {"192.0.2.0"}, "pool1"},
      {"simple IPv6", V6, {"2001:db8:3::"}, "pool3"},
      {"dual, prefers both",
       [](S& s) { Dual(s, "PreferDualStack"); },
       {"192.0.2.16", "2001:db8:4::"},
       "pool4"},
      {"dual, requires both",
       [](S& s) { Dual(s, "RequireDualStack"); },
       {"192.0.2.16", "2001:db8:4::"},
       "pool4"},
      {"PreferDualStack of a Service with one family",
       [](S& s) { s.ip_family_policy = "PreferDualStack"; },
       {"192.0.2.0"},
       "pool1"},
      {"PreferDualStack of a Service with one family, from a pool with two",
       [](S& s) {
         s.ip_family_policy = "PreferDualStack";
         s.annotations["metallb.io/address-pool"] = "pool4";
       },
       {"192.0.2.16"},
       "pool4"},
      {"in a namespace that has a pool of its own",
       [](S& s) { s.key.name_space = "shop"; },
       {"192.0.2.32"},
       "shop"},
      {"pool annotation without an address",
       [](S& s) { Status(s, {}, "pool4"); },
       {"192.0.2.0"},
       "pool1"},

      // --- Addresses are asked for ---
      {"loadBalancerIP", [](S& s) { s.load_balancer_ip = "192.0.2.1"; }, {"192.0.2.1"}, "pool1"},
      {"loadBalancerIP of a pool without autoAssign",
       [](S& s) { s.load_balancer_ip = "192.0.2.9"; },
       {"192.0.2.9"},
       "pool2"},
      {"loadBalancerIP outside of all pools",
       [](S& s) { s.load_balancer_ip = "203.0.113.1"; },
       {},
       "",
       true},
      {"loadBalancerIP of the other family",
       [](S& s) { s.load_balancer_ip = "2001:db8:3::1"; },
       {},
       "",
       true},
      {"loadBalancerIP of a pool for other namespaces",
       [](S& s) { s.load_balancer_ip = "192.0.2.32"; },
       {},
       "",
       true},
      {"loadBalancerIP that is none", [](S& s) { s.load_balancer_ip = "please"; }, {}, "", true},
      {"loadBalancerIPs",
       [](S& s) { s.annotations["metallb.io/loadBalancerIPs"] = "192.0.2.1"; },
       {"192.0.2.1"},
       "pool1"},
      {"loadBalancerIPs, deprecated",
       [](S& s) { s.annotations["metallb.universe.tf/loadBalancerIPs"] = "192.0.2.1"; },
       {"192.0.2.1"},
       "pool1",
       true},
      {"loadBalancerIPs, the present prefix wins",
       [](S& s) {
         s.annotations["metallb.universe.tf/loadBalancerIPs"] = "192.0.2.1";
         s.annotations["metallb.io/loadBalancerIPs"] = "192.0.2.17";
       },
       {"192.0.2.17"},
       "pool4",
       true},
      {"loadBalancerIPs of both families, with spaces",
       [](S& s) {
         Dual(s, "RequireDualStack");
         s.annotations["metallb.io/loadBalancerIPs"] = " 192.0.2.17 , 2001:db8:4::1 ";
       },
       {"192.0.2.17", "2001:db8:4::1"},
       "pool4"},
      {"loadBalancerIPs of one family for two",
       [](S& s) {
         Dual(s, "RequireDualStack");
         s.annotations["metallb.io/loadBalancerIPs"] = "192.0.2.17";
       },
       {},
       "",
       true},
      {"loadBalancerIPs of two pools",
       [](S& s) {
         Dual(s, "RequireDualStack");
         s.annotations["metallb.io/loadBalancerIPs"] = "192.0.2.1,2001:db8:4::1";
       },
       {},
       "",
       true},
      {"loadBalancerIPs that are none",
       [](S& s) { s.annotations["metallb.io/loadBalancerIPs"] = "192.0.2.1,,"; },
       {},
       "",
       true},
      {"loadBalancerIP and loadBalancerIPs",
       [](S& s) {
         s.load_balancer_ip = "192.0.2.1";
         s.annotations["metallb.io/loadBalancerIPs"] = "192.0.2.1";
       },
       {},
       "",
       true},

      // --- A pool is asked for ---
      {"pool without autoAssign",
       [](S& s) { s.annotations["metallb.io/address-pool"] = "pool2"; },
       {"192.0.2.8"},
       "pool2"},
      {"pool, deprecated",
       [](S& s) { s.annotations["metallb.universe.tf/address-pool"] = "pool4"; },
       {"192.0.2.16"},
       "pool4",
       true},
      {"unknown pool",
       [](S& s) { s.annotations["metallb.io/address-pool"] = "none"; },
       {},
       "",
       true},
      {"pool without that family",
       [](S& s) { s.annotations["metallb.io/address-pool"] = "pool3"; },
       {},
       "",
       true},
      {"pool for other namespaces",
       [](S& s) { s.annotations["metallb.io/address-pool"] = "shop"; },
       {},
       "",
       true},
      {"pool and an address of it",
       [](S& s) {
         s.annotations["metallb.io/address-pool"] = "pool4";
         s.load_balancer_ip = "192.0.2.17";
       },
       {"192.0.2.17"},
       "pool4"},
      {"pool and an address of another",
       [](S& s) {
         s.annotations["metallb.io/address-pool"] = "pool4";
         s.load_balancer_ip = "192.0.2.1";
       },
       {},
       "",
       true},

      // --- Something in the status ---
      {"it keeps its address",
       [](S& s) { Status(s, {"192.0.2.1"}, "pool1"); },
       {"192.0.2.1"},
       "pool1"},
      {"it keeps an address of a pool without autoAssign",
       [](S& s) { Status(s, {"192.0.2.9"}, "pool2"); },
       {"192.0.2.9"},
       "pool2"},
      {"the annotation is missing", [](S& s) { Status(s, {"192.0.2.1"}); }, {"192.0.2.1"}, "pool1"},
      {"the annotation names another pool",
       [](S& s) { Status(s, {"192.0.2.1"}, "old-name"); },
       {"192.0.2.1"},
       "pool1"},
      {"an address outside of all pools",
       [](S& s) { Status(s, {"203.0.113.1"}, "gone"); },
       {"192.0.2.0"},
       "pool1"},
      {"an address of a pool for other namespaces",
       [](S& s) { Status(s, {"192.0.2.33"}, "shop"); },
       {"192.0.2.0"},
       "pool1"},
      {"an address that is none",
       [](S& s) { Status(s, {"nonsense"}); },
       {"192.0.2.0"},
       "pool1",
       true},
      {"two addresses of a family",
       [](S& s) { Status(s, {"192.0.2.0", "192.0.2.1"}, "pool1"); },
       {"192.0.2.0"},
       "pool1",
       true},
      {"an address of the other family",
       [](S& s) { Status(s, {"2001:db8:3::1"}, "pool3"); },
       {"192.0.2.0"},
       "pool1"},
      {"both families, but it has one now",
       [](S& s) { Status(s, {"192.0.2.17", "2001:db8:4::1"}, "pool4"); },
       {"192.0.2.0"},
       "pool1"},
      {"another address is asked for",
       [](S& s) {
         Status(s, {"192.0.2.1"}, "pool1");
         s.load_balancer_ip = "192.0.2.17";
       },
       {"192.0.2.17"},
       "pool4"},
      {"another address is asked for, which can't be had",
       [](S& s) {
         Status(s, {"192.0.2.1"}, "pool1");
         s.load_balancer_ip = "203.0.113.1";
       },
       {},
       "",
       true},
      {"another address is asked for, which is none",
       [](S& s) {
         Status(s, {"192.0.2.1"}, "pool1");
         s.load_balancer_ip = "please";
       },
       {"192.0.2.1"},
       "pool1",
       true},
      {"another pool is asked for",
       [](S& s) {
         Status(s, {"192.0.2.1"}, "pool1");
         s.annotations["metallb.io/address-pool"] = "pool4";
       },
       {"192.0.2.16"},
       "pool4"},
      {"another pool is asked for, which does not exist",
       [](S& s) {
         Status(s, {"192.0.2.1"}, "pool1");
         s.annotations["metallb.io/address-pool"] = "none";
       },
       {},
       "",
       true},
      {"dual keeps both, in its order",
       [](S& s) {
         Dual(s, "RequireDualStack");
         Status(s, {"2001:db8:4::1", "192.0.2.17"}, "pool4");
       },
       {"2001:db8:4::1", "192.0.2.17"},
       "pool4"},
      {"dual with addresses of two pools",
       [](S& s) {
         Dual(s, "RequireDualStack");
         Status(s, {"192.0.2.1", "2001:db8:4::1"}, "pool4");
       },
       {"192.0.2.16", "2001:db8:4::"},
       "pool4"},
      {"dual that requires both and has one",
       [](S& s) {
         Dual(s, "RequireDualStack");
         Status(s, {"192.0.2.17"}, "pool4");
       },
       {"192.0.2.16", "2001:db8:4::"},
       "pool4"},
      {"dual that prefers both gets the second from the same pool",
       [](S& s) {
         Dual(s, "PreferDualStack");
         Status(s, {"192.0.2.17"}, "pool4");
       },
       {"192.0.2.17", "2001:db8:4::"},
       "pool4"},
      {"dual that prefers both keeps one where the pool has no second",
       [](S& s) {
         Dual(s, "PreferDualStack");
         Status(s, {"192.0.2.1"}, "pool1");
       },
       {"192.0.2.1"},
       "pool1"},
      {"dual that prefers both keeps one that it asks for",
       [](S& s) {
         Dual(s, "PreferDualStack");
         Status(s, {"2001:db8:3::1"}, "pool3");
       },
       {"2001:db8:3::1"},
       "pool3"},
  };
}

void CheckRow(const Cluster& cluster, const Case& c) {
  INFO(c.name);
  const std::string name = cluster.services.begin()->first;
  CHECK(cluster.AddressesOf(name) == c.ingress);
  CHECK(cluster.PoolOf(name) == c.pool);
  std::string events;
  for (const std::string& text : cluster.EventTexts()) {
    events += text + "\n";
  }
  CAPTURE(events);
  CHECK(cluster.HasWarning() == c.warning);
}

}  // namespace

TEST_CASE("A Service converges as MetalLB's controller makes it", "[reconciler]") {
  for (const Case& c : Cases()) {
    Cluster cluster;
    cluster.SetPools(Pools());
    model::Service service = MakeService("web");
    c.change(service);
    cluster.Put(service);
    cluster.Synced();
    cluster.Run();
    CheckRow(cluster, c);
    const bool in_place =
        service.ingress_ips == c.ingress &&
        (service.annotations.contains(kPool) ? service.annotations[kPool] : "") == c.pool;
    CHECK(cluster.write_count == (in_place ? 0 : 1));  // one write does it
  }
}

TEST_CASE("What becomes of a Service does not depend on what was before", "[reconciler]") {
  std::vector<Case> cases = Cases();
  std::mt19937 shuffle(20240607);  // NOLINT(cert-msc51-cpp): the same orders in every run
  for (int order = 0; order < 25; ++order) {
    std::shuffle(cases.begin(), cases.end(), shuffle);
    Cluster cluster;
    cluster.SetPools(Pools());
    cluster.Synced();
    std::string history;
    for (const Case& c : cases) {
      history += std::string(c.name) + "; ";
      INFO(history);
      model::Service service = MakeService("web");
      c.change(service);
      service.uid += c.name;  // deleted and made anew
      cluster.Put(service);
      cluster.Run();
      CheckRow(cluster, c);
      cluster.Remove("web");
      CHECK(cluster.reconciler.Allocator().size() == 0);
    }
  }
}

TEST_CASE("An edit leads to where a new Service would be", "[reconciler]") {
  // One object is edited from row to row; its status is set to what the row begins with.
  std::vector<Case> cases = Cases();
  std::mt19937 shuffle(7);  // NOLINT(cert-msc51-cpp)
  for (int order = 0; order < 25; ++order) {
    std::shuffle(cases.begin(), cases.end(), shuffle);
    Cluster cluster;
    cluster.SetPools(Pools());
    cluster.Synced();
    for (const Case& c : cases) {
      model::Service service = MakeService("web");
      c.change(service);
      if (service.ingress_ips.empty() || service.key.name_space != "default") {
        continue;  // what it held before would be kept, and rightly so
      }
      INFO(c.name);
      cluster.Put(service);
      cluster.Run();
      CHECK(cluster.AddressesOf("web") == c.ingress);
      CHECK(cluster.PoolOf("web") == c.pool);
    }
  }
}

}  // namespace stentor::controller
