// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <vector>

#include "common/obs/client_metrics.h"
#include "common/obs/metrics.h"
#include "speaker/announce/announcer.h"
#include "speaker/membership/membership.h"
#include "speaker/reconcile/reconciler.h"

namespace stentor::speaker {

/// What the speaker shows of itself: MetalLB's names, and stentor_ for what MetalLB does not have.
class Metrics {
 public:
  explicit Metrics(model::NodeName node) : node_(std::move(node)) {}

  /// Counters that the speaker increments.
  obs::ClientMetrics client;

  /// Takes note of a Service that is announced now, or no more.
  void Note(const OwnershipChange& change);

  /// `membership` is null where there is none.
  void Collect(const Announcer& announcer, const Membership* membership,
               obs::MetricSet& metrics) const;

 private:
  const model::NodeName node_;
  std::map<model::ServiceKey, std::vector<net::IpAddress>> announced_;
};

}  // namespace stentor::speaker
