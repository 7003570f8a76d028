// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What controller and speakers make of a snapshot: the same allocator and the same election as
/// theirs, fed with what the API shows.

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/facts/snapshot.h"
#include "controller/allocator/address_allocator.h"
#include "controller/allocator/explain.h"
#include "speaker/election/election.h"

namespace stentor::cli {

/// Who holds which address, as the Services' statuses say.
class Books {
 public:
  /// Of all Services that are ours. `snapshot` must outlive it. Where its configuration is not
  /// valid, there are no pools.
  explicit Books(const Snapshot& snapshot);

  [[nodiscard]] controller::AddressAllocator& allocator() { return allocator_; }
  [[nodiscard]] const controller::AddressAllocator& allocator() const { return allocator_; }

  /// Why a Service can't have what its status says: in no pool, say, or somebody else has it.
  struct Dispute {
    model::ServiceKey service;
    std::string why;
  };
  [[nodiscard]] const std::vector<Dispute>& disputes() const { return disputes_; }

  /// What `service` asks for; an error where that can't be read, or it has no cluster address.
  [[nodiscard]] absl::StatusOr<controller::AllocationRequest> RequestOf(
      const model::Service& service) const;

  /// What `service` is given, or why nothing.
  struct Answer {
    std::optional<controller::Allocation> allocation;
    controller::Refusal refusal;  ///< Where there is no allocation.
  };
  /// As the controller would now; keeps what the Service holds, where it may.
  [[nodiscard]] Answer Allocate(const model::Service& service);

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
  const Snapshot& snapshot_;
  controller::AddressAllocator allocator_;
  std::vector<Dispute> disputes_;
};

[[nodiscard]] std::string_view StateName(Books::PoolView::State state);

/// The election for one Service.
struct Ballot {
  const config::Pool* pool = nullptr;  ///< That has all its addresses; null: none.
  speaker::Decision decision;          ///< As the winner's speaker sees it; needs a pool.
};
/// Views the configuration of `snapshot`, which must stay as it is.
[[nodiscard]] Ballot HoldElection(const Snapshot& snapshot, const model::Service& service);

/// Why a node is not a candidate, for people, in this snapshot.
[[nodiscard]] std::string ExclusionText(const Snapshot& snapshot,
                                        const speaker::ExcludedNode& excluded);

/// The pool of all `addresses`; null where there is none, or the configuration is not valid.
[[nodiscard]] const config::Pool* PoolOf(const Snapshot& snapshot,
                                         const std::vector<net::IpAddress>& addresses);

}  // namespace stentor::cli
