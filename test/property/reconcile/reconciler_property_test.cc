// SPDX-License-Identifier: Apache-2.0
#include <rapidcheck.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controller/reconcile/convergence.h"
#include "controller/reconcile/reconciler.h"
#include "test/support/catch.h"

namespace stentor::controller {
namespace {

const std::string kAnnotation(kAllocatedFromAnnotation);

config::Config AnyConfig() {
  config::Config config;
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
    pool.auto_assign = *rc::gen::weightedElement<bool>({{4, true}, {1, false}});
    if (*rc::gen::weightedElement<bool>({{1, true}, {3, false}})) {
      pool.service_allocation = config::ServiceAllocation{.priority = *rc::gen::inRange(0, 3)};
      pool.service_allocation->namespaces = {"n0"};
    }
    config.pools.push_back(pool);
  }
  return config;
}

model::ServiceKey AnyKey() {
  return {.name_space = *rc::gen::element<std::string>("n0", "n1"),
          .name = "s" + std::to_string(*rc::gen::inRange(0, 5))};
}

// What a user may write into `service`.
void Edit(model::Service& service) {
  service.type = *rc::gen::weightedElement<std::string>({{6, "LoadBalancer"}, {1, "ClusterIP"}});
  service.cluster_ips = *rc::gen::weightedElement<std::vector<std::string>>(
      {{4, {"198.51.100.1"}}, {1, {"2001:db8:1::1"}}, {2, {"198.51.100.1", "2001:db8:1::1"}}});
  service.ip_family_policy = *rc::gen::element<std::string>("PreferDualStack", "RequireDualStack");
  if (service.cluster_ips.size() == 1 && *rc::gen::weightedElement<bool>({{3, true}, {1, false}})) {
    service.ip_family_policy = "SingleStack";
  }
  service.load_balancer_ip = *rc::gen::weightedElement<std::string>(
      {{6, ""}, {1, "192.0.2.2"}, {1, "192.0.2.4"}, {1, "2001:db8::1"}, {1, "nonsense"}});
  service.external_traffic_policy =
      *rc::gen::element(model::TrafficPolicy::kCluster, model::TrafficPolicy::kLocal);
  service.selector = {{"app", *rc::gen::element<std::string>("a", "b")}};
  service.ports = {{"TCP", *rc::gen::element<std::uint16_t>(80, 443)}};
  for (const auto& [name, values] : std::map<std::string, std::vector<std::string>>{
           {"metallb.io/allow-shared-ip", {"", "", "key"}},
           {"metallb.io/address-pool", {"", "", "", "", "pool-0", "pool-1"}},
           {"metallb.universe.tf/loadBalancerIPs", {"", "", "", "", "192.0.2.3,2001:db8::"}}}) {
    const std::string value = *rc::gen::elementOf(values);
    service.annotations.erase(name);
    if (!value.empty()) {
      service.annotations[name] = value;
    }
  }
}

// The API server, what of it the watch has not brought yet, and the controller. Everything between
// them may be late; writes may be refused or lost, and so may the answers.
class World {
 public:
  World() { Restart(); }

  void Step() {
    switch (*rc::gen::weightedElement<int>(
        {{5, 0}, {3, 1}, {2, 2}, {1, 3}, {1, 4}, {6, 5}, {6, 6}, {6, 7}, {2, 8}})) {
      case 0:
        Create();
        break;
      case 1:
        Change();
        break;
      case 2:
        Remove();
        break;
      case 3:
        config_ = AnyConfig();
        reconciler_->SetConfig(config_);
        break;
      case 4:
        Restart();
        break;
      case 5:
        DeliverOne();
        break;
      case 6:
        Collect();
        break;
      case 7:
        if (!writes_.empty()) {
          FinishWrite(*rc::gen::weightedElement<Fate>({{5, Fate::kDone},
                                                       {1, Fate::kDoneWithoutAnswer},
                                                       {1, Fate::kLost},
                                                       {1, Fate::kDoneButUnknown}}));
        }
        break;
      default:
        RetryAll();
    }
  }

