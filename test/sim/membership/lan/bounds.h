// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What the membership promises, as times that follow from its profile and from the LAN.

#include <cstddef>
#include <memory>
#include <set>
#include <vector>

#include "test/sim/membership/lan/simulated_lan.h"

namespace stentor::sim {

struct Bounds {
  Duration unanswered;  ///< From a cause until every address has an announcer.
  Duration doubled;     ///< From when two announcers can reach each other until one stops.
  Duration converged;   ///< From the last cause until all views are the same and right.
};

/// Of a LAN with such options, where so many silences have to be noticed one after the other.
[[nodiscard]] Bounds BoundsOf(const LanOptions& options, int detections = 1);

/// Losses, duplicates and delays of a LAN that drops this share of all datagrams.
[[nodiscard]] LinkQuality Losing(double loss);

/// Starts all speakers, each up to `apart` after the one before, and runs until all have one view;
/// counts from then on. Null where it does not come to this.
[[nodiscard]] std::unique_ptr<SimulatedLan> StartedLan(
    const LanOptions& options, Duration apart = std::chrono::milliseconds(70));

/// Of so many speakers, every other one, and the rest.
[[nodiscard]] std::vector<std::set<std::size_t>> TwoHalves(std::size_t speakers);

/// The speaker that answers for the first address; there must be one.
[[nodiscard]] std::size_t OwnerOf(const SimulatedLan& lan);

/// STENTOR_SIM_LONG: for how many hours to simulate what takes minutes otherwise; 0 without it.
[[nodiscard]] double LongHours();

[[nodiscard]] inline double Ms(Duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

}  // namespace stentor::sim
