// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/conflict_guard.h"

#include <algorithm>
#include <utility>

namespace stentor::speaker {
namespace {

constexpr int kProbes = 3;  // PROBE_NUM of RFC 5227

// A link that comes and goes must not keep an address waiting for ever; but a node's ports may take
// this long to open.
constexpr Duration kRestartsWithin = std::chrono::seconds(3);

ConflictOptions Sane(ConflictOptions options) {
  constexpr Duration kLeast = std::chrono::milliseconds(1);
  for (Duration* const interval :
       {&options.probe_interval, &options.probe_wait, &options.patient_wait, &options.control_wait,
        &options.control_repeat, &options.defend_interval, &options.withheld_recheck,
        &options.announced_recheck}) {
    *interval = std::max(*interval, kLeast);
  }
  options.max_recheck =
      std::max({options.max_recheck, options.withheld_recheck, options.announced_recheck});
  return options;
}

}  // namespace

ConflictGuard::ConflictGuard(const ConflictOptions& options, Jitter& jitter)
    : options_(Sane(options)),
      jitter_(jitter),
      proxies_(options_.control_wait, options_.control_repeat, options_.proxy_memory),
      notices_(options_) {}

bool ConflictGuard::Add(const net::IpAddress& address, ConflictPolicy policy, bool probe,
                        TimePoint now) {
  if (!probe) {
    return false;
  }
  State& state = states_[address];
  state.policy = policy;
  state.silent = policy == ConflictPolicy::kStrict;
  StartProbe(address, &state, now);
  return state.silent;
}

void ConflictGuard::Remove(const net::IpAddress& address) {
  Drop(address);
  proxies_.Forget(address);
  last_probes_.erase(address);
  past_.erase(address);
}

void ConflictGuard::SetPolicy(const net::IpAddress& address, ConflictPolicy policy, TimePoint now) {
  const auto found = states_.find(address);
  if (found == states_.end()) {
    return;
  }
  State& state = found->second;
  state.policy = policy;
  ++revision_;
  if (policy == ConflictPolicy::kWarn && state.silent) {
    state.silent = false;
    state.facts.withheld = false;
    turns_.push_back({.address = address, .silent = false});
    if (state.phase == Phase::kResting) {
      state.recheck = Duration::zero();  // the rhythm is another one
      Rest(address, &state, now);
    }
  }
}

void ConflictGuard::OnLinkUsable(TimePoint now) {
  for (auto& [address, state] : states_) {
    ProbeNewLink(address, &state, now);
  }
}

void ConflictGuard::OnLinkUsable(const net::IpAddress& address, TimePoint now) {
  if (const auto found = states_.find(address); found != states_.end()) {
    ProbeNewLink(address, &found->second, now);
  }
}

void ConflictGuard::Forget(const std::function<bool(const net::MacAddress&)>& known,
                           TimePoint now) {
  proxies_.ForgetMacs(known);
  std::vector<net::IpAddress> settled;
  for (auto& [address, state] : states_) {
    if (!state.in_conflict) {
      continue;
    }
    const ForeignClaim last = state.facts.foreign.back();
    std::vector<ForeignClaim>& foreign = state.facts.foreign;
    revision_ +=
        std::erase_if(foreign, [&known](const ForeignClaim& claim) { return known(claim.mac); });
    if (foreign.empty()) {
      foreign.push_back(last);  // for the notice
      settled.push_back(address);
    }
  }
  for (const net::IpAddress& address : settled) {
    Conclude(address, &states_.find(address)->second, now);
    past_.erase(address);  // there was no conflict
  }
}

void ConflictGuard::OnControlAnswer(const Segment& segment, const net::MacAddress& mac,
                                    TimePoint now) {
  const ConflictProxies::Answered answered = proxies_.OnAnswer(segment, mac, now);
  totals_.proxies += answered.is_new ? 1U : 0U;
  totals_.proxied_answers += answered.proxied;
}

void ConflictGuard::Advance(TimePoint now, const PolicyOf& policy_of) {
  // Before the timers, so that a probe that ends now knows all verdicts.
  for (const ConflictProxies::Suspect& owner : proxies_.Decide(now)) {
    Confirm(owner.address, policy_of(owner.address), owner.link, owner.mac, ClaimForm::kAnswer,
            now);
  }
  for (const Segment& segment : proxies_.TakeRepeats(now)) {
    Ask(segment);
  }
  while (!timers_.empty() && std::get<TimePoint>(*timers_.begin()) <= now) {
    const auto [at, address, timer] = *timers_.begin();
    State& state = states_.find(address)->second;
    SetTimer(address, &state, timer, std::nullopt);
    if (timer == Timer::kDefend) {
      QueueDefence(address, &state, now);
    } else {
      OnProbeTimer(address, &state, now);
    }
  }
}

std::optional<ConflictGuard::Task> ConflictGuard::TakeTask() {
  while (!tasks_.empty()) {
    Task task = tasks_.front();
    tasks_.pop_front();
    if (task.kind == TaskKind::kControl) {
      return task;
    }
    const auto found = states_.find(task.address);
    if (found == states_.end()) {
      continue;
    }
    State& state = found->second;
    if (task.kind == TaskKind::kProbe && std::exchange(state.probe_queued, false)) {
      return task;
    }
    if (task.kind == TaskKind::kDefend && std::exchange(state.defence_queued, false)) {
      task.link = state.defend_link;  // another may have been claimed on meanwhile
      return task;
    }
  }
  return std::nullopt;
}

void ConflictGuard::OnTaskDone(const Task& task, std::size_t frames, TimePoint now) {
  switch (task.kind) {
    case TaskKind::kControl:
      proxies_.OnAsked({task.link, task.address.family()}, frames > 0, now);
      totals_.probes += frames;
      return;
    case TaskKind::kDefend:
      totals_.defences += frames;
      return;
    case TaskKind::kProbe:
      break;
  }
  totals_.probes += frames;
  if (frames > 0) {
    last_probes_[task.address] = now;
  }
  const auto found = states_.find(task.address);
  if (found == states_.end()) {
    return;
  }
  State& state = found->second;
  if (frames == 0) {
    state.phase = Phase::kNoLink;
    return;
  }
  ++state.probes_sent;
  state.probe_frames = frames;
  const Duration last = state.in_conflict ? options_.patient_wait : options_.probe_wait;
  SetTimer(task.address, &state, Timer::kProbe,
           now + (state.probes_sent < kProbes ? jitter_.Spread(options_.probe_interval) : last));
}

void ConflictGuard::OnProbeNotSent(const net::IpAddress& address) {
  const auto found = states_.find(address);
  if (found == states_.end() || found->second.probe_frames == 0) {
    return;
  }
  State& state = found->second;
  --totals_.probes;
  if (--state.probe_frames == 0 && state.phase == Phase::kProbing) {
    --state.probes_sent;
    last_probes_.erase(address);  // nobody was asked
    state.phase = Phase::kNoLink;
    SetTimer(address, &state, Timer::kProbe, std::nullopt);
  }
}

std::optional<TimePoint> ConflictGuard::NextTimer() const {
  std::optional<TimePoint> next = proxies_.NextDecision();
  const auto sooner = [&next](TimePoint at) { next = next ? std::min(*next, at) : at; };
  if (const std::optional<TimePoint> repeat = proxies_.NextRepeat()) {
    sooner(*repeat);
  }
  if (!timers_.empty()) {
    sooner(std::get<TimePoint>(*timers_.begin()));
  }
  return next;
}

std::vector<ConflictGuard::Turn> ConflictGuard::TakeTurns() { return std::exchange(turns_, {}); }

bool ConflictGuard::Withheld(const net::IpAddress& address) const {
  const auto found = states_.find(address);
  return found != states_.end() && found->second.silent && found->second.in_conflict;
}

std::map<net::IpAddress, AddressConflict> ConflictGuard::Conflicts() const {
  std::map<net::IpAddress, AddressConflict> conflicts;
  for (const auto& [address, state] : states_) {
    if (state.in_conflict) {
      AddressConflict& conflict = conflicts[address];
      conflict = state.facts;
      conflict.policy = state.policy;
      conflict.withheld = state.silent;
    }
  }
  return conflicts;
}

void ConflictGuard::SetTimer(const net::IpAddress& address, State* state, Timer timer,
                             std::optional<TimePoint> at) {
  std::optional<TimePoint>& slot =
      timer == Timer::kProbe ? state->probe_timer : state->defend_timer;
  if (slot) {
    timers_.erase({*slot, address, timer});
  }
  slot = at;
  if (at) {
    timers_.insert({*at, address, timer});
  }
}

void ConflictGuard::Drop(const net::IpAddress& address) {
  const auto found = states_.find(address);
  if (found == states_.end()) {
    return;
  }
  revision_ += found->second.in_conflict ? 1U : 0U;
  SetTimer(address, &found->second, Timer::kProbe, std::nullopt);
  SetTimer(address, &found->second, Timer::kDefend, std::nullopt);
  states_.erase(found);
  while (!tasks_.empty() && tasks_.front().kind != TaskKind::kControl &&
         !states_.contains(tasks_.front().address)) {
    tasks_.pop_front();
  }
}

void ConflictGuard::StartProbe(const net::IpAddress& address, State* state, TimePoint now) {
  state->phase = Phase::kProbing;
  state->probes_sent = 0;
  state->probing_since = now;
  SetTimer(address, state, Timer::kProbe, now);
}

void ConflictGuard::ProbeNewLink(const net::IpAddress& address, State* state, TimePoint now) {
  if (state->phase == Phase::kNoLink) {
    StartProbe(address, state, now);
  } else if (state->phase == Phase::kProbing && now - state->probing_since < kRestartsWithin) {
    const TimePoint since = state->probing_since;
    StartProbe(address, state, now);
    state->probing_since = since;
  }
}

void ConflictGuard::OnProbeTimer(const net::IpAddress& address, State* state, TimePoint now) {
  if (state->phase == Phase::kResting) {
    // Announced, and claimed again and again: a probe would tell nothing new.
    const TimePoint quiet = state->facts.last_seen + options_.announced_recheck;
    if (!state->silent && quiet > now) {
      SetTimer(address, state, Timer::kProbe, quiet);
      return;
    }
    state->phase = Phase::kProbing;
    state->probes_sent = 0;
    state->probing_since = now;
  }
  if (state->probes_sent < kProbes) {
    if (!std::exchange(state->probe_queued, true)) {
      tasks_.push_back({.kind = TaskKind::kProbe, .address = address, .link = {}});
    }
    return;
  }
  if (proxies_.IsPending(address)) {  // somebody answered; is he a proxy?
    SetTimer(address, state, Timer::kProbe, now + options_.probe_wait);
    return;
  }
  Conclude(address, state, now);
}

// Nobody else has the address.
void ConflictGuard::Conclude(const net::IpAddress& address, State* state, TimePoint now) {
  if (state->in_conflict) {
    Tell(address, *state, state->silent ? ConflictKind::kReleased : ConflictKind::kOver,
         state->facts.foreign.back(), now);
    past_[address] = {.recheck = state->recheck, .silent = state->silent, .over = now};
  }
  if (state->silent) {
    turns_.push_back({.address = address, .silent = false});
  }
  Drop(address);
}

}  // namespace stentor::speaker