  void Settle() {
    for (int round = 0; round < 1000; ++round) {
      while (!events_.empty()) {
        DeliverOne();
      }
      RetryAll();
      if (!Collect() && writes_.empty() && events_.empty() && retries_.empty()) {
        return;
      }
      while (!writes_.empty()) {
        FinishWrite(Fate::kDone);
      }
    }
    RC_FAIL("it does not come to rest");
  }

  void CheckSettled() {
    RC_ASSERT(reconciler_->TakeActions().empty());
    reconciler_->Allocator().CheckInvariants();
    std::map<std::string, std::vector<const model::Service*>> users;
    for (const auto& [key, service] : services_) {
      const auto pool = service.annotations.find(kAnnotation);
      const auto held = reconciler_->Allocator().Find(key);
      RC_ASSERT(service.ingress_ips.empty() == !held.has_value());
      RC_ASSERT((pool == service.annotations.end()) == !held.has_value());
      if (!held) {
        continue;
      }
      RC_ASSERT(service.IsLoadBalancer());
      RC_ASSERT(!service.load_balancer_class.has_value());
      RC_ASSERT(pool->second == held->pool);
      RC_ASSERT(StatusAddresses(service) == held->addresses);
      for (const std::string& address : service.ingress_ips) {
        RC_ASSERT(config_.FindPool(*net::IpAddress::Parse(address))->name == held->pool);
        users[address].push_back(&service);
      }
    }
    for (const auto& [address, sharing] : users) {
      for (std::size_t i = 0; i < sharing.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
          RC_ASSERT(MayShare(*sharing[i], *sharing[j]));
        }
      }
    }
  }

  // A controller that starts now finds nothing to write. So nobody was overlooked who waited.
  void CheckRestartWritesNothing() {
    Restart();
    for (const Action& action : reconciler_->TakeActions()) {
      RC_ASSERT(!std::holds_alternative<WriteStatus>(action));
    }
    CheckSettled();
  }

  // What a relist repeats is no news.
  void CheckRelistDoesNothing() {
    for (const auto& [key, service] : services_) {
      reconciler_->UpsertService(service);
    }
    reconciler_->ServicesSynced();
    reconciler_->SetConfig(config_);
    RC_ASSERT(reconciler_->TakeActions().empty());
  }

 private:
  enum class Fate { kDone, kDoneWithoutAnswer, kLost, kDoneButUnknown };

  static bool MayShare(const model::Service& a, const model::Service& b) {
    const auto key = [](const model::Service& service) {
      const auto it = service.annotations.find("metallb.io/allow-shared-ip");
      return it == service.annotations.end() ? "" : it->second;
    };
    const auto backend = [](const model::Service& service) {
      return service.external_traffic_policy == model::TrafficPolicy::kLocal ? service.selector
                                                                             : model::Labels{};
    };
    return !key(a).empty() && key(a) == key(b) && backend(a) == backend(b) && a.ports != b.ports;
  }

  void Store(model::Service service) {
    service.resource_version = std::to_string(++version_);
    services_[service.key] = service;
    events_.emplace_back(service.key, std::move(service));
  }

  void Create() {
    model::Service service;
    service.key = AnyKey();
    if (services_.contains(service.key)) {
      return;
    }
    service.uid = "uid-" + std::to_string(++version_);
    Edit(service);
    if (*rc::gen::weightedElement<bool>({{1, true}, {7, false}})) {
      service.load_balancer_class = "somebody.example/else";
    }
    Store(std::move(service));
  }

  void Change() {
    const auto it = services_.find(AnyKey());
    if (it != services_.end()) {
      model::Service service = it->second;
      Edit(service);
      Store(std::move(service));
    }
  }

