// SPDX-License-Identifier: Apache-2.0

/// \file
/// What the elections of one view have in common.

#include <algorithm>
#include <utility>

#include "speaker/election/elector.h"

namespace stentor::speaker {

void Elector::SetView(const ClusterFacts& cluster) {
  ++view_;
  pools_.clear();
  // A domain that the last view didn't need: the Services that still know it are ranked anew.
  for (auto it = domains_.begin(); it != domains_.end();) {
    if (it->second.used + 1 < view_) {
      domain_of_version_.erase(it->second.version);
      it = domains_.erase(it);
    } else {
      ++it;
    }
  }
  for (auto& [key, domain] : domains_) {
    std::erase_if(domain.since,
                  [this](const auto& entry) { return !domain_of_version_.contains(entry.first); });
  }
  nodes_ = cluster.nodes;
  NumberNodes();
  FindUsable(cluster);
  SetClaims(cluster);
}

// A number goes to another name only when no domain knows it any more, and so no ranking that is
// still of use.
void Elector::NumberNodes() {
  NodeSet remembered;
  for (const auto& [key, domain] : domains_) {
    remembered.Unite(key.members);
  }
  NodeSet present;
  for (const model::Node& node : nodes_) {
    if (const auto it = id_of_.find(node.name); it != id_of_.end()) {
      present.Insert(it->second);
    }
  }
  for (auto it = id_of_.begin(); it != id_of_.end();) {
    if (remembered.Contains(it->second) || present.Contains(it->second)) {
      ++it;
    } else {
      names_[it->second].clear();
      free_ids_.push_back(it->second);
      it = id_of_.erase(it);
    }
  }
  ids_.clear();
  self_id_ = kNobody;
  for (const model::Node& node : nodes_) {
    const auto [it, added] = id_of_.try_emplace(node.name, kNobody);
    if (added) {
      if (free_ids_.empty()) {
        free_ids_.push_back(static_cast<NodeId>(names_.size()));
        names_.emplace_back();
      }
      it->second = free_ids_.back();
      free_ids_.pop_back();
      names_[it->second] = node.name;
    }
    ids_.push_back(it->second);
    if (node.name == self_) {
      self_id_ = it->second;
    }
  }
}

void Elector::FindUsable(const ClusterFacts& cluster) {
  enum class Voice : std::uint8_t { kNone, kSpeaks, kYields };
  std::vector<Voice> voices(names_.size(), Voice::kNone);
  if (cluster.membership) {
    for (const Speaker& speaker : cluster.speakers) {
      if (const auto it = id_of_.find(speaker.node); it != id_of_.end()) {
        voices[it->second] = speaker.yields ? Voice::kYields : Voice::kSpeaks;
      }
    }
  }
  usable_ = {};
  yielding_ = {};
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const model::Node& node = nodes_[i];
    const NodeId id = ids_[i];
    if (!cluster.membership) {
      voices[id] = node.ready ? Voice::kSpeaks : Voice::kYields;
    }
    if (voices[id] != Voice::kNone && !ExcludedForAll(node, cluster)) {
      usable_.Insert(id);
    }
    if (voices[id] == Voice::kYields) {
      yielding_.Insert(id);
    }
  }
}

void Elector::SetClaims(const ClusterFacts& cluster) {
  claims_count_ = ClaimsCount(cluster);
  if (!claims_count_ || std::ranges::none_of(cluster.speakers, [](const Speaker& speaker) {
        return speaker.claims != nullptr;
      })) {
    claims_.Clear();
    return;
  }
  std::vector<ClaimIndex::Claimant> claimants;
  for (const Speaker& speaker : cluster.speakers) {
    if (const auto it = id_of_.find(speaker.node); it != id_of_.end()) {
      // Its own ones come with each Service.
      claimants.push_back(
          {.node = it->second, .claims = speaker.node == self_ ? nullptr : speaker.claims});
    }
  }
  claims_.Set(claimants);
}

Elector::PoolView& Elector::ViewOf(std::span<const config::L2Advertisement> advertisements) {
  const auto [it, added] = pools_.try_emplace(advertisements.data());
  PoolView& pool = it->second;
  if (!added) {
    return pool;
  }
  for (const config::L2Advertisement& advertisement : advertisements) {
    AdvertisementView& view = pool.advertisements.emplace_back();
    const config::L2Advertisement* const alone = &advertisement;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (!CoversNode(advertisement, nodes_[i])) {
        continue;
      }
      view.covered.Insert(ids_[i]);
      if (const int score = PreferenceScore({&alone, 1}, nodes_[i]); score != 0) {
        view.scores.emplace_back(ids_[i], score);
      }
    }
    pool.selective = pool.selective || !advertisement.service_selectors.empty();
  }
  return pool;
}

Elector::Electorate& Elector::ElectorateOf(PoolView& pool, const ServiceFacts& service) {
  matching_.clear();
  for (std::uint32_t i = 0; i < service.advertisements.size(); ++i) {
    if (CoversService(service.advertisements[i], service.labels)) {
      matching_.push_back(i);
    }
  }
  auto it = pool.electorates.find(matching_);
  if (it == pool.electorates.end()) {
    it = pool.electorates.emplace(matching_, MakeElectorate(pool, service)).first;
  }
  return it->second;
}

Elector::Electorate Elector::MakeElectorate(const PoolView& pool, const ServiceFacts& service) {
  DomainKey key;
  std::map<NodeId, int> scores;
  std::vector<const config::L2Advertisement*> of_self;
  std::vector<const config::L2Advertisement*> of_service;
  for (const std::uint32_t i : matching_) {
    const AdvertisementView& view = pool.advertisements[i];
    key.members.Unite(view.covered);
    of_service.push_back(&service.advertisements[i]);
    for (const auto& [id, score] : view.scores) {
      scores[id] += score;
    }
    if (self_id_ != kNobody && view.covered.Contains(self_id_)) {
      of_self.push_back(&service.advertisements[i]);
    }
  }
  std::erase_if(scores, [](const auto& entry) { return entry.second == 0; });
  key.scores.assign(scores.begin(), scores.end());
  Electorate electorate;
  electorate.domain = &Intern(std::move(key));
  electorate.covers_self = !of_self.empty();
  electorate.fail_back = FailBackOf(of_service);
  if (electorate.covers_self) {
    electorate.interfaces = InterfacesOf(of_self);
    electorate.conflict_policy = ConflictPolicyOf(of_self);
  }
  return electorate;
}

Elector::Domain& Elector::Intern(DomainKey key) {
  const auto [it, added] = domains_.try_emplace(std::move(key));
  Domain& domain = it->second;
  if (added) {
    domain.key = &it->first;
    domain.version = ++last_version_;
    domain_of_version_[domain.version] = &domain;
  }
  if (domain.used != view_) {
    domain.used = view_;
    domain.candidates = domain.key->members;
    domain.candidates.Intersect(usable_);
    domain.eligible = domain.candidates;
    domain.eligible.Subtract(yielding_);
    if (domain.eligible.empty()) {
      domain.eligible = domain.candidates;
    }
  }
  return domain;
}

}  // namespace stentor::speaker
