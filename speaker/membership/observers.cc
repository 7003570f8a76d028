// SPDX-License-Identifier: Apache-2.0

/// \file
/// Membership: who watches whom, and who is asked in turn. Members stand on a ring, ordered by the
/// hash of their names; each one sends its heartbeats to the next `observers` that live, so that
/// what a node sends and receives doesn't grow with the cluster (compare Rapid, USENIX ATC 2018).
/// A datagram says whether its sender wants to be watched by the recipient: views may differ for a
/// moment without anybody being missed.

#include <algorithm>
#include <utility>

#include "speaker/membership/membership.h"

namespace stentor::speaker {

void Membership::ChooseObservers() {
  for (Peer* peer : std::exchange(observers_, {})) {
    peer->observer = false;
  }
  const auto choose = [this](auto begin, auto end) {
    for (auto it = begin; it != end && observers_.size() < profile_.observers; ++it) {
      if (it->second->CountsAsAlive()) {
        it->second->observer = true;
        observers_.push_back(it->second);
      }
    }
  };
  const auto self = peers_by_id_.upper_bound(id_);
  choose(self, peers_by_id_.end());
  choose(peers_by_id_.begin(), self);
}

// An absent member is asked by everybody at each heartbeat only as long as these are not many; in a
// larger cluster by about 32, and who meets it first tells the others.
bool Membership::IsAskedNow(const Peer& absent) const {
  const std::uint64_t turns = 1 + peers_.size() / (4 * profile_.observers);
  return (heartbeats_ + (id_ ^ absent.id)) % turns == 0;
}

// The next `count` of `all`, each in its turn.
std::vector<Peer*> Membership::TakeTurn(const std::vector<Peer*>& all, std::size_t count,
                                        std::size_t& turn) {
  std::vector<Peer*> taken;
  for (std::size_t i = 0; i < std::min(count, all.size()); ++i) {
    taken.push_back(all[turn++ % all.size()]);
  }
  return taken;
}

// Beside the observers, a few others hear of us each time. Who is absent is asked, so that a
// partition that has healed is noticed; who has to prove itself; and one of those that we don't
// watch, so that no silence stays unnoticed for ever.
void Membership::SendHeartbeats(TimePoint now, Actions& actions) {
  std::vector<Peer*> absent;
  std::vector<Peer*> unproven;
  std::vector<Peer*> distant;
  std::vector<Peer*> asked;
  for (auto& [name, peer] : peers_) {
    if (!peer.CountsAsAlive()) {
      if (IsAskedNow(peer)) {
        absent.push_back(&peer);
      }
    } else if (!peer.fresh) {
      unproven.push_back(&peer);
    } else if (peer.unseen_since || (!peer.watched && peer.asked_at)) {
      asked.push_back(&peer);  // again: one question may be lost, or the answer
    } else if (!peer.watched) {
      distant.push_back(&peer);
    }
  }
  for (const std::vector<Peer*>& turn :
       {TakeTurn(distant, Small() ? distant.size() : 1, distant_turn_),
        TakeTurn(unproven, profile_.observers, unproven_turn_),
        TakeTurn(absent, profile_.observers, absent_turn_)}) {
    asked.insert(asked.end(), turn.begin(), turn.end());
  }
  for (Peer* peer : asked) {
    if (!peer->CountsAsAlive()) {
      peer->sought_at = now;
    }
  }
  for (auto& [name, peer] : peers_) {
    const bool due = peer.observer || peer.told_observer || peer.greet;
    if (peer.CountsAsAlive() && peer.fresh && due &&
        std::find(asked.begin(), asked.end(), &peer) == asked.end()) {
      SendHeartbeat(peer, actions);
    }
  }
  for (Peer* peer : asked) {
    Send(now, *peer, MessageKind::kProbe, actions);
  }
  relays_left_ = 2 * profile_.observers;
}

// Where many of those whom we watch fall silent together, so may others whom we don't: the segment
// is cut somewhere, perhaps right behind us.
void Membership::AskEverybody(TimePoint now, Actions& actions) {
  std::size_t watched = 0;
  std::size_t silent = 0;
  for (const auto& [name, peer] : peers_) {
    if (peer.watched && peer.CountsAsAlive()) {
      ++watched;
      silent += peer.state == MemberState::kSuspect ? 1U : 0U;
    }
  }
  if (Small() || now < next_ask_everybody_ || silent < 2 || 2 * silent < watched) {
    return;
  }
  next_ask_everybody_ = now + profile_.view_interval;
  for (auto& [name, peer] : peers_) {
    if (peer.state == MemberState::kAlive && !peer.watched) {
      Send(now, peer, MessageKind::kProbe, actions);
    }
  }
}

}  // namespace stentor::speaker
