// SPDX-License-Identifier: Apache-2.0
#include "controller/reconcile/reconciler.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "common/base/strings.h"
#include "controller/reconcile/convergence.h"
#include "controller/reconcile/service_wish.h"

namespace stentor::controller {
namespace {

using SharedService = std::shared_ptr<const model::Service>;

// resourceVersions are opaque by contract and numbers in practice, which grow from one change of
// any Service to the next. Where both are, what is newer (the answer to our own write, a Service
// that was made anew) is not replaced by what another connection brings late.
bool IsOlder(const model::Service& a, const model::Service& b) {
  const auto number = [](const std::string& text) -> std::optional<std::uint64_t> {
    std::uint64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto result = std::from_chars(text.data(), end, value);
    return result.ec == std::errc() && result.ptr == end ? std::optional(value) : std::nullopt;
  };
  const auto x = number(a.resource_version);
  const auto y = number(b.resource_version);
  return x && y && *x < *y;
}

std::vector<std::string> Texts(std::span<const net::IpAddress> addresses) {
  std::vector<std::string> out;
  for (const net::IpAddress& address : addresses) {
    out.push_back(address.ToString());
  }
  return out;
}

std::optional<model::PoolName> PoolAnnotation(const model::Service& service) {
  const auto it = service.annotations.find(kAllocatedFromAnnotation);
  return it == service.annotations.end() ? std::nullopt : std::optional(it->second);
}

// Whether `held` is what the Service asks for now, or it may keep it all the same: when it is
// settled it gives up anything else.
bool MeetsWishes(const model::Service& service, const Allocation& held) {
  const Families families = FamiliesOf(held.addresses);
  const Families wanted = ClusterFamilies(service);
  const auto pool = RequestedPool(service);
  const auto requested = RequestedAddresses(service);
  return (families == wanted ||
          (wanted == Families::kDual && service.ip_family_policy == "PreferDualStack")) &&
         (!pool || *pool == held.pool) &&
         (!requested.ok() || requested->empty() ||
          std::ranges::is_permutation(*requested, held.addresses));
}

}  // namespace

class Reconciler::Impl {
 public:
  explicit Impl(ReconcilerOptions options) : options_(std::move(options)) {}

  void Upsert(model::Service service);
  void Delete(const model::ServiceKey& key);
  void SetConfig(config::Config config);
  void NamespaceChanged(const std::string& name);
  void OnWriteDone(std::uint64_t id, const model::ServiceKey& key,
                   std::optional<model::Service> updated);
  void OnWriteFailed(std::uint64_t id, const model::ServiceKey& key, WriteFailure failure);
  std::vector<Action> TakeActions();
  [[nodiscard]] bool Started() const { return started_; }

  std::map<std::string, model::Labels, std::less<>> namespaces;
  bool services_synced = false;
  bool namespaces_synced = false;
  std::set<model::ServiceKey> due;
  std::set<model::ServiceKey> waiting;
  AddressAllocator allocator;

 private:
  struct Record {
    SharedService service;
    bool mine = false;                 // was of our class at some time
    std::uint64_t write = 0;           // under way; 0: none
    std::string written_version;       // resourceVersion that the write was based on
    std::string refused_version;       // a write on this one met a conflict: wait for a newer one
    std::vector<std::string> ingress;  // what the status should show
    std::optional<model::PoolName> pool;
    std::vector<Remark> remarks;  // as they were said last
    bool deprecation_told = false;
  };

  void ApplyConfig();
  void AdoptClaims();
  void Settle(const model::ServiceKey& key);
  [[nodiscard]] bool IsOfClass(const model::Service& service) const;
  [[nodiscard]] bool IsOurLeftover(const Record& record) const;
  [[nodiscard]] bool MayBeOfMissingPool(const Record& record) const;
  [[nodiscard]] const model::Labels* LabelsOfNamespace(const std::string& name) const;
  void Publish(const model::ServiceKey& key, Record& record, const Standing& standing);
  void Report(Record& record, const Standing& standing);
  void WriteIfNeeded(Record& record);

