// SPDX-License-Identifier: Apache-2.0
#include "common/obs/histogram.h"

#include <algorithm>
#include <numeric>

#include "common/base/check.h"

namespace stentor::obs {

Histogram::Histogram(std::span<const double> bounds)
    : bounds_(bounds.begin(), bounds.end()), counts_(bounds.size() + 1) {
  STENTOR_CHECK(std::ranges::is_sorted(bounds_));
}

void Histogram::Observe(double value) {
  const auto bucket = std::ranges::lower_bound(bounds_, value) - bounds_.begin();
  ++counts_[static_cast<std::size_t>(bucket)];
  sum_ += value;
}

std::uint64_t Histogram::CountUpTo(std::size_t bucket) const {
  STENTOR_CHECK(bucket < counts_.size());
  return std::accumulate(counts_.begin(), counts_.begin() + static_cast<std::ptrdiff_t>(bucket) + 1,
                         std::uint64_t{0});
}

}  // namespace stentor::obs
