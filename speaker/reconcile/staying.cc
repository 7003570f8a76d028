// SPDX-License-Identifier: Apache-2.0

/// \file
/// Services that stay where they are: from elections to what this node claims, and back.

#include <algorithm>
#include <string>
#include <utility>

#include "speaker/reconcile/reconciler.h"

namespace stentor::speaker {

Reconciler::Outcome Reconciler::Decide(const model::ServiceKey& key, Entry& entry, TimePoint now) {
  NoteLocalEndpoints(key, entry, now);
  Outcome outcome = Examine(key, entry, now);
  if (overdue_.contains(entry.claim_key) && TakeBack(key, entry, outcome, now)) {
    outcome = Examine(key, entry, now);
  }
  if (entry.claim_key != 0 && !NoteTenancy(key, entry, outcome, now)) {
    outcome = Examine(key, entry, now);
  }
  return outcome;
}

bool Reconciler::TakeBack(const model::ServiceKey& key, const Entry& entry, const Outcome& outcome,
                          TimePoint now) {
  const Vote& vote = outcome.vote;
  if (!ready_ || outcome.verdict != Verdict::kNotElected || vote.winner.empty() || vote.epoch > 0 ||
      vote.fail_back == config::FailBackDelay::zero()) {
    return false;
  }
  losses_.NoteFailure(vote.winner, now);
  tenancies_.Win(entry.claim_key, key, options_.highest_epoch);
  return true;
}

// Where somebody can announce the Service, whoever wins it claims it, and nobody else does.
bool Reconciler::NoteTenancy(const model::ServiceKey& key, const Entry& entry,
                             const Outcome& outcome, TimePoint now) {
  const AddressKey address = entry.claim_key;
  const Vote& vote = outcome.vote;
  const bool stays = vote.fail_back > config::FailBackDelay::zero();
  switch (outcome.verdict) {
    case Verdict::kNotMine:
    case Verdict::kNoAddress:
    case Verdict::kInvalidIp:
    case Verdict::kIpNotAllowed:
      tenancies_.Release(address, key, now, Tenancies::kReleaseGrace);
      return true;
    case Verdict::kNotElected:
      if (!vote.winner.empty()) {
        tenancies_.Lose(address, key);
        if (vote.epoch > 0) {
          (void)tenancies_.NoteTaken(address);
        }
      } else if (stays) {
        // Whoever had it last has it again when somebody can have it.
        tenancies_.Rest(address, key);
      } else {
        tenancies_.Release(address, key, now, Tenancies::kReleaseGrace);
      }
      return true;
    case Verdict::kInterfaceMissing:
      // Perhaps another node has one, and would be elected if nobody claimed it.
      tenancies_.GiveBack(address);
      return vote.epoch == 0;
    case Verdict::kNotReady:
    case Verdict::kAnnounced:
    case Verdict::kAwaitsProxy:
      break;
  }
  if (!stays) {
    const bool claimed = tenancies_.EpochOf(address) > 0;
    tenancies_.Release(address, key, now);
    return !claimed;
  }
  if (outcome.verdict == Verdict::kNotReady) {
    tenancies_.Rest(address, key);  // what it claimed before a pause stands
    return true;
  }
  tenancies_.Win(address, key, options_.highest_epoch);
  if (vote.first == options_.node) {
    tenancies_.AwaitNobody(address, key);
    return true;
  }
  const Tenancies::Wait wait =
      tenancies_.Await(address, key, vote.first, vote.fail_back, losses_, now);
  if (wait.state == Tenancies::WaitState::kGoesOn) {
    return true;
  }
  const bool over = wait.state == Tenancies::WaitState::kOver;
  stay_notices_.push_back({.service = key,
                           .preferred = std::string(wait.preferred),
                           .given_back = over,
                           .delay = wait.delay});
  if (over) {
    tenancies_.GiveBack(address, now + options_.taken_within);
  }
  return !over;
}

void Reconciler::BringTenanciesUpToDate(TimePoint now) {
  for (Moved& moved : std::exchange(moved_, {})) {
    tenancies_.Release(moved.from, moved.service, now, Tenancies::kReleaseGrace);
    moved.until = now + Tenancies::kReleaseGrace;
    former_.push_back(std::move(moved));
  }
  for (; !former_.empty() && former_.front().until <= now; former_.pop_front()) {
    const auto it = services_.find(former_.front().service);
    if (it != services_.end() && it->second.former_key == former_.front().from) {
      it->second.former_key = 0;
      due_.insert(it->first);
    }
  }
  tenancies_.Expire(now);
  overdue_ = tenancies_.TakeOverdue(now);
  for (const AddressKey address : overdue_) {
    MakeDue(address);
  }
  for (model::ServiceKey& key : tenancies_.Due(now)) {
    due_.insert(std::move(key));
  }
}

// Where a Service gets another first address, all speakers know who had it with the one before,
// and who that is claims the new one: without that the order would decide at that moment.
AddressKey Reconciler::ElectedBy(const Entry& entry) const {
  const AddressKey key = entry.claim_key;
  if (key == 0 || entry.former_key == 0 || tenancies_.EpochOf(key) > 0 ||
      std::ranges::any_of(speakers_, [key](const Speaker& speaker) {
        return speaker.claims && EpochOf(*speaker.claims, key) > 0;
      })) {
    return key;
  }
  return entry.former_key;
}

bool Reconciler::AnybodyClaims() const {
  return !claims().empty() || std::ranges::any_of(speakers_, [](const Speaker& speaker) {
    return speaker.claims != nullptr;
  });
}

bool Reconciler::NoteTaken(const net::IpAddress& address) {
  const auto handed = handed_over_.find(address);
  const auto it =
      handed == handed_over_.end() ? services_.end() : services_.find(handed->second.service);
  if (it == services_.end() || !tenancies_.NoteTaken(it->second.claim_key)) {
    return false;
  }
  due_.insert(it->first);  // its other addresses have the usual time now
  return true;
}

void Reconciler::MakeDue(AddressKey address) {
  for (auto it = by_claim_key_.lower_bound({address, {}});
       it != by_claim_key_.end() && it->first == address; ++it) {
    due_.insert(it->second);
  }
}

void Reconciler::SetClaimKey(const model::ServiceKey& key, Entry& entry, AddressKey address) {
  if (entry.claim_key != 0) {
    by_claim_key_.erase({entry.claim_key, key});
  }
  entry.claim_key = address;
  if (address != 0) {
    by_claim_key_.emplace(address, key);
  }
}

}  // namespace stentor::speaker
