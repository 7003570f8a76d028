// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include "speaker/node/traps.h"

namespace stentor::speaker {

std::vector<TrapChange> TrapKeeper::Update(TimePoint now, std::vector<Trap> found) {
  std::vector<TrapChange> changes;
  std::set<std::pair<TrapKind, std::string>> present;
  for (Trap& trap : found) {
    auto key = std::pair(trap.kind, trap.subject);
    const auto [known, is_new] = known_.try_emplace(key);
    if (is_new || trap.severity > known->second.trap.severity) {
      changes.push_back({.trap = trap, .present = true});
    }
    known->second = {.trap = std::move(trap), .missing_since = std::nullopt};
    present.insert(std::move(key));
  }
  for (auto it = known_.begin(); it != known_.end();) {
    Known& known = it->second;
    if (!present.contains(it->first)) {
      known.missing_since = known.missing_since.value_or(now);
      if (now - *known.missing_since >= kGoneAfter) {
        changes.push_back({.trap = std::move(known.trap), .present = false});
        it = known_.erase(it);
        continue;
      }
    }
    ++it;
  }
  return changes;
}

std::optional<TimePoint> TrapKeeper::NextDeadline() const {
  std::optional<TimePoint> next;
  for (const auto& [key, known] : known_) {
    if (known.missing_since) {
      const TimePoint due = *known.missing_since + kGoneAfter;
      next = next ? std::min(*next, due) : due;
    }
  }
  return next;
}

std::size_t TrapKeeper::Count(TrapKind kind) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      known_, [kind](const auto& entry) { return entry.first.first == kind; }));
}

std::vector<Trap> TrapKeeper::Present() const {
  std::vector<Trap> traps;
  for (const auto& [key, known] : known_) {
    traps.push_back(known.trap);
  }
  return traps;
}

}  // namespace stentor::speaker
