// SPDX-License-Identifier: Apache-2.0
#include "common/io/metrics_text.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <limits>
#include <utility>
#include <vector>

namespace stentor::io {
namespace {

prometheus::ClientMetric WithLabels(const obs::Labels& labels) {
  prometheus::ClientMetric metric;
  for (const obs::Label& label : labels) {
    metric.label.push_back({.name = label.name, .value = label.value});
  }
  return metric;
}

prometheus::ClientMetric Convert(const obs::Labels& labels, double value, obs::MetricType type) {
  prometheus::ClientMetric metric = WithLabels(labels);
  if (type == obs::MetricType::kCounter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  return metric;
}

prometheus::ClientMetric Convert(const obs::Labels& labels, const obs::Histogram& histogram) {
  prometheus::ClientMetric metric = WithLabels(labels);
  metric.histogram.sample_count = histogram.count();
  metric.histogram.sample_sum = histogram.sum();
  for (std::size_t i = 0; i <= histogram.bounds().size(); ++i) {
    metric.histogram.bucket.push_back(
        {.cumulative_count = histogram.CountUpTo(i),
         .upper_bound = i < histogram.bounds().size() ? histogram.bounds()[i]
                                                      : std::numeric_limits<double>::infinity()});
  }
  return metric;
}

prometheus::MetricType TypeOf(obs::MetricType type) {
  switch (type) {
    case obs::MetricType::kCounter:
      return prometheus::MetricType::Counter;
    case obs::MetricType::kGauge:
      return prometheus::MetricType::Gauge;
    case obs::MetricType::kHistogram:
      return prometheus::MetricType::Histogram;
  }
  return prometheus::MetricType::Untyped;
}

}  // namespace

std::string WriteMetrics(const obs::MetricSet& metrics) {
  std::vector<prometheus::MetricFamily> families;
  for (const auto& [name, family] : metrics.families()) {
    prometheus::MetricFamily converted;
    converted.name = name;
    converted.help = family.help;
    converted.type = TypeOf(family.type);
    for (const auto& [labels, value] : family.series) {
      converted.metric.push_back(Convert(labels, value, family.type));
    }
    for (const auto& [labels, histogram] : family.histograms) {
      converted.metric.push_back(Convert(labels, histogram));
    }
    families.push_back(std::move(converted));
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace stentor::io
