// SPDX-License-Identifier: Apache-2.0

/// \file
/// From the Services that this node announces to its addresses.

#include <algorithm>
#include <utility>

#include "speaker/reconcile/reconciler.h"

namespace stentor::speaker {
namespace {

// Addresses that a Service once had, and that are not new to it should it get them back.
constexpr std::size_t kMaxWon = 8;

bool Contains(const std::vector<net::IpAddress>& addresses, const net::IpAddress& address) {
  return std::ranges::find(addresses, address) != addresses.end();
}

ConflictPolicy Convert(config::ConflictPolicy policy) {
  return policy == config::ConflictPolicy::kStrict ? ConflictPolicy::kStrict
                                                   : ConflictPolicy::kWarn;
}

}  // namespace

bool Reconciler::IsNewTo(const Entry& entry, const net::IpAddress& address) const {
  return !Contains(entry.won, address) &&
         (!Contains(entry.first_ingress, address) || (statuses_known_ && !entry.had_status));
}

void Reconciler::NoteWon(Entry& entry) {
  for (const net::IpAddress& address : entry.ingress) {
    if (!Contains(entry.won, address)) {
      entry.won.push_back(address);
    }
  }
  if (entry.won.size() > kMaxWon) {
    entry.won.erase(entry.won.begin(), entry.won.end() - static_cast<std::ptrdiff_t>(kMaxWon));
  }
}

void Reconciler::RebuildAnnouncements() {
  Announcements former = std::exchange(announcements_, {});
  for (const auto& [key, entry] : services_) {
    for (const net::IpAddress& address : entry.announced) {
      const bool fresh = Contains(entry.fresh, address);
      const auto [it, added] =
          announcements_.try_emplace(address, AnnouncementSpec{.interfaces = entry.interfaces,
                                                               .policy = Convert(entry.policy),
                                                               .probe = fresh});
      if (!added) {
        it->second.interfaces = it->second.interfaces.With(entry.interfaces);
        it->second.policy = std::max(it->second.policy, Convert(entry.policy));
        it->second.probe = it->second.probe && fresh;
      }
    }
  }
  // An address that another Service brought into the cluster is not new, whoever announces it.
  for (const auto& [key, entry] : services_) {
    if (!entry.may_share_address || !entry.announced.empty()) {
      continue;
    }
    for (const net::IpAddress& address : entry.ingress) {
      const auto it = announcements_.find(address);
      if (it != announcements_.end() && !IsNewTo(entry, address)) {
        it->second.probe = false;
      }
    }
  }
  for (auto& [address, spec] : announcements_) {
    if (const auto it = former.find(address); it != former.end()) {
      spec.probe = it->second.probe;
    }
  }
  handed_over_.clear();
  for (const auto& [key, lost] : lost_) {
    for (const net::IpAddress& address : lost.addresses) {
      handed_over_.try_emplace(
          address,
          HandedOver{.service = key, .winner = lost.winner, .until_taken = lost.until_taken});
    }
  }
  ++revision_;
}

}  // namespace stentor::speaker
