// SPDX-License-Identifier: Apache-2.0

/// \file
/// Membership: a speaker that stops to yield. Who comes back after a start or a pause knows what
/// the others claim before it is ready; who has only yielded is ready all the time, and would take
/// what somebody has claimed a moment ago, in the order of the election. So it asks everybody
/// first.

#include <algorithm>

#include "speaker/membership/membership.h"

namespace stentor::speaker {

Actions Membership::SetLocalState(TimePoint now, YieldReasons yields) {
  Actions actions;
  if (yields_ == yields) {
    return_until_.reset();
    return actions;
  }
  if (yields != kYieldsNothing || (!return_until_ && !BeginReturn(now, actions))) {
    ChangeYields(now, yields, actions);
  }
  return actions;
}

void Membership::ChangeYields(TimePoint now, YieldReasons yields, Actions& actions) {
  return_until_.reset();
  yields_ = yields;
  NoteIncarnation();  // who hears of it from others knows what is newer
  ViewChanged(now, nullptr, actions);
  if (phase_ != Phase::kNew && leave_ == LeaveState::kNo) {
    TellAll(now, {}, actions);
  }
}

// False where there is nobody, or nothing, to ask about.
bool Membership::BeginReturn(TimePoint now, Actions& actions) {
  if (phase_ == Phase::kNew || leave_ != LeaveState::kNo || !AnybodyClaims()) {
    return false;
  }
  bool asked = false;
  for (auto& [name, peer] : peers_) {
    peer.to_answer = peer.CountsAsAlive();
    if (peer.to_answer) {
      asked = true;
      peer.challenge = 0;  // an echo that is on its way comes with what was claimed before
      Send(now, peer, MessageKind::kProbe, actions);
    }
  }
  if (asked) {
    return_until_ = now + profile_.suspect_after;
    next_return_poll_ = now + profile_.probe_interval;
  }
  return asked;
}

void Membership::PollReturn(TimePoint now, Actions& actions) {
  if (now >= *return_until_ || AllAnswered()) {
    Return(now, actions);
    return;
  }
  next_return_poll_ = std::min(*return_until_, now + profile_.probe_interval);
  for (auto& [name, peer] : peers_) {
    if (peer.to_answer && peer.CountsAsAlive()) {
      Demand(now, peer, actions);
    }
  }
}

bool Membership::AllAnswered() const {
  return std::all_of(peers_.begin(), peers_.end(), [](const auto& entry) {
    const Peer& peer = entry.second;
    return !peer.CountsAsAlive() || (!peer.to_answer && peer.claims.AreKnown());
  });
}

void Membership::Return(TimePoint now, Actions& actions) {
  ChangeYields(now, kYieldsNothing, actions);
}

}  // namespace stentor::speaker
