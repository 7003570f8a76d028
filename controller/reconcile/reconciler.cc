// SPDX-License-Identifier: Apache-2.0
#include "controller/reconcile/reconciler.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/base/strings.h"
#include "common/kube/resource_version.h"
#include "controller/reconcile/convergence.h"
#include "controller/reconcile/reconciler_impl.h"
#include "controller/reconcile/service_wish.h"

namespace stentor::controller {
namespace {

// What is newer (the answer to our own write, a Service that was made anew) is not replaced by what
// another connection brings late. Versions grow from one change of any Service to the next.
bool IsOlder(const model::Service& a, const model::Service& b) {
  const auto order = kube::CompareVersions(a.resource_version, b.resource_version);
  return order && *order < 0;
}

}  // namespace

// --- inputs ---

void Reconciler::Impl::Upsert(model::Service service) {
  const model::ServiceKey key = service.key;
  if (const auto known = records_.find(key); known != records_.end()) {
    const model::Service& before = *known->second.service;
    if (IsOlder(service, before)) {
      return;
    }
    if (before.uid != service.uid) {
      Delete(key);  // another object of that name: a list can hide that the former one went
    } else if (before.resource_version == service.resource_version) {
      return;
    }
  }
  Entry& entry = *records_.try_emplace(key).first;
  Record& record = entry.second;
  record.service = std::make_shared<const model::Service>(std::move(service));
  if (record.service->resource_version != record.written_version) {
    record.unconfirmed.clear();  // it was stored and is in this one, or can't be stored any more
  }
  SetShown(entry, MayShow(record, StatusAddresses(*record.service)));
  due.insert(key);
}

void Reconciler::Impl::Delete(const model::ServiceKey& key) {
  const auto record = records_.find(key);
  if (record == records_.end()) {
    return;
  }
  const auto held = allocator.Find(key);
  if (allocator.Release(key)) {
    actions_.push_back(LogFact{.kind = FactKind::kReleased,
                               .service = key,
                               .addresses = Texts(held->addresses),
                               .pool = held->pool,
                               .message = "service deleted"});
  }
  Forget(record);
}

void Reconciler::Impl::Forget(Records::iterator record) {
  const model::ServiceKey key = record->first;
  shown_.StopWaiting(key, record->second.blocked_on);
  SetShown(*record, {});
  EnterDemand(*record, false);
  records_.erase(record);
  due.erase(key);
  waiting.erase(key);
  to_write_.erase(key);
}

void Reconciler::Impl::SetConfig(config::Config config) { next_config_ = std::move(config); }

// Puts the next configuration in force, once all that it selects by is known: before the labels of
// namespaces are, every Service would seem to be out of place.
void Reconciler::Impl::ApplyConfig() {
  if (!next_config_ || (!namespaces_synced && next_config_->SelectsByNamespaceLabels())) {
    return;
  }
  std::optional<config::Config> next = std::exchange(next_config_, std::nullopt);
  if (config_ && config_->pools == next->pools &&
      config_->pools_may_be_missing == next->pools_may_be_missing) {
    return;
  }
  const bool pools_were_missing = config_ && config_->pools_may_be_missing;
  config_ = std::move(next);
  allocator.SetPools(config_->pools);
  if (started_ && pools_were_missing) {
    AdoptClaims();  // of those who were left alone: before what they have is given to others
  }
  for (const auto& [key, record] : records_) {
    due.insert(key);
  }
}

void Reconciler::Impl::NamespaceChanged(const std::string& name) {
  for (auto it = records_.lower_bound({name, ""});
       it != records_.end() && it->first.name_space == name; ++it) {
    due.insert(it->first);
  }
}

void Reconciler::Impl::OnWriteDone(std::uint64_t id, const model::ServiceKey& key,
                                   std::optional<model::Service> updated) {
  const auto it = records_.find(key);
  if (it == records_.end() || it->second.write != id) {
    return;
  }
  Record& record = it->second;
  record.write = 0;
  if (updated && updated->key == key) {
    if (!IsOlder(*updated, *record.service)) {
      record.service = std::make_shared<const model::Service>(*std::move(updated));
      record.unconfirmed.clear();
      // What we wrote, not what became of it: nobody is to wait for what others put back.
      SetShown(*it, MayShow(record, AddressesIn(record.written->ingress)));
      if (ContentOf(*record.service) == *record.written) {
        record.written.reset();
      } else {
        record.altered_version = record.service->resource_version;
      }
    }
  } else if (!record.service->IsLoadBalancer() &&
             record.service->resource_version == record.written_version) {
    allocator.Release(key);
    Forget(it);  // it is cleared, and no watch brings it
    return;
  } else if (record.service->resource_version == record.written_version) {
    record.refused_version = record.written_version;  // the watch will bring what is there now
  }
  due.insert(key);
}

void Reconciler::Impl::OnWriteFailed(std::uint64_t id, const model::ServiceKey& key,
                                     WriteFailure failure) {
  const auto it = records_.find(key);
  if (it == records_.end() || it->second.write != id) {
    return;
  }
  Record& record = it->second;
  record.write = 0;
  if (failure == WriteFailure::kConflict && !record.service->IsLoadBalancer() &&
      record.service->resource_version == record.written_version) {
    allocator.Release(key);
    Forget(it);  // no watch brings what is true now: whoever asks gives it to Upsert()
  } else if (failure == WriteFailure::kConflict) {
    record.refused_version = record.written_version;
    due.insert(key);  // a newer one may have come while the write was under way
  }
}

// --- reconciling ---

bool Reconciler::Impl::IsOfClass(const model::Service& service) const {
  return options_.load_balancer_class.empty()
             ? !service.load_balancer_class.has_value()
             : service.load_balancer_class == options_.load_balancer_class;
}

// Not a load balancer (any more), but with traces of ours: they are to be cleared.
bool Reconciler::Impl::IsOurLeftover(const Record& record) const {
  const model::Service& service = *record.service;
  return !service.IsLoadBalancer() &&
         (record.mine || PoolAnnotation(service).has_value() ||
          service.address_allocated.has_value() ||
          (options_.load_balancer_class.empty() && !service.ingress_ips.empty()));
}

// It has had its address since before we started and could not claim it, and a pool that can't be
// read at the moment may be the reason: it is left alone, until the pool is there or known not to
// be. So is whoever waits for an address, where it could get one that such a Service still shows.
bool Reconciler::Impl::MayBeOfMissingPool(const Record& record) const {
  if (!config_->pools_may_be_missing || allocator.Find(record.service->key)) {
    return false;
  }
  return record.service->ingress_ips.empty() ? unclaimed_in_pools_ : record.wanted.ingress.empty();
}

const model::Labels* Reconciler::Impl::LabelsOfNamespace(const std::string& name) const {
  const auto it = namespaces.find(name);
  return it == namespaces.end() ? nullptr : &it->second;
}

void Reconciler::Impl::AdoptClaims() {
  std::vector<const model::Service*> claims;
  for (const auto& [key, record] : records_) {
    if (!record.service->ingress_ips.empty() && !allocator.Find(key) &&
        record.service->IsLoadBalancer() && IsOfClass(*record.service)) {
      claims.push_back(record.service.get());
    }
  }
  // A claim that can't be kept is dealt with, and told of, when the Service is settled.
  const auto refused =
      controller::AdoptClaims(allocator, std::move(claims),
                              [this](const std::string& name) { return LabelsOfNamespace(name); });
  unclaimed_in_pools_ = std::ranges::any_of(refused, [this](const model::Service* service) {
    return std::ranges::any_of(StatusAddresses(*service), [this](const net::IpAddress& address) {
      return config_->FindPool(address) != nullptr;
    });
  });
}

std::vector<Action> Reconciler::Impl::TakeActions() {
  ApplyConfig();
  started_ = config_.has_value() && services_synced;
  if (started_ && !adopted_ && !config_->pools.empty()) {
    adopted_ = true;
    AdoptClaims();
    seen_availability_ = allocator.Availability();
  }
  if (adopted_) {
    SettleDue();
    // What came free may be what others wait for. They only take, so one round is enough.
    if (std::exchange(seen_availability_, allocator.Availability()) != allocator.Availability()) {
      due.insert(waiting.begin(), waiting.end());
      SettleDue();
      seen_availability_ = allocator.Availability();
    }
    WriteSettled();
  }
  return std::exchange(actions_, {});
}

// In order; whoever is settled may make others due.
void Reconciler::Impl::SettleDue() {
  while (!due.empty()) {
    Settle(due.extract(due.begin()).value());
  }
}

// Writes come after all is settled: only then it is known who gives up what. One who has to wait
// may make others due, who then give up what they are waited for.
void Reconciler::Impl::WriteSettled() {
  while (!to_write_.empty()) {
    for (const model::ServiceKey& key : std::exchange(to_write_, {})) {
      WriteIfNeeded(*records_.find(key));
    }
    SettleDue();
  }
}

void Reconciler::Impl::Settle(const model::ServiceKey& key) {
  const auto it = records_.find(key);
  if (it == records_.end()) {
    return;
  }
  Record& record = it->second;
  if (record.write != 0) {
    return;  // its end makes the Service due again
  }
  const model::Service& service = *record.service;
  if (service.IsLoadBalancer() && IsOfClass(service)) {
    record.mine = true;
    if (MayBeOfMissingPool(record)) {
      return;
    }
    Publish(*it, Converge(allocator, service, LabelsOfNamespace(key.name_space),
                          !config_->pools.empty()));
  } else if (IsOurLeftover(record)) {
    allocator.Release(key);
    Publish(*it, {});
    if (ContentOf(service) == Content{}) {
      Forget(it);  // nothing is left to do; nobody might tell that it was deleted
    }
  } else {
    allocator.Release(key);  // somebody else's
    waiting.erase(key);
    EnterDemand(*it, false);
    if (!service.IsLoadBalancer()) {
      Forget(it);
    }
  }
}

// --- the public face ---

Reconciler::Reconciler(ReconcilerOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
Reconciler::~Reconciler() = default;

void Reconciler::UpsertService(model::Service service) { impl_->Upsert(std::move(service)); }
void Reconciler::DeleteService(const model::ServiceKey& key) { impl_->Delete(key); }
void Reconciler::ServicesSynced() { impl_->services_synced = true; }
void Reconciler::NamespacesSynced() { impl_->namespaces_synced = true; }
void Reconciler::SetConfig(config::Config config) { impl_->SetConfig(std::move(config)); }

void Reconciler::UpsertNamespace(const std::string& name, model::Labels labels) {
  model::Labels& known = impl_->namespaces[name];
  if (known != labels) {
    known = std::move(labels);
    impl_->NamespaceChanged(name);
  }
}

void Reconciler::DeleteNamespace(const std::string& name) {
  if (impl_->namespaces.erase(name) > 0) {
    impl_->NamespaceChanged(name);
  }
}

void Reconciler::OnWriteDone(std::uint64_t id, const model::ServiceKey& key,
                             std::optional<model::Service> updated) {
  impl_->OnWriteDone(id, key, std::move(updated));
}

void Reconciler::OnWriteFailed(std::uint64_t id, const model::ServiceKey& key,
                               WriteFailure failure) {
  impl_->OnWriteFailed(id, key, failure);
}

void Reconciler::Retry(const model::ServiceKey& key) { impl_->due.insert(key); }
std::vector<Action> Reconciler::TakeActions() { return impl_->TakeActions(); }
bool Reconciler::Started() const { return impl_->Started(); }
std::size_t Reconciler::WaitingCount() const { return impl_->waiting.size(); }
const AddressAllocator& Reconciler::Allocator() const { return impl_->allocator; }

}  // namespace stentor::controller
