// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "common/config/config.h"
#include "common/obs/client_metrics.h"
#include "common/obs/metrics.h"
#include "controller/allocator/address_allocator.h"

namespace stentor::controller {

/// What the controller shows of itself, under MetalLB's names.
class Metrics {
 public:
  /// Counters that the controller increments.
  obs::ClientMetrics client;

  /// Takes note of the pools that are in force now; the series of all others vanish.
  void ConfigLoaded(const config::Config& config);

  void Collect(const AddressAllocator& allocator, obs::MetricSet& metrics) const;

 private:
  std::vector<model::PoolName> pools_;
};

}  // namespace stentor::controller
