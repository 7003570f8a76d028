// SPDX-License-Identifier: Apache-2.0
#include "speaker/reconcile/slices.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <tuple>
#include <utility>

#include "absl/hash/hash.h"
#include "common/kube/resource_version.h"

namespace stentor::speaker {
namespace {

// Several API servers stamp objects, each by its own clock.
constexpr std::chrono::seconds kClocksDiffer{10};

// Names remembered for one list that is under way.
constexpr std::size_t kMaxDeleted = 256;

model::ServiceKey ServiceOf(const model::EndpointSlice& slice) {
  return {slice.key.name_space, slice.service_name};
}

}  // namespace

// --- order and identity ---

bool Slices::ByService::operator()(const Slice& a, const Slice& b) const {
  return std::tie(a.object.key.name_space, a.object.service_name, a.object.key.name) <
         std::tie(b.object.key.name_space, b.object.service_name, b.object.key.name);
}

bool Slices::ByService::operator()(const Slice& a, const SliceName& b) const {
  return std::forward_as_tuple(a.object.key.name_space, a.object.service_name,
                               std::string_view(a.object.key.name)) <
         std::tie(b.service.name_space, b.service.name, b.name);
}

bool Slices::ByService::operator()(const SliceName& a, const Slice& b) const {
  return std::tie(a.service.name_space, a.service.name, a.name) <
         std::forward_as_tuple(b.object.key.name_space, b.object.service_name,
                               std::string_view(b.object.key.name));
}

bool Slices::ByService::operator()(const Slice& a, const model::ServiceKey& b) const {
  return std::tie(a.object.key.name_space, a.object.service_name) < std::tie(b.name_space, b.name);
}

bool Slices::ByService::operator()(const model::ServiceKey& a, const Slice& b) const {
  return std::tie(a.name_space, a.name) < std::tie(b.object.key.name_space, b.object.service_name);
}

std::size_t Slices::KeyHash::operator()(const model::ObjectKey& key) const {
  return absl::Hash<model::ObjectKey>()(key);
}

// --- what is needed ---

void Slices::Want(const model::ServiceKey& service, std::optional<WallTime> created,
                  bool has_selector) {
  if (!wanted_.try_emplace(service).second) {
    return;
  }
  std::vector<model::ObjectKey> found;
  for (const auto& [key, slice] : spare_) {
    if (ServiceOf(slice) == service) {
      found.push_back(slice.key);
      Put(slice, false);
    }
  }
  for (const model::ObjectKey& key : found) {
    DropSpare(key);
  }
  (void)Refresh(service, {});
  if (MayMissSlices(service, created, has_selector)) {
    listing_[service] = {};
  }
}

bool Slices::MayMissSlices(const model::ServiceKey& service, std::optional<WallTime> created,
                           bool has_selector) const {
  return older_slices_[Mark(service)] || dropped_ageless_ ||
         (dropped_until_ &&
          (!has_selector || !created || *created <= *dropped_until_ + kClocksDiffer));
}

void Slices::Unwant(const model::ServiceKey& service) {
  if (wanted_.erase(service) == 0) {
    return;
  }
  listing_.erase(service);
  // If it comes back, it may be younger than what it has.
  older_slices_[Mark(service)] = true;
  const auto [begin, end] = kept_.equal_range(service);
  for (auto it = begin; it != end;) {
    const auto slice = it++;
    by_key_.erase(&*slice);
    changed_ = true;
    Slice dropped = std::move(kept_.extract(slice).value());
    if (!dropped.listed) {  // what only a list told, the watch may not know, nor ever remove
      Keep(std::move(dropped.object));
    }
  }
}

bool Slices::Wants(const kube::SliceHeader& header) {
  const model::ServiceKey service{header.key.name_space, header.service_name};
  if (wanted_.contains(service)) {
    return true;
  }
  if (by_key_.contains(header.key) || spare_created_.contains(header.key)) {
    return true;  // it has changed hands, or is at hand and changed
  }
  if (header.created && (!dropped_until_ || *header.created > *dropped_until_)) {
    return true;
  }
  NoteLost(service, header.created, header.by_controller);
  NoteGone(header.key);
  return false;
}

// --- the watch ---

std::vector<model::ServiceKey> Slices::Upsert(const model::EndpointSlice& slice) {
  const model::ServiceKey service = ServiceOf(slice);
  std::vector<model::ServiceKey> changed;
  const Slice* known = Find(slice.key);
  if (known != nullptr && known->object.service_name != slice.service_name) {
    changed = Delete(slice.key);
    known = nullptr;
  }
  DropSpare(slice.key);
  if (!wanted_.contains(service)) {
    NoteGone(slice.key);
    Keep(slice);
    return changed;
  }
  if (const auto listing = listing_.find(service); listing != listing_.end()) {
    listing->second.deleted.erase(slice.key.name);
  }
  if (known != nullptr && known->listed &&
      known->object.resource_version != slice.resource_version &&
      !kube::IsNewer(slice.resource_version, known->object.resource_version)) {
    return changed;  // our list was ahead; the watch will get there
  }
  const std::vector<model::Endpoint> before = EndpointsOf(service);
  Put(slice, false);
  if (Refresh(service, before)) {
    changed.push_back(service);
  }
  return changed;
}

std::vector<model::ServiceKey> Slices::Delete(const model::ObjectKey& key) {
  DropSpare(key);
  NoteGone(key);
  const Slice* const slice = Find(key);
  if (slice == nullptr) {
    return {};
  }
  const model::ServiceKey service = ServiceOf(slice->object);
  const std::vector<model::Endpoint> before = EndpointsOf(service);
  Drop(kept_.find(*slice));
  if (Refresh(service, before)) {
    return {service};
  }
  return {};
}

// A list that is under way may still tell it.
void Slices::NoteGone(const model::ObjectKey& key) {
  for (auto& [service, listing] : listing_) {
    if (!listing.under_way || service.name_space != key.name_space) {
      continue;
    }
    if (listing.deleted.size() < kMaxDeleted) {
      listing.deleted.insert(key.name);
    } else {
      listing.again = true;
    }
  }
}

void Slices::OnWatchSynced() {
  for (auto& [service, listing] : listing_) {
    listing.again = listing.again || listing.under_way;
  }
  for (const Slice& slice : kept_) {
    if (slice.listed) {
      listing_.try_emplace(ServiceOf(slice.object));
    }
  }
}

// --- our own lists ---

std::vector<model::ServiceKey> Slices::TakeToList() {
  std::vector<model::ServiceKey> due;
  for (auto& [service, listing] : listing_) {
    if (!listing.under_way && unanswered_.insert(service).second) {
      listing.under_way = true;
      due.push_back(service);
    }
  }
  return due;
}

bool Slices::OnListed(const model::ServiceKey& service,
                      const std::vector<model::EndpointSlice>& slices) {
  unanswered_.erase(service);
  const auto it = listing_.find(service);
  if (it == listing_.end() || !it->second.under_way) {
    return false;
  }
  const std::vector<model::Endpoint> before = EndpointsOf(service);
  Listing& listing = it->second;
  std::set<std::string_view> told;
  for (const model::EndpointSlice& slice : slices) {
    const Slice* const known = Find(slice.key);
    if (ServiceOf(slice) != service || listing.deleted.contains(slice.key.name) ||
        spare_created_.contains(slice.key) ||
        (known != nullptr && known->object.service_name != service.name)) {
      continue;  // the watch knows better
    }
    told.insert(slice.key.name);
    if (known == nullptr || known->listed ||
        kube::IsNewer(slice.resource_version, known->object.resource_version)) {
      Put(slice, true);
    }
  }
  const auto [begin, end] = kept_.equal_range(service);
  for (auto slice = begin; slice != end;) {
    const auto next = std::next(slice);
    if (slice->listed && !told.contains(slice->object.key.name)) {
      Drop(slice);
    }
    slice = next;
  }
  if (listing.again) {
    listing = {};
  } else {
    listing_.erase(it);
  }
  return Refresh(service, before);
}

void Slices::OnListFailed(const model::ServiceKey& service) {
  unanswered_.erase(service);
  const auto it = listing_.find(service);
  if (it != listing_.end() && it->second.under_way) {
    it->second = {};
  }
}

// --- what is at hand ---

const std::vector<model::Endpoint>& Slices::EndpointsOf(const model::ServiceKey& service) const {
  static const std::vector<model::Endpoint> kNone;
  const auto wanted = wanted_.find(service);
  if (wanted == wanted_.end()) {
    return kNone;
  }
  if (!wanted->second.empty()) {
    return wanted->second;
  }
  const auto only = kept_.lower_bound(service);
  return only != kept_.end() && ServiceOf(only->object) == service ? only->object.endpoints : kNone;
}

const Slices::Slice* Slices::Find(const model::ObjectKey& key) const {
  const auto it = by_key_.find(key);
  return it == by_key_.end() ? nullptr : *it;
}

void Slices::Put(const model::EndpointSlice& slice, bool listed) {
  if (const auto known = kept_.find(SliceName{ServiceOf(slice), slice.key.name});
      known == kept_.end()) {
    changed_ = true;
  } else {
    changed_ = changed_ || known->object.endpoints != slice.endpoints ||
               known->object.created != slice.created;
    by_key_.erase(&*known);
    kept_.erase(known);
  }
  by_key_.insert(&*kept_.insert({.object = slice, .listed = listed}).first);
}

void Slices::Drop(Kept::iterator slice) {
  by_key_.erase(&*slice);
  kept_.erase(slice);
  changed_ = true;
}

void Slices::ForEach(const std::function<void(const model::EndpointSlice&)>& visit) const {
  for (const Slice& slice : kept_) {
    visit(slice.object);
  }
}

bool Slices::Refresh(const model::ServiceKey& service, const std::vector<model::Endpoint>& before) {
  std::vector<model::Endpoint>& merged = wanted_.find(service)->second;
  merged.clear();
  const auto [begin, end] = kept_.equal_range(service);
  if (begin != end && std::next(begin) != end) {
    for (auto slice = begin; slice != end; ++slice) {
      merged.insert(merged.end(), slice->object.endpoints.begin(), slice->object.endpoints.end());
    }
    std::ranges::sort(merged);
    const auto repeated = std::ranges::unique(merged);
    merged.erase(repeated.begin(), repeated.end());
  }
  merged.shrink_to_fit();
  return EndpointsOf(service) != before;
}

void Slices::Keep(model::EndpointSlice slice) {
  if (slice.service_name.empty()) {
    return;
  }
  if (!slice.created || (dropped_until_ && *slice.created <= *dropped_until_)) {
    NoteLost(ServiceOf(slice), slice.created, slice.by_controller);
    return;
  }
  spare_endpoints_ += slice.endpoints.size();
  spare_created_[slice.key] = *slice.created;
  const SpareKey key{*slice.created, slice.key};
  spare_.emplace(key, std::move(slice));
  while (spare_.size() > limits_.slices || spare_endpoints_ > limits_.endpoints) {
    const model::EndpointSlice& oldest = spare_.begin()->second;
    dropped_until_ = oldest.created;
    NoteLost(ServiceOf(oldest), oldest.created, oldest.by_controller);
    DropSpare(model::ObjectKey(oldest.key));
  }
}

void Slices::NoteLost(const model::ServiceKey& service, std::optional<WallTime> created,
                      bool by_controller) {
  dropped_ageless_ = dropped_ageless_ || !created;
  if (!by_controller) {
    older_slices_[Mark(service)] = true;
  }
}

void Slices::DropSpare(const model::ObjectKey& key) {
  const auto created = spare_created_.find(key);
  if (created == spare_created_.end()) {
    return;
  }
  const auto slice = spare_.find({created->second, key});
  spare_endpoints_ -= slice->second.endpoints.size();
  spare_.erase(slice);
  spare_created_.erase(created);
}

// FNV-1a: the same in each run.
std::size_t Slices::Mark(const model::ServiceKey& service) {
  std::uint64_t hash = 14'695'981'039'346'656'037U;
  const auto mix = [&hash](std::string_view text) {
    for (const char c : text) {
      hash = (hash ^ static_cast<unsigned char>(c)) * 1'099'511'628'211U;
    }
  };
  mix(service.name_space);
  mix("/");
  mix(service.name);
  return static_cast<std::size_t>((hash ^ hash >> 32U) % decltype(older_slices_)().size());
}

}  // namespace stentor::speaker
