// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What controller and speakers make of a snapshot: the same allocator and the same election as
/// theirs, fed with what the API shows.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/facts/snapshot.h"
#include "controller/allocator/address_allocator.h"
#include "controller/allocator/explain.h"
#include "controller/reconcile/convergence.h"
#include "speaker/election/election.h"
#include "speaker/election/elector.h"

namespace stentor::cli {

/// Who holds which address: what a controller makes of it that starts now and reads these facts.
class Books {
 public:
  /// `snapshot` must outlive it. Where its configuration is not valid, nothing is judged, as a
  /// controller goes on with what was valid before.
  explicit Books(const Snapshot& snapshot);

  [[nodiscard]] const controller::AddressAllocator& allocator() const { return allocator_; }

  /// Where a Service stands; null where it is not ours, or nothing is judged.
  [[nodiscard]] const controller::Standing* Find(const model::ServiceKey& service) const;

  /// Addresses of a pool that Services show, and that there are.
  struct Usage {
    controller::PoolUsage ipv4;
    controller::PoolUsage ipv6;
  };
  [[nodiscard]] Usage UsageOf(const model::PoolName& pool) const;

  /// Why a Service may not keep what it shows; empty: it may.
  [[nodiscard]] std::string Dispute(const model::Service& service) const;

  /// What `service` asks for; an error where that can't be read, or it has no cluster address.
  [[nodiscard]] absl::StatusOr<controller::AllocationRequest> RequestOf(
      const model::Service& service) const;

  /// How a pool stands to a Service.
  struct PoolView {
    enum class State : std::uint8_t { kGave, kCould, kRefused };
    model::PoolName pool;
    State state = State::kRefused;
    std::string why;    ///< Where refused.
    bool tried = true;  ///< Would be tried, where it comes to it.
  };
  /// All pools, those first that would be tried first. Nothing changes.
  [[nodiscard]] std::vector<PoolView> Pools(const model::Service& service);

 private:
  void Settle(const model::Service& service);

  const Snapshot& snapshot_;
  controller::AddressAllocator allocator_;
  std::map<model::PoolName, Usage> usage_;
  std::map<model::ServiceKey, controller::Standing> standings_;
};

[[nodiscard]] std::string_view StateName(Books::PoolView::State state);

/// The election for one Service.
struct Ballot {
  const config::Pool* pool = nullptr;  ///< That has all its addresses; null: none.
  speaker::Decision decision;          ///< As the winner's speaker sees it; needs a pool.
};

/// The elections of a snapshot, which must outlive it and stay as it is. A speaker that reports an
/// unhealthy service proxy yields, as it tells the others.
class Elections {
 public:
  explicit Elections(const Snapshot& snapshot);
  Elections(const Elections&) = delete;
  Elections& operator=(const Elections&) = delete;

  /// With all candidates and all who are none.
  [[nodiscard]] Ballot Hold(const model::Service& service) const;

  struct Outcome {
    const config::Pool* pool = nullptr;
    speaker::DecisionReason reason = speaker::DecisionReason::kNoAddress;
    model::NodeName winner;  ///< Empty: nobody.
  };
  /// The winner alone, at a fraction of the cost.
  [[nodiscard]] Outcome WinnerOf(const model::Service& service);

 private:
  [[nodiscard]] speaker::ClusterFacts Facts() const;

  const Snapshot& snapshot_;
  std::vector<speaker::Speaker> speakers_;
  speaker::Elector elector_{""};
};

/// Whether a speaker's state tells of an unhealthy service proxy.
[[nodiscard]] bool TellsOfProxy(const status::SeenCondition& traps);
/// The condition on traps of a state that is True; null where there is none.
[[nodiscard]] const status::SeenCondition* TrapsOf(const status::ConfigurationState* state);

/// Why a node is not a candidate, for people, in this snapshot.
[[nodiscard]] std::string ExclusionText(const Snapshot& snapshot,
                                        const speaker::ExcludedNode& excluded);

/// The pool of all `addresses`; null where there is none, or the configuration is not valid.
[[nodiscard]] const config::Pool* PoolOf(const Snapshot& snapshot,
                                         const std::vector<net::IpAddress>& addresses);

}  // namespace stentor::cli
