// SPDX-License-Identifier: Apache-2.0
#include "speaker/reconcile/reconciler.h"

#include <algorithm>
#include <utility>

#include "common/base/strings.h"

namespace stentor::speaker {
namespace {

bool Contains(const std::vector<net::IpAddress>& addresses, const net::IpAddress& address) {
  return std::ranges::find(addresses, address) != addresses.end();
}

bool Same(const AllowedInterfaces& allowed, const InterfaceChoice& choice) {
  return allowed.all() == choice.all &&
         (choice.all || std::ranges::equal(*allowed.names(), choice.names));
}

}  // namespace

Reconciler::Reconciler(Options options) : options_(std::move(options)), elector_(options_.node) {}

const config::Pool* Reconciler::FindPool(const Entry& entry) const {
  const config::Pool* pool = config_.FindPool(entry.ingress.front());
  return pool != nullptr && std::ranges::all_of(entry.ingress,
                                                [pool](const net::IpAddress& address) {
                                                  return pool->Contains(address);
                                                })
             ? pool
             : nullptr;
}

bool Reconciler::StaysIn(const config::Pool& pool) {
  return std::ranges::any_of(pool.l2_advertisements, [](const config::L2Advertisement& ad) {
    return ad.fail_back > config::FailBackDelay::zero();
  });
}

ServiceFacts Reconciler::FactsOf(const model::ServiceKey& key, const Entry& entry,
                                 const config::Pool& pool) const {
  const AddressKey claim_key = ElectedBy(entry);
  return {.ingress = entry.ingress,
          .labels = entry.labels,
          .traffic_policy = entry.traffic_policy,
          .may_share_address = entry.may_share_address,
          .endpoints = slices_.EndpointsOf(key),
          .advertisements = pool.l2_advertisements,
          .claim_key = claim_key,
          .own_epoch = claim_key != 0 ? tenancies_.EpochOf(claim_key) : 0};
}

ClusterFacts Reconciler::Cluster(std::span<const model::Node> nodes) const {
  return {.nodes = nodes,
          .speakers = speakers_,
          .ignore_exclude_label = options_.ignore_exclude_label,
          .membership = options_.membership};
}

void Reconciler::BeginView() {
  if (std::exchange(nodes_changed_, false)) {
    node_list_.clear();
    for (const auto& [name, node] : nodes_) {
      node_list_.push_back(node);
    }
  }
  elector_.SetView(Cluster(node_list_));
  claims_changed_ = false;
}

void Reconciler::NoteLocalEndpoints(const model::ServiceKey& key, Entry& entry, TimePoint now) {
  const bool local = entry.traffic_policy == model::TrafficPolicy::kLocal;
  entry.local.Note(local && std::ranges::any_of(slices_.EndpointsOf(key),
                                                [this](const model::Endpoint& endpoint) {
                                                  return endpoint.can_serve &&
                                                         endpoint.node == options_.node;
                                                }),
                   now);
}

// What is announced already stays so, and what is new in the cluster nobody else answers for.
std::optional<TimePoint> Reconciler::AwaitsProxyUntil(const Entry& entry, TimePoint now) const {
  if (entry.health_check_port == 0 || !entry.announced.empty() ||
      std::ranges::all_of(entry.ingress,
                          [&](const net::IpAddress& address) { return IsNewTo(entry, address); })) {
    return std::nullopt;
  }
  return entry.local.UnsettledUntil(now);
}

Reconciler::Outcome Reconciler::Examine(const model::ServiceKey& key, Entry& entry, TimePoint now) {
  if (!entry.mine) {
    return {.verdict = Verdict::kNotMine};
  }
  if (entry.invalid_address) {
    return {.verdict = Verdict::kInvalidIp};
  }
  if (entry.ingress.empty()) {
    return {.verdict = Verdict::kNoAddress};
  }
  if (!entry.pool) {
    entry.pool = FindPool(entry);
  }
  if (*entry.pool == nullptr) {
    return {.verdict = Verdict::kIpNotAllowed};
  }
  if (entry.claim_key == 0 && (any_stays_ || others_claim_)) {
    SetClaimKey(key, entry, AddressKeyOf(entry.ingress.front()));
  }
  ++elections_;
  Outcome outcome{.verdict = Verdict::kNotElected,
                  .pool = *entry.pool,
                  .vote = elector_.Decide(FactsOf(key, entry, **entry.pool), entry.ranking)};
  if (!outcome.vote.announce()) {
    return outcome;
  }
  // As in MetalLB, after the election: nobody else takes over what has no interface here.
  const InterfaceChoice& choice = *outcome.vote.interfaces;
  if (!ready_) {
    outcome.verdict = Verdict::kNotReady;
  } else if (!choice.all && interfaces_ &&
             std::ranges::none_of(choice.names, [this](const std::string& name) {
               return interfaces_->contains(name);
             })) {
    outcome.verdict = Verdict::kInterfaceMissing;
  } else if (const auto until = AwaitsProxyUntil(entry, now)) {
    outcome.verdict = Verdict::kAwaitsProxy;
    outcome.until = *until;
  } else {
    outcome.verdict = Verdict::kAnnounced;
  }
  return outcome;
}

std::vector<OwnershipChange> Reconciler::Reconcile(TimePoint now) {
  std::vector<OwnershipChange> changes;
  bool rebuild = false;
  const auto hold = [&](Services::iterator it) {
    rebuild = Apply(it->first, it->second, Decide(it->first, it->second, now), changes) || rebuild;
    if (!it->second.mine) {
      SetClaimKey(it->first, it->second, 0);
      services_.erase(it);
    }
  };
  for (const auto& [key, wait] : proxy_waits_) {
    if (wait.until <= now) {
      due_.insert(key);
    }
  }
  if (any_stays_ && std::exchange(speakers_changed_, false)) {
    losses_.Note(speakers_, now);
  }
  BringTenanciesUpToDate(now);
  if (std::exchange(all_due_, false)) {
    BeginView();
    due_.clear();
    for (auto it = services_.begin(); it != services_.end();) {
      hold(it++);
    }
  } else {
    if (!due_.empty() && std::exchange(claims_changed_, false)) {
      elector_.SetClaims(Cluster(node_list_));
    }
    for (const model::ServiceKey& key : std::exchange(due_, {})) {
      if (const auto it = services_.find(key); it != services_.end()) {
        hold(it);
      }
    }
  }
  overdue_.clear();
  if (rebuild) {
    RebuildAnnouncements();
  }
  tenancies_.Publish();
  return changes;
}

bool Reconciler::Apply(const model::ServiceKey& key, Entry& entry, const Outcome& outcome,
                       std::vector<OwnershipChange>& changes) {
  if (entry.verdict) {
    --counts_[Slot(*entry.verdict, entry.decision)];
  }
  entry.verdict = outcome.verdict;
  entry.decision = outcome.vote.reason;
  entry.elsewhere = !outcome.vote.winner.empty() && outcome.vote.winner != options_.node;
  if (outcome.verdict != Verdict::kNotMine) {
    ++counts_[Slot(*entry.verdict, entry.decision)];
  }
  if (outcome.verdict == Verdict::kInterfaceMissing) {
    TellFailure(key, entry);
  } else if (outcome.verdict != Verdict::kNotReady) {
    entry.failure_told = false;
  }

  const bool announce = outcome.verdict == Verdict::kAnnounced;
  const bool other_addresses =
      announce ? entry.announced != entry.ingress : !entry.announced.empty();
  if (other_addresses) {
    changes.push_back({.service = key,
                       .uid = entry.uid,
                       .verdict = outcome.verdict,
                       .decision = outcome.vote.reason,
                       .addresses = announce ? entry.ingress : entry.announced,
                       .pool = outcome.pool != nullptr ? outcome.pool->name : "",
                       .winner = std::string(outcome.vote.winner)});
  }
  if (outcome.verdict == Verdict::kAwaitsProxy) {
    proxy_waits_[key] = {.port = entry.health_check_port, .until = outcome.until};
  } else {
    proxy_waits_.erase(key);
  }
  bool changed = NoteHandOver(key, entry, outcome) || other_addresses;
  if (announce) {
    changed = Announce(entry, outcome) || changed;
  } else {
    entry.announced.clear();
    entry.fresh.clear();
  }
  if (announce || entry.elsewhere) {
    NoteWon(entry);
  }
  return changed;
}

bool Reconciler::NoteHandOver(const model::ServiceKey& key, const Entry& entry,
                              const Outcome& outcome) {
  const auto known = lost_.find(key);
  const bool another = ready_ && outcome.verdict == Verdict::kNotElected && entry.elsewhere;
  Lost lost;
  if (another) {
    lost.winner = std::string(outcome.vote.winner);
    lost.until_taken = tenancies_.AwaitsTaker(entry.claim_key);
    if (!entry.announced.empty()) {
      lost.addresses = entry.announced;
    } else if (known != lost_.end()) {
      lost.addresses = known->second.addresses;
    }
    // What the Service has no more, nobody is to announce.
    std::erase_if(lost.addresses, [&entry](const net::IpAddress& address) {
      return !Contains(entry.ingress, address);
    });
  }
  if (lost.addresses.empty()) {
    return lost_.erase(key) > 0;
  }
  if (known != lost_.end() && known->second == lost) {
    return false;
  }
  lost_.insert_or_assign(key, std::move(lost));
  return true;
}

std::optional<TimePoint> Reconciler::NextDeadline() const {
  std::optional<TimePoint> next = tenancies_.NextDeadline();
  if (!former_.empty()) {
    next = next ? std::min(*next, former_.front().until) : former_.front().until;
  }
  for (const auto& [key, wait] : proxy_waits_) {
    next = next ? std::min(*next, wait.until) : wait.until;
  }
  return next;
}

// True where more than the addresses is different now.
bool Reconciler::Announce(Entry& entry, const Outcome& outcome) {
  if (entry.announced != entry.ingress) {
    std::vector<net::IpAddress> fresh;
    for (const net::IpAddress& address : entry.ingress) {
      if (Contains(entry.announced, address) ? Contains(entry.fresh, address)
                                             : IsNewTo(entry, address)) {
        fresh.push_back(address);
      }
    }
    entry.fresh = std::move(fresh);
    entry.announced = entry.ingress;
  }
  bool changed = false;
  if (const InterfaceChoice& choice = *outcome.vote.interfaces; !Same(entry.interfaces, choice)) {
    entry.interfaces = choice.all
                           ? AllowedInterfaces()
                           : AllowedInterfaces::Only({choice.names.begin(), choice.names.end()});
    changed = true;
  }
  if (entry.policy != outcome.vote.conflict_policy) {
    entry.policy = outcome.vote.conflict_policy;
    changed = true;
  }
  return changed;
}

void Reconciler::TellFailure(const model::ServiceKey& key, Entry& entry) {
  if (std::exchange(entry.failure_told, true)) {
    return;
  }
  AnnounceFailure failure{.service = key, .uid = entry.uid, .messages = {}};
  for (const net::IpAddress& address : entry.ingress) {
    failure.messages.push_back(StrCat("the interfaces specified by LB IP \"", address.ToString(),
                                      "\" doesn't exist in assigned node \"", options_.node,
                                      "\" with protocol \"layer2\""));
  }
  failures_.push_back(std::move(failure));
}

}  // namespace stentor::speaker
