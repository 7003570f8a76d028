// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// A controller whose API server does at once what it is asked for.

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "controller/reconcile/reconciler.h"
#include "test/support/catch.h"

namespace stentor::controller {

using Texts = std::vector<std::string>;

inline config::Pool MakePool(std::string name, const Texts& addresses) {
  config::Pool pool;
  pool.name = std::move(name);
  for (const std::string& item : addresses) {
    const auto range = net::ParseAddressItem(item);
    REQUIRE(range.ok());
    pool.ranges.push_back(*range);
  }
  return pool;
}

/// A Service of type LoadBalancer as kubectl makes it.
inline model::Service MakeService(std::string name) {
  model::Service service;
  service.key = {.name_space = "default", .name = std::move(name)};
  service.uid = "uid-of-" + service.key.name;
  service.type = "LoadBalancer";
  service.cluster_ips = {"198.51.100.10"};
  service.ip_families = {net::IpFamily::kIpv4};
  service.ip_family_policy = "SingleStack";
  service.ports = {{.protocol = "TCP", .port = 80}};
  return service;
}

/// The Services as the API server has them, and the reconciler that watches them.
class Cluster {
 public:
  explicit Cluster(std::string load_balancer_class = "")
      : reconciler({.load_balancer_class = std::move(load_balancer_class)}) {}

  /// Stores `service` under a new resourceVersion and lets the watch tell.
  void Put(model::Service service) {
    service.resource_version = std::to_string(++version_);
    services[service.key.name] = service;
    reconciler.UpsertService(std::move(service));
  }

  void Remove(const std::string& name) {
    const model::ServiceKey key = services.at(name).key;
    services.erase(name);
    reconciler.DeleteService(key);
  }

  void Synced() {
    reconciler.ServicesSynced();
    reconciler.NamespacesSynced();
  }

  void SetPools(std::vector<config::Pool> pools) {
    config::Config config;
    config.pools = std::move(pools);
    reconciler.SetConfig(std::move(config));
  }

  /// Takes the reconciler's actions and keeps them apart by kind, without carrying them out.
  void Take() {
    writes.clear();
    events.clear();
    facts.clear();
    for (Action& action : reconciler.TakeActions()) {
      if (auto* write = std::get_if<WriteStatus>(&action)) {
        writes.push_back(std::move(*write));
      } else if (auto* event = std::get_if<EmitEvent>(&action)) {
        events.push_back(std::move(*event));
      } else {
        facts.push_back(std::get<LogFact>(std::move(action)));
      }
    }
  }

  /// Carries `write` out, as the API server does: other fields stay, the version grows.
  model::Service Store(const WriteStatus& write) {
    model::Service& service = services.at(write.service->key.name);
    CHECK(service.resource_version == write.service->resource_version);
    CheckNoSecondOwner(service, write);
    service.ingress_ips = write.ingress_ips;
    service.address_allocated = write.condition;
    service.annotations.erase(std::string(kAllocatedFromAnnotation));
    if (write.pool) {
      service.annotations[std::string(kAllocatedFromAnnotation)] = *write.pool;
    }
    service.resource_version = std::to_string(++version_);
    return service;
  }

  /// Carries everything out until there is nothing left to do; all events of it are in `events`.
  void Run() {
    std::vector<EmitEvent> all;
    for (int round = 0; round < 20; ++round) {
      Take();
      all.insert(all.end(), events.begin(), events.end());
      if (writes.empty()) {
        events = std::move(all);
        CheckAtRest();
        return;
      }
      for (const WriteStatus& write : std::exchange(writes, {})) {
        ++write_count;
        reconciler.OnWriteDone(write.id, write.service->key, Store(write));
      }
    }
    FAIL("it does not come to rest");
  }

  [[nodiscard]] Texts AddressesOf(const std::string& name) const {
    return services.at(name).ingress_ips;
  }
  [[nodiscard]] std::string PoolOf(const std::string& name) const {
    const auto& annotations = services.at(name).annotations;
    const auto it = annotations.find(kAllocatedFromAnnotation);
    return it == annotations.end() ? "" : it->second;
  }
  /// The reason of its condition; empty where it has none.
  [[nodiscard]] std::string ReasonOf(const std::string& name) const {
    const auto& condition = services.at(name).address_allocated;
    return condition ? condition->reason : "";
  }
  [[nodiscard]] std::string MessageOf(const std::string& name) const {
    const auto& condition = services.at(name).address_allocated;
    return condition ? condition->message : "";
  }
  [[nodiscard]] bool HasWarning() const {
    for (const EmitEvent& event : events) {
      if (event.type == EventType::kWarning) {
        return true;
      }
    }
    return false;
  }
  /// "reason: message" of each event.
  [[nodiscard]] Texts EventTexts() const {
    Texts texts;
    for (const EmitEvent& event : events) {
      texts.push_back(event.reason + ": " + event.message);
    }
    return texts;
  }

  Reconciler reconciler;
  std::map<std::string, model::Service> services;
  std::vector<WriteStatus> writes;
  std::vector<EmitEvent> events;
  std::vector<LogFact> facts;
  int write_count = 0;

 private:
  // Nothing may be left where nothing changed.
  void CheckAtRest() { CHECK(reconciler.TakeActions().empty()); }

  // No write may show an address at a second Service that may not share it with the first.
  void CheckNoSecondOwner(const model::Service& service, const WriteStatus& write) {
    const auto key = [](const model::Service& s) {
      const auto it = s.annotations.find("metallb.io/allow-shared-ip");
      return it == s.annotations.end() ? "" : it->second;
    };
    for (const std::string& address : write.ingress_ips) {
      if (std::ranges::find(service.ingress_ips, address) != service.ingress_ips.end()) {
        continue;  // it is shown already
      }
      for (const auto& [name, other] : services) {
        if (other.key != service.key && other.IsLoadBalancer() &&
            std::ranges::find(other.ingress_ips, address) != other.ingress_ips.end()) {
          INFO(address << " is shown at " << name << " when it is written to " << service.key);
          CHECK((!key(service).empty() && key(service) == key(other)));
        }
      }
    }
  }

  std::uint64_t version_ = 0;
};

}  // namespace stentor::controller
