// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/announcer_pace.h"

#include <algorithm>

namespace stentor::speaker {
namespace {

// Waking for each frame would cost more than it gains: credit is spent in portions of this length.
constexpr double kPortionSeconds = 0.005;

// SplitMix64: spreads any seed, and is the same on every machine.
std::uint64_t NextRandom(std::uint64_t* state) noexcept {
  *state += 0x9e3779b97f4a7c15ULL;
  std::uint64_t z = *state;
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31U);
}

}  // namespace

Duration Jitter::Spread(Duration interval) noexcept {
  const std::int64_t half = std::max<std::int64_t>(interval.count() / 2, 1);
  const auto offset =
      static_cast<std::int64_t>(NextRandom(&state_) % static_cast<std::uint64_t>(half));
  return interval - Duration(half / 2) + Duration(offset);
}

void FramePace::Refill(TimePoint now) noexcept {
  if (refilled_ && now > *refilled_) {
    const double seconds = std::chrono::duration<double>(now - *refilled_).count();
    credit_ = std::min(burst_, credit_ + seconds * rate_);
  }
  if (!refilled_ || now > *refilled_) {
    refilled_ = now;
  }
}

std::optional<TimePoint> FramePace::NextAffordable() const noexcept {
  if (credit_ >= 1 || !refilled_) {
    return std::nullopt;
  }
  const double wanted = std::clamp(kPortionSeconds * rate_, 1.0, burst_);
  // One nanosecond more than the quotient, so that rounding never brings us back a moment early.
  return *refilled_ +
         std::chrono::duration_cast<Duration>(
             std::chrono::duration<double>((wanted - credit_) / rate_)) +
         std::chrono::nanoseconds(1);
}

}  // namespace stentor::speaker
