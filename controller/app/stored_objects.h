// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/io/context.h"
#include "common/io/lifetime.h"
#include "controller/webhook/facts.h"

namespace stentor::controller {

/// Reads what is stored, for a review of the webhooks, from the API server itself, as MetalLB does:
/// a watch lags behind, and would refuse a pool for one that was deleted just before. Reviews that
/// come while it is being read share the next reading, and readings have a distance, so that a
/// flood of reviews, which anybody can send who reaches the port, costs the API server little. A
/// reading that fails for the moment, as when a CustomResourceDefinition was just changed, is begun
/// again while a review can wait.
class StoredObjects {
 public:
  /// What is stored, or why that can't be known now.
  using Done = std::function<void(const absl::StatusOr<Facts>& facts)>;

  StoredObjects(const io::Context& context, std::string name_space, BgpMode bgp_mode);
  ~StoredObjects();
  StoredObjects(const StoredObjects&) = delete;
  StoredObjects& operator=(const StoredObjects&) = delete;

  /// Calls `done` once, later, with at least what matters to an object of `kind`, as it is stored
  /// at some moment after this call. Kinds that the API server does not know or has never shown
  /// count as empty.
  void Read(Kind kind, Done done);

 private:
  struct Round;
  struct Waiting {
    Done done;
    TimePoint until;  // afterwards nobody waits for the answer any more
  };
  // Objects of layer 2, and those of BGP, for which more has to be read.
  struct Group {
    explicit Group(io::EventLoop& loop) : timer(loop) {}
    std::vector<Waiting> waiting;
    TimePoint next_start{};
    TimePoint used_up{};  // readings so far, at their long-term pace, would end then
    std::shared_ptr<Round> round;
    io::Timer timer;
  };

  void Start(bool bgp);
  void List(bool bgp, const std::shared_ptr<Round>& round, const std::string& path,
            std::function<void(const nlohmann::json& object)> take, bool metadata_only);
  void Finish(bool bgp);
  [[nodiscard]] Group& GroupOf(bool bgp) { return bgp ? bgp_ : layer2_; }

  const io::Context context_;
  const std::string name_space_;
  const BgpMode bgp_mode_;
  Group layer2_;
  Group bgp_;
  std::set<std::string> shown_;  // paths of lists that were not refused
  io::Lifetime lifetime_;
};

}  // namespace stentor::controller
