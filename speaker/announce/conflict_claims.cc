// SPDX-License-Identifier: Apache-2.0
// The part of ConflictGuard that judges what other hosts say.

#include <algorithm>
#include <utility>

#include "speaker/announce/conflict_guard.h"

namespace stentor::speaker {
namespace {

constexpr net::IfIndex kAllLinks{0};

}  // namespace

void ConflictGuard::OnClaim(const net::IpAddress& address, ConflictPolicy policy, net::IfIndex link,
                            const net::MacAddress& mac, ClaimForm form, TimePoint now) {
  switch (form) {
    case ClaimForm::kClaim:
      break;
    case ClaimForm::kProbe: {
      // Two who probe at the same time are in conflict (RFC 5227, 2.1.1); who announces answers.
      const auto found = states_.find(address);
      const bool probing = found != states_.end() && found->second.phase != Phase::kResting &&
                           (found->second.silent || !found->second.in_conflict);
      if (!probing) {
        ++totals_.attempts;
        return;
      }
      break;
    }
    case ClaimForm::kMaybeAnswer: {
      const auto found = states_.find(address);
      if (found != states_.end() && found->second.phase == Phase::kProbing) {
        OnClaim(address, policy, link, mac, ClaimForm::kAnswer, now);
        return;
      }
      form = ClaimForm::kClaim;
      break;
    }
    case ClaimForm::kAnswer: {
      if (!AskedJustNow(address, now)) {
        form = ClaimForm::kClaim;
        break;
      }
      const Segment segment{link, address.family()};
      if (proxies_.IsProxy(segment, mac, now)) {
        ++totals_.proxied_answers;
        return;
      }
      const auto added = proxies_.Suspected({.address = address, .mac = mac, .link = link});
      if (added == ConflictProxies::Added::kMustAsk) {
        Ask(segment);
      }
      if (added != ConflictProxies::Added::kFull) {
        return;
      }
      break;
    }
  }
  Confirm(address, policy, link, mac, form, now);
}

bool ConflictGuard::AskedJustNow(const net::IpAddress& address, TimePoint now) const {
  const auto found = last_probes_.find(address);
  return found != last_probes_.end() && now - found->second <= options_.patient_wait;
}

void ConflictGuard::Ask(const Segment& segment) {
  tasks_.push_back({.kind = TaskKind::kControl,
                    .address = NobodysAddress(segment.family),
                    .link = segment.link});
}

void ConflictGuard::Confirm(const net::IpAddress& address, ConflictPolicy policy, net::IfIndex link,
                            const net::MacAddress& mac, ClaimForm form, TimePoint now) {
  ++totals_.claims;
  const auto [found, is_new] = states_.try_emplace(address);
  State& state = found->second;
  if (is_new) {
    state.policy = policy;
    state.phase = Phase::kResting;
  }
  Record(&state, link, mac, now);
  const ForeignClaim who{.mac = mac, .link = link, .first_seen = now, .last_seen = now, .count = 1};
  const bool strict = state.policy == ConflictPolicy::kStrict;

  // The probe has its answer; who answers a probe late is as much an owner.
  if (state.phase != Phase::kResting || form != ClaimForm::kClaim) {
    const bool decides = state.phase != Phase::kResting || (strict && !state.silent);
    if (strict) {
      Withhold(address, &state);
    }
    if (decides) {
      Rest(address, &state, now);
    }
    Tell(address, state, ConflictKind::kFoundByProbe, who, now);
  } else if (!state.silent) {
    const bool again = state.defended && now - *state.defended < options_.defend_interval;
    const bool same =
        again && state.defended_against == mac && now - *state.defended < options_.claim_burst;
    if (strict && again && !same) {
      Withhold(address, &state);
      Rest(address, &state, now);
      Tell(address, state, ConflictKind::kWithheld, who, now);
      return;
    }
    Tell(address, state, ConflictKind::kClaimed, who, now);
  }
  if (!state.probe_timer && state.phase == Phase::kResting) {
    Rest(address, &state, now);
  }
  if (form == ClaimForm::kClaim && !state.silent) {
    Defend(address, &state, link, mac, now);
  }
}

void ConflictGuard::Record(State* state, net::IfIndex link, const net::MacAddress& mac,
                           TimePoint now) {
  AddressConflict& facts = state->facts;
  if (!std::exchange(state->in_conflict, true)) {
    facts = AddressConflict{};
    facts.since = now;
  }
  facts.last_seen = now;
  ++facts.claims;
  std::vector<ForeignClaim>& foreign = facts.foreign;
  auto claim = std::find_if(foreign.begin(), foreign.end(),
                            [&mac](const ForeignClaim& known) { return known.mac == mac; });
  if (claim == foreign.end()) {
    if (foreign.size() >= kMaxForeign) {
      // Only who has long been silent makes room, so that a flood of invented MACs hides nobody.
      claim = std::min_element(
          foreign.begin(), foreign.end(),
          [](const ForeignClaim& a, const ForeignClaim& b) { return a.last_seen < b.last_seen; });
      if (now - claim->last_seen < options_.announced_recheck) {
        return;
      }
      foreign.erase(claim);
    }
    ++revision_;
    foreign.push_back({.mac = mac, .link = link, .first_seen = now});
    claim = std::prev(foreign.end());
  }
  claim->link = link;
  claim->last_seen = now;
  ++claim->count;
}

// Until the next probe, ever longer.
void ConflictGuard::Rest(const net::IpAddress& address, State* state, TimePoint now) {
  const Duration first = state->silent ? options_.withheld_recheck : options_.announced_recheck;
  if (state->recheck == Duration::zero()) {
    // Who takes and leaves an address again and again doesn't begin anew each time.
    const auto past = past_.find(address);
    if (past != past_.end() && past->second.silent == state->silent &&
        now - past->second.over < options_.recheck_memory) {
      state->recheck = past->second.recheck;
    }
  }
  state->recheck = state->recheck == Duration::zero()
                       ? first
                       : std::min(state->recheck * 2, options_.max_recheck);
  state->phase = Phase::kResting;
  state->probe_queued = false;
  SetTimer(address, state, Timer::kProbe, now + jitter_.Spread(state->recheck));
}

// Does nothing where it is withheld already.
void ConflictGuard::Withhold(const net::IpAddress& address, State* state) {
  if (!std::exchange(state->facts.withheld, true)) {
    ++totals_.withheld;
  }
  ++revision_;
  if (std::exchange(state->silent, true)) {
    return;
  }
  turns_.push_back({.address = address, .silent = true});
  state->recheck = Duration::zero();  // the rhythm is another one
  state->defence_queued = false;
  SetTimer(address, state, Timer::kDefend, std::nullopt);
}

// One announcement in an interval (RFC 5227, 2.4). A claim in between is answered at the end of it:
// the claimer may have spoken last, and nobody else would tell the segment otherwise.
void ConflictGuard::Defend(const net::IpAddress& address, State* state, net::IfIndex link,
                           const net::MacAddress& mac, TimePoint now) {
  const bool pending = state->defence_queued || state->defend_timer;
  state->defend_link = pending && state->defend_link != link ? kAllLinks : link;
  if (pending) {
    return;
  }
  if (state->defended && now - *state->defended < options_.defend_interval) {
    if (state->policy == ConflictPolicy::kWarn) {
      SetTimer(address, state, Timer::kDefend, *state->defended + options_.defend_interval);
    }
    return;
  }
  state->defended_against = mac;
  QueueDefence(address, state, now);
}

void ConflictGuard::QueueDefence(const net::IpAddress& address, State* state, TimePoint now) {
  if (std::exchange(state->defence_queued, true)) {
    return;
  }
  state->defended = now;
  tasks_.push_back({.kind = TaskKind::kDefend, .address = address, .link = {}});
}

void ConflictGuard::Tell(const net::IpAddress& address, const State& state, ConflictKind kind,
                         const ForeignClaim& who, TimePoint now) {
  if (!notices_.Add({.address = address,
                     .link = who.link,
                     .interface = {},
                     .foreign = who.mac,
                     .kind = kind,
                     .policy = state.policy},
                    now)) {
    ++totals_.notices_suppressed;
  }
}

}  // namespace stentor::speaker
