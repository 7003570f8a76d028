// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The kinds of faults that a segment may have, each as what is done to the LAN.

#include <functional>
#include <vector>

#include "test/sim/membership/lan/simulated_lan.h"

namespace stentor::sim {

struct Scenario {
  const char* name;
  std::function<void(SimulatedLan&, std::size_t victim)> strike;
  Duration span{};     ///< That it takes, at most.
  int detections = 1;  ///< How many silences have to be noticed, one because of the other.
  /// A speaker may take an address although a better one announces it: who comes back is ready
  /// before the last of the others has heard that it was away.
  bool usurps = false;
  double most_loss = 1;  ///< Of datagrams, up to which the bounds are kept.
  /// As `usurps`, but only where datagrams are lost: those that were lost before a short pause make
  /// the silence longer.
  bool usurps_where_lost = false;
};

/// Never empty; the names are unique.
[[nodiscard]] const std::vector<Scenario>& Scenarios();

}  // namespace stentor::sim
