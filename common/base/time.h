// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The two times of the program. Pure rooms get them as arguments and never ask a clock themselves
/// (test/purity_test.py sees to it).

#include <chrono>
#include <optional>

namespace stentor {

/// Monotonic time: what is measured and waited for. Not comparable between machines.
using TimePoint = std::chrono::steady_clock::time_point;

/// Any span of time. Literals such as `100ms` convert without loss.
using Duration = std::chrono::nanoseconds;

/// Time of day (UTC): only what is shown to users and written into Kubernetes objects.
using WallTime = std::chrono::system_clock::time_point;

/// The earlier of two optional deadlines; an absent one never comes first.
[[nodiscard]] constexpr std::optional<TimePoint> EarlierOf(std::optional<TimePoint> a,
                                                           std::optional<TimePoint> b) {
  if (!a) {
    return b;
  }
  if (!b) {
    return a;
  }
  return *a < *b ? a : b;
}

}  // namespace stentor
