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
  auto it = tenancies_.find(address);
  if (it == tenancies_.end()) {
    given_back_.erase(address);
    if (tenancies_.size() >= kMaxClaims) {
      return;
    }
    const std::uint32_t highest = highest_epoch ? highest_epoch(address) : 0;
    const bool any_left = highest < std::numeric_limits<std::uint32_t>::max();
    it = tenancies_.try_emplace(address, Tenancy{.epoch = any_left ? highest + 1 : highest}).first;
    changed_ = true;
  }
  if (const auto held = it->second.services.find(service);
      held == it->second.services.end() || held->second.holding != Holding::kWon) {
    Set(it, service, {});
  }
}

void Tenancies::Rest(AddressKey address, const model::ServiceKey& service) {
  const auto it = tenancies_.find(address);
  if (it == tenancies_.end()) {
    return;
  }
  if (const auto held = it->second.services.find(service);
      held != it->second.services.end() && held->second.holding != Holding::kLost) {
    Set(it, service, {.holding = Holding::kRests});
    Review(it);
  }
}

void Tenancies::Lose(AddressKey address, const model::ServiceKey& service) {
  if (const auto it = tenancies_.find(address); it != tenancies_.end()) {
    Set(it, service, {.holding = Holding::kLost});
    Review(it);
  }
}

void Tenancies::Release(AddressKey address, const model::ServiceKey& service, TimePoint now,
                        Duration grace) {
  const auto it = tenancies_.find(address);
  if (it == tenancies_.end()) {
    return;
  }
  const auto held = it->second.services.find(service);
  if (held == it->second.services.end()) {
    return;
  }
  if (grace > Duration::zero() && held->second.holding != Holding::kLost) {
    if (held->second.holding == Holding::kReleased) {
      return;
    }
    Set(it, service, {.holding = Holding::kReleased, .until = now + grace});
  } else {
    Erase(it, service);
  }
  Review(it);
}

void Tenancies::GiveBack(AddressKey address, std::optional<TimePoint> until) {
  if (const auto it = tenancies_.find(address); it != tenancies_.end()) {
    Drop(it);
  }
  if (until) {
    given_back_[address] = *until;
  }
}

std::set<AddressKey> Tenancies::TakeOverdue(TimePoint now) {
  std::set<AddressKey> over;
  std::erase_if(given_back_, [&](const auto& entry) {
    const bool is_over = entry.second <= now;
    if (is_over) {
      over.insert(entry.first);
    }
    return is_over;
  });
  return over;
}

Tenancies::Wait Tenancies::Await(AddressKey address, const model::ServiceKey& service,
                                 std::string_view preferred, config::FailBackDelay delay,
                                 const Losses& losses, TimePoint now) {
  const auto it = tenancies_.find(address);
  if (it == tenancies_.end()) {
    return {};
  }
  Tenancy& tenancy = it->second;
  tenancy.services[service].preferred = preferred;
  const std::string& awaited = PreferredBy(tenancy);
  const bool began = tenancy.preferred != awaited;
  if (began) {
    tenancy.preferred = awaited;
    tenancy.since = now;
  }
  if (tenancy.preferred.empty()) {
    SetDeadline(address, tenancy, std::nullopt);
    return {};
  }
  const Duration damped = losses.Damped(tenancy.preferred, delay, tenancy.since);
  const auto until = After(tenancy.since, damped);
  SetDeadline(address, tenancy, until);
  Wait wait{.state = began ? WaitState::kBegan : WaitState::kGoesOn,
            .preferred = tenancy.preferred};
  if (until) {
    wait.delay = damped;
    wait.state = *until <= now ? WaitState::kOver : wait.state;
  }
  return wait;
}

void Tenancies::AwaitNobody(AddressKey address, const model::ServiceKey& service) {
  if (const auto it = tenancies_.find(address); it != tenancies_.end()) {
    it->second.services[service].preferred.clear();
    Review(it);
  }
}

void Tenancies::Expire(TimePoint now) {
  while (!released_.empty() && std::get<0>(*released_.begin()) <= now) {
    const auto [until, address, service] = *released_.begin();
    const auto it = tenancies_.find(address);
    Erase(it, service);
    Review(it);
  }
}

std::vector<model::ServiceKey> Tenancies::Due(TimePoint now) const {
  std::vector<model::ServiceKey> due;
  for (auto it = deadlines_.begin(); it != deadlines_.end() && it->first <= now; ++it) {
    for (const auto& [service, held] : tenancies_.find(it->second)->second.services) {
      due.push_back(service);
    }
  }
  return due;
}

std::optional<TimePoint> Tenancies::NextDeadline() const {
  std::optional<TimePoint> next;
  if (!deadlines_.empty()) {
    next = deadlines_.begin()->first;
  }
  if (!released_.empty()) {
    const TimePoint end = std::get<0>(*released_.begin());
    next = next ? std::min(*next, end) : end;
  }
  for (const auto& [address, until] : given_back_) {
    next = next ? std::min(*next, until) : until;
  }
  return next;
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

void Tenancies::Set(ByAddress::iterator it, const model::ServiceKey& service, Held held) {
  Erase(it, service);
  if (held.holding == Holding::kReleased) {
    released_.emplace(held.until, it->first, service);
  }
  it->second.services.emplace(service, std::move(held));
}

void Tenancies::Erase(ByAddress::iterator it, const model::ServiceKey& service) {
  const auto held = it->second.services.find(service);
  if (held != it->second.services.end()) {
    released_.erase({held->second.until, it->first, service});
    it->second.services.erase(held);
  }
}

void Tenancies::Review(ByAddress::iterator it) {
  Tenancy& tenancy = it->second;
  const auto any = [&tenancy](Holding holding) {
    return std::ranges::any_of(
        tenancy.services, [holding](const auto& entry) { return entry.second.holding == holding; });
  };
  if (!any(Holding::kWon) && (tenancy.services.empty() || any(Holding::kLost))) {
    Drop(it);
    return;
  }
  const std::string& preferred = PreferredBy(tenancy);
  if (preferred.empty()) {
    tenancy.preferred.clear();
    SetDeadline(it->first, tenancy, std::nullopt);
  } else if (preferred != tenancy.preferred) {
    SetDeadline(it->first, tenancy, TimePoint());  // asked at once: those elections say the delay
  }
}

// By all Services that are won.
const std::string& Tenancies::PreferredBy(const Tenancy& tenancy) {
  static const std::string kNobody;
  const std::string* first = &kNobody;
  for (const auto& [service, held] : tenancy.services) {
    if (held.holding != Holding::kWon) {
      continue;
    }
    if (held.preferred.empty()) {
      return kNobody;
    }
    first = first->empty() ? &held.preferred : first;
  }
  return *first;
}

void Tenancies::Drop(ByAddress::iterator it) {
  SetDeadline(it->first, it->second, std::nullopt);
  for (const auto& [service, held] : it->second.services) {
    released_.erase({held.until, it->first, service});
  }
  tenancies_.erase(it);
  changed_ = true;
}

}  // namespace stentor::speaker