  const ReconcilerOptions options_;
  std::optional<config::Config> config_;
  std::optional<config::Config> next_config_;  // not in force yet
  bool started_ = false;
  // Claims have been adopted. Until a first pool is seen, all is left as it is: whoever restores
  // a cluster, or changes over to this controller, may bring the pools after it.
  bool adopted_ = false;
  bool unclaimed_in_pools_ = false;  // a claim failed whose addresses are in known pools
  std::map<model::ServiceKey, Record> records_;
  std::uint64_t next_write_ = 1;
  std::uint64_t seen_availability_ = 0;
  std::vector<Action> actions_;
};

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
  records_[key].service = std::make_shared<const model::Service>(std::move(service));
  due.insert(key);
}

void Reconciler::Impl::Delete(const model::ServiceKey& key) {
  const auto record = records_.find(key);
  if (record == records_.end()) {
    return;
  }
  records_.erase(record);
  due.erase(key);
  waiting.erase(key);
  const auto held = allocator.Find(key);
  if (allocator.Release(key)) {
    actions_.push_back(LogFact{.kind = FactKind::kReleased,
                               .service = key,
                               .addresses = Texts(held->addresses),
                               .pool = held->pool,
                               .message = "service deleted"});
  }
}

void Reconciler::Impl::SetConfig(config::Config config) { next_config_ = std::move(config); }

// Puts the next configuration in force, once all that it selects by is known: before the labels of
// namespaces are, every Service would seem to be out of place.
void Reconciler::Impl::ApplyConfig() {
  if (!next_config_ || (!namespaces_synced && next_config_->SelectsByNamespaceLabels())) {
    return;
  }
  std::optional<config::Config> next = std::exchange(next_config_, std::nullopt);
  if (config_ == next) {
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
    }
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
  it->second.write = 0;
  if (failure == WriteFailure::kConflict && !it->second.service->IsLoadBalancer() &&
      it->second.service->resource_version == it->second.written_version) {
    records_.erase(it);  // no watch brings what is true now: whoever asks gives it to Upsert()
  } else if (failure == WriteFailure::kConflict) {
    it->second.refused_version = it->second.written_version;
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
          (options_.load_balancer_class.empty() && !service.ingress_ips.empty()));
}

// It has had its address since before we started and could not claim it, and a pool that can't be
// read at the moment may be the reason: it is left alone, until the pool is there or known not to
// be. So is whoever waits for an address, where it could get one that such a Service still shows.
bool Reconciler::Impl::MayBeOfMissingPool(const Record& record) const {
  if (!config_->pools_may_be_missing || allocator.Find(record.service->key)) {
    return false;
  }
  return record.service->ingress_ips.empty() ? unclaimed_in_pools_ : record.ingress.empty();
}

const model::Labels* Reconciler::Impl::LabelsOfNamespace(const std::string& name) const {
  const auto it = namespaces.find(name);
  return it == namespaces.end() ? nullptr : &it->second;
}

// Before anything new is given out, whoever has an address in its status gets it back: those with
// more addresses first, then by name.
void Reconciler::Impl::AdoptClaims() {
  unclaimed_in_pools_ = false;
  std::vector<const Record*> claims;
  for (const auto& [key, record] : records_) {
    if (!record.service->ingress_ips.empty() && !allocator.Find(key) &&
        record.service->IsLoadBalancer() && IsOfClass(*record.service) &&
        ClusterFamilies(*record.service) != Families::kUnknown) {
      claims.push_back(&record);
    }
  }
  std::ranges::sort(claims, [](const Record* a, const Record* b) {
    const std::size_t x = a->service->ingress_ips.size();
    const std::size_t y = b->service->ingress_ips.size();
    return x != y ? x > y : a->service->key < b->service->key;
  });
  for (const Record* record : claims) {
    const model::Service& service = *record->service;
    // A claim that can't be kept is dealt with, and told of, when the Service is settled.
    const AddressList shown = StatusAddresses(service);
    const auto claimed =
        allocator.Claim(MakeRequest(service, {}, LabelsOfNamespace(service.key.name_space)), shown);
    if (!claimed.ok() && std::ranges::any_of(shown, [this](const net::IpAddress& address) {
          return config_->FindPool(address) != nullptr;
        })) {
      unclaimed_in_pools_ = true;
    }
    if (claimed.ok() && !MeetsWishes(service, *claimed)) {
      allocator.Release(service.key);  // or whoever got it already would lose it
    }
  }
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
    for (const model::ServiceKey& key : std::exchange(due, {})) {
      Settle(key);
    }
    // What came free may be what others wait for. They only take, so one round is enough.
    if (std::exchange(seen_availability_, allocator.Availability()) != allocator.Availability()) {
      for (const model::ServiceKey& key : std::set(waiting)) {
        Settle(key);
      }
      seen_availability_ = allocator.Availability();
    }
  }
  return std::exchange(actions_, {});
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
    Publish(
        key, record,
        Converge(allocator, service, LabelsOfNamespace(key.name_space), !config_->pools.empty()));
  } else if (IsOurLeftover(record)) {
    record.mine = false;
    allocator.Release(key);
    Publish(key, record, {});
  } else {
    allocator.Release(key);  // somebody else's
    waiting.erase(key);
    if (!service.IsLoadBalancer()) {
      records_.erase(it);  // nothing is left to do; nobody might tell that it was deleted
    }
  }
}

