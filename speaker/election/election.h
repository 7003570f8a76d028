// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Which speaker answers for a Service: MetalLB's election, a function of facts that every speaker
/// knows, so that all come to the same result without talking.
///
///   const Decision decision = Elect(service, cluster, "node-1");
///   if (decision.announce()) { Announce(service.ingress, decision.interfaces); }
///
/// Candidates are living speakers on usable nodes that an advertisement covers; with
/// externalTrafficPolicy Local only those with an endpoint. The first by preference score
/// (descending), then by SHA-256 of "node#first address" (ascending) announces all addresses.
///
/// Beyond MetalLB: where an advertisement for the Service asks for it (annotation
/// model::kFailBack), who announces it claims it, and stays: of the candidates that claim the first
/// address, the one with the highest epoch is the tenant, and wins whatever the order says. Among
/// equal epochs the order decides, as it does where no candidate claims it. What is claimed counts
/// whether or not this speaker's own configuration asks for it: speakers may hear of a change at
/// different times.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"
#include "common/crypto/sha256.h"
#include "common/model/objects.h"
#include "common/net/ip_address.h"
#include "speaker/claims/claims.h"

namespace stentor::speaker {

/// Takes a node out of all load balancers (its value doesn't matter).
inline constexpr std::string_view kExcludeNodeLabel =
    "node.kubernetes.io/exclude-from-external-load-balancers";

/// What the election must know about one Service. Views must outlive the call.
struct ServiceFacts {
  std::span<const net::IpAddress> ingress;  ///< status.loadBalancer.ingress[].ip, in order.
  const model::Labels& labels;
  model::TrafficPolicy traffic_policy = model::TrafficPolicy::kCluster;
  bool may_share_address = false;  ///< Has the annotation allow-shared-ip, in either spelling.
  std::span<const model::Endpoint> endpoints;               ///< Of all its slices.
  std::span<const config::L2Advertisement> advertisements;  ///< Of the pool of its addresses.
  /// AddressKeyOf() the first address, where it is at hand; 0: it is computed when it is needed.
  AddressKey claim_key = 0;
  /// Of this speaker's own claim of that address, whatever `speakers` say of it; 0: it claims
  /// nothing.
  std::uint32_t own_epoch = 0;
};

/// A living speaker, as the membership tells.
struct Speaker {
  model::NodeName node;
  bool yields = false;  ///< Has a reason to leave it to another; counts only where there is one.
  std::shared_ptr<const Claims> claims = nullptr;  ///< Null: none.
  bool understands_claims = true;  ///< False of a version that doesn't know of claims.

  friend bool operator==(const Speaker& a, const Speaker& b) {
    return a.node == b.node && a.yields == b.yields &&
           a.understands_claims == b.understands_claims &&
           (a.claims == b.claims || (a.claims && b.claims && *a.claims == *b.claims));
  }
};

/// What it must know about the cluster. Views must outlive the call.
struct ClusterFacts {
  std::span<const model::Node> nodes;
  std::span<const Speaker> speakers;
  bool ignore_exclude_label = false;  ///< --ignore-exclude-lb
  /// Where it is off, `speakers` has no meaning: every Node counts as having one, and what yields
  /// is the Node that is not Ready. Nobody claims anything.
  bool membership = true;
};

/// Why this speaker announces, or doesn't.
enum class DecisionReason : std::uint8_t {
  kAnnounced,
  kNoAddress,                    ///< The Service has no address yet.
  kNoServingEndpoint,            ///< Nobody could take a connection, on any node.
  kSharedIpWithServiceSelector,  ///< Several Services share the address, but not the advertisement.
  kNoMatchingAdvertisement,      ///< No advertisement for this Service on this node.
  kNotOwner,                     ///< Another node won, or none could.
};
inline constexpr std::size_t kDecisionReasonCount = 6;

/// MetalLB's name, which its metrics and its users' tools know; has static storage.
[[nodiscard]] std::string_view DecisionReasonName(DecisionReason reason) noexcept;

/// Why a node is no candidate.
enum class Exclusion : std::uint8_t {
  kNoSpeaker,           ///< A node without a living speaker.
  kUnknownNode,         ///< A living speaker without a Node object.
  kNetworkUnavailable,  ///< Condition NetworkUnavailable is True.
  kExcludeLabel,        ///< kExcludeNodeLabel.
  kNoAdvertisement,     ///< No advertisement for this Service covers the node.
  kNoLocalEndpoint,     ///< externalTrafficPolicy Local, and nothing there can serve.
  kYields,              ///< Has a reason to yield, and another candidate has none.
  kNotReady,            ///< Without membership: is not Ready, and another candidate is.
};

/// A name in snake_case for logs; has static storage.
[[nodiscard]] std::string_view ExclusionName(Exclusion exclusion) noexcept;

struct Candidate {
  model::NodeName node;
  int score = 0;  ///< Sum of the weights of matching preferences.

