// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// How long it takes until a dead speaker is noticed and its addresses are answered again, and what
/// the membership sends meanwhile: the figures of test/bench and of the tests by cluster size.

#include <cstdint>
#include <vector>

#include "test/sim/membership/lan/simulated_lan.h"

namespace stentor::sim {

/// Times from one crash.
struct Detection {
  Duration noticed{};     ///< Until the first speaker declared it dead.
  Duration known{};       ///< Until the last one did.
  Duration taken_over{};  ///< Until every address was answered again.
};

/// Sorted samples.
struct Quantiles {
  Duration median{};
  Duration p99{};
  Duration worst{};
};

[[nodiscard]] Quantiles QuantilesOf(std::vector<Duration> samples);

/// Crashes a speaker at some moment of its heartbeat interval, and starts it again afterwards: the
/// LAN has one view before and after. Nothing where it does not come to this.
[[nodiscard]] std::optional<Detection> CrashOnce(SimulatedLan& lan, std::size_t victim);

/// What each speaker sends in a second while nothing happens.
struct Traffic {
  double datagrams = 0;
  double octets = 0;  ///< Of UDP payload.
};
[[nodiscard]] Traffic TrafficOf(SimulatedLan& lan, Duration span);

}  // namespace stentor::sim
