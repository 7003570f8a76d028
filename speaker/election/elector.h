// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The election of election.h for many Services, again and again: the same results as Elect(), at a
/// fraction of the cost. What Services have in common is evaluated once a view; and who comes first
/// among the nodes that could ever announce a Service is remembered with the Service, since a
/// death, a return or a reason to yield changes only who of them is there.
///
///   elector.SetView(cluster);  // whenever anything about the cluster or its configuration changed
///   for (Service& service : services) { Act(elector.Decide(FactsOf(service), service.ranking)); }

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/config/config.h"
#include "common/model/objects.h"
#include "common/net/ip_address.h"
#include "speaker/claims/claims.h"
#include "speaker/election/claim_index.h"
#include "speaker/election/election.h"
#include "speaker/election/node_set.h"

namespace stentor::speaker {

/// What a Decision says about the speaker's own node and the winner, without the lists. Valid until
/// the next Elector::SetView().
struct Vote {
  DecisionReason reason = DecisionReason::kNotOwner;
  std::string_view winner = {};                 ///< Empty where no node can.
  const InterfaceChoice* interfaces = nullptr;  ///< Of this node; set where it announces.
  config::ConflictPolicy conflict_policy = config::ConflictPolicy::kWarn;  ///< Where it announces.
  /// FailBackOf(); 0 where nobody may claim: see ClaimsCount(). Not looked at where no endpoint can
  /// serve and this node claims nothing.
  config::FailBackDelay fail_back{};
  std::uint32_t epoch = 0;      ///< Of the claim by which the winner won; 0: by the order.
  std::string_view first = {};  ///< Who would win if nobody claimed it.

  [[nodiscard]] bool announce() const noexcept { return reason == DecisionReason::kAnnounced; }
};

/// The first nodes in one Service's order, as the Elector that filled it remembers them: about 100
/// octets, whatever the size of the cluster. A Service's owner forgets it (assigns {}) when its
/// first address or traffic policy changes, and, if that is Local, when its endpoints do.
class Ranking {
 private:
  friend class Elector;
  static constexpr std::size_t kCapacity = 8;

  std::uint64_t domain_ = 0;  // version of the Domain that it is about; 0: none
  std::uint8_t size_ = 0;
  bool complete_ = false;  // these are all there are
  std::array<std::uint32_t, kCapacity> nodes_{};
  std::array<std::uint64_t, kCapacity> prefixes_{};  // of their digests: the first 8 octets
};

/// Not thread-safe.
class Elector {
 public:
  /// Decides for the speaker on `self`.
  explicit Elector(model::NodeName self) : self_(std::move(self)) {}

  /// What elections are held with from now on. `cluster.nodes` and the advertisements given to
  /// Decide() must stay as they are until the next call; a node's name occurs once.
  void SetView(const ClusterFacts& cluster);
  /// The same view, with what `cluster.speakers` claim now, ClaimsCount(), and nothing else of
  /// `cluster`. Votes stay valid.
  void SetClaims(const ClusterFacts& cluster);

  /// As Elect(service, cluster, self). Needs a view.
  [[nodiscard]] Vote Decide(const ServiceFacts& service, Ranking& ranking);

  /// SHA-256 digests computed so far: what an election costs, for tests and benches.
  [[nodiscard]] std::uint64_t digests() const noexcept { return digests_; }
  /// Nodes that have a number, and sets of nodes that are remembered: what bounds the memory.
  [[nodiscard]] std::size_t numbers() const noexcept { return names_.size(); }
  [[nodiscard]] std::size_t domains() const noexcept { return domains_.size(); }

 private:
  using NodeId = std::uint32_t;
  static constexpr NodeId kNobody = ~NodeId{0};

  using Scores = std::vector<std::pair<NodeId, int>>;  // by id; what isn't there has 0

