// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/obs/client_metrics.h"
#include "common/obs/histogram.h"
#include "common/obs/metrics.h"
#include "speaker/announce/announcer.h"
#include "speaker/app/members.h"
#include "speaker/net/packet_ports.h"
#include "speaker/node/traps.h"
#include "speaker/reconcile/reconciler.h"

namespace stentor::speaker {

/// All that is read at a scrape.
struct MetricsSources {
  const Reconciler& reconciler;
  const Announcer& announcer;
  const PacketPorts& ports;
  const Members* members = nullptr;  ///< Null where there is no membership.
  const TrapKeeper& traps;
  bool from_saved_state = false;
  std::size_t statuses_pending = 0;
};

/// What the speaker shows of itself: MetalLB's names, and stentor_ for what MetalLB does not have.
class Metrics {
 public:
  explicit Metrics(model::NodeName node) : node_(std::move(node)) {}

  /// What the speaker counts.
  obs::ClientMetrics client;
  std::uint64_t services_won = 0;
  std::uint64_t services_lost = 0;
  /// Seconds from the last sign of life of a speaker to the first announcement of what was its own.
  obs::Histogram take_over{kDetectionBounds};

  void Collect(const MetricsSources& sources, obs::MetricSet& metrics) const;

 private:
  void CollectAnnounced(const MetricsSources& sources, obs::MetricSet& metrics) const;
  void CollectConflicts(const Announcer& announcer, obs::MetricSet& metrics) const;

  const model::NodeName node_;
};

}  // namespace stentor::speaker
