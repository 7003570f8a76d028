// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "common/obs/metrics.h"

namespace stentor::io {

/// Of the text that WriteMetrics() makes.
inline constexpr const char* kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

/// `metrics` in Prometheus' text format 0.0.4, in their order. On prometheus-cpp.
[[nodiscard]] std::string WriteMetrics(const obs::MetricSet& metrics);

}  // namespace stentor::io
