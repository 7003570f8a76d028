// SPDX-License-Identifier: Apache-2.0
#include <rapidcheck.h>

#include <algorithm>

#include "test/property/reconcile/world.h"

namespace stentor::controller {
namespace {

bool OneIn(int n) { return *rc::gen::inRange(0, n) == 0; }

template <typename T>
T OneOf(const std::vector<T>& values) {
  return *rc::gen::elementOf(values);
}

}  // namespace

config::Config AnyConfig() {
  config::Config config;
  if (OneIn(16)) {
    return config;
  }
  // Six IPv4 and three IPv6 addresses, dealt to up to three pools.
  const std::vector<std::string> items = {"192.0.2.0/31",   "192.0.2.2/32",   "192.0.2.3/32",
                                          "192.0.2.4/31",   "2001:db8::/128", "2001:db8::1/128",
                                          "2001:db8::2/128"};
  std::map<int, config::Pool> pools;
  for (const std::string& item : items) {
    const int owner = *rc::gen::inRange(0, 4);
    if (owner < 3) {
      pools[owner].ranges.push_back(*net::ParseAddressItem(item));
    }
  }
  for (auto& [number, pool] : pools) {
    pool.name = "pool-" + std::to_string(number);
    pool.auto_assign = !OneIn(5);
    pool.avoid_buggy_ips = OneIn(6);
    if (OneIn(4)) {
      pool.service_allocation = config::ServiceAllocation{.priority = *rc::gen::inRange(0, 3)};
      if (OneIn(2)) {
        pool.service_allocation->namespaces = {"n0"};
      } else {
        pool.service_allocation->namespace_selectors = {
            {.requirements = {{.key = "team", .values = {"a"}}}}};
      }
    }
    config.pools.push_back(pool);
  }
  return config;
}

config::Config EditedConfig(config::Config config) {
  if (config.pools.empty()) {
    return AnyConfig();
  }
  config::Pool& pool = OneIn(2) ? config.pools.front() : config.pools.back();
  switch (*rc::gen::inRange(0, 5)) {
    case 0:
      config.pools.back().name += "-renamed";  // they stay sorted
      break;
    case 1:
      if (pool.ranges.size() > 1) {
        pool.ranges.pop_back();
      }
      break;
    case 2:
      pool.auto_assign = !pool.auto_assign;
      break;
    case 3:
      pool.avoid_buggy_ips = !pool.avoid_buggy_ips;
      break;
    default:
      config.remarks.emplace_back("of no consequence");
  }
  return config;
}

void EditSpec(model::Service& service) {
  service.type = OneIn(7) ? "ClusterIP" : "LoadBalancer";
  service.cluster_ips =
      *rc::gen::weightedElement<std::vector<std::string>>({{12, {"198.51.100.1"}},
                                                           {3, {"2001:db8:1::1"}},
                                                           {6, {"198.51.100.1", "2001:db8:1::1"}},
                                                           {1, {"None"}},
                                                           {1, {}}});
  service.ip_family_policy = OneOf<std::string>({"PreferDualStack", "RequireDualStack"});
  if (service.cluster_ips.size() == 1 && !OneIn(4)) {
    service.ip_family_policy = "SingleStack";
  }
  service.load_balancer_ip = *rc::gen::weightedElement<std::string>(
      {{6, ""}, {1, "192.0.2.2"}, {1, "192.0.2.4"}, {1, "2001:db8::1"}, {1, "nonsense"}});
  service.external_traffic_policy =
      OneIn(2) ? model::TrafficPolicy::kCluster : model::TrafficPolicy::kLocal;
  service.selector = {{"app", OneOf<std::string>({"a", "b"})}};
  service.ports.clear();
  if (!OneIn(10)) {
    service.ports = {{"TCP", OneOf<std::uint16_t>({80, 443})}};
  }
  for (const auto& [name, values] : std::map<std::string, std::vector<std::string>>{
           {"metallb.io/allow-shared-ip", {"", "", "key"}},
           {"metallb.io/address-pool", {"", "", "", "", "pool-0", "pool-1"}},
           {"metallb.universe.tf/loadBalancerIPs", {"", "", "", "", "192.0.2.3,2001:db8::"}}}) {
    const std::string value = OneOf(values);
    service.annotations.erase(name);
    if (!value.empty()) {
      service.annotations[name] = value;
    }
  }
}

void EditStatus(model::Service& service) {
  const std::string pool(kAllocatedFromAnnotation);
  switch (*rc::gen::inRange(0, 6)) {
    case 0:
      service.ingress_ips = {OneOf<std::string>(
          {"192.0.2.0", "192.0.2.1", "192.0.2.4", "2001:db8::", "203.0.113.1", "nonsense"})};
      break;
    case 1:
      service.ingress_ips.clear();
      break;
    case 2:
      service.ingress_ips.insert(service.ingress_ips.end(), 2, "192.0.2.1");
      break;
    case 3:
      service.annotations.erase(pool);
      break;
    case 4:
      service.annotations[pool] = "somebody-elses";
      break;
    default:
      if (service.address_allocated) {
        service.address_allocated.reset();
      } else {
        service.address_allocated = model::Condition{.status = "True", .reason = "Bored"};
      }
  }
}

bool MayShare(const model::Service& a, const model::Service& b) {
  const auto key = [](const model::Service& service) {
    const auto it = service.annotations.find("metallb.io/allow-shared-ip");
    return it == service.annotations.end() ? "" : it->second;
  };
  const auto backend = [](const model::Service& service) {
    return service.external_traffic_policy == model::TrafficPolicy::kLocal ? service.selector
                                                                           : model::Labels{};
  };
  return !key(a).empty() && key(a) == key(b) && backend(a) == backend(b) &&
         std::ranges::find_first_of(a.ports, b.ports) == a.ports.end();
}

}  // namespace stentor::controller
