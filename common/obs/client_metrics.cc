// SPDX-License-Identifier: Apache-2.0
#include "common/obs/client_metrics.h"

namespace stentor::obs {
namespace {

constexpr MetricInfo kUpdates{"metallb_k8s_client_updates_total", MetricType::kCounter,
                              "Changes of Kubernetes objects that were processed"};
constexpr MetricInfo kUpdateErrors{"metallb_k8s_client_update_errors_total", MetricType::kCounter,
                                   "Changes of Kubernetes objects that could not be processed"};
constexpr MetricInfo kConfigLoaded{"metallb_k8s_client_config_loaded_bool", MetricType::kGauge,
                                   "1 if a configuration was loaded at least once"};
constexpr MetricInfo kConfigStale{"metallb_k8s_client_config_stale_bool", MetricType::kGauge,
                                  "1 if an older configuration is in force than the last one"};

}  // namespace

void ClientMetrics::Collect(MetricSet& metrics) const {
  metrics.Set(kUpdates, updates);
  metrics.Set(kUpdateErrors, update_errors);
  metrics.Set(kConfigLoaded, config_loaded);
  metrics.Set(kConfigStale, config_stale);
}

}  // namespace stentor::obs