  // Nodes that some advertisements cover, with their scores: all that decides about an order beside
  // the address.
  struct DomainKey {
    NodeSet members;
    Scores scores;
    friend auto operator<=>(const DomainKey&, const DomainKey&) = default;
  };
  struct Delta {
    std::vector<NodeId> gone;  // or with another score
    std::vector<NodeId> come;
  };
  struct Domain {
    const DomainKey* key = nullptr;
    std::uint64_t version = 0;
    std::uint64_t used = 0;                // the latest view that needed it
    NodeSet candidates;                    // members that can announce, in that view
    NodeSet eligible;                      // those of them that don't yield, or all where all do
    std::map<std::uint64_t, Delta> since;  // from other versions
  };
  // Some of a pool's advertisements.
  struct Electorate {
    Domain* domain = nullptr;
    bool covers_self = false;
    InterfaceChoice interfaces;
    config::ConflictPolicy conflict_policy = config::ConflictPolicy::kWarn;
    config::FailBackDelay fail_back{};
  };
  struct AdvertisementView {
    NodeSet covered;
    Scores scores;
  };
  // A pool, in this view.
  struct PoolView {
    std::vector<AdvertisementView> advertisements;
    bool selective = false;  // one of them is only for some Services
    std::map<std::vector<std::uint32_t>, Electorate> electorates;  // by indexes of advertisements
    Electorate* whole = nullptr;                                   // where none is selective
  };

  struct Ranked {
    int score = 0;
    std::uint64_t prefix = 0;
    NodeId id = kNobody;
  };

  struct Tenant {
    NodeId id = kNobody;
    std::uint32_t epoch = 0;
  };

  void NumberNodes();
  void FindUsable(const ClusterFacts& cluster);
  [[nodiscard]] PoolView& ViewOf(std::span<const config::L2Advertisement> advertisements);
  // matching_ becomes the indexes of the advertisements that are for the Service.
  [[nodiscard]] Electorate& ElectorateOf(PoolView& pool, const ServiceFacts& service);
  [[nodiscard]] Electorate MakeElectorate(const PoolView& pool, const ServiceFacts& service);
  [[nodiscard]] Domain& Intern(DomainKey key);

  [[nodiscard]] NodeId Winner(Domain& domain, Ranking& ranking);
  [[nodiscard]] NodeId LocalWinner(const ServiceFacts& service, Domain& domain, Ranking& ranking);
  // Nobody where no candidate claims the Service; `first` is the one that wins then.
  [[nodiscard]] Tenant FindTenant(const ServiceFacts& service, const Domain& domain, NodeId first);
  [[nodiscard]] bool IsEligible(NodeId id, const ServiceFacts& service, const Domain& domain,
                                NodeId first) const;
  [[nodiscard]] NodeId BestOf(const NodeSet& eligible, const Domain& domain);
  [[nodiscard]] NodeSet LocalNodes(const ServiceFacts& service) const;
  // Makes the ranking one of all members of the domain.
  void BringUpToDate(Domain& domain, Ranking& ranking);
  void Fill(const NodeSet& members, const Domain& domain, Ranking& ranking);
  // False where too little is left of the ranking.
  [[nodiscard]] bool Update(const Delta& delta, const Domain& domain, Ranking& ranking);
  void Insert(const Ranked& ranked, const Domain& domain, Ranking& ranking);
  [[nodiscard]] static const Delta& Since(const Domain& former, Domain& domain);

  [[nodiscard]] static int ScoreOf(const Domain& domain, NodeId id);
  [[nodiscard]] crypto::Sha256Digest DigestOf(NodeId id);
  [[nodiscard]] Ranked Rank(const Domain& domain, NodeId id);
  // The order of the election.
  [[nodiscard]] bool Before(const Ranked& a, const Ranked& b);

  const model::NodeName self_;
  std::span<const model::Node> nodes_;  // of the view
  std::vector<NodeId> ids_;             // of nodes_, in the same order
  std::map<std::string, NodeId, std::less<>> id_of_;
  std::vector<std::string> names_;  // by id; empty: free
  std::vector<NodeId> free_ids_;
  NodeId self_id_ = kNobody;
  NodeSet usable_;    // a living speaker on a node that may be used
  NodeSet yielding_;  // leave it to others
  bool claims_count_ = false;
  ClaimIndex claims_;  // of other speakers
  absl::flat_hash_map<const config::L2Advertisement*, PoolView> pools_;
  std::map<DomainKey, Domain> domains_;
  absl::flat_hash_map<std::uint64_t, Domain*> domain_of_version_;
  std::uint64_t view_ = 0;
  std::uint64_t last_version_ = 0;
  std::uint64_t digests_ = 0;

  // Of the election under way.
  const net::IpAddress* address_ = nullptr;
  std::string message_;       // what is digested
  std::string address_text_;  // "#address"; empty: not needed so far
  std::vector<std::uint32_t> matching_;
  std::vector<Ranked> ranked_;
};

}  // namespace stentor::speaker
