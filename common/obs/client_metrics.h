// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/obs/metrics.h"

namespace stentor::obs {

/// What both programs count about their work with the API; shown under MetalLB's names.
struct ClientMetrics {
  std::uint64_t updates = 0;        ///< Objects and configurations that were taken in.
  std::uint64_t update_errors = 0;  ///< Those that could not be, and writes that failed.
  bool config_loaded = false;       ///< A configuration is in force.
  bool config_stale = false;        ///< The last one was refused.

  void ConfigLoaded() {
    config_loaded = true;
    config_stale = false;
  }
  void ConfigRefused() {
    config_stale = true;
    ++update_errors;
  }
  void Collect(MetricSet& metrics) const;
};

}  // namespace stentor::obs
