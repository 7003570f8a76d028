// SPDX-License-Identifier: Apache-2.0

/// \file
/// Membership: members that are asked through others.

#include <algorithm>
#include <utility>

#include "speaker/membership/membership.h"

namespace stentor::speaker {

void Membership::AskRelay(TimePoint now, Peer& helper, Peer& about, Actions& actions) {
  if (about.relay_nonce == 0 || now >= about.relay_nonce_until) {
    about.relay_nonce = NonZeroRandom();
    about.relay_nonce_until = now + 2 * profile_.confirm_for;
  }
  Body body;
  body.kind = MessageKind::kRelayRequest;
  body.nonce = about.relay_nonce;
  body.notes = {NoteOf(about)};
  Seal(helper, std::move(body), actions);
}

void Membership::OnRelayRequest(TimePoint now, Peer& from, const Body& body, Actions& actions) {
  if (body.notes.size() != 1 || body.nonce == 0) {
    return;
  }
  const auto about = peers_by_id_.find(body.notes.front().member);
  if (about == peers_by_id_.end() || about->second == &from) {
    return;
  }
  Peer& target = *about->second;
  std::erase_if(target.relays, [now](const RelayRequest& r) { return now > r.expires; });
  if (target.relays.empty() && now - target.challenged_at > profile_.probe_interval) {
    target.challenge = 0;  // its echo might be on its way since before it was suspected
  }
  auto request = std::find_if(target.relays.begin(), target.relays.end(),
                              [&from](const RelayRequest& r) { return r.requester == from.node; });
  if (request == target.relays.end()) {
    request = target.relays.insert(request, {.requester = from.node, .nonce = 0, .expires = {}});
  }
  request->nonce = body.nonce;
  request->expires = now + profile_.confirm_for;
  Send(now, target, MessageKind::kProbe, actions);
}

// `peer` has just echoed a challenge of ours: those who asked may know.
void Membership::AnswerRelays(TimePoint now, Peer& peer, Actions& actions) {
  for (const RelayRequest& request : std::exchange(peer.relays, {})) {
    const auto requester = peers_.find(request.requester);
    if (requester == peers_.end() || now > request.expires) {
      continue;
    }
    Body body;
    body.kind = MessageKind::kRelayedAnswer;
    body.nonce = request.nonce;
    body.notes = {NoteOf(peer)};
    if (peer.understands_claims && UnderstandsClaims(requester->second)) {
      body.about = ClaimsPart{.digest = peer.claims.told};
    }
    Seal(requester->second, std::move(body), actions);
  }
}

// The helper echoes our nonce, and the member echoed the helper's challenge: together as good as a
// fresh echo, but for datagrams that come directly, which still have to bring one.
void Membership::OnRelayedAnswer(TimePoint now, const Peer& from, const Body& body,
                                 Actions& actions) {
  if (body.notes.size() != 1 || body.notes.front().state != NoteState::kAlive) {
    return;
  }
  const Note& note = body.notes.front();
  const auto it = peers_by_id_.find(note.member);
  if (it == peers_by_id_.end()) {
    return;
  }
  Peer& peer = *it->second;
  if (body.nonce == 0 || body.nonce != peer.relay_nonce || now >= peer.relay_nonce_until) {
    return;
  }
  peer.relay_nonce = 0;
  peer.good_helper = from.id;
  const bool same_boot = peer.session && peer.session->boot == note.boot;
  if (same_boot && peer.state == MemberState::kLeft) {
    return;
  }
  const bool was_alive = peer.CountsAsAlive();
  if (!same_boot) {
    peer.session.emplace();
    peer.session->boot = note.boot;
    peer.session->key = keyring_.sealing_key();
    peer.session->channel =
        keyring_.MakeChannel(keyring_.sealing_key(), note.boot, peer.node, node_);
    peer.pending.reset();
    peer.fresh = false;
    peer.has_seen_us = false;
    peer.unseen_since.reset();
    peer.incarnation = note.incarnation;
    peer.understands_claims = false;
    ForgetClaims(now, peer, was_alive);
  }
  peer.relayed_at = now;
  if (body.about && !std::exchange(peer.understands_claims, true)) {
    // A helper of an older build can't say so, but one that is asked later.
    peer.session->latest.understands_claims = true;
    ViewChanged(now, &peer, actions);
  }
  if (note.incarnation >= peer.incarnation) {
    peer.incarnation = note.incarnation;
    SetYields(now, peer, note.yields, actions);
    if (body.about) {
      SetToldClaims(now, peer, body.about->digest, actions);
    }
  }
  if (!same_boot || !was_alive) {
    Join(now, peer, was_alive ? ChangeKind::kRestarted : ChangeKind::kJoined, actions);
  } else if (peer.state == MemberState::kSuspect) {
    Refute(now, peer, actions);
  }
  peer.last_heard = now;
  peer.asked_at.reset();
  RequestClaims(now, peer, actions);
  Touch(peer);
}

}  // namespace stentor::speaker
