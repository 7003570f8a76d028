// SPDX-License-Identifier: Apache-2.0
#include "test/property/reconcile/world.h"

#include <rapidcheck.h>

#include <algorithm>

#include "controller/reconcile/convergence.h"

namespace stentor::controller {
namespace {

const std::string kAnnotation(kAllocatedFromAnnotation);

model::ServiceKey AnyKey() {
  return {.name_space = *rc::gen::element<std::string>("n0", "n1"),
          .name = "s" + std::to_string(*rc::gen::inRange(0, 5))};
}

bool IsOurs(const model::Service& service) {
  return service.IsLoadBalancer() && !service.load_balancer_class;
}

std::string Describe(const model::Service& service) {
  std::string text = service.key.ToString() + " (" + service.type;
  for (const std::string& ip : service.cluster_ips) {
    text += " cluster " + ip;
  }
  text += " " + service.ip_family_policy + " wants " + service.load_balancer_ip;
  for (const auto& [key, value] : service.annotations) {
    text += " " + key + "=" + value;
  }
  for (const std::string& ip : service.ingress_ips) {
    text += " shows " + ip;
  }
  return text + " " + (service.address_allocated ? service.address_allocated->message : "-") + ")";
}

std::string Describe(const WriteStatus& write) {
  std::string text;
  for (const std::string& ip : write.ingress_ips) {
    text += ip + " ";
  }
  return text + "of " + write.pool.value_or("-") + ", " +
         (write.condition ? write.condition->message : "-");
}

bool HasTrace(const model::Service& service) {
  return !service.ingress_ips.empty() || service.annotations.contains(kAnnotation) ||
         service.address_allocated;
}

}  // namespace

void World::Step() {
  switch (*rc::gen::weightedElement<int>({{5, 0}, {4, 1}, {6, 2}})) {
    case 0:
      StepOfUser();
      break;
    case 1:
      StepOfController();
      break;
    default:
      StepOfNetwork();
  }
  reconciler_->Allocator().CheckInvariants();
}

// --- users ---

void World::StepOfUser() {
  switch (*rc::gen::weightedElement<int>({{10, 0}, {8, 1}, {4, 2}, {1, 3}, {2, 4}})) {
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
      Relabel();
      break;
    default:
      TakeConfig(*rc::gen::inRange(0, 2) == 0 ? AnyConfig() : EditedConfig(config_));
  }
}

model::Service& World::Store(model::Service service, bool by_user) {
  service.resource_version = std::to_string(++version_);
  const auto former = services_.find(service.key);
  const bool was_watched = former != services_.end() && former->second.IsLoadBalancer();
  if (service.IsLoadBalancer()) {
    events_.push_back({version_, service.key, service});
    unnoticed_.erase(service.key);
  } else if (was_watched) {
    events_.push_back({version_, service.key, std::nullopt});
  }
  if (by_user) {
    edited_[service.key] = version_;
  }
  return services_[service.key] = std::move(service);
}

void World::Create() {
  model::Service service;
  service.key = AnyKey();
  if (services_.contains(service.key)) {
    return;
  }
  service.uid = "uid-" + std::to_string(++version_);
  service.generation = 1;
  EditSpec(service);
  if (*rc::gen::inRange(0, 8) == 0) {
    service.load_balancer_class = "somebody.example/else";
  }
  Store(std::move(service), true);
}

void World::Change() {
  const auto it = services_.find(AnyKey());
  if (it == services_.end()) {
    return;
  }
  model::Service service = it->second;
  if (service.IsLoadBalancer() && *rc::gen::inRange(0, 4) == 0) {
    EditStatus(service);
  } else {
    EditSpec(service);
    ++service.generation;
  }
  Store(std::move(service), true);
}

void World::Remove() {
  const auto it = services_.find(AnyKey());
  if (it == services_.end()) {
    return;
  }
  ++version_;
  if (it->second.IsLoadBalancer()) {
    events_.push_back({version_, it->first, std::nullopt});
  }
  services_.erase(it);
}

void World::Relabel() {
  const std::string name = AnyKey().name_space;
  namespaces_[name] = {{"team", *rc::gen::element<std::string>("a", "b")}};
  reconciler_->UpsertNamespace(name, namespaces_[name]);
}

void World::TakeConfig(config::Config config) {
  config_ = std::move(config);
  reconciler_->SetConfig(config_);
}

// --- the controller ---

void World::StepOfController() {
  switch (*rc::gen::weightedElement<int>({{1, 0}, {8, 1}, {3, 2}, {1, 3}})) {
    case 0:
      Restart();
      break;
    case 1:
      Collect();
      break;
    case 2:
      RetryAll();
      break;
    default:
      Relist();
  }
}

void World::Restart() {
  for (const Write& write : writes_) {  // its last writes get there or not
    if (*rc::gen::inRange(0, 2) == 0) {
      StoreWrite(write);
    }
  }
  writes_.clear();
  SettleLate(nullptr);
  reconciler_ = std::make_unique<Reconciler>(ReconcilerOptions{});
  events_.clear();
  retries_.clear();
  doubtful_.clear();
  departed_.clear();
  unnoticed_.clear();
  pools_seen_ = false;
  TakeConfig(config_);
  RC_ASSERT(reconciler_->TakeActions().empty());  // nothing before all Services are known
  for (const auto& [key, service] : services_) {
    if (service.IsLoadBalancer()) {
      reconciler_->UpsertService(service);
    } else if (service.annotations.contains(kAnnotation)) {
      departed_.insert(key);
    } else if (HasTrace(service)) {
      unnoticed_.insert(key);
    }
  }
  told_ = version_;
  RC_ASSERT(reconciler_->TakeActions().empty());
  for (const auto& [name, labels] : namespaces_) {
    reconciler_->UpsertNamespace(name, labels);
  }
  reconciler_->ServicesSynced();
  reconciler_->NamespacesSynced();
}

// The watch was lost: a list says what is there, and what is not.
void World::Relist() {
  std::set<model::ServiceKey> gone;
  for (const Event& event : events_) {
    const auto it = services_.find(event.key);
    if (it == services_.end() || !it->second.IsLoadBalancer()) {
      gone.insert(event.key);
    }
  }
  events_.clear();
  for (const model::ServiceKey& key : gone) {
    TellGone(key);
  }
  for (const auto& [key, service] : services_) {
    if (service.IsLoadBalancer()) {
      reconciler_->UpsertService(service);
    }
  }
  reconciler_->ServicesSynced();
  told_ = version_;
}

// True where there was anything to do.
bool World::Collect() {
  pools_seen_ = pools_seen_ || !config_.pools.empty();
  const std::vector<Action> actions = reconciler_->TakeActions();
  for (const Action& action : actions) {
    if (const auto* write = std::get_if<WriteStatus>(&action)) {
      for (const Write& other : writes_) {  // one at a time for each Service
        RC_ASSERT(other.forgotten || other.write.service->key != write->service->key ||
                  other.write.service->uid != write->service->uid);
      }
      writes_.push_back({*write, told_});
    }
  }
  return !actions.empty();
}

void World::RetryAll() {
  for (const model::ServiceKey& key : std::exchange(retries_, {})) {
    reconciler_->Retry(key);
  }
}

// --- the network ---

void World::StepOfNetwork() {
  switch (*rc::gen::weightedElement<int>({{6, 0}, {2, 1}, {6, 2}, {1, 3}})) {
    case 0:
      DeliverOne();
      break;
    case 1:
      LookAtDeparted();
      break;
    case 2:
      if (!writes_.empty()) {
        FinishWrite(*rc::gen::inRange<std::size_t>(0, writes_.size()),
                    *rc::gen::weightedElement<Fate>({{10, Fate::kAnswered},
                                                     {2, Fate::kAnsweredUnreadably},
                                                     {2, Fate::kStoredSilently},
                                                     {2, Fate::kLost},
                                                     {2, Fate::kLate}}));
      }
      break;
    default:
      SettleLate(nullptr);
  }
}

void World::DeliverOne() {
  if (events_.empty()) {
    return;
  }
  Event event = std::move(events_.front());
  events_.pop_front();
  told_ = std::max(told_, event.version);
  if (event.service) {
    reconciler_->UpsertService(*std::move(event.service));
  } else {
    TellGone(event.key);
  }
}

void World::TellGone(const model::ServiceKey& key) {
  reconciler_->DeleteService(key);
  departed_.insert(key);
  for (Write& write : writes_) {
    write.forgotten = write.forgotten || write.write.service->key == key;
  }
}

void World::LookAtDeparted() {
  for (const model::ServiceKey& key : std::exchange(departed_, {})) {
    const auto it = services_.find(key);
    if (it != services_.end() && !it->second.IsLoadBalancer()) {
      reconciler_->UpsertService(it->second);
    }
  }
}

void World::FinishWrite(std::size_t index, Fate fate) {
  const Write write = writes_[index];
  writes_.erase(writes_.begin() + static_cast<std::ptrdiff_t>(index));
  const model::ServiceKey& key = write.write.service->key;
  if (fate == Fate::kLost || fate == Fate::kLate) {
    if (fate == Fate::kLate) {
      late_.push_back(write);
    }
    doubtful_.insert(key);
    reconciler_->OnWriteFailed(write.write.id, key, WriteFailure::kRetry);
    retries_.insert(key);
    return;
  }
  SettleLate(&key);
  if (!StoreWrite(write)) {
    reconciler_->OnWriteFailed(write.write.id, key, WriteFailure::kConflict);
    if (!write.write.service->IsLoadBalancer()) {
      departed_.insert(key);
    }
  } else if (fate == Fate::kStoredSilently) {
    doubtful_.insert(key);
    reconciler_->OnWriteFailed(write.write.id, key, WriteFailure::kRetry);
    retries_.insert(key);
  } else {
    doubtful_.erase(key);
    reconciler_->OnWriteDone(
        write.write.id, key,
        fate == Fate::kAnswered ? std::optional(services_.at(key)) : std::nullopt);
  }
}

// What became of writes that were given up: of `key`, or all of them.
void World::SettleLate(const model::ServiceKey* key) {
  for (const Write& write : std::exchange(late_, {})) {
    if (key != nullptr && write.write.service->key != *key) {
      late_.push_back(write);
    } else if (*rc::gen::inRange(0, 2) == 0) {
      StoreWrite(write);
    }
  }
}

// False where it meets a conflict.
bool World::StoreWrite(const Write& write) {
  const auto stored = services_.find(write.write.service->key);
  if (stored == services_.end() || stored->second.uid != write.write.service->uid ||
      stored->second.resource_version != write.write.service->resource_version) {
    return false;
  }
  model::Service service = stored->second;
  service.ingress_ips = write.write.ingress_ips;
  service.annotations.erase(kAnnotation);
  if (write.write.pool) {
    service.annotations[kAnnotation] = *write.write.pool;
  }
  service.address_allocated = write.write.condition;
  if (service == stored->second) {
    // It changes nothing: only where the fate of an earlier one is to be known.
    RC_ASSERT(doubtful_.contains(service.key));
    return true;
  }
  CheckNoSecondOwner(write);
  Store(std::move(service), false);
  return true;
}

void World::CheckNoSecondOwner(const Write& write) const {
  const model::Service& before = services_.at(write.write.service->key);
  for (const net::IpAddress& address : AddressesIn(write.write.ingress_ips)) {
    const AddressList shown = StatusAddresses(before);
    if (!before.IsLoadBalancer() || std::ranges::find(shown, address) != shown.end()) {
      continue;
    }
    for (const auto& [key, other] : services_) {
      const AddressList theirs = StatusAddresses(other);
      if (key == before.key || !IsOurs(other) || edited_.at(key) > write.known ||
          std::ranges::find(theirs, address) == theirs.end()) {
        continue;
      }
      if (!MayShare(before, other)) {
        RC_FAIL(address.ToString() + " is shown at " + key.ToString() + " and written to " +
                before.key.ToString());
      }
    }
  }
}

// --- at rest ---

void World::Settle() {
  for (int round = 0; round < 1000; ++round) {
    SettleLate(nullptr);
    while (!events_.empty()) {
      DeliverOne();
    }
    LookAtDeparted();
    RetryAll();
    if (!Collect() && writes_.empty() && events_.empty() && retries_.empty() && departed_.empty()) {
      return;
    }
    while (!writes_.empty()) {
      FinishWrite(0, Fate::kAnswered);
    }
  }
  RC_FAIL("it does not come to rest");
}

void World::CheckSettled() const {
  RC_ASSERT(reconciler_->TakeActions().empty());
  const AddressAllocator& allocator = reconciler_->Allocator();
  allocator.CheckInvariants();
  if (!pools_seen_) {
    RC_ASSERT(allocator.size() == 0U);
    return;
  }
  std::map<net::IpAddress, std::vector<const model::Service*>> users;
  std::size_t holders = 0;
  for (const auto& [key, service] : services_) {
    const auto held = allocator.Find(key);
    if (!IsOurs(service)) {
      RC_ASSERT(!held.has_value());
      if (!service.IsLoadBalancer() && !unnoticed_.contains(key) && HasTrace(service)) {
        RC_FAIL("left over: " + Describe(service));
      }
      continue;
    }
    const auto pool = service.annotations.find(kAnnotation);
    if (service.ingress_ips.empty() != !held) {
      RC_FAIL((held ? "held and not shown: " : "shown and not held: ") + Describe(service));
    }
    RC_ASSERT((pool == service.annotations.end()) == !held.has_value());
    if (!held) {
      if (!service.address_allocated) {
        RC_FAIL("no condition: " + Describe(service));
      }
      RC_ASSERT(service.address_allocated->observed_generation == service.generation);
      continue;
    }
    ++holders;
    const std::string refusal =
        service.address_allocated ? service.address_allocated->reason : "none";
    RC_ASSERT(refusal == "none" || refusal == kRequestInvalid || refusal == kNoClusterIp);
    RC_ASSERT(pool->second == held->pool);
    RC_ASSERT(StatusAddresses(service) == held->addresses);
    for (const net::IpAddress& address : held->addresses) {
      RC_ASSERT(config_.FindPool(address)->name == held->pool);
      users[address].push_back(&service);
    }
  }
  RC_ASSERT(allocator.size() == holders);  // or some would have leaked
  for (const auto& [address, sharing] : users) {
    for (std::size_t i = 0; i < sharing.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        RC_ASSERT(MayShare(*sharing[i], *sharing[j]));
      }
    }
  }
}

// A controller that starts now finds nothing to write. So nobody was overlooked who waited.
void World::CheckRestartWritesNothing() {
  if (!pools_seen_) {
    return;  // the former one left all as it was
  }
  Restart();
  LookAtDeparted();
  pools_seen_ = !config_.pools.empty();
  for (const Action& action : reconciler_->TakeActions()) {
    if (const auto* write = std::get_if<WriteStatus>(&action)) {
      RC_FAIL("a controller that starts writes to " + Describe(*write->service) + ": " +
              Describe(*write));
    }
  }
  CheckSettled();
}

// What a relist repeats is no news.
void World::CheckRelistDoesNothing() {
  Relist();
  reconciler_->SetConfig(config_);
  RC_ASSERT(reconciler_->TakeActions().empty());
}

}  // namespace stentor::controller
