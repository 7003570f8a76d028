// SPDX-License-Identifier: Apache-2.0
#include "speaker/reconcile/slices.h"

#include <algorithm>
#include <chrono>
#include <utility>

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

// --- what is needed ---

void Slices::Want(const model::ServiceKey& service, std::optional<WallTime> created,
                  bool has_selector) {
  const auto [it, added] = wanted_.try_emplace(service);
  if (!added) {
    return;
  }
  Wanted& wanted = it->second;
  std::vector<model::ObjectKey> found;
  for (const auto& [key, slice] : spare_) {
    if (ServiceOf(slice) == service) {
      found.push_back(slice.key);
      Put(service, wanted, slice, false);
    }
  }
  for (const model::ObjectKey& key : found) {
    DropSpare(key);
  }
  (void)Refresh(wanted);
  if (MayMissSlices(service, created, has_selector)) {
    RequestList(service, wanted);
  }
}

bool Slices::MayMissSlices(const model::ServiceKey& service, std::optional<WallTime> created,
                           bool has_selector) const {
  return older_slices_[Mark(service)] || dropped_ageless_ ||
         (dropped_until_ &&
          (!has_selector || !created || *created <= *dropped_until_ + kClocksDiffer));
}

void Slices::Unwant(const model::ServiceKey& service) {
  const auto it = wanted_.find(service);
  if (it == wanted_.end()) {
    return;
  }
  std::map<std::string, Slice> slices = std::move(it->second.slices);
  wanted_.erase(it);
  listing_.erase(service);
  // If it comes back, it may be younger than what it has.
  older_slices_[Mark(service)] = true;
  for (auto& [name, slice] : slices) {
    owners_.erase(slice.object.key);
    changed_.insert(slice.object.key);
    if (!slice.listed) {  // what only a list told, the watch may not know, nor ever remove
      Keep(std::move(slice.object));
    }
  }
}

bool Slices::Wants(const kube::SliceHeader& header) {
  const model::ServiceKey service{header.key.name_space, header.service_name};
  if (wanted_.contains(service)) {
    return true;
  }
  if (!header.by_controller) {
    older_slices_[Mark(service)] = true;
  }
  if (owners_.contains(header.key) || spare_created_.contains(header.key)) {
    return true;  // it has changed hands, or is at hand and changed
  }
  if (header.created && (!dropped_until_ || *header.created > *dropped_until_)) {
    return true;
  }
  dropped_ageless_ = dropped_ageless_ || !header.created;
  NoteGone(header.key);
  return false;
}

// --- the watch ---

std::vector<model::ServiceKey> Slices::Upsert(const model::EndpointSlice& slice) {
  const model::ServiceKey service = ServiceOf(slice);
  std::vector<model::ServiceKey> changed;
  if (const auto owner = owners_.find(slice.key);
      owner != owners_.end() && owner->second != service) {
    changed = Delete(slice.key);
  }
  const auto it = wanted_.find(service);
  DropSpare(slice.key);
  if (it == wanted_.end()) {
    NoteGone(slice.key);
    Keep(slice);
    return changed;
  }
  Wanted& wanted = it->second;
  wanted.deleted.erase(slice.key.name);
  const auto known = wanted.slices.find(slice.key.name);
  if (known != wanted.slices.end() && known->second.listed &&
      known->second.object.resource_version != slice.resource_version &&
      !kube::IsNewer(slice.resource_version, known->second.object.resource_version)) {
    return changed;  // our list was ahead; the watch will get there
  }
  Put(service, wanted, slice, false);
  if (Refresh(wanted)) {
    changed.push_back(service);
  }
  return changed;
}

std::vector<model::ServiceKey> Slices::Delete(const model::ObjectKey& key) {
  DropSpare(key);
  NoteGone(key);
  const auto owner = owners_.find(key);
  if (owner == owners_.end()) {
    return {};
  }
  const model::ServiceKey service = owner->second;
  owners_.erase(owner);
  changed_.insert(key);
  Wanted& wanted = wanted_.find(service)->second;
  wanted.slices.erase(key.name);
  if (Refresh(wanted)) {
    return {service};
  }
  return {};
}

// A list that is under way may still tell it.
void Slices::NoteGone(const model::ObjectKey& key) {
  for (const model::ServiceKey& service : listing_) {
    Wanted& wanted = wanted_.find(service)->second;
    if (wanted.listing != Listing::kUnderWay || service.name_space != key.name_space) {
      continue;
    }
    if (wanted.deleted.size() < kMaxDeleted) {
      wanted.deleted.insert(key.name);
    } else {
      wanted.again = true;
    }
  }
}

void Slices::OnWatchSynced() {
  for (auto& [service, wanted] : wanted_) {
    const bool listed =
        std::ranges::any_of(wanted.slices, [](const auto& entry) { return entry.second.listed; });
    if (wanted.listing == Listing::kUnderWay) {
      wanted.again = true;
    } else if (listed) {
      RequestList(service, wanted);
    }
  }
}

