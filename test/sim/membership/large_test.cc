// SPDX-License-Identifier: Apache-2.0

/// \file
/// A thousand speakers, for minutes: loss, a rack that loses its power, two halves.

#include <chrono>
#include <cstdio>

#include "test/sim/membership/lan/bounds.h"
#include "test/support/catch.h"
#include "test/support/run_seed.h"

namespace stentor::sim {
namespace {

using std::chrono_literals::operator""min;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

// From now on; says how long it took since the last cause.
void ComeToOneView(SimulatedLan& lan, const char* what, Duration within) {
  CHECK(lan.RunUntil([&] { return lan.Converged(); }, within));
  lan.RunFor(1s);  // addresses follow
  CHECK(lan.addresses().unanswered() == 0);
  CHECK(lan.addresses().doubled() == 0);
  std::printf("1,000 speakers, %s: one view after %.0f ms\n", what,
              Ms(lan.last_view_change() - lan.last_cause()));
}

}  // namespace

TEST_CASE("Membership of a thousand speakers stands minutes of what happens to a large cluster",
          "[sim]") {
  if (LongHours() < 0.03) {  // it takes forty minutes, and some GB
    return;
  }
  INFO("STENTOR_SIM_SEED=" << RunSeed());
  const LanOptions options{
      .speakers = 1000, .addresses = 100, .seed = RunSeed(), .quality = Losing(0.01)};
  const auto lan = StartedLan(options, 1ms);
  REQUIRE(lan);
  const Bounds bounds = BoundsOf(options, 4);

  lan->RunFor(2min);
  CHECK(lan->CountOf(speaker::ChangeKind::kDied) == 0);
  CHECK(lan->addresses().taken_over() == 0);
  std::printf("1,000 speakers, 1 %% loss, 2 min: %llu suspicions, all refuted; %.1f datagrams/s\n",
              static_cast<unsigned long long>(lan->CountOf(speaker::ChangeKind::kSuspected)),
              static_cast<double>(lan->datagrams()) / 120 / 1000);

  for (std::size_t node = 100; node < 140; ++node) {
    lan->Crash(node);
  }
  ComeToOneView(*lan, "forty crash at once", bounds.converged);
  for (std::size_t node = 100; node < 140; ++node) {
    lan->Start(node);
  }
  ComeToOneView(*lan, "they are back", 10s);

  lan->Partition(TwoHalves(lan->size()));
  ComeToOneView(*lan, "every other one is cut off", bounds.converged);
  const std::uint64_t deaths = lan->CountOf(speaker::ChangeKind::kDied);
  lan->Heal();
  ComeToOneView(*lan, "the halves meet again", bounds.converged);
  CHECK(lan->CountOf(speaker::ChangeKind::kDied) == deaths);
  CHECK(lan->false_deaths() == 0);
}

}  // namespace stentor::sim