  void Remove() {
    const auto it = services_.find(AnyKey());
    if (it != services_.end()) {
      ++version_;
      events_.emplace_back(it->first, std::nullopt);
      services_.erase(it);
    }
  }

  void DeliverOne() {
    if (events_.empty()) {
      return;
    }
    auto [key, service] = std::move(events_.front());
    events_.pop_front();
    if (service) {
      reconciler_->UpsertService(*std::move(service));
    } else {
      reconciler_->DeleteService(key);
    }
  }

  void Restart() {
    reconciler_ = std::make_unique<Reconciler>(ReconcilerOptions{});
    events_.clear();
    writes_.clear();
    retries_.clear();
    reconciler_->SetConfig(config_);
    RC_ASSERT(reconciler_->TakeActions().empty());  // nothing before all Services are known
    for (const auto& [key, service] : services_) {
      reconciler_->UpsertService(service);
    }
    RC_ASSERT(reconciler_->TakeActions().empty());
    reconciler_->ServicesSynced();
    reconciler_->NamespacesSynced();
  }

  // True where there was anything to do.
  bool Collect() {
    const std::vector<Action> actions = reconciler_->TakeActions();
    for (const Action& action : actions) {
      if (const auto* write = std::get_if<WriteStatus>(&action)) {
        for (const WriteStatus& other : writes_) {  // one at a time for each Service
          RC_ASSERT(other.service->key != write->service->key ||
                    other.service->uid != write->service->uid);
        }
        writes_.push_back(*write);
      }
    }
    return !actions.empty();
  }

  void FinishWrite(Fate fate) {
    const WriteStatus write = writes_.front();
    writes_.pop_front();
    const model::ServiceKey& key = write.service->key;
    if (fate == Fate::kLost) {
      reconciler_->OnWriteFailed(write.id, key, WriteFailure::kRetry);
      retries_.insert(key);
      return;
    }
    const auto stored = services_.find(key);
    if (stored == services_.end() || stored->second.uid != write.service->uid ||
        stored->second.resource_version != write.service->resource_version) {
      reconciler_->OnWriteFailed(write.id, key, WriteFailure::kConflict);
      return;
    }
    model::Service service = stored->second;
    service.ingress_ips = write.ingress_ips;
    service.annotations.erase(kAnnotation);
    if (write.pool) {
      service.annotations[kAnnotation] = *write.pool;
    }
    RC_ASSERT(!(service == stored->second));  // a write that changes nothing
    Store(std::move(service));
    if (fate == Fate::kDoneButUnknown) {
      reconciler_->OnWriteFailed(write.id, key, WriteFailure::kRetry);
      retries_.insert(key);
    } else {
      reconciler_->OnWriteDone(write.id, key,
                               fate == Fate::kDone ? std::optional(services_[key]) : std::nullopt);
    }
  }

  void RetryAll() {
    for (const model::ServiceKey& key : std::exchange(retries_, {})) {
      reconciler_->Retry(key);
    }
  }

  std::map<model::ServiceKey, model::Service> services_;
  std::uint64_t version_ = 0;
  std::deque<std::pair<model::ServiceKey, std::optional<model::Service>>> events_;
  std::deque<WriteStatus> writes_;
  std::set<model::ServiceKey> retries_;
  config::Config config_;
  std::unique_ptr<Reconciler> reconciler_;
};

}  // namespace

TEST_CASE("Whatever happens, it comes to rest with every address in the right hands",
          "[reconciler]") {
  CHECK(rc::check([] {
    World world;
    const int phases = *rc::gen::inRange(1, 4);
    for (int phase = 0; phase < phases; ++phase) {
      const int steps = *rc::gen::inRange(1, 60);
      for (int i = 0; i < steps; ++i) {
        world.Step();
      }
      world.Settle();
      world.CheckSettled();
      world.CheckRelistDoesNothing();
    }
    world.CheckRestartWritesNothing();
  }));
}

}  // namespace stentor::controller