// --- our own lists ---

void Slices::RequestList(const model::ServiceKey& service, Wanted& wanted) {
  wanted.listing = Listing::kDue;
  wanted.again = false;
  wanted.deleted.clear();
  listing_.insert(service);
}

std::vector<model::ServiceKey> Slices::TakeToList() {
  std::vector<model::ServiceKey> due;
  for (const model::ServiceKey& service : listing_) {
    Wanted& wanted = wanted_.find(service)->second;
    if (wanted.listing == Listing::kDue && unanswered_.insert(service).second) {
      wanted.listing = Listing::kUnderWay;
      due.push_back(service);
    }
  }
  return due;
}

bool Slices::OnListed(const model::ServiceKey& service,
                      const std::vector<model::EndpointSlice>& slices) {
  unanswered_.erase(service);
  const auto it = wanted_.find(service);
  if (it == wanted_.end() || it->second.listing != Listing::kUnderWay) {
    return false;
  }
  Wanted& wanted = it->second;
  std::set<std::string> told;
  for (const model::EndpointSlice& slice : slices) {
    const auto owner = owners_.find(slice.key);
    if (ServiceOf(slice) != service || wanted.deleted.contains(slice.key.name) ||
        spare_created_.contains(slice.key) ||
        (owner != owners_.end() && owner->second != service)) {
      continue;  // the watch knows better
    }
    told.insert(slice.key.name);
    const auto known = wanted.slices.find(slice.key.name);
    if (known == wanted.slices.end() || known->second.listed ||
        kube::IsNewer(slice.resource_version, known->second.object.resource_version)) {
      Put(service, wanted, slice, true);
    }
  }
  std::erase_if(wanted.slices, [&](const auto& entry) {
    const bool gone = entry.second.listed && !told.contains(entry.first);
    if (gone) {
      owners_.erase(entry.second.object.key);
      changed_.insert(entry.second.object.key);
    }
    return gone;
  });
  if (wanted.again) {
    RequestList(service, wanted);
  } else {
    wanted.listing = Listing::kNone;
    wanted.deleted.clear();
    listing_.erase(service);
  }
  return Refresh(wanted);
}

void Slices::OnListFailed(const model::ServiceKey& service) {
  unanswered_.erase(service);
  const auto it = wanted_.find(service);
  if (it != wanted_.end() && it->second.listing == Listing::kUnderWay) {
    RequestList(service, it->second);
  }
}

// --- what is at hand ---

const std::vector<model::Endpoint>& Slices::EndpointsOf(const model::ServiceKey& service) const {
  static const std::vector<model::Endpoint> kNone;
  const auto it = wanted_.find(service);
  return it == wanted_.end() ? kNone : it->second.endpoints;
}

void Slices::Put(const model::ServiceKey& service, Wanted& wanted,
                 const model::EndpointSlice& slice, bool listed) {
  wanted.slices[slice.key.name] = {.object = slice, .listed = listed};
  owners_[slice.key] = service;
  changed_.insert(slice.key);
}

std::vector<std::pair<model::ObjectKey, const model::EndpointSlice*>> Slices::TakeChanges() {
  std::vector<std::pair<model::ObjectKey, const model::EndpointSlice*>> changes;
  for (const model::ObjectKey& key : std::exchange(changed_, {})) {
    const auto owner = owners_.find(key);
    changes.emplace_back(
        key, owner == owners_.end()
                 ? nullptr
                 : &wanted_.find(owner->second)->second.slices.find(key.name)->second.object);
  }
  return changes;
}

bool Slices::Refresh(Wanted& wanted) {
  std::vector<model::Endpoint> all;
  for (const auto& [name, slice] : wanted.slices) {
    all.insert(all.end(), slice.object.endpoints.begin(), slice.object.endpoints.end());
  }
  std::ranges::sort(all);
  const auto repeated = std::ranges::unique(all);
  all.erase(repeated.begin(), repeated.end());
  if (all == wanted.endpoints) {
    return false;
  }
  wanted.endpoints = std::move(all);
  return true;
}

void Slices::Keep(model::EndpointSlice slice) {
  if (slice.service_name.empty()) {
    return;
  }
  if (!slice.created) {
    dropped_ageless_ = true;
    return;
  }
  if (dropped_until_ && *slice.created <= *dropped_until_) {
    return;
  }
  spare_endpoints_ += slice.endpoints.size();
  spare_created_[slice.key] = *slice.created;
  const SpareKey key{*slice.created, slice.key};
  spare_.emplace(key, std::move(slice));
  while (spare_.size() > limits_.slices || spare_endpoints_ > limits_.endpoints) {
    const SpareKey oldest = spare_.begin()->first;
    dropped_until_ = oldest.first;
    DropSpare(oldest.second);
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
