// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What both programs serve besides their work: metrics and probes, on MetalLB's ports.

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "common/io/admin_settings.h"
#include "common/io/event_loop.h"
#include "common/io/kube_client.h"
#include "common/obs/health.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"

namespace stentor::io {

/// Serves /metrics, /healthz and /readyz. A port that is taken is no reason not to serve Services:
/// it is logged once, and tried again without end. Lives on the event loop's thread.
class Admin {
 public:
  /// `loop`, `client` and `log` must outlive it.
  Admin(EventLoop& loop, KubeClient& client, const obs::Logger& log, AdminSettings settings);
  ~Admin();
  Admin(const Admin&) = delete;
  Admin& operator=(const Admin&) = delete;

  /// Begins to serve. `collect` is called at each scrape; what it refers to must be there as
  /// long as the loop runs. Errors: what in the TLS settings can't be used.
  [[nodiscard]] absl::Status Start(std::function<void(obs::MetricSet& metrics)> collect);

  /// For the conditions of being ready; also before Start().
  [[nodiscard]] obs::Health& health() noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace stentor::io
