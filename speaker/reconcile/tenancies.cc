// SPDX-License-Identifier: Apache-2.0
#include "speaker/reconcile/tenancies.h"

#include <algorithm>
#include <limits>

namespace stentor::speaker {
namespace {

// Never where it is too far away to be counted.
std::optional<TimePoint> After(TimePoint since, Duration delay) {
  return delay < TimePoint::max() - since ? std::optional(since + delay) : std::nullopt;
}

}  // namespace

std::uint32_t Tenancies::EpochOf(AddressKey address) const {
  const auto it = tenancies_.find(address);
  return it == tenancies_.end() ? 0 : it->second.epoch;
}

void Tenancies::Win(AddressKey address, const model::ServiceKey& service,
                    const std::function<std::uint32_t(AddressKey)>& highest_epoch) {
  const auto it = tenancies_.find(address);
  if (it != tenancies_.end()) {
    it->second.services.insert(service);
  } else if (tenancies_.size() < kMaxClaims) {
    const std::uint32_t highest = highest_epoch ? highest_epoch(address) : 0;
    const bool any_left = highest < std::numeric_limits<std::uint32_t>::max();
    tenancies_.try_emplace(
        address, Tenancy{.epoch = any_left ? highest + 1 : highest, .services = {service}});
    changed_ = true;
  }
}

void Tenancies::Release(AddressKey address, const model::ServiceKey& service) {
  const auto it = tenancies_.find(address);
  if (it != tenancies_.end() && it->second.services.erase(service) > 0 &&
      it->second.services.empty()) {
    Drop(it);
  }
}

void Tenancies::GiveBack(AddressKey address) {
  if (const auto it = tenancies_.find(address); it != tenancies_.end()) {
    Drop(it);
  }
}

Tenancies::Wait Tenancies::Await(AddressKey address, std::string_view preferred,
                                 config::FailBackDelay delay, const Losses& losses, TimePoint now) {
  const auto it = tenancies_.find(address);
  if (it == tenancies_.end()) {
    return {};
  }
  Tenancy& tenancy = it->second;
  const bool began = tenancy.preferred != preferred;
  if (began) {
    tenancy.preferred = preferred;
    tenancy.since = now;
  }
  const Duration damped = losses.Damped(preferred, delay, tenancy.since);
  const auto until = After(tenancy.since, damped);
  SetDeadline(address, tenancy, until);
  Wait wait{.state = began ? WaitState::kBegan : WaitState::kGoesOn};
  if (until) {
    wait.delay = damped;
    wait.state = *until <= now ? WaitState::kOver : wait.state;
  }
  return wait;
}

void Tenancies::AwaitNobody(AddressKey address) {
  const auto it = tenancies_.find(address);
  if (it != tenancies_.end() && !it->second.preferred.empty()) {
    it->second.preferred.clear();
    SetDeadline(address, it->second, std::nullopt);
  }
}

std::vector<model::ServiceKey> Tenancies::Due(TimePoint now) const {
  std::vector<model::ServiceKey> due;
  for (auto it = deadlines_.begin(); it != deadlines_.end() && it->first <= now; ++it) {
    const std::set<model::ServiceKey>& services = tenancies_.find(it->second)->second.services;
    due.insert(due.end(), services.begin(), services.end());
  }
  return due;
}

std::optional<TimePoint> Tenancies::NextDeadline() const {
  return deadlines_.empty() ? std::nullopt : std::optional(deadlines_.begin()->first);
}

void Tenancies::Publish() {
  if (!std::exchange(changed_, false)) {
    return;
  }
  published_.clear();
  for (const auto& [address, tenancy] : tenancies_) {
    published_.push_back({.address = address, .epoch = tenancy.epoch});
  }
}

void Tenancies::SetDeadline(AddressKey address, Tenancy& tenancy,
                            std::optional<TimePoint> deadline) {
  if (tenancy.deadline == deadline) {
    return;
  }
  if (tenancy.deadline) {
    deadlines_.erase({*tenancy.deadline, address});
  }
  if (deadline) {
    deadlines_.emplace(*deadline, address);
  }
  tenancy.deadline = deadline;
}

void Tenancies::Drop(ByAddress::iterator it) {
  SetDeadline(it->first, it->second, std::nullopt);
  tenancies_.erase(it);
  changed_ = true;
}

}  // namespace stentor::speaker
