// SPDX-License-Identifier: Apache-2.0

/// \file
/// Membership: what happens when nothing arrives.

#include <algorithm>

#include "speaker/membership/membership.h"

namespace stentor::speaker {

Actions Membership::NoteTime(TimePoint now) {
  Actions actions;
  if (leave_ == LeaveState::kNo) {
    NoteLateness(now, actions);
  }
  return actions;
}

Actions Membership::Poll(TimePoint now) {
  Actions actions;
  if (phase_ == Phase::kNew || leave_ == LeaveState::kComplete) {
    return actions;
  }
  if (leave_ == LeaveState::kLeaving) {
    PollLeaving(now, actions);
    return actions;
  }
  NoteLateness(now, actions);
  std::vector<Note> died;
  for (auto& [name, peer] : peers_) {
    const bool was_alive = peer.CountsAsAlive();
    PollPeer(now, peer, actions);
    if (was_alive && !peer.CountsAsAlive() && died.size() < kMaxNotes) {
      died.push_back(NoteOf(peer));
    }
  }
  if (!died.empty()) {
    TellAll(now, died, actions);
  }
  if (phase_ == Phase::kHolding && now >= hold_until_) {
    BecomeReady(now, actions);  // nobody there: alone, we announce
  }
  if (now >= next_heartbeat_) {
    if (now >= lateness_until_) {
      lateness_ = Duration::zero();
    }
    next_heartbeat_ += profile_.heartbeat_interval;
    if (next_heartbeat_ <= now) {
      next_heartbeat_ = now + profile_.heartbeat_interval;
    }
    for (auto& [name, peer] : peers_) {
      const bool proven = peer.CountsAsAlive() && peer.fresh;
      Send(now, peer, proven ? MessageKind::kHeartbeat : MessageKind::kProbe, actions);
    }
  }
  return actions;
}

// Lifeguard's lesson: a process that doesn't get its time sees silence where there is none. Being
// a little late buys others patience; being away for so long that they gave us up means that
// somebody else may answer for our addresses now.
void Membership::NoteLateness(TimePoint now, Actions& actions) {
  if (phase_ == Phase::kNew || now <= next_heartbeat_ + profile_.late_after) {
    return;
  }
  const Duration late = now - next_heartbeat_;
  if (late < profile_.paused_after) {
    lateness_ = std::max(lateness_, late);
    lateness_until_ = now + profile_.late_memory;
    return;
  }
  next_heartbeat_ = now + profile_.heartbeat_interval;
  if (peers_.empty()) {
    return;
  }
  Hold(now);
  Change change;
  change.kind = ChangeKind::kHolding;
  change.node = node_;
  change.silence = late;
  actions.changes.push_back(std::move(change));
  ViewChanged(actions);
  for (auto& [name, peer] : peers_) {
    Send(now, peer, MessageKind::kProbe, actions);
  }
}

void Membership::PollPeer(TimePoint now, Peer& peer, Actions& actions) {
  if (peer.state == MemberState::kAlive) {
    if (now - peer.last_heard >= profile_.suspect_after + lateness_) {
      Suspect(now, peer, SuspicionCause::kSilence, actions);
    }
  } else if (peer.state == MemberState::kSuspect) {
    if (now - peer.suspected_at >= profile_.confirm_for + lateness_) {
      DeclareDead(now, peer, actions);
    } else if (now >= peer.next_probe) {
      ProbeRound(now, peer, actions);
    }
  }
}

// Asks the suspect, and some others to ask it: other ones each time, in case the way to one of them
// is what is broken.
void Membership::ProbeRound(TimePoint now, Peer& peer, Actions& actions) {
  peer.next_probe = now + profile_.probe_interval;
  Send(now, peer, MessageKind::kProbe, actions);
  std::vector<Peer*> helpers;
  for (auto& [name, other] : peers_) {
    if (&other != &peer && other.state == MemberState::kAlive && other.fresh) {
      helpers.push_back(&other);
    }
  }
  const std::size_t count = std::min(profile_.helpers, helpers.size());
  for (std::size_t i = 0; i < count; ++i) {
    AskRelay(now, *helpers[helper_turn_++ % helpers.size()], peer, actions);
  }
}

void Membership::PollLeaving(TimePoint now, Actions& actions) {
  if (now >= leave_until_) {
    CompleteLeave();
    return;
  }
  if (now < next_leave_) {
    return;
  }
  next_leave_ = now + profile_.probe_interval;
  for (auto& [name, peer] : peers_) {
    if (peer.CountsAsAlive() && !peer.left_confirmed) {
      Send(now, peer, MessageKind::kLeaving, actions);
    }
  }
}

std::optional<TimePoint> Membership::NextDeadline() const {
  if (phase_ == Phase::kNew || leave_ == LeaveState::kComplete) {
    return std::nullopt;
  }
  if (leave_ == LeaveState::kLeaving) {
    return std::min(next_leave_, leave_until_);
  }
  TimePoint next = next_heartbeat_;
  if (phase_ == Phase::kHolding) {
    next = std::min(next, hold_until_);
  }
  for (const auto& [name, peer] : peers_) {
    if (peer.state == MemberState::kAlive) {
      next = std::min(next, peer.last_heard + profile_.suspect_after + lateness_);
    } else if (peer.state == MemberState::kSuspect) {
      next =
          std::min({next, peer.next_probe, peer.suspected_at + profile_.confirm_for + lateness_});
    }
  }
  return next;
}

}  // namespace stentor::speaker
