// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// How fast the announcer may speak, and how evenly. Pure.

#include <cstddef>
#include <cstdint>
#include <optional>

#include "common/base/time.h"

namespace stentor::speaker {

/// Spreads intervals. The same seed gives the same sequence on every machine.
class Jitter {
 public:
  explicit Jitter(std::uint64_t seed) noexcept : state_(seed) {}

  /// `interval`, give or take a quarter.
  [[nodiscard]] Duration Spread(Duration interval) noexcept;

 private:
  std::uint64_t state_;
};

/// A token bucket of frames. Not thread-safe.
class FramePace {
 public:
  /// Both at least 1.
  FramePace(std::uint32_t frames_per_second, std::uint32_t burst_frames) noexcept
      : rate_(frames_per_second), burst_(burst_frames), credit_(burst_frames) {}

  /// Earns credit up to `now`. Times that go back earn nothing.
  void Refill(TimePoint now) noexcept;

  [[nodiscard]] bool Affordable() const noexcept { return credit_ >= 1; }

  /// One task may need more frames than there is credit for, one for each link: then the credit is
  /// overdrawn, and the next task waits for longer.
  void Spend(std::size_t frames) noexcept { credit_ -= static_cast<double>(frames); }

  /// When it is worth coming back: credit for a few milliseconds' frames, so that not every frame
  /// costs a wake-up. Nothing where frames may leave at once.
  [[nodiscard]] std::optional<TimePoint> NextAffordable() const noexcept;

 private:
  double rate_;
  double burst_;
  double credit_;  // below zero: overdrawn
  std::optional<TimePoint> refilled_;
};

}  // namespace stentor::speaker
