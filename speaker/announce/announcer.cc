// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/announcer.h"

#include <algorithm>
#include <utility>

namespace stentor::speaker {
namespace {

constexpr net::IpFamily kFamilies[] = {net::IpFamily::kIpv4, net::IpFamily::kIpv6};

AnnouncerOptions Sane(AnnouncerOptions options) {
  options.frames_per_second = std::max<std::uint32_t>(options.frames_per_second, 1);
  options.burst_frames = std::max<std::uint32_t>(options.burst_frames, 1);
  options.repeat_interval =
      std::max<Duration>(options.repeat_interval, std::chrono::milliseconds(5));
  if (options.refresh_interval != Duration::zero()) {
    options.refresh_interval =
        std::max<Duration>(options.refresh_interval, std::chrono::seconds(1));
  }
  return options;
}

void Sort(std::vector<net::IpAddress>* addresses) {
  std::sort(addresses->begin(), addresses->end());
}

}  // namespace

Announcer::Announcer(const Links& links, const AnnouncerOptions& options)
    : links_(links),
      options_(Sane(options)),
      jitter_(options.jitter_seed),
      pace_(options_.frames_per_second, options_.burst_frames),
      schedule_({.repeat_interval = options_.repeat_interval,
                 .fast_period = options_.takeover_period,
                 .refresh_interval = options_.refresh_interval},
                jitter_),
      guard_(options_.conflict, jitter_),
      hand_overs_(options_.hand_over_bound) {
  LearnOwnMacs();
}

AnnouncementChange Announcer::SetAnnounced(const Announcements& desired,
                                           const std::set<net::IpAddress>& handed_over,
                                           TimePoint now) {
  latest_ = std::max(latest_, now);
  AnnouncementChange change;
  std::vector<net::IpAddress> leaving;
  for (const auto& [address, entry] : entries_) {
    if (desired.contains(address)) {
      continue;
    }
    if (!handed_over.contains(address)) {
      change.withdrawn.push_back(address);
    } else if (!entry.leaving) {
      leaving.push_back(address);
    }
  }
  for (const net::IpAddress& address : change.withdrawn) {
    Withdraw(address);
  }
  for (const net::IpAddress& address : leaving) {
    (HandOver(address, now) ? change.leaving : change.withdrawn).push_back(address);
  }
  Sort(&change.withdrawn);
  Sort(&change.leaving);
  for (const auto& [address, spec] : desired) {
    const auto before = entries_.find(address);
    const bool known = before != entries_.end() && !before->second.leaving;
    if (Announce(address, spec, now)) {
      (known                                   ? change.changed
       : entries_.find(address)->second.silent ? change.waiting
                                               : change.added)
          .push_back(address);
    }
  }
  return change;
}

bool Announcer::Announce(const net::IpAddress& address, const AnnouncementSpec& spec,
                         TimePoint now) {
  latest_ = std::max(latest_, now);
  if (hand_overs_.Contains(address)) {
    Withdraw(address);  // it begins anew
  }
  const auto [found, is_new] = entries_.try_emplace(address);
  Entry& entry = found->second;
  if (is_new) {
    ++revision_;
    Join(spec.interfaces, address.family(), &entry);
    entry.policy = spec.policy;
    entry.silent = guard_.Add(address, spec.policy, spec.probe, now);
    if (!entry.silent) {
      schedule_.Start({address, GratuitousSchedule::kAllLinks}, options_.takeover_period, now);
    }
    return true;
  }
  const bool other_policy = std::exchange(entry.policy, spec.policy) != spec.policy;
  const bool other_interfaces = entry.scope->first != spec.interfaces;
  if (other_interfaces) {
    Reach(address, &entry, spec.interfaces, now);
  }
  if (other_policy) {
    guard_.SetPolicy(address, spec.policy, now);
    ApplyGuard(now);
  }
  return other_policy || other_interfaces;
}

bool Announcer::Withdraw(const net::IpAddress& address) {
  const auto found = entries_.find(address);
  if (found == entries_.end()) {
    return false;
  }
  ++revision_;
  Silence(found);
  hand_overs_.Drop(address);
  Leave(address.family(), &found->second);
  entries_.erase(found);
  return true;
}

// Nothing is said of it unasked any more.
void Announcer::Silence(Entries::iterator entry) {
  const net::IpAddress& address = entry->first;
  schedule_.Stop(address);
  guard_.Remove(address);
  std::erase(changes_.added, address);
  std::erase(changes_.withdrawn, address);
}

void Announcer::AnnounceAgain(TimePoint now) {
  latest_ = std::max(latest_, now);
  for (const net::IpAddress& address : Announced()) {
    schedule_.Start({address, GratuitousSchedule::kAllLinks}, options_.takeover_period, now);
  }
}

void Announcer::OnLinkEvents(std::span<const LinkEvent> events, TimePoint now) {
  latest_ = std::max(latest_, now);
  LearnOwnMacs();
  const auto tell = [this, now](IfIndex index, Duration period) {
    for (const net::IpFamily family : kFamilies) {
      StartRunsOn(index, family, period, now);
    }
    guard_.OnLinkUsable(now);
  };
  for (const LinkEvent& event : events) {
    switch (event.change) {
      case LinkChange::kAdded:
      case LinkChange::kCarrierUp:
        ++revision_;
        tell(event.index, options_.carrier_period);
        break;
      case LinkChange::kMacChanged:
      case LinkChange::kRenamed:  // other announcements may be allowed on it under this name
      case LinkChange::kEnslavementChanged:
        ++revision_;
        tell(event.index, options_.takeover_period);
        break;
      case LinkChange::kLinkLocalChanged:
        ++revision_;
        StartRunsOn(event.index, net::IpFamily::kIpv6, options_.takeover_period, now);
        guard_.OnLinkUsable(now);
        break;
      case LinkChange::kRemoved:
        ++revision_;
        break;
      case LinkChange::kCarrierDown:
        break;
    }
  }
  DropUnheardHandOvers();
}

void Announcer::SetKnownMacs(std::set<net::MacAddress> known, TimePoint now) {
  latest_ = std::max(latest_, now);
  if (known == known_macs_) {
    return;
  }
  known_macs_ = std::move(known);
  guard_.Forget([this](const net::MacAddress& mac) { return known_macs_.contains(mac); }, now);
  ApplyGuard(now);
}

bool Announcer::Contains(const net::IpAddress& address, IfIndex index) const noexcept {
  const auto found = entries_.find(address);
  if (paused_ || found == entries_.end() || found->second.silent) {
    return false;
  }
  const Link* const link = links_.Find(index);
  return link != nullptr && Allows(*found->second.scope, *link, address.family());
}

AnnouncementChange Announcer::TakeChanges() {
  Sort(&changes_.added);
  Sort(&changes_.withdrawn);
  return std::exchange(changes_, {});
}

std::vector<ConflictNotice> Announcer::TakeConflictNotices() {
  std::vector<ConflictNotice> notices = guard_.TakeNotices();
  for (ConflictNotice& notice : notices) {
    if (const Link* const link = links_.Find(notice.link)) {
      notice.interface = link->name;
    }
  }
  return notices;
}

bool Announcer::Allows(const Scope& scope, const Link& link, net::IpFamily family) {
  const bool named = scope.first.Named(link.name);
  return (named || scope.first.all()) && MayAnswer(link, family, named);
}

void Announcer::Join(const AllowedInterfaces& interfaces, net::IpFamily family, Entry* entry) {
  entry->scope = &*scopes_.try_emplace(interfaces).first;
  ++entry->scope->second[Slot(family)];
}

void Announcer::Leave(net::IpFamily family, Entry* entry) {
  std::array<std::size_t, 2>& count = std::exchange(entry->scope, nullptr)->second;
  --count[Slot(family)];
  std::erase_if(scopes_,
                [](const Scope& scope) { return scope.second == std::array<std::size_t, 2>{}; });
}

// Gives an address other interfaces; those that it had before are not told again.
void Announcer::Reach(const net::IpAddress& address, Entry* entry,
                      const AllowedInterfaces& interfaces, TimePoint now) {
  ++revision_;
  const Scope before{entry->scope->first, {}};
  Leave(address.family(), entry);
  Join(interfaces, address.family(), entry);
  bool more = false;
  for (const auto& [index, link] : links_.all()) {
    if (Allows(*entry->scope, link, address.family()) && !Allows(before, link, address.family())) {
      more = true;
      if (!entry->silent) {
        schedule_.Start({address, index}, options_.takeover_period, now);
      }
    }
  }
  if (more) {
    guard_.OnLinkUsable(address, now);
  }
}

void Announcer::StartRunsOn(IfIndex index, net::IpFamily family, Duration period, TimePoint now) {
  const Link* const link = links_.Find(index);
  if (link == nullptr || !link->carrier) {
    return;  // carrier-up will start them
  }
  for (const net::IpAddress& address : AddressesOn(index, family)) {
    if (const auto entry = entries_.find(address);
        entry != entries_.end() && !entry->second.silent && !entry->second.leaving) {
      schedule_.Start({address, index}, period, now);
    }
  }
}

// Follows what the guard has decided.
void Announcer::ApplyGuard(TimePoint now) {
  for (const ConflictGuard::Turn& turn : guard_.TakeTurns()) {
    entries_.find(turn.address)->second.silent = turn.silent;
    // What was taken back before anybody asked is no change.
    auto& from = turn.silent ? changes_.added : changes_.withdrawn;
    auto& to = turn.silent ? changes_.withdrawn : changes_.added;
    if (std::erase(from, turn.address) == 0) {
      to.push_back(turn.address);
    }
    if (turn.silent) {
      schedule_.Stop(turn.address);
    } else {
      schedule_.Start({turn.address, GratuitousSchedule::kAllLinks}, options_.takeover_period, now);
    }
  }
}

}  // namespace stentor::speaker
