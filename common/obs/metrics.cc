// SPDX-License-Identifier: Apache-2.0
#include "common/obs/metrics.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace stentor::obs {
namespace {

// [a-zA-Z_][a-zA-Z0-9_]*, and colons where `colons` (Prometheus, "Data model").
bool IsName(std::string_view name, bool colons) noexcept {
  const auto letter = [colons](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colons && c == ':');
  };
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return !name.empty() && !digit(name.front()) &&
         std::ranges::all_of(name, [&](char c) { return letter(c) || digit(c); });
}

}  // namespace

bool IsMetricName(std::string_view name) noexcept { return IsName(name, true); }

// Names with two leading underscores are Prometheus' own.
bool IsLabelName(std::string_view name) noexcept {
  return IsName(name, false) && !name.starts_with("__");
}

MetricFamily& MetricSet::FamilyOf(const MetricInfo& info, const Labels& labels) {
  auto found = families_.find(info.name);
  if (found == families_.end()) {
    STENTOR_CHECK(IsMetricName(info.name));
    MetricFamily family{.name = std::string(info.name),
                        .help = std::string(info.help),
                        .type = info.type,
                        .series = {},
                        .histograms = {}};
    found = families_.emplace(family.name, std::move(family)).first;
  }
  MetricFamily& family = found->second;
  STENTOR_CHECK(family.type == info.type);
  STENTOR_CHECK(
      std::ranges::all_of(labels, [](const Label& label) { return IsLabelName(label.name); }));
  const auto same_names = [&labels](const auto& series) {
    return series.empty() ||
           std::ranges::equal(series.begin()->first, labels, {}, &Label::name, &Label::name);
  };
  STENTOR_CHECK(same_names(family.series) && same_names(family.histograms));
  return family;
}

void MetricSet::Set(const MetricInfo& info, Labels labels, double value) {
  STENTOR_CHECK(info.type != MetricType::kHistogram);
  MetricFamily& family = FamilyOf(info, labels);
  family.series.insert_or_assign(std::move(labels), value);
}

void MetricSet::Set(const MetricInfo& info, Labels labels, const Histogram& histogram) {
  STENTOR_CHECK(info.type == MetricType::kHistogram);
  MetricFamily& family = FamilyOf(info, labels);
  family.histograms.insert_or_assign(std::move(labels), histogram);
}

}  // namespace stentor::obs
