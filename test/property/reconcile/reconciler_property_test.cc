// SPDX-License-Identifier: Apache-2.0
#include <rapidcheck.h>

#include "test/property/reconcile/world.h"
#include "test/support/catch.h"

namespace stentor::controller {

TEST_CASE("Whatever happens, it comes to rest with every address in the right hands",
          "[reconciler]") {
  CHECK(rc::check([] {
    World world;
    const int phases = *rc::gen::inRange(1, 4);
    for (int phase = 0; phase < phases; ++phase) {
      const int steps = *rc::gen::inRange(1, 80);
      for (int i = 0; i < steps; ++i) {
        world.Step();
      }
      world.Settle();
      world.CheckSettled();
      world.CheckRelistDoesNothing();
    }
    world.CheckRestartWritesNothing();
  }));
}

}  // namespace stentor::controller
