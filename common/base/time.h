// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The two times of the program. Pure rooms get them as arguments and never ask a clock themselves
/// (test/purity_test.py sees to it).

#include <chrono>

namespace stentor {

/// Monotonic time: what is measured and waited for. Not comparable between machines.
using TimePoint = std::chrono::steady_clock::time_point;

/// Any span of time. Literals such as `100ms` convert without loss.
using Duration = std::chrono::nanoseconds;

/// Time of day (UTC): only what is shown to users and written into Kubernetes objects.
using WallTime = std::chrono::system_clock::time_point;

}  // namespace stentor
