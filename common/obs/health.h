// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What the probes of Kubernetes are told. Pure: time comes in, a verdict comes out.

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/time.h"

namespace stentor::obs {

/// The answer to a probe: its text names what is missing.
struct HealthReport {
  bool ok = false;
  std::string text;

  friend bool operator==(const HealthReport&, const HealthReport&) = default;
};

/// Live: timers are served, and nothing is stuck. A program that fails this is restarted, so
/// nothing counts here that a restart does not heal. Ready: every named condition holds. Not
/// thread-safe.
class Health {
 public:
  /// Progress() is to be called at an interval well below `patience`; the count starts at `now`.
  Health(TimePoint now, Duration patience) : patience_(patience), progress_(now) {}

  /// A timer of the event loop has just run.
  void Progress(TimePoint now) { progress_ = now; }

  /// A condition that has to hold before the program is ready; it may be taken back. `why_not` is
  /// told as long as it does not hold, to anybody who asks: nothing secret. One line; what else it
  /// has of control characters becomes spaces, and it is cut at kMaxReason octets.
  void Set(std::string_view condition, bool holds, std::string_view why_not = {});

  /// Something that only a restart heals, in one line; empty: nothing.
  void SetStuck(std::string_view why);

  static constexpr std::size_t kMaxReason = 1024;

  [[nodiscard]] HealthReport Live(TimePoint now) const;
  /// Without any condition: ready.
  [[nodiscard]] HealthReport Ready() const;

 private:
  Duration patience_;
  TimePoint progress_;
  std::string stuck_;
  // What is told of each that does not hold; absent for one that does.
  std::map<std::string, std::optional<std::string>, std::less<>> conditions_;
};

}  // namespace stentor::obs
