// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>

namespace stentor::test {

/// What a fuzz target says must hold; where it does not, the input that showed it is kept.
inline void Demand(bool holds) {
  if (!holds) {
    std::abort();
  }
}

}  // namespace stentor::test
