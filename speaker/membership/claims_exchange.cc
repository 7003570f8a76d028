// SPDX-License-Identifier: Apache-2.0

/// \file
/// Membership: what others claim. Every datagram tells the digest of what its sender claims; who
/// knows something else of it asks for the claims, or for what has changed of those that it knows,
/// until it has all parts. A member that can't be asked is asked about: the digest says whether
/// what another one tells of it is right.

#include <algorithm>
#include <memory>
#include <utility>

#include "speaker/membership/membership.h"

namespace stentor::speaker {
namespace {

// Who has not answered so often is asked at the pace of heartbeats.
constexpr std::uint32_t kHastyRequests = 10;

const Claims kNone;

const Claims& Of(const std::shared_ptr<const Claims>& claims) { return claims ? *claims : kNone; }

std::size_t FirstMissing(const std::vector<Claims>& parts) {
  const auto missing =
      std::find_if(parts.begin(), parts.end(), [](const Claims& part) { return part.empty(); });
  return static_cast<std::size_t>(missing - parts.begin());
}

Claims Joined(const std::vector<Claims>& parts) {
  Claims claims;
  for (const Claims& part : parts) {
    claims.insert(claims.end(), part.begin(), part.end());
  }
  return claims;
}

bool IsSorted(const Claims& claims) {
  return std::adjacent_find(claims.begin(), claims.end(), [](const Claim& a, const Claim& b) {
           return a.address >= b.address;
         }) == claims.end();
}

// Whether by such changes somebody lets go of an address that we claim too.
bool LetsGo(const Claims& ours, const Claims& changes) {
  return std::any_of(changes.begin(), changes.end(), [&ours](const Claim& change) {
    return change.epoch == 0 && EpochOf(ours, change.address) != 0;
  });
}

}  // namespace

bool Membership::KnowsClaims() const {
  return std::all_of(peers_.begin(), peers_.end(), [](const auto& entry) {
    return !entry.second.CountsAsAlive() || entry.second.claims.AreKnown();
  });
}

// What a former boot claimed is nothing to the new one.
void Membership::ForgetClaims(TimePoint now, Peer& peer, bool restarted) {
  peer.greet = restarted && peer.claims.known;
  if (peer.greet) {
    peer.next_demand = now + profile_.probe_interval;  // a question would tell it as much
  }
  peer.claims = {};
}

void Membership::SetToldClaims(TimePoint now, Peer& peer, std::uint64_t digest, Actions& actions) {
  PeerClaims& claims = peer.claims;
  if (claims.told == digest) {
    return;
  }
  claims.missed |= !claims.AreKnown();
  claims.told = digest;
  claims.unanswered_requests = 0;
  if (digest == 0) {
    SetKnownClaims(now, peer, 0, nullptr, actions);
  } else if (claims.AreKnown()) {
    SetKnownClaims(now, peer, digest, claims.known, actions);
  }
  CountInDigest(peer);
}

// Whether `peer` may have claimed something that we don't know of, without knowing what we claim.
// Otherwise it hands over, and lets go of what we have announced since.
bool Membership::MayBeRival(TimePoint now, const Peer& peer) const {
  return peer.yields == kYieldsNothing && now - peer.eligible_since < profile_.view_interval;
}

void Membership::SetKnownClaims(TimePoint now, Peer& peer, std::uint64_t digest,
                                SharedClaims claims, Actions& actions) {
  PeerClaims& held = peer.claims;
  const Claims changes = Difference(Of(held.known), Of(claims));
  NoteEpochs(changes);
  const bool both_claimed = LetsGo(Of(claims_), changes) && peer.yields == kYieldsNothing;
  actions.rival_met |= claims_ && (both_claimed || (held.missed && MayBeRival(now, peer)));
  held.parts.clear();
  held.known = std::move(claims);
  held.known_digest = digest;
  held.missed = !held.AreKnown();
  if (!changes.empty() && peer.CountsAsAlive()) {
    ++view_version_;
    actions.claims_changed = true;
  }
}

// Where it is time. The member itself is asked; where it doesn't answer, each time another one too.
void Membership::RequestClaims(TimePoint now, Peer& peer, Actions& actions) {
  PeerClaims& claims = peer.claims;
  if (!peer.CountsAsAlive() || claims.AreKnown() || now < claims.next_request ||
      leave_ != LeaveState::kNo) {
    return;
  }
  claims.next_request =
      now + (claims.unanswered_requests < kHastyRequests ? profile_.probe_interval
                                                         : profile_.heartbeat_interval);
  if (claims.parts.empty() || claims.unanswered_requests >= kHastyRequests) {
    claims.parts.clear();  // nobody has the rest of what was wanted any more
    claims.wanted = claims.told;
    claims.wanted_base = claims.known_digest;
  }
  const auto ask = [&](Peer& whom) {
    Body body;
    body.kind = MessageKind::kClaimsRequest;
    body.notes = {NoteOf(peer)};
    body.about = ClaimsPart{.digest = claims.wanted, .base = claims.wanted_base};
    body.about->part = static_cast<std::uint16_t>(FirstMissing(claims.parts));
    Seal(whom, std::move(body), actions);
  };
  ask(peer);
  if (claims.unanswered_requests++ == 0) {
    return;
  }
  const auto can_help = [&peer](const auto& entry) {
    return entry.second != &peer && entry.second->state == MemberState::kAlive &&
           entry.second->fresh && entry.second->understands_claims;
  };
  const auto next = peers_by_id_.lower_bound(claims.next_helper);
  auto helper = std::find_if(next, peers_by_id_.end(), can_help);
  if (helper == peers_by_id_.end()) {
    helper = std::find_if(peers_by_id_.begin(), next, can_help);
    if (helper == next) {
      return;
    }
  }
  claims.next_helper = helper->first + 1;
  ask(*helper->second);
}

void Membership::OnClaimsRequest(TimePoint now, Peer& from, const Body& body, Actions& actions) {
  if (body.notes.size() != 1 || now < from.next_claims_answer) {
    return;
  }
  const Note& asked = body.notes.front();
  if (asked.member == id_) {
    from.next_claims_answer = now + profile_.probe_interval / 2;
    AnswerClaimsRequest(now, from, *body.about, actions);
    return;
  }
  const auto it = peers_by_id_.find(asked.member);
  if (it == peers_by_id_.end()) {
    return;
  }
  const Peer& about = *it->second;
  if (about.claims.known && about.claims.known_digest == body.about->digest) {
    from.next_claims_answer = now + profile_.probe_interval / 2;
    ClaimsPart what = {.digest = body.about->digest};
    what.part = body.about->base == 0 ? body.about->part : std::uint16_t{0};
    SendClaims(from, NoteOf(about), what, *about.claims.known, actions);
  }
}

std::optional<MembershipDrop> Membership::OnClaims(TimePoint now, const Body& body,
                                                   Actions& actions) {
  if (body.notes.size() != 1) {
    return MembershipDrop::kMalformed;
  }
  const Note& note = body.notes.front();
  const auto it = peers_by_id_.find(note.member);
  if (it == peers_by_id_.end()) {
    return std::nullopt;
  }
  Peer& peer = *it->second;
  if (!peer.session || peer.session->boot != note.boot || peer.claims.AreKnown()) {
    return std::nullopt;
  }
  return TakePart(now, peer, *body.about, actions);
}

std::optional<MembershipDrop> Membership::TakePart(TimePoint now, Peer& peer,
                                                   const ClaimsPart& part, Actions& actions) {
  PeerClaims& claims = peer.claims;
  const bool usable = part.base == 0 || part.base == claims.known_digest;
  if (!usable || (part.digest != claims.told && part.digest != claims.wanted)) {
    return std::nullopt;  // overtaken by newer ones
  }
  std::vector<Claims> alone(1);
  std::vector<Claims>* parts = &claims.parts;
  if (part.part_count == 1) {
    parts = &alone;
  } else if (claims.parts.empty() || part.digest != claims.wanted ||
             part.base != claims.wanted_base) {
    // Something else than was asked for: that can't be had any more.
    claims.wanted = part.digest;
    claims.wanted_base = part.base;
    claims.parts.assign(part.part_count, {});
  }
  if (parts->size() != part.part_count) {
    claims.parts.clear();
    return MembershipDrop::kMalformed;
  }
  if (Claims& held = (*parts)[part.part]; held.empty()) {
    held = part.claims;
    claims.unanswered_requests = 0;
  }
  if (FirstMissing(*parts) < parts->size()) {
    return std::nullopt;
  }
  Claims all = Joined(*parts);
  parts->clear();
  if (!IsSorted(all)) {
    return MembershipDrop::kMalformed;
  }
  all = Changed(part.base == 0 ? kNone : Of(claims.known), all);
  if (all.empty() || all.size() > kMaxClaims || DigestOf(all) != part.digest) {
    return MembershipDrop::kMalformed;
  }
  SetKnownClaims(now, peer, part.digest, std::make_shared<const Claims>(std::move(all)), actions);
  return std::nullopt;
}

}  // namespace stentor::speaker
