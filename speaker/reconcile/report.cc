// SPDX-License-Identifier: Apache-2.0

/// \file
/// What the reconciler says about itself.

#include <algorithm>
#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "common/base/strings.h"
#include "speaker/reconcile/reconciler.h"

namespace stentor::speaker {
namespace {

constexpr std::size_t kMaxListed = 20;

// "a, b and 3 more"
template <typename Items, typename Text>
std::string List(const Items& items, Text text) {
  std::string out;
  std::size_t listed = 0;
  for (const auto& item : items) {
    if (listed == kMaxListed) {
      StrAppend(&out, " and ", items.size() - listed, " more");
      break;
    }
    StrAppend(&out, listed++ == 0 ? "" : ", ", text(item));
  }
  return out;
}

}  // namespace

std::string_view VerdictName(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::kAnnounced:
      return "announced";
    case Verdict::kNotMine:
      return "notMine";
    case Verdict::kNotReady:
      return "notReady";
    case Verdict::kNoAddress:
      return "noIP";
    case Verdict::kInvalidIp:
      return "invalidIP";
    case Verdict::kIpNotAllowed:
      return "ipNotAllowed";
    case Verdict::kNotElected:
      return "notElected";
    case Verdict::kInterfaceMissing:
      return "interfaceMissing";
    case Verdict::kAwaitsProxy:
      return "awaitsProxy";
  }
  return "unknown";
}

std::string_view ReasonName(Verdict verdict, DecisionReason decision) noexcept {
  if (verdict != Verdict::kNotElected) {
    return VerdictName(verdict);
  }
  // MetalLB has one word for two reasons.
  return decision == DecisionReason::kNoServingEndpoint ? "noServingEndpoint"
                                                        : DecisionReasonName(decision);
}

std::size_t Reconciler::Slot(Verdict verdict, DecisionReason decision) {
  return verdict == Verdict::kNotElected ? kVerdictCount + static_cast<std::size_t>(decision)
                                         : static_cast<std::size_t>(verdict);
}

std::map<std::string_view, std::size_t> Reconciler::VerdictCounts() const {
  std::map<std::string_view, std::size_t> counts;
  for (std::size_t i = 0; i < kVerdictCount; ++i) {
    const auto verdict = static_cast<Verdict>(i);
    if (verdict != Verdict::kNotElected && verdict != Verdict::kNotMine) {
      counts[VerdictName(verdict)] = counts_[i];
    }
  }
  for (const DecisionReason decision :
       {DecisionReason::kNoServingEndpoint, DecisionReason::kSharedIpWithServiceSelector,
        DecisionReason::kNoMatchingAdvertisement, DecisionReason::kNotOwner}) {
    counts[ReasonName(Verdict::kNotElected, decision)] =
        counts_[Slot(Verdict::kNotElected, decision)];
  }
  return counts;
}

std::vector<UnannouncedAddress> Reconciler::Unannounced(std::size_t most) const {
  std::vector<UnannouncedAddress> found;
  for (const auto& [key, entry] : services_) {
    const bool well = entry.elsewhere || entry.verdict == Verdict::kAnnounced;
    if (!entry.mine || !entry.verdict || well) {
      continue;
    }
    for (const net::IpAddress& address : entry.ingress) {
      if (found.size() == most) {
        return found;
      }
      found.push_back({.service = key,
                       .address = address,
                       .reason = ReasonName(*entry.verdict, entry.decision)});
    }
  }
  return found;
}

std::size_t Reconciler::NodesWithout(const std::vector<Speaker>& speakers) const {
  std::set<std::string_view> with;
  for (const Speaker& speaker : speakers) {
    with.insert(speaker.node);
  }
  return static_cast<std::size_t>(std::ranges::count_if(
      nodes_, [&with](const auto& node) { return !with.contains(node.first); }));
}

std::vector<AnnouncedService> Reconciler::AnnouncedServices() const {
  std::vector<AnnouncedService> announced;
  for (const auto& [key, entry] : services_) {
    if (!entry.announced.empty()) {
      announced.push_back({.service = key,
                           .uid = entry.uid,
                           .addresses = entry.announced,
                           .interfaces = entry.interfaces});
    }
  }
  return announced;
}

std::set<net::IpAddress> Reconciler::Addresses() const {
  std::set<net::IpAddress> addresses;
  for (const auto& [key, entry] : services_) {
    if (entry.mine) {
      addresses.insert(entry.ingress.begin(), entry.ingress.end());
    }
  }
  return addresses;
}

std::optional<Explanation> Reconciler::Explain(const model::ServiceKey& service) const {
  const auto it = services_.find(service);
  if (it == services_.end() || !it->second.verdict) {
    return std::nullopt;
  }
  const Entry& entry = it->second;
  Explanation explanation{.service = service,
                          .verdict = *entry.verdict,
                          .addresses = entry.ingress,
                          .pool = {},
                          .decision = {}};
  const config::Pool* const pool =
      entry.invalid_address || entry.ingress.empty() ? nullptr : FindPool(entry);
  if (pool != nullptr) {
    std::vector<model::Node> nodes;
    for (const auto& [name, node] : nodes_) {
      nodes.push_back(node);
    }
    explanation.pool = pool->name;
    explanation.decision = Elect(FactsOf(service, entry, *pool), Cluster(nodes), options_.node);
  }
  return explanation;
}

std::string ToString(const Explanation& explanation) {
  const Decision* const decision = explanation.decision ? &*explanation.decision : nullptr;
  std::string out =
      StrCat(explanation.service.ToString(), ": ",
             ReasonName(explanation.verdict,
                        decision != nullptr ? decision->reason : DecisionReason::kNotOwner));
  if (!explanation.addresses.empty()) {
    StrAppend(&out, "; addresses ",
              List(explanation.addresses, [](const auto& address) { return address.ToString(); }));
  }
  if (decision == nullptr) {
    return out;
  }
  StrAppend(&out, "; pool ", explanation.pool);
  if (!decision->candidates.empty()) {
    StrAppend(&out, "; candidates ", List(decision->candidates, [&](const Candidate& candidate) {
      std::string text = candidate.node;
      const bool tenant = decision->tenant && &candidate == &decision->candidates.front();
      if (tenant) {
        text += candidate.score == 0 ? " (tenant)" : " (tenant, ";
      }
      if (candidate.score != 0) {
        StrAppend(&text, tenant ? "" : " (", "score ", candidate.score, ")");
      }
      return text;
    }));
  }
  if (!decision->excluded.empty()) {
    StrAppend(&out, "; excluded ", List(decision->excluded, [](const ExcludedNode& excluded) {
      return StrCat(excluded.node, " (", ExclusionName(excluded.reason), ")");
    }));
  }
  return out;
}

}  // namespace stentor::speaker
