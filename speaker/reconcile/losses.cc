// SPDX-License-Identifier: Apache-2.0
#include "speaker/reconcile/losses.h"

#include <algorithm>
#include <iterator>
#include <set>

namespace stentor::speaker {

void Losses::Note(std::span<const Speaker> speakers, TimePoint now) {
  std::set<std::string_view> there;
  for (const Speaker& speaker : speakers) {
    if (!speaker.yields) {
      there.insert(speaker.node);
      by_node_[speaker.node].there = true;
    }
  }
  for (auto it = by_node_.begin(); it != by_node_.end();) {
    Seen& seen = it->second;
    if (seen.there && !there.contains(it->first)) {
      seen.there = false;
      Add(seen, now);
    }
    // What is older cannot count any more, whenever a wait began: waits begin now or later.
    const bool forgotten =
        !seen.there && (seen.losses.empty() || now - seen.losses.back() > kRemembered);
    it = forgotten ? by_node_.erase(it) : std::next(it);
  }
}

void Losses::NoteFailure(std::string_view node, TimePoint now) {
  const auto it = by_node_.find(node);
  // Of many Services at once it is one.
  if (it != by_node_.end() && (it->second.losses.empty() || it->second.losses.back() != now)) {
    Add(it->second, now);
  }
}

void Losses::Add(Seen& seen, TimePoint now) {
  seen.losses.push_back(now);
  if (seen.losses.size() > kMaxLosses) {
    seen.losses.erase(seen.losses.begin());
  }
}

Duration Losses::Damped(std::string_view node, Duration delay, TimePoint since) const {
  const auto it = by_node_.find(node);
  if (it == by_node_.end()) {
    return delay;
  }
  const auto count = std::ranges::count_if(it->second.losses, [since](TimePoint lost) {
    return lost <= since && since - lost < kRemembered;
  });
  Duration damped = delay;
  for (auto i = count; i > 1; --i) {
    damped = damped > Duration::max() / 2 ? Duration::max() : damped * 2;
  }
  return damped;
}

}  // namespace stentor::speaker
