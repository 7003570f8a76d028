// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The seed of a run of simulations: STENTOR_SIM_SEED, or a random one; printed, so that the run
/// can be repeated.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace stentor::sim {

/// The same in every call.
[[nodiscard]] inline std::uint64_t RunSeed() {
  static const std::uint64_t seed = [] {
    const char* const wanted = std::getenv("STENTOR_SIM_SEED");
    const std::uint64_t chosen =
        wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : std::random_device{}();
    std::printf("STENTOR_SIM_SEED=%llu\n", static_cast<unsigned long long>(chosen));
    return chosen;
  }();
  return seed;
}

}  // namespace stentor::sim
