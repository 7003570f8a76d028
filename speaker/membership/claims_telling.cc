// SPDX-License-Identifier: Apache-2.0

/// \file
/// Membership: what this speaker claims. Every datagram tells its digest. Few claims are told as a
/// whole; of many, what has changed since they were told last, and whoever has missed that asks:
/// what was told in the last while can be asked for, and what has changed since.

#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>
#include <utility>

#include "common/base/check.h"
#include "speaker/membership/membership.h"

namespace stentor::speaker {
namespace {

// What a socket's buffer surely takes at once; for more the asker asks again.
constexpr std::size_t kPartsAtOnce = 32;
// Of what was told so many are kept: longer than asking for all parts of one takes.
constexpr std::size_t kHistory = 8;
// Epochs of claims that nobody has any more are kept of so many addresses.
constexpr std::size_t kMostEpochs = 8 * kMaxClaims;

// What has changed is told after so long at the latest: before those who have been told to hand
// over stop to wait.
constexpr Duration kLongestUntold = std::chrono::seconds(1);

const Claims kNone;

const Claims& Of(const std::shared_ptr<const Claims>& claims) { return claims ? *claims : kNone; }

std::size_t PartsOf(const Claims& claims) {
  return (claims.size() + kClaimsPerPart - 1) / kClaimsPerPart;
}

bool IsValid(const Claims& claims) {
  const auto disorder =
      std::adjacent_find(claims.begin(), claims.end(),
                         [](const Claim& a, const Claim& b) { return a.address >= b.address; });
  return disorder == claims.end() && claims.size() <= kMaxClaims &&
         std::all_of(claims.begin(), claims.end(), [](const Claim& c) { return c.epoch != 0; });
}

bool TakesAway(const Claims& changes) {
  return std::any_of(changes.begin(), changes.end(), [](const Claim& c) { return c.epoch == 0; });
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
    if (claims != Of(claims_)) {
      STENTOR_CHECK(IsValid(claims)) << claims.size() << " claims";
      SharedClaims next =
          claims.empty() ? nullptr : std::make_shared<const Claims>(std::move(claims));
      const Claims changes = Difference(Of(claims_), Of(next));
      NoteEpochs(changes);
      if (TakesAway(changes)) {
        LetGo(now, changes, actions);
      }
      claims_ = std::move(next);
      ++view_version_;
      actions.claims_changed = true;
      if (now >= next_claims_published_) {
        PublishClaims(now);
      }
    }
    if (claims_untold_ && now >= next_claims_told_) {
      TellClaims(now, actions);
    }
  }
  Greet(now, actions);
  return actions;
}

// Whoever claims what we are about to let go of has to hear that we claimed it, and after that that
// we don't any more: then it announces again.
void Membership::LetGo(TimePoint now, const Claims& changes, Actions& actions) {
  for (auto& [name, peer] : peers_) {
    const bool concerned =
        peer.CountsAsAlive() && peer.claims.known &&
        std::any_of(changes.begin(), changes.end(), [&peer](const Claim& change) {
          return change.epoch == 0 && EpochOf(*peer.claims.known, change.address) != 0;
        });
    if (concerned) {
      PublishClaims(now);
      if (claims_untold_) {
        Send(now, peer, MessageKind::kHeartbeat, actions);
        next_claims_told_ = std::max(next_claims_told_, now + profile_.probe_interval);
      }
    }
  }
}

// What takes many datagrams to ask for isn't replaced before it can have been.
void Membership::PublishClaims(TimePoint now) {
  if (Published()) {
    return;
  }
  const Claims& before = Of(history_.back().claims);
  const Claims& after = Of(claims_);
  const std::size_t parts = std::max(PartsOf(before), PartsOf(after));
  if (parts > 1) {
    const auto rounds = static_cast<int>(parts / kPartsAtOnce);
    next_claims_published_ =
        now + std::max(profile_.heartbeat_interval, 2 * rounds * profile_.probe_interval);
  }
  claims_digest_ = DigestOf(after);
  history_.push_back({.digest = claims_digest_, .claims = claims_});
  if (history_.size() > kHistory) {
    history_.erase(history_.begin());
  }
  NoteIncarnation();  // who hears of it from others knows what is newer
  CountSelfInDigest();
  claims_untold_ = true;
}

const Membership::ToldClaims* Membership::ToldWith(std::uint64_t digest) const {
  const auto told = std::find_if(history_.rbegin(), history_.rend(),
                                 [digest](const ToldClaims& t) { return t.digest == digest; });
  return told == history_.rend() ? nullptr : &*told;
}

void Membership::NoteEpochs(const Claims& changes) {
  for (const Claim& change : changes) {
    if (change.epoch != 0) {
      std::uint32_t& highest = epochs_[change.address];
      highest = std::max(highest, change.epoch);
    }
  }
  if (epochs_.size() <= std::max(kMostEpochs, 2 * epochs_in_use_)) {
    return;
  }
  std::erase_if(epochs_, [this](const auto& entry) {
    const AddressKey address = entry.first;
    return EpochOf(Of(claims_), address) == 0 &&
           std::none_of(peers_.begin(), peers_.end(), [address](const auto& peer) {
             return EpochOf(Of(peer.second.claims.known), address) != 0;
           });
  });
  epochs_in_use_ = epochs_.size();
}

std::uint32_t Membership::HighestEpoch(AddressKey address) const {
  const auto it = epochs_.find(address);
  return it == epochs_.end() ? 0
                             : std::min(it->second, std::numeric_limits<std::uint32_t>::max() - 1);
}

// Everybody is told: where a claim is given up, somebody has to take the address over, and who
// becomes a candidate has to know who has one. But in a large cluster not so often that all
// together make a storm.
void Membership::TellClaims(TimePoint now, Actions& actions) {
  claims_untold_ = false;
  const auto turns = 1 + static_cast<int>(peers_.size() / (4 * profile_.observers));
  next_claims_told_ =
      now + std::min(turns * profile_.heartbeat_interval,
                     std::max<Duration>(profile_.heartbeat_interval, kLongestUntold));
  const ToldClaims* const base = ToldWith(std::exchange(base_digest_, claims_digest_));
  const ToldClaims& told = history_.back();
  const bool whole = PartsOf(Of(told.claims)) <= 1;
  const Claims changes =
      whole || base == nullptr ? Of(told.claims) : Difference(Of(base->claims), Of(told.claims));
  const ClaimsPart what = {.digest = told.digest,
                           .base = whole || base == nullptr ? 0 : base->digest};
  for (auto& [name, peer] : peers_) {
    if (!peer.CountsAsAlive()) {
      continue;
    }
    if (peer.understands_claims && !changes.empty() && PartsOf(changes) <= 1) {
      SendClaims(peer, OwnNote(), what, changes, actions);
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
      PublishClaims(now);
      Send(now, peer, MessageKind::kHeartbeat, actions);
    }
  }
}

// Of what was told, that which is asked for; where that is too long ago, the newest. What changed
// since what the asker knows, where that is known here and shorter.
void Membership::AnswerClaimsRequest(TimePoint now, Peer& from, const ClaimsPart& asked,
                                     Actions& actions) {
  const ToldClaims* const found = ToldWith(asked.digest);
  const ToldClaims& told = found != nullptr && found->claims ? *found : history_.back();
  if (!told.claims || told.digest == asked.base) {
    Send(now, from, MessageKind::kHeartbeat, actions);  // says which there are, or none
    return;
  }
  ClaimsPart what = {.digest = told.digest};
  const ToldClaims* const base = asked.base == 0 ? nullptr : ToldWith(asked.base);
  Claims changes;
  if (base != nullptr && base->claims) {
    changes = Difference(*base->claims, *told.claims);
    what.base = changes.size() < told.claims->size() ? base->digest : 0;
  }
  if (what.digest == asked.digest && what.base == asked.base) {
    what.part = asked.part;
  }
  SendClaims(from, OwnNote(), what, what.base != 0 ? changes : *told.claims, actions);
}

// In parts, from `what.part` on.
void Membership::SendClaims(Peer& peer, const Note& about, ClaimsPart what, const Claims& claims,
                            Actions& actions) {
  const std::size_t count = PartsOf(claims);
  const std::size_t first = what.part;
  what.part_count = static_cast<std::uint16_t>(count);
  for (std::size_t part = first; part < std::min(count, first + kPartsAtOnce); ++part) {
    const auto begin = claims.begin() + static_cast<std::ptrdiff_t>(part * kClaimsPerPart);
    const auto size = std::min(static_cast<std::size_t>(claims.end() - begin), kClaimsPerPart);
    what.part = static_cast<std::uint16_t>(part);
    what.claims.assign(begin, begin + static_cast<std::ptrdiff_t>(size));
    Body body;
    body.kind = MessageKind::kClaims;
    body.notes = {about};
    body.about = what;
    Seal(peer, std::move(body), actions);
  }
}

}  // namespace stentor::speaker
