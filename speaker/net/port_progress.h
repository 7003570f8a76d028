// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "common/base/time.h"

namespace stentor::speaker {

/// Tells whether a packet port is stuck: the kernel counts frames for it, but none of them arrives
/// here although there was time. Compares counters at every look; pure.
class PortProgress {
 public:
  /// Frames that arrived just before a look have not been read yet: only the next look can tell,
  /// and only if it comes at least this much later. Less than lies between two looks, which are
  /// not exactly as far apart as they should be.
  static constexpr Duration kGrace = std::chrono::milliseconds(1500);

  /// `offered`: frames that the kernel has counted for the port; `taken`: frames that were read.
  /// Both since it was opened. True where it is stuck.
  bool Look(TimePoint now, std::uint64_t offered, std::uint64_t taken) noexcept;

 private:
  std::uint64_t offered_ = 0;
  std::uint64_t taken_ = 0;
  std::optional<TimePoint> waiting_since_;  // since this look there were frames to be read
};

}  // namespace stentor::speaker
