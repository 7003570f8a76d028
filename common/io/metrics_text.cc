// SPDX-License-Identifier: Apache-2.0
#include "common/io/metrics_text.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <utility>
#include <vector>

namespace stentor::io {
namespace {

prometheus::ClientMetric Convert(const obs::Labels& labels, double value, obs::MetricType type) {
  prometheus::ClientMetric metric;
  for (const obs::Label& label : labels) {
    metric.label.push_back({.name = label.name, .value = label.value});
  }
  if (type == obs::MetricType::kCounter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  return metric;
}

}  // namespace

std::string WriteMetrics(const obs::MetricSet& metrics) {
  std::vector<prometheus::MetricFamily> families;
  for (const auto& [name, family] : metrics.families()) {
    prometheus::MetricFamily converted;
    converted.name = name;
    converted.help = family.help;
    converted.type = family.type == obs::MetricType::kCounter ? prometheus::MetricType::Counter
                                                              : prometheus::MetricType::Gauge;
    for (const auto& [labels, value] : family.series) {
      converted.metric.push_back(Convert(labels, value, family.type));
    }
    families.push_back(std::move(converted));
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace stentor::io
