// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The seed of a run of simulations: STENTOR_SIM_SEED, where that is "random" a new one, and else
/// always the same; printed, so that the run can be repeated. Rare faults are looked for by many
/// seeds; who changes something else should not be the one to find them.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string_view>

namespace stentor::sim {

/// The same in every call.
[[nodiscard]] inline std::uint64_t RunSeed() {
  static const std::uint64_t seed = [] {
    const char* const wanted = std::getenv("STENTOR_SIM_SEED");
    std::uint64_t chosen = 15'485'863;
    if (wanted != nullptr) {
      chosen = std::string_view(wanted) == "random" ? std::random_device{}()
                                                    : std::strtoull(wanted, nullptr, 10);
    }
    std::printf("STENTOR_SIM_SEED=%llu\n", static_cast<unsigned long long>(chosen));
    return chosen;
  }();
  return seed;
}

}  // namespace stentor::sim