void Reconciler::Impl::Publish(const model::ServiceKey& key, Record& record,
                               const Standing& standing) {
  const bool lacks_second_family =
      !standing.remarks.empty() &&
      standing.remarks.back().reason == std::string_view("AdditionalAssignFailed");
  if ((standing.wants_address && !standing.allocation) || lacks_second_family) {
    waiting.insert(key);
  } else {
    waiting.erase(key);
  }
  Report(record, standing);
  record.ingress.clear();
  record.pool.reset();
  if (standing.allocation) {
    record.ingress = Texts(standing.allocation->addresses);
    record.pool = standing.allocation->pool;
  }
  WriteIfNeeded(record);
}

// Says what is new: the same words twice in a row are said once.
void Reconciler::Impl::Report(Record& record, const Standing& standing) {
  const model::ServiceKey& key = record.service->key;
  const std::vector<std::string> addresses =
      standing.allocation ? Texts(standing.allocation->addresses) : std::vector<std::string>{};
  for (const Remark& remark : standing.remarks) {
    if (std::ranges::find(record.remarks, remark) != record.remarks.end()) {
      continue;
    }
    actions_.push_back(EmitEvent{.service = record.service,
                                 .type = remark.warning ? EventType::kWarning : EventType::kNormal,
                                 .reason = std::string(remark.reason),
                                 .message = remark.message});
    const bool allocated = remark.reason == std::string_view("IPAllocated");
    if (allocated || remark.warning) {
      actions_.push_back(
          LogFact{.kind = allocated ? FactKind::kAllocated : FactKind::kAllocationFailed,
                  .service = key,
                  .addresses = addresses,
                  .pool = standing.allocation ? standing.allocation->pool : "",
                  .message = remark.message});
    }
  }
  if (!standing.remarks.empty() || !standing.allocation || addresses != record.ingress) {
    record.remarks = standing.remarks;
  }
  if (!standing.allocation && !record.ingress.empty()) {
    actions_.push_back(LogFact{
        .kind = FactKind::kReleased,
        .service = key,
        .addresses = record.ingress,
        .pool = record.pool.value_or(""),
        .message = standing.failure.empty() ? "no load balancer any more" : standing.failure});
  }
}

void Reconciler::Impl::WriteIfNeeded(Record& record) {
  const model::Service& service = *record.service;
  if ((record.ingress == service.ingress_ips && record.pool == PoolAnnotation(service)) ||
      service.resource_version == record.refused_version) {
    return;
  }
  if (!std::exchange(record.deprecation_told, true)) {
    for (const std::string& key : DeprecatedAnnotations(service)) {
      const std::string name = key.substr(key.find('/') + 1);
      actions_.push_back(EmitEvent{
          .service = record.service,
          .type = EventType::kWarning,
          .reason = "deprecatedAnnotation",
          .message = StrCat("Service ", service.key.ToString(), " uses the deprecated annotation ",
                            key, ", use metallb.io/", name, " instead")});
    }
  }
  record.write = next_write_++;
  record.written_version = service.resource_version;
  actions_.push_back(WriteStatus{.id = record.write,
                                 .service = record.service,
                                 .ingress_ips = record.ingress,
                                 .pool = record.pool});
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
