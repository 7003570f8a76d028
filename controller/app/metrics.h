// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "common/base/time.h"
#include "common/config/config.h"
#include "common/obs/client_metrics.h"
#include "common/obs/histogram.h"
#include "common/obs/metrics.h"
#include "controller/allocator/address_allocator.h"

namespace stentor::controller {

/// What the controller shows of itself, under MetalLB's names.
class Metrics {
 public:
  /// Counters that the controller increments.
  obs::ClientMetrics client;

  /// A Service that had none has its address, so long after it was first seen without.
  void AddressWritten(Duration after) {
    allocation_.Observe(std::chrono::duration<double>(after).count());
  }
  /// A status write did not succeed and is, or may have to be, made again.
  void WriteRepeated() { ++write_retries_; }

  /// The figures that don't depend on who leads.
  void Collect(obs::MetricSet& metrics) const;
  /// Those of the leader; `pending_writes` of Services' status.
  static void Collect(const config::Config& config, const AddressAllocator& allocator,
                      std::size_t pending_writes, obs::MetricSet& metrics);

 private:
  obs::Histogram allocation_ = MakeAllocationHistogram();
  std::uint64_t write_retries_ = 0;

  [[nodiscard]] static obs::Histogram MakeAllocationHistogram();
};

}  // namespace stentor::controller
