// SPDX-License-Identifier: Apache-2.0

/// \file
/// Membership: what happens when nothing arrives.

#include <algorithm>
#include <chrono>
#include <utility>

#include "speaker/membership/membership.h"

namespace stentor::speaker {
namespace {

// Who starts and can't read the others, who are there, leaves everything to them; but not for ever,
// since they may be in the same position.
constexpr Duration kOtherKeyPatience = std::chrono::minutes(1);

}  // namespace

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
  suspects_ =
      static_cast<std::size_t>(std::count_if(peers_.begin(), peers_.end(), [](const auto& entry) {
        return entry.second.state == MemberState::kSuspect;
      }));
  if (now >= lateness_until_) {
    lateness_ = Duration::zero();
  }
  std::vector<Note> told;
  next_peer_deadline_ = TimePoint::max();
  for (auto& [name, peer] : peers_) {
    const bool was_alive = peer.CountsAsAlive();
    PollPeer(now, peer, actions);
    if (was_alive && !peer.CountsAsAlive()) {
      if (!Large() || !peer.told_dead) {  // there, those who watched it have told all
        told.push_back(NoteOf(peer));
      }
    } else if (peer.state == MemberState::kSuspect && now >= TellAt(peer)) {
      peer.told = true;
      told.push_back(NoteOf(peer));
      told.back().state = NoteState::kSuspect;
    }
    Touch(peer);
  }
  if (!told.empty()) {
    AskEverybody(now, actions);
    TellAll(now, std::move(told), actions);
  }
  if (return_until_ && now >= next_return_poll_) {
    PollReturn(now, actions);
  }
  if (!Published() && now >= next_claims_published_) {
    PublishClaims(now);
  }
  if (claims_untold_ && now >= next_claims_told_) {
    TellClaims(now, actions);
  }
  if (phase_ == Phase::kHolding && now >= hold_until_) {
    const bool alone = std::none_of(peers_.begin(), peers_.end(),
                                    [](const auto& entry) { return entry.second.CountsAsAlive(); });
    if (alone && other_key_at_ != TimePoint{} && now - other_key_at_ < profile_.hold_for &&
        now - holding_since_ < kOtherKeyPatience) {
      hold_until_ = now + profile_.hold_for;  // others live, and we can't read a word of theirs
    } else {
      BecomeReady(now, actions);  // nobody there: alone, we announce
    }
  }
  if (now >= next_heartbeat_) {
    ++heartbeats_;
    next_heartbeat_ += profile_.heartbeat_interval;
    if (next_heartbeat_ <= now) {
      next_heartbeat_ = now + profile_.heartbeat_interval;
    }
    SendHeartbeats(now, actions);
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
  // Not told as a reason to yield: where the others have not given us up, nothing has to move, and
  // where they have, they go on until they hear us announce.
  Hold(now);
  paused_ = true;
  next_peer_deadline_ = now;  // of those who are awaited
  actions.changes.push_back({.kind = ChangeKind::kHolding, .node = node_, .silence = late});
  ViewChanged(now, nullptr, actions);
  for (auto& [name, peer] : peers_) {
    Send(now, peer, MessageKind::kProbe, actions);
  }
}

// After a pause: what it may have claimed meanwhile is what we wait for, and it isn't long that we
// do.
bool Membership::IsAwaited(const Peer& peer) const {
  return phase_ == Phase::kHolding && paused_ && claims_ && !peer.fresh && peer.CountsAsAlive();
}

void Membership::PollPeer(TimePoint now, Peer& peer, Actions& actions) {
  RequestClaims(now, peer, actions);
  if (IsAwaited(peer)) {
    Demand(now, peer, actions);
  }
  if (peer.CountsAsAlive() && now >= DeafAt(peer)) {
    peer.cause = SuspicionCause::kDeaf;
    DeclareDead(now, peer, actions);
    return;
  }
  if (peer.CountsAsAlive() && now >= AskDeafAt(peer)) {
    Demand(now, peer, actions);
  }
  if (peer.state == MemberState::kAlive) {
    if (now >= SilentAt(peer)) {
      Suspect(now, peer, SuspicionCause::kSilence, actions);
    }
  } else if (peer.state == MemberState::kSuspect) {
    if (now >= DeadAt(peer)) {
      DeclareDead(now, peer, actions);
    } else if (now >= peer.next_probe) {
      ProbeRound(now, peer, actions);
    }
  }
}

// When a living peer is to be suspected if nothing is heard of it. One whom only others hear is
// asked through them at each heartbeat: what takes four datagrams needs more than one attempt.
TimePoint Membership::SilentAt(const Peer& peer) const {
  if (!peer.watched && !peer.asked_at) {
    return TimePoint::max();
  }
  if (peer.watched && peer.relayed_at) {
    return peer.last_heard + profile_.heartbeat_interval;
  }
  return (peer.watched ? peer.last_heard : *peer.asked_at) + profile_.suspect_after + lateness_;
}

// Since when a suspect's silence counts: not for being asked early.
TimePoint Membership::DoubtedSince(const Peer& peer) const {
  const bool early = peer.watched && peer.relayed_at;
  return early ? std::max(peer.suspected_at, peer.last_heard + profile_.suspect_after)
               : peer.suspected_at;
}

// When a peer that we hear is given up because it doesn't hear us, neither directly nor through
// others: whatever it announces, nobody can ask it.
TimePoint Membership::DeafAt(const Peer& peer) const {
  return peer.unseen_since
             ? *peer.unseen_since + profile_.suspect_after + profile_.confirm_for + lateness_
             : TimePoint::max();
}

// When one that doesn't hear us is to be asked once more, and as often as a suspect: what was lost
// may have been its answers.
TimePoint Membership::AskDeafAt(const Peer& peer) const {
  return peer.unseen_since ? std::max(*peer.unseen_since + profile_.suspect_after, peer.next_demand)
                           : TimePoint::max();
}

// When others are to be told of a suspect, so that they ask it as well and need no more time when
// it is declared dead: not before it has left some probes without an answer, since a lost
// heartbeat or a forged ICMP error is no news to anybody.
TimePoint Membership::TellAt(const Peer& peer) const {
  if (peer.told) {
    return TimePoint::max();
  }
  return DoubtedSince(peer) + (peer.refused ? profile_.probe_interval : profile_.confirm_for / 2) +
         lateness_;
}

// When a suspect is dead if nothing is heard of it. That its host refuses our probes says more than
// silence does, unless a firewall does so in its name: its own heartbeats come all the same. If
// another speaker says that it is dead, whom we watch has to have been silent long enough for
// ourselves, any other has to have left some probes of ours without an answer: as many as ever
// where it came back a moment ago, since that word may be an old one, and one more where many are
// suspected, since each is a chance to be wrong.
TimePoint Membership::DeadAt(const Peer& peer) const {
  TimePoint dead = DoubtedSince(peer) + profile_.confirm_for;
  if (peer.refused && peer.watched) {
    dead = std::min(dead,
                    std::max(peer.suspected_at + profile_.refused_for,
                             peer.last_heard + profile_.heartbeat_interval + profile_.late_after));
  }
  const bool back = peer.back_at && peer.suspected_at - *peer.back_at < profile_.view_interval;
  if (peer.told_dead && peer.watched) {
    dead = std::min(dead, std::max(peer.suspected_at, peer.last_heard + profile_.suspect_after));
  } else if (peer.told_dead && !back) {
    const Duration some_rounds = (profile_.confirm_for - profile_.probe_interval) / 2;
    dead = std::min(dead, peer.suspected_at + some_rounds +
                              (ManySuspects() ? profile_.probe_interval : Duration::zero()));
  }
  return dead + lateness_;
}

// Asks the suspect, and some others to ask it: who reached it the last time, and the next ones each
// time, in case the way to one of them is what is broken. Of whom another speaker suspects, that
// one has asked others already; and of many at once, the segment is the cause. An ICMP error may be
// forged: a living peer answers before the next round.
void Membership::ProbeRound(TimePoint now, Peer& peer, Actions& actions) {
  peer.next_probe = now + profile_.probe_interval;
  Send(now, peer, MessageKind::kProbe, actions);
  const bool first = now == peer.suspected_at;
  const bool asked_by_others = peer.told && (first || (Large() && !peer.watched));
  if (asked_by_others || (first && peer.refused) || ManySuspects()) {
    return;
  }
  std::size_t asked = 0;
  const auto ask = [&](Peer& other) {
    const bool can = &other != &peer && other.state == MemberState::kAlive && other.fresh;
    if (can) {
      AskRelay(now, other, peer, actions);
      ++asked;
    }
    return can;
  };
  if (const auto good = peers_by_id_.find(peer.good_helper); good != peers_by_id_.end()) {
    ask(*good->second);
  }
  const auto ask_between = [&](auto begin, auto end) {
    for (auto it = begin; it != end && asked < profile_.helpers; ++it) {
      if (it->first != peer.good_helper && ask(*it->second)) {
        peer.next_helper = it->first + 1;
      }
    }
  };
  const auto next = peers_by_id_.lower_bound(peer.next_helper);
  ask_between(next, peers_by_id_.end());
  ask_between(peers_by_id_.begin(), next);
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
  TimePoint next = std::min(next_heartbeat_, next_peer_deadline_);
  if (phase_ == Phase::kHolding) {
    next = std::min(next, hold_until_);
  }
  if (return_until_) {
    next = std::min(next, next_return_poll_);
  }
  if (!Published()) {
    next = std::min(next, next_claims_published_);
  }
  if (claims_untold_) {
    next = std::min(next, next_claims_told_);
  }
  return next;
}

TimePoint Membership::DeadlineOf(const Peer& peer) const {
  TimePoint request = peer.claims.AreKnown() ? TimePoint::max() : peer.claims.next_request;
  if (IsAwaited(peer)) {
    request = std::min(request, peer.next_demand);
  }
  if (peer.state == MemberState::kAlive) {
    return std::min({SilentAt(peer), AskDeafAt(peer), DeafAt(peer), request});
  }
  if (peer.state == MemberState::kSuspect) {
    return std::min(
        {peer.next_probe, TellAt(peer), DeadAt(peer), AskDeafAt(peer), DeafAt(peer), request});
  }
  return TimePoint::max();
}

// Keeps NextDeadline() from looking at every peer after each datagram. What is heard only makes
// deadlines later, so that the next Poll() may come for nothing.
void Membership::Touch(const Peer& peer) {
  next_peer_deadline_ = std::min(next_peer_deadline_, DeadlineOf(peer));
}

}  // namespace stentor::speaker
