// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What is measured, as values: collected from the state holders when somebody asks, never on the
/// packet path. common/io/metrics_text.h writes it in Prometheus' format.
///
///   constexpr obs::MetricInfo kInUse{"metallb_allocator_addresses_in_use_total",
///                                    obs::MetricType::kGauge, "Addresses that Services hold"};
///   obs::MetricSet metrics;
///   metrics.Set(kInUse, {{"pool", pool}}, usage.in_use);

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/obs/histogram.h"

namespace stentor::obs {

enum class MetricType : std::uint8_t {
  kCounter,  ///< Only grows; starts at zero with the process or with what it is about.
  kGauge,
  kHistogram,  ///< Like a counter, for each of several sizes.
};

/// Name, type and meaning of a family of series. Names are API: MetalLB's where it has one, else
/// stentor_<noun>_<unit>, with _total at the end of a counter.
struct MetricInfo {
  std::string_view name;
  MetricType type = MetricType::kGauge;
  std::string_view help;
};

/// Of one series. Values may hold any UTF-8.
struct Label {
  std::string name;
  std::string value;

  friend auto operator<=>(const Label&, const Label&) = default;
};
using Labels = std::vector<Label>;

/// One name with all its series.
struct MetricFamily {
  std::string name;
  std::string help;
  MetricType type = MetricType::kGauge;
  std::map<Labels, double> series;         ///< Of counters and gauges.
  std::map<Labels, Histogram> histograms;  ///< Of histograms.

  friend bool operator==(const MetricFamily&, const MetricFamily&) = default;
};

/// Whether Prometheus takes `name` as the name of a metric, or of a label (no colons there).
[[nodiscard]] bool IsMetricName(std::string_view name) noexcept;
[[nodiscard]] bool IsLabelName(std::string_view name) noexcept;

/// Everything that one scrape shows. Deterministic: families by name, series by their labels, so
/// that two scrapes can be compared line by line.
class MetricSet {
 public:
  /// Adds a series, or replaces it where the labels are known. All series of a name have the same
  /// labels in the same order; a name or label that Prometheus would refuse aborts, for it is
  /// written in our sources.
  void Set(const MetricInfo& info, Labels labels, double value);
  void Set(const MetricInfo& info, double value) { Set(info, {}, value); }
  /// The same for counts; exact up to 2^53.
  void Set(const MetricInfo& info, Labels labels, std::uint64_t value) {
    Set(info, std::move(labels), static_cast<double>(value));
  }
  void Set(const MetricInfo& info, std::uint64_t value) { Set(info, {}, value); }
  void Set(const MetricInfo& info, bool value) { Set(info, {}, value ? 1.0 : 0.0); }
  void Set(const MetricInfo& info, Labels labels, const Histogram& histogram);

  [[nodiscard]] const std::map<std::string, MetricFamily, std::less<>>& families() const noexcept {
    return families_;
  }

 private:
  MetricFamily& FamilyOf(const MetricInfo& info, const Labels& labels);

  std::map<std::string, MetricFamily, std::less<>> families_;
};

}  // namespace stentor::obs
