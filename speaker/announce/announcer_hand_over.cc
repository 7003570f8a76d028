// SPDX-License-Identifier: Apache-2.0

/// \file
/// Announcer: how addresses are left to others.

#include <algorithm>

#include "speaker/announce/announcer.h"

namespace stentor::speaker {
namespace {

// Whoever has told the segment so recently that it has the address needs no more time for it: the
// news of its election was late, or a partition has healed.
constexpr Duration kHeardJustNow = std::chrono::seconds(1);

}  // namespace

// Whether questions for `address` can reach this node, and what its successor says.
bool Announcer::IsHeardFrom(const net::IpAddress& address, const Entry& entry) const {
  return std::ranges::any_of(links_.all(), [&](const auto& item) {
    return item.second.carrier && Allows(*entry.scope, item.second, address.family());
  });
}

bool Announcer::HandOver(const net::IpAddress& address, TimePoint now) {
  const auto found = entries_.find(address);
  Entry& entry = found->second;
  if (entry.peer && now - entry.peer->at <= kHeardJustNow) {
    hand_overs_.CompleteAtOnce(address, entry.peer->mac, entry.peer->link);
    Withdraw(address);
    return false;
  }
  if (entry.silent || !IsHeardFrom(address, entry)) {
    Withdraw(address);
    return false;
  }
  Silence(found);
  entry.leaving = true;
  hand_overs_.Begin(address, now);
  return true;
}

void Announcer::NotePeerClaim(Entries::iterator entry, IfIndex link, const net::MacAddress& mac,
                              TimePoint now) {
  if (!entry->second.leaving) {
    entry->second.peer = PeerClaim{.mac = mac, .link = link, .at = now};
    return;
  }
  const net::IpAddress address = entry->first;
  hand_overs_.Complete(address, mac, link, now);
  RemoveHandedOver(address);
}

void Announcer::ExpireHandOvers(TimePoint now) {
  for (const net::IpAddress& address : hand_overs_.Expire(now)) {
    RemoveHandedOver(address);
  }
}

// Without a link that could carry a question or an answer there is nothing to wait for.
void Announcer::DropUnheardHandOvers() {
  for (const net::IpAddress& address : hand_overs_.UnderWay()) {
    if (!IsHeardFrom(address, entries_.find(address)->second)) {
      Withdraw(address);
    }
  }
}

// Silent from now on. A thousand successors may speak within a thousandth of a second each: filters
// are renewed once, after the last one.
void Announcer::RemoveHandedOver(const net::IpAddress& address) {
  const auto found = entries_.find(address);
  Leave(address.family(), &found->second);
  entries_.erase(found);
  if (hand_overs_.empty()) {
    ++revision_;
  }
}

}  // namespace stentor::speaker
