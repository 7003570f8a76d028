// SPDX-License-Identifier: Apache-2.0
#include "speaker/election/election.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "common/base/bytes.h"

namespace stentor::speaker {
namespace {

using Advertisements = std::vector<const config::L2Advertisement*>;

bool AnyCovers(const Advertisements& advertisements, const model::Node& node) {
  return std::any_of(
      advertisements.begin(), advertisements.end(),
      [&node](const auto* advertisement) { return CoversNode(*advertisement, node); });
}

Advertisements MatchingService(const ServiceFacts& service) {
  Advertisements matching;
  for (const config::L2Advertisement& advertisement : service.advertisements) {
    if (CoversService(advertisement, service.labels)) {
      matching.push_back(&advertisement);
    }
  }
  return matching;
}

Advertisements Covering(const Advertisements& advertisements, const model::Node& node) {
  Advertisements covering;
  std::copy_if(advertisements.begin(), advertisements.end(), std::back_inserter(covering),
               [&node](const auto* advertisement) { return CoversNode(*advertisement, node); });
  return covering;
}

// A node and the speaker on it: one of them may be missing.
struct Considered {
  const model::Node* node = nullptr;
  bool has_speaker = false;
  bool yields = false;
  const Claims* claims = nullptr;
};
using ByName = std::map<std::string_view, Considered>;

ByName Index(const ClusterFacts& cluster) {
  ByName by_name;
  for (const model::Node& node : cluster.nodes) {
    Considered& considered = by_name[node.name];
    considered.node = &node;
    considered.has_speaker = !cluster.membership;
    considered.yields = !cluster.membership && !node.ready;
  }
  if (cluster.membership) {
    for (const Speaker& speaker : cluster.speakers) {
      Considered& considered = by_name[speaker.node];
      considered.has_speaker = true;
      considered.yields = speaker.yields;
      considered.claims = speaker.claims.get();
    }
  }
  return by_name;
}

bool HasLocalEndpoint(const ServiceFacts& service, std::string_view node) {
  return std::any_of(service.endpoints.begin(), service.endpoints.end(),
                     [node](const model::Endpoint& e) { return e.can_serve && e.node == node; });
}

// Why a node can't be a candidate, in MetalLB's order; nothing where it can.
std::optional<Exclusion> Excluded(const Considered& considered, const ServiceFacts& service,
                                  const ClusterFacts& cluster,
                                  const Advertisements& advertisements) {
  if (!considered.has_speaker) {
    return Exclusion::kNoSpeaker;
  }
  if (considered.node == nullptr) {
    return Exclusion::kUnknownNode;
  }
  const model::Node& node = *considered.node;
  if (const auto why = ExcludedForAll(node, cluster)) {
    return why;
  }
  if (!AnyCovers(advertisements, node)) {
    return Exclusion::kNoAdvertisement;
  }
  if (service.traffic_policy == model::TrafficPolicy::kLocal &&
      !HasLocalEndpoint(service, node.name)) {
    return Exclusion::kNoLocalEndpoint;
  }
  return std::nullopt;
}

// Takes out the candidates that yield, unless all of them do: then health is ignored.
void YieldToOthers(const ByName& by_name, Exclusion reason, Decision& decision) {
  const auto yields = [&by_name](const Candidate& c) {
    return by_name.find(c.node)->second.yields;
  };
  std::vector<Candidate>& all = decision.candidates;
  const auto first_yielding =
      std::partition(all.begin(), all.end(), [&yields](const Candidate& c) { return !yields(c); });
  if (first_yielding == all.begin() || first_yielding == all.end()) {
    return;
  }
  for (auto it = first_yielding; it != all.end(); ++it) {
    decision.excluded.push_back({.node = it->node, .reason = reason});
  }
  all.erase(first_yielding, all.end());
}

// Puts the tenant first, if there is one.
void PreferTenant(const ByName& by_name, const ServiceFacts& service, std::string_view self,
                  Decision& decision) {
  const AddressKey address =
      service.claim_key != 0 ? service.claim_key : AddressKeyOf(service.ingress.front());
  std::uint32_t highest = 0;
  auto tenant = decision.candidates.end();
  for (auto it = decision.candidates.begin(); it != decision.candidates.end(); ++it) {
    const Claims* const claims = by_name.find(it->node)->second.claims;
    const std::uint32_t epoch = it->node == self    ? service.own_epoch
                                : claims != nullptr ? EpochOf(*claims, address)
                                                    : 0;
    if (epoch > highest) {
      highest = epoch;
      tenant = it;
    }
  }
  if (tenant != decision.candidates.end()) {
    decision.tenant = true;
    std::rotate(decision.candidates.begin(), tenant, tenant + 1);
  }
}

}  // namespace

std::string_view DecisionReasonName(DecisionReason reason) noexcept {
  switch (reason) {
    case DecisionReason::kAnnounced:
      return "announced";
    case DecisionReason::kNoAddress:
      return "noIPAllocated";
    case DecisionReason::kNoServingEndpoint:
    case DecisionReason::kNotOwner:
      return "notOwner";
    case DecisionReason::kSharedIpWithServiceSelector:
      return "sharedIPWithServiceSelector";
    case DecisionReason::kNoMatchingAdvertisement:
      return "noMatchingAdvertisement";
  }
  return "unknown";
}

std::string_view ExclusionName(Exclusion exclusion) noexcept {
  switch (exclusion) {
    case Exclusion::kNoSpeaker:
      return "no_speaker";
    case Exclusion::kUnknownNode:
      return "unknown_node";
    case Exclusion::kNetworkUnavailable:
      return "network_unavailable";
    case Exclusion::kExcludeLabel:
      return "exclude_label";
    case Exclusion::kNoAdvertisement:
      return "no_advertisement";
    case Exclusion::kNoLocalEndpoint:
      return "no_local_endpoint";
    case Exclusion::kYields:
      return "yields";
    case Exclusion::kNotReady:
      return "not_ready";
  }
  return "unknown";
}

bool ClaimsCount(const ClusterFacts& cluster) {
  return cluster.membership && std::ranges::all_of(cluster.speakers, [](const Speaker& speaker) {
           return speaker.understands_claims;
         });
}

Decision Elect(const ServiceFacts& service, const ClusterFacts& cluster, std::string_view self) {
  Decision decision;
  if (service.ingress.empty()) {
    decision.reason = DecisionReason::kNoAddress;
    return decision;
  }
  if (std::none_of(service.endpoints.begin(), service.endpoints.end(),
                   [](const model::Endpoint& e) { return e.can_serve; })) {
    decision.reason = DecisionReason::kNoServingEndpoint;
    return decision;
  }
  const Advertisements advertisements = MatchingService(service);
  if (service.may_share_address &&
      std::any_of(advertisements.begin(), advertisements.end(),
                  [](const auto* a) { return !a->service_selectors.empty(); })) {
    decision.reason = DecisionReason::kSharedIpWithServiceSelector;
    return decision;
  }

  const ByName by_name = Index(cluster);
  for (const auto& [name, considered] : by_name) {
    if (const auto why = Excluded(considered, service, cluster, advertisements)) {
      decision.excluded.push_back({.node = std::string(name), .reason = *why});
    } else {
      decision.candidates.push_back(
          {.node = std::string(name), .score = PreferenceScore(advertisements, *considered.node)});
    }
  }
  YieldToOthers(by_name, cluster.membership ? Exclusion::kYields : Exclusion::kNotReady, decision);
  std::sort(decision.excluded.begin(), decision.excluded.end(),
            [](const ExcludedNode& a, const ExcludedNode& b) { return a.node < b.node; });
  SortCandidates(decision.candidates, service.ingress.front());
  if (ClaimsCount(cluster)) {
    PreferTenant(by_name, service, self, decision);
  }

  const auto own = by_name.find(self);
  if (own == by_name.end() || own->second.node == nullptr ||
      !AnyCovers(advertisements, *own->second.node)) {
    decision.reason = DecisionReason::kNoMatchingAdvertisement;
  } else if (decision.winner() != nullptr && *decision.winner() == self) {
    decision.reason = DecisionReason::kAnnounced;
    const Advertisements covering = Covering(advertisements, *own->second.node);
    decision.interfaces = InterfacesOf(covering);
    decision.conflict_policy = ConflictPolicyOf(covering);
  } else {
    decision.reason = DecisionReason::kNotOwner;
  }
  return decision;
}

crypto::Sha256Digest CandidateDigest(std::string_view node, const net::IpAddress& address) {
  std::string text(node);
  text += '#';
  text += address.ToString();
  return crypto::Sha256(AsBytes(text));
}

void SortCandidates(std::vector<Candidate>& candidates, const net::IpAddress& address) {
  struct Ranked {
    crypto::Sha256Digest digest;
    Candidate candidate;
  };
  std::vector<Ranked> ranked;
  ranked.reserve(candidates.size());
  for (Candidate& candidate : candidates) {
    const crypto::Sha256Digest digest = CandidateDigest(candidate.node, address);
    ranked.push_back({.digest = digest, .candidate = std::move(candidate)});
  }
  std::sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) {
    return a.candidate.score != b.candidate.score ? a.candidate.score > b.candidate.score
                                                  : a.digest < b.digest;
  });
  for (std::size_t i = 0; i < ranked.size(); ++i) {
    candidates[i] = std::move(ranked[i].candidate);
  }
}

