// SPDX-License-Identifier: Apache-2.0
#include "speaker/election/elector.h"

#include <algorithm>
#include <utility>

#include "common/base/bytes.h"

namespace stentor::speaker {
namespace {

bool AnyCanServe(const ServiceFacts& service) {
  return std::ranges::any_of(service.endpoints,
                             [](const model::Endpoint& endpoint) { return endpoint.can_serve; });
}

std::uint64_t PrefixOf(const crypto::Sha256Digest& digest) {
  std::uint64_t prefix = 0;
  for (std::size_t i = 0; i < sizeof(prefix); ++i) {
    prefix = prefix << 8U | std::to_integer<std::uint64_t>(digest[i]);
  }
  return prefix;
}

}  // namespace

// --- one election ---

Vote Elector::Decide(const ServiceFacts& service, Ranking& ranking) {
  if (service.ingress.empty()) {
    return {.reason = DecisionReason::kNoAddress};
  }
  const bool can_serve = AnyCanServe(service);
  if (!can_serve && service.own_epoch == 0) {
    return {.reason = DecisionReason::kNoServingEndpoint};
  }
  PoolView& pool = ViewOf(service.advertisements);
  Electorate& electorate = pool.whole != nullptr ? *pool.whole : ElectorateOf(pool, service);
  Vote vote;
  if (claims_count_) {
    vote.fail_back = electorate.fail_back;
  }
  if (!pool.selective) {
    pool.whole = &electorate;
  }
  if (!can_serve) {
    vote.reason = DecisionReason::kNoServingEndpoint;
    return vote;
  }
  if (pool.selective && service.may_share_address &&
      std::ranges::any_of(matching_, [&](std::uint32_t i) {
        return !service.advertisements[i].service_selectors.empty();
      })) {
    vote.reason = DecisionReason::kSharedIpWithServiceSelector;
    return vote;
  }

  address_ = &service.ingress.front();
  address_text_.clear();
  const NodeId first = service.traffic_policy == model::TrafficPolicy::kLocal
                           ? LocalWinner(service, *electorate.domain, ranking)
                           : Winner(*electorate.domain, ranking);
  NodeId winner = first;
  if (claims_count_) {
    const Tenant tenant = FindTenant(service, *electorate.domain, first);
    winner = tenant.epoch > 0 ? tenant.id : first;
    vote.epoch = tenant.epoch;
  }
  address_ = nullptr;

  if (winner != kNobody) {
    vote.winner = names_[winner];
    vote.first = names_[first];
  }
  if (!electorate.covers_self) {
    vote.reason = DecisionReason::kNoMatchingAdvertisement;
  } else if (winner != kNobody && winner == self_id_) {
    vote.reason = DecisionReason::kAnnounced;
    vote.interfaces = &electorate.interfaces;
    vote.conflict_policy = electorate.conflict_policy;
  }
  return vote;
}

Elector::NodeId Elector::Winner(Domain& domain, Ranking& ranking) {
  if (domain.eligible.empty()) {
    return kNobody;
  }
  BringUpToDate(domain, ranking);
  for (std::size_t i = 0; i < ranking.size_; ++i) {
    if (domain.eligible.Contains(ranking.nodes_[i])) {
      return ranking.nodes_[i];
    }
  }
  return BestOf(domain.eligible, domain);
}

// The ranking is one of the nodes that have an endpoint.
Elector::NodeId Elector::LocalWinner(const ServiceFacts& service, Domain& domain,
                                     Ranking& ranking) {
  if (ranking.domain_ != domain.version) {
    NodeSet members = LocalNodes(service);
    members.Intersect(domain.key->members);
    Fill(members, domain, ranking);
  }
  NodeId yielding = kNobody;
  for (std::size_t i = 0; i < ranking.size_; ++i) {
    const NodeId id = ranking.nodes_[i];
    if (!domain.candidates.Contains(id)) {
      continue;
    }
    if (!yielding_.Contains(id)) {
      return id;
    }
    yielding = yielding == kNobody ? id : yielding;
  }
  if (ranking.complete_) {
    return yielding;
  }
  NodeSet candidates = LocalNodes(service);
  candidates.Intersect(domain.candidates);
  NodeSet eligible = candidates;
  eligible.Subtract(yielding_);
  return BestOf(eligible.empty() ? candidates : eligible, domain);
}

Elector::Tenant Elector::FindTenant(const ServiceFacts& service, const Domain& domain,
                                    NodeId first) {
  Tenant tenant;
  if (first == kNobody || (service.own_epoch == 0 && claims_.empty())) {
    return tenant;
  }
  const auto consider = [&](NodeId id, std::uint32_t epoch) {
    if (epoch == 0 || epoch < tenant.epoch || !IsEligible(id, service, domain, first)) {
      return;
    }
    if (epoch > tenant.epoch || Before(Rank(domain, id), Rank(domain, tenant.id))) {
      tenant = {.id = id, .epoch = epoch};
    }
  };
  if (self_id_ != kNobody) {
    consider(self_id_, service.own_epoch);
  }
  if (!claims_.empty()) {
    claims_.ForEach(service.claim_key != 0 ? service.claim_key : AddressKeyOf(*address_), consider);
  }
  return tenant;
}

// As `first` is, who won by the order: where that one yields, all do.
bool Elector::IsEligible(NodeId id, const ServiceFacts& service, const Domain& domain,
                         NodeId first) const {
  return domain.candidates.Contains(id) && (!yielding_.Contains(id) || yielding_.Contains(first)) &&
         (service.traffic_policy != model::TrafficPolicy::kLocal ||
          std::ranges::any_of(service.endpoints, [&](const model::Endpoint& endpoint) {
            return endpoint.can_serve && endpoint.node == names_[id];
          }));
}

// Without a ranking: all of `eligible` with the highest score are digested.
Elector::NodeId Elector::BestOf(const NodeSet& eligible, const Domain& domain) {
  int highest = 0;
  bool any = false;
  eligible.ForEach([&](NodeId id) {
    const int score = ScoreOf(domain, id);
    highest = any ? std::max(highest, score) : score;
    any = true;
  });
  Ranked best;
  eligible.ForEach([&](NodeId id) {
    if (ScoreOf(domain, id) != highest) {
      return;
    }
    const Ranked ranked = Rank(domain, id);
    if (best.id == kNobody || Before(ranked, best)) {
      best = ranked;
    }
  });
  return best.id;
}

NodeSet Elector::LocalNodes(const ServiceFacts& service) const {
  NodeSet nodes;
  for (const model::Endpoint& endpoint : service.endpoints) {
    if (!endpoint.can_serve) {
      continue;
    }
    if (const auto it = id_of_.find(endpoint.node); it != id_of_.end()) {
      nodes.Insert(it->second);
    }
  }
  return nodes;
}

// --- rankings ---

void Elector::BringUpToDate(Domain& domain, Ranking& ranking) {
  if (ranking.domain_ == domain.version) {
    return;
  }
  const auto former = domain_of_version_.find(ranking.domain_);
  if (former != domain_of_version_.end() &&
      Update(Since(*former->second, domain), domain, ranking)) {
    ranking.domain_ = domain.version;
    return;
  }
  Fill(domain.key->members, domain, ranking);
}

void Elector::Fill(const NodeSet& members, const Domain& domain, Ranking& ranking) {
  ranked_.clear();
  members.ForEach([&](NodeId id) { ranked_.push_back(Rank(domain, id)); });
  const std::size_t size = std::min(ranked_.size(), Ranking::kCapacity);
  std::partial_sort(ranked_.begin(), ranked_.begin() + static_cast<std::ptrdiff_t>(size),
                    ranked_.end(),
                    [this](const Ranked& a, const Ranked& b) { return Before(a, b); });
  for (std::size_t i = 0; i < size; ++i) {
    ranking.nodes_[i] = ranked_[i].id;
    ranking.prefixes_[i] = ranked_[i].prefix;
  }
  ranking.size_ = static_cast<std::uint8_t>(size);
  ranking.complete_ = size == ranked_.size();
  ranking.domain_ = domain.version;
}

bool Elector::Update(const Delta& delta, const Domain& domain, Ranking& ranking) {
  std::size_t size = 0;
  for (std::size_t i = 0; i < ranking.size_; ++i) {
    if (!std::ranges::binary_search(delta.gone, ranking.nodes_[i])) {
      ranking.nodes_[size] = ranking.nodes_[i];
      ranking.prefixes_[size] = ranking.prefixes_[i];
      ++size;
    }
  }
  ranking.size_ = static_cast<std::uint8_t>(size);
  if (!ranking.complete_ && size < Ranking::kCapacity / 2) {
    return false;
  }
  for (const NodeId id : delta.come) {
    Insert(Rank(domain, id), domain, ranking);
  }
  return true;
}

void Elector::Insert(const Ranked& ranked, const Domain& domain, Ranking& ranking) {
  std::size_t at = ranking.size_;
  while (at > 0 && Before(ranked, {.score = ScoreOf(domain, ranking.nodes_[at - 1]),
                                   .prefix = ranking.prefixes_[at - 1],
                                   .id = ranking.nodes_[at - 1]})) {
    --at;
  }
  if (at == Ranking::kCapacity) {
    ranking.complete_ = false;
    return;
  }
  if (at == ranking.size_ && !ranking.complete_) {
    return;  // somewhere among those that are not in it
  }
  if (ranking.size_ == Ranking::kCapacity) {
    ranking.complete_ = false;
  } else {
    ++ranking.size_;
  }
  for (std::size_t i = ranking.size_ - 1U; i > at; --i) {
    ranking.nodes_[i] = ranking.nodes_[i - 1];
    ranking.prefixes_[i] = ranking.prefixes_[i - 1];
  }
  ranking.nodes_[at] = ranked.id;
  ranking.prefixes_[at] = ranked.prefix;
}

const Elector::Delta& Elector::Since(const Domain& former, Domain& domain) {
  const auto [it, added] = domain.since.try_emplace(former.version);
  if (!added) {
    return it->second;
  }
  NodeSet gone = former.key->members;
  gone.Subtract(domain.key->members);
  NodeSet come = domain.key->members;
  come.Subtract(former.key->members);
  NodeSet both = former.key->members;
  both.Intersect(domain.key->members);
  both.ForEach([&](NodeId id) {
    if (ScoreOf(former, id) != ScoreOf(domain, id)) {
      gone.Insert(id);
      come.Insert(id);
    }
  });
  Delta& delta = it->second;
  gone.ForEach([&delta](NodeId id) { delta.gone.push_back(id); });
  come.ForEach([&delta](NodeId id) { delta.come.push_back(id); });
  return delta;
}

int Elector::ScoreOf(const Domain& domain, NodeId id) {
  const Scores& scores = domain.key->scores;
  const auto it = std::ranges::lower_bound(scores, id, {}, &Scores::value_type::first);
  return it != scores.end() && it->first == id ? it->second : 0;
}

crypto::Sha256Digest Elector::DigestOf(NodeId id) {
  if (address_text_.empty()) {
    address_text_ = "#" + address_->ToString();
  }
  message_ = names_[id];
  message_ += address_text_;
  ++digests_;
  return crypto::Sha256(AsBytes(message_));
}

Elector::Ranked Elector::Rank(const Domain& domain, NodeId id) {
  return {.score = ScoreOf(domain, id), .prefix = PrefixOf(DigestOf(id)), .id = id};
}

bool Elector::Before(const Ranked& a, const Ranked& b) {
  if (a.score != b.score) {
    return a.score > b.score;
  }
  if (a.prefix != b.prefix || a.id == b.id) {
    return a.prefix < b.prefix;
  }
  return DigestOf(a.id) < DigestOf(b.id);
}

}  // namespace stentor::speaker
