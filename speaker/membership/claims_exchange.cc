// SPDX-License-Identifier: Apache-2.0

/// \file
/// Membership: who claims what. Every datagram tells the digest of what its sender claims; who
/// knows something else of it asks for the claims, until it has all parts. A member that can't be
/// asked is asked about: the digest says whether what another one tells of it is right.

#include <algorithm>
#include <memory>
#include <utility>

#include "common/base/check.h"
#include "speaker/membership/membership.h"

namespace stentor::speaker {
namespace {

// What a socket's buffer surely takes at once; for more the asker asks again.
constexpr std::size_t kPartsAtOnce = 32;
// Who has not answered so often is asked at the pace of heartbeats.
constexpr std::uint32_t kHastyRequests = 10;

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

bool IsValid(const Claims& claims) {
  const auto disorder =
      std::adjacent_find(claims.begin(), claims.end(),
                         [](const Claim& a, const Claim& b) { return a.address >= b.address; });
  return disorder == claims.end() && claims.size() <= kMaxClaims &&
         std::all_of(claims.begin(), claims.end(), [](const Claim& c) { return c.epoch != 0; });
}

using SharedClaims = std::shared_ptr<const Claims>;

std::uint32_t EpochIn(const SharedClaims& claims, AddressKey address) {
  return claims ? EpochOf(*claims, address) : 0;
}

// Whether somebody has let go of an address that we claim too.
bool LetsGo(const SharedClaims& ours, const SharedClaims& before, const SharedClaims& after) {
  return before && std::any_of(before->begin(), before->end(), [&](const Claim& claim) {
           return EpochIn(after, claim.address) == 0 && EpochIn(ours, claim.address) != 0;
         });
}

}  // namespace

Actions Membership::SetClaims(TimePoint now, Claims claims) {
  Actions actions;
  if (leave_ != LeaveState::kNo) {
    return actions;
  }
  if (phase_ == Phase::kReady) {
    if (claims.size() > kMaxClaims) {
      claims.resize(kMaxClaims);
    }
    if (claims != (claims_ ? *claims_ : Claims())) {
      STENTOR_CHECK(IsValid(claims)) << claims.size() << " claims";
      const std::uint64_t digest = DigestOf(claims);
      SharedClaims next =
          claims.empty() ? nullptr : std::make_shared<const Claims>(std::move(claims));
      LetGo(now, next, actions);
      claims_digest_ = digest;
      claims_ = std::move(next);
      ++incarnation_;  // who hears of it from others knows what is newer
      ViewChanged(now, nullptr, actions);
      claims_untold_ = true;
      if (now >= next_claims_told_) {
        TellClaims(now, actions);
      }
    }
  }
  Greet(now, actions);
  return actions;
}

// Whoever claims what we are about to let go of has to hear that we claimed it, and after that that
// we don't any more: then it announces again.
void Membership::LetGo(TimePoint now, const std::shared_ptr<const Claims>& next, Actions& actions) {
  for (auto& [name, peer] : peers_) {
    if (peer.CountsAsAlive() && LetsGo(peer.claims.known, claims_, next)) {
      peer.claims_owed = true;
      if (claims_untold_ || (Large() && !peer.observer)) {
        Send(now, peer, MessageKind::kHeartbeat, actions);
        next_claims_told_ = std::max(next_claims_told_, now + profile_.probe_interval);
      }
    }
  }
}

std::uint32_t Membership::HighestEpoch(AddressKey address) const {
  std::uint32_t highest = EpochIn(claims_, address);
  for (const auto& [name, peer] : peers_) {
    highest = std::max(highest, EpochIn(peer.claims.known, address));
  }
  return highest;
}

bool Membership::KnowsClaims() const {
  return std::all_of(peers_.begin(), peers_.end(), [](const auto& entry) {
    return !entry.second.CountsAsAlive() || entry.second.claims.AreKnown();
  });
}

// Nobody loses by hearing of it late: who claims an address is who wins it anyway. So in large
// clusters the observers are told, and the others hear of it when views are compared. Few claims
// are told at once, more of them are asked for.
void Membership::TellClaims(TimePoint now, Actions& actions) {
  claims_untold_ = false;
  next_claims_told_ = now + profile_.heartbeat_interval;
  for (auto& [name, peer] : peers_) {
    const bool owed = std::exchange(peer.claims_owed, false);
    if (!peer.CountsAsAlive() || (Large() && !peer.observer && !owed)) {
      continue;
    }
    if (claims_ && claims_->size() <= kClaimsPerPart) {
      SendClaims(peer, OwnNote(), claims_digest_, *claims_, 0, actions);
    } else {
      Send(now, peer, MessageKind::kHeartbeat, actions);
    }
  }
}

// Who restarted so fast that nobody had given it up hears that it is seen only now, when the
// elections have given what it claimed to others: with the first word of ours it could become
// ready, and take all that back.
void Membership::Greet(TimePoint now, Actions& actions) {
  for (auto& [name, peer] : peers_) {
    if (peer.greet && peer.CountsAsAlive()) {
      Send(now, peer, MessageKind::kHeartbeat, actions);
    }
  }
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
  claims.parts.clear();
  claims.unanswered_requests = 0;
  if (digest == 0) {
    SetKnownClaims(now, peer, nullptr, actions);
  } else if (claims.AreKnown()) {
    SetKnownClaims(now, peer, claims.known, actions);
  }
  view_changed_at_ = now;
  CountInDigest(peer);
}

// Whether what `peer` claims it may have claimed without knowing what we claim. Otherwise it hands
// over, and lets go of what we have announced since.
bool Membership::MayBeRival(TimePoint now, const Peer& peer) const {
  return peer.yields == kYieldsNothing && now - peer.eligible_since < profile_.view_interval;
}

void Membership::SetKnownClaims(TimePoint now, Peer& peer, std::shared_ptr<const Claims> claims,
                                Actions& actions) {
  PeerClaims& held = peer.claims;
  const bool lets_go = held.missed || LetsGo(claims_, held.known, claims);
  actions.rival_met |= claims_ && lets_go && MayBeRival(now, peer);
  held.missed = false;
  held.parts.clear();
  held.known_digest = held.told;
  if (std::exchange(held.known, claims) != claims && peer.CountsAsAlive()) {
    ++view_version_;
    actions.view_changed = true;
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
  const auto ask = [&](Peer& whom) {
    Body body;
    body.kind = MessageKind::kClaimsRequest;
    body.notes = {NoteOf(peer)};
    body.about.digest = claims.told;
    body.about.part = static_cast<std::uint16_t>(FirstMissing(claims.parts));
    Seal(whom, std::move(body), actions);
  };
  ask(peer);
  if (claims.unanswered_requests++ == 0) {
    return;
  }
  const auto can_help = [&peer](const auto& entry) {
    return entry.second != &peer && entry.second->state == MemberState::kAlive &&
           entry.second->fresh;
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
    if (claims_) {
      SendClaims(from, OwnNote(), claims_digest_, *claims_, body.about.part, actions);
    } else {
      Send(now, from, MessageKind::kHeartbeat, actions);  // says that there are none
    }
    return;
  }
  const auto it = peers_by_id_.find(asked.member);
  if (it == peers_by_id_.end()) {
    return;
  }
  const Peer& about = *it->second;
  if (about.claims.known && about.claims.AreKnown() && about.claims.told == body.about.digest) {
    from.next_claims_answer = now + profile_.probe_interval / 2;
    SendClaims(from, NoteOf(about), about.claims.told, *about.claims.known, body.about.part,
               actions);
  }
}

void Membership::SendClaims(Peer& peer, const Note& about, std::uint64_t digest,
                            const Claims& claims, std::size_t first, Actions& actions) {
  const std::size_t count = (claims.size() + kClaimsPerPart - 1) / kClaimsPerPart;
  for (std::size_t part = first; part < std::min(count, first + kPartsAtOnce); ++part) {
    const auto begin = claims.begin() + static_cast<std::ptrdiff_t>(part * kClaimsPerPart);
    const auto left = static_cast<std::size_t>(claims.end() - begin);
    Body body;
    body.kind = MessageKind::kClaims;
    body.notes = {about};
    body.about = {.digest = digest,
                  .part = static_cast<std::uint16_t>(part),
                  .part_count = static_cast<std::uint16_t>(count),
                  .claims = Claims(
                      begin, begin + static_cast<std::ptrdiff_t>(std::min(left, kClaimsPerPart)))};
    Seal(peer, std::move(body), actions);
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
  PeerClaims& claims = peer.claims;
  if (!peer.session || peer.session->boot != note.boot || claims.AreKnown() ||
      body.about.digest != claims.told) {
    return std::nullopt;  // known already, or overtaken by newer ones
  }
  if (claims.parts.empty()) {
    claims.parts.resize(body.about.part_count);
  }
  if (claims.parts.size() != body.about.part_count) {
    claims.parts.clear();
    return MembershipDrop::kMalformed;
  }
  Claims& part = claims.parts[body.about.part];
  if (!part.empty()) {
    return std::nullopt;  // a second time
  }
  part = body.about.claims;
  claims.unanswered_requests = 0;
  if (FirstMissing(claims.parts) < claims.parts.size()) {
    return std::nullopt;
  }
  Claims all = Joined(std::exchange(claims.parts, {}));
  if (!IsValid(all) || DigestOf(all) != claims.told) {
    return MembershipDrop::kMalformed;
  }
  SetKnownClaims(now, peer, std::make_shared<const Claims>(std::move(all)), actions);
  return std::nullopt;
}

}  // namespace stentor::speaker
