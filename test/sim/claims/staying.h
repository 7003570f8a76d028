// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What the simulations of addresses that stay have in common.

#include <cstddef>

#include "test/sim/membership/lan/bounds.h"
#include "test/support/catch.h"

namespace stentor::sim {

/// How many of the addresses stay.
inline constexpr std::size_t kStaying = 20;

/// One view, one announcer of each address, and nobody was given up who lives.
inline void CheckWell(SimulatedLan& lan) {
  if (!lan.Converged()) {
    UNSCOPED_INFO(lan.Views());
  }
  CHECK(lan.Converged());
  CHECK(lan.addresses().unanswered() == 0);
  CHECK(lan.addresses().doubled() == 0);
  CHECK(lan.false_deaths() == 0);
}

}  // namespace stentor::sim
