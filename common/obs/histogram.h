// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace stentor::obs {

/// How often values of which size were seen; shown as a histogram of Prometheus. A value.
class Histogram {
 public:
  /// `bounds`: the upper end of each bucket, rising; one for all that is larger is added.
  explicit Histogram(std::span<const double> bounds);

  void Observe(double value);

  [[nodiscard]] const std::vector<double>& bounds() const noexcept { return bounds_; }
  /// How many values were at most bounds()[i]; the last one, of index bounds().size(), is all.
  [[nodiscard]] std::uint64_t CountUpTo(std::size_t bucket) const;
  [[nodiscard]] std::uint64_t count() const { return CountUpTo(bounds_.size()); }
  [[nodiscard]] double sum() const noexcept { return sum_; }

  friend bool operator==(const Histogram&, const Histogram&) = default;

 private:
  std::vector<double> bounds_;
  std::vector<std::uint64_t> counts_;  // of each bucket alone
  double sum_ = 0;
};

}  // namespace stentor::obs