  friend bool operator==(const Candidate&, const Candidate&) = default;
};

struct ExcludedNode {
  model::NodeName node;
  Exclusion reason = Exclusion::kNoSpeaker;

  friend bool operator==(const ExcludedNode&, const ExcludedNode&) = default;
};

/// On which interfaces of its node the winner may announce.
struct InterfaceChoice {
  bool all = false;
  std::vector<std::string> names;  ///< Sorted, without duplicates; empty where `all`.

  friend bool operator==(const InterfaceChoice&, const InterfaceChoice&) = default;
};

struct Decision {
  DecisionReason reason = DecisionReason::kNotOwner;
  InterfaceChoice interfaces;  ///< Of this node; filled where it announces.
  /// Of this node; the strictest of the advertisements that cover it, where it announces.
  config::ConflictPolicy conflict_policy = config::ConflictPolicy::kWarn;
  bool tenant =
      false;  ///< The winner is so because it claims the Service, whatever the order says.
  std::vector<Candidate> candidates;   ///< The tenant, then best first; the winner is the first.
  std::vector<ExcludedNode> excluded;  ///< By name.

  [[nodiscard]] bool announce() const noexcept { return reason == DecisionReason::kAnnounced; }
  /// The node that should announce; null where no node can.
  [[nodiscard]] const model::NodeName* winner() const noexcept {
    return candidates.empty() ? nullptr : &candidates.front().node;
  }
};

/// Whether claims count, and may be made: while all living speakers understand them, since one that
/// doesn't elects by the order alone.
[[nodiscard]] bool ClaimsCount(const ClusterFacts& cluster);

/// Decides for the speaker on `self`. The order of nodes, speakers, endpoints and advertisements
/// doesn't matter; the order of ingress addresses does.
[[nodiscard]] Decision Elect(const ServiceFacts& service, const ClusterFacts& cluster,
                             std::string_view self);

/// SHA-256 of "node#address": the order among candidates of equal score.
[[nodiscard]] crypto::Sha256Digest CandidateDigest(std::string_view node,
                                                   const net::IpAddress& address);

/// Sorts as the election does: score descending, digest ascending.
void SortCandidates(std::vector<Candidate>& candidates, const net::IpAddress& address);

/// Sum of the preference weights of `node` over those of `advertisements` that cover it.
[[nodiscard]] int PreferenceScore(std::span<const config::L2Advertisement* const> advertisements,
                                  const model::Node& node);

/// Union of the interfaces of `advertisements`; all, where any of them names none.
[[nodiscard]] InterfaceChoice InterfacesOf(
    std::span<const config::L2Advertisement* const> advertisements);

/// The strictest of `advertisements`; kWarn for none.
[[nodiscard]] config::ConflictPolicy ConflictPolicyOf(
    std::span<const config::L2Advertisement* const> advertisements);

/// The longest of `advertisements`, which should be all that are for a Service, whatever nodes they
/// cover: so all nodes come to the same. 0 for none: nobody stays.
[[nodiscard]] config::FailBackDelay FailBackOf(
    std::span<const config::L2Advertisement* const> advertisements);

/// Whether `advertisement` may be announced by `node`, and whether it is for a Service with
/// `labels`: no selectors mean all.
[[nodiscard]] bool CoversNode(const config::L2Advertisement& advertisement,
                              const model::Node& node);
[[nodiscard]] bool CoversService(const config::L2Advertisement& advertisement,
                                 const model::Labels& labels);

/// Why `node` can't announce anything, whatever the Service; nothing where it can. Leaves out
/// whether it has a speaker.
[[nodiscard]] std::optional<Exclusion> ExcludedForAll(const model::Node& node,
                                                      const ClusterFacts& cluster);

}  // namespace stentor::speaker
