// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What the probes of Kubernetes are told. Pure: time comes in, a verdict comes out.

#include <map>
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

/// Live: timers are served. A program that fails this is restarted, so nothing counts here that a
/// restart does not heal. Ready: every named condition holds. Not thread-safe.
class Health {
 public:
  /// Progress() is to be called at an interval well below `patience`; the count starts at `now`.
  Health(TimePoint now, Duration patience) : patience_(patience), progress_(now) {}

  /// A timer of the event loop has just run.
  void Progress(TimePoint now) { progress_ = now; }

  /// A condition that has to hold before the program is ready; it may be taken back.
  void Set(std::string_view condition, bool holds);

  [[nodiscard]] HealthReport Live(TimePoint now) const;
  /// Without any condition: ready.
  [[nodiscard]] HealthReport Ready() const;

 private:
  Duration patience_;
  TimePoint progress_;
  std::map<std::string, bool, std::less<>> conditions_;
};

}  // namespace stentor::obs