int PreferenceScore(std::span<const config::L2Advertisement* const> advertisements,
                    const model::Node& node) {
  int score = 0;
  for (const config::L2Advertisement* advertisement : advertisements) {
    if (!CoversNode(*advertisement, node)) {
      continue;
    }
    for (const model::PreferredNodeSelector& preference : advertisement->preferences) {
      if (preference.preference.Matches(node.labels)) {
        score += preference.weight;
      }
    }
  }
  return score;
}

InterfaceChoice InterfacesOf(std::span<const config::L2Advertisement* const> advertisements) {
  InterfaceChoice allowed;
  for (const config::L2Advertisement* advertisement : advertisements) {
    if (advertisement->interfaces.empty()) {
      return {.all = true, .names = {}};
    }
    allowed.names.insert(allowed.names.end(), advertisement->interfaces.begin(),
                         advertisement->interfaces.end());
  }
  std::sort(allowed.names.begin(), allowed.names.end());
  allowed.names.erase(std::unique(allowed.names.begin(), allowed.names.end()), allowed.names.end());
  return allowed;
}

config::ConflictPolicy ConflictPolicyOf(
    std::span<const config::L2Advertisement* const> advertisements) {
  config::ConflictPolicy strictest = config::ConflictPolicy::kWarn;
  for (const config::L2Advertisement* advertisement : advertisements) {
    strictest = std::max(strictest, advertisement->conflict_policy);
  }
  return strictest;
}

config::FailBackDelay FailBackOf(std::span<const config::L2Advertisement* const> advertisements) {
  config::FailBackDelay longest{};
  for (const config::L2Advertisement* advertisement : advertisements) {
    longest = std::max(longest, advertisement->fail_back);
  }
  return longest;
}

bool CoversNode(const config::L2Advertisement& advertisement, const model::Node& node) {
  return advertisement.node_selectors.empty() ||
         model::AnyMatches(advertisement.node_selectors, node.labels);
}

bool CoversService(const config::L2Advertisement& advertisement, const model::Labels& labels) {
  return advertisement.service_selectors.empty() ||
         model::AnyMatches(advertisement.service_selectors, labels);
}

std::optional<Exclusion> ExcludedForAll(const model::Node& node, const ClusterFacts& cluster) {
  if (node.network_unavailable) {
    return Exclusion::kNetworkUnavailable;
  }
  if (!cluster.ignore_exclude_label && node.labels.contains(kExcludeNodeLabel)) {
    return Exclusion::kExcludeLabel;
  }
  return std::nullopt;
}

}  // namespace stentor::speaker
