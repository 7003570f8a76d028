// SPDX-License-Identifier: Apache-2.0

/// \file
/// The Secret is replaced, and kubelets bring it to the nodes one after the other.

#include <chrono>
#include <string>
#include <vector>

#include "speaker/membership/rotation.h"
#include "test/sim/membership/lan/bounds.h"
#include "test/support/catch.h"
#include "test/support/run_seed.h"

namespace stentor::sim {
namespace {

using std::chrono_literals::operator""min;
using std::chrono_literals::operator""s;
using speaker::ChangeKind;

}  // namespace

TEST_CASE("Membership follows a key that is replaced, and nothing moves", "[sim]") {
  struct Case {
    const char* name;
    std::size_t speakers;
    double loss;
    int times;
  };
  const auto c = GENERATE(values<Case>({
      {"2 speakers, 0 % loss", 2, 0, 2},
      {"5 speakers, 5 % loss", 5, 0.05, 2},
      {"30 speakers, 1 % loss", 30, 0.01, 1},
  }));
  DYNAMIC_SECTION(c.name) {
    INFO("STENTOR_SIM_SEED=" << RunSeed());
    const auto lan =
        StartedLan({.speakers = c.speakers, .seed = RunSeed(), .quality = Losing(c.loss)});
    REQUIRE(lan);
    std::vector<speaker::SecretRotation> rotations(lan->size(), speaker::SecretRotation("secret"));
    for (int i = 0; i < c.times; ++i) {
      const std::string secret = "new " + std::to_string(i);
      for (std::size_t node = 0; node < lan->size(); ++node) {
        lan->After(lan->RandomSpan(2min), [&, node, secret] {
          if (rotations[node].Update(lan->now(), secret)) {
            lan->SetSecrets(node, rotations[node].secrets());
          }
        });
      }
      for (const TimePoint end = lan->now() + 4min; lan->now() < end; lan->RunFor(5s)) {
        for (std::size_t node = 0; node < lan->size(); ++node) {
          if (rotations[node].Poll(lan->now(), lan->At(node).AllHoldNewestSecret())) {
            lan->SetSecrets(node, rotations[node].secrets());
          }
        }
      }
      for (const speaker::SecretRotation& rotation : rotations) {
        CHECK(rotation.secrets() == std::vector<std::string>{secret});
      }
    }
    CHECK(lan->Converged());
    CHECK(lan->CountOf(ChangeKind::kDied) == 0);
    CHECK(lan->CountOf(ChangeKind::kJoined) == 0);
    CHECK(lan->CountOf(ChangeKind::kKeyDiffers) == 0);
    CHECK(lan->addresses().taken_over() == 0);
  }
}

}  // namespace stentor::sim
