// SPDX-License-Identifier: Apache-2.0

/// \file
/// Addresses whose owners stay where they are: they move when their owner is lost, and when nobody
/// else is; who comes back takes nothing.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "test/sim/claims/staying.h"
#include "test/sim/membership/lan/bounds.h"
#include "test/support/catch.h"
#include "test/support/run_seed.h"

namespace stentor::sim {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

// Also that clients have heard of the announcer last. Who is to announce again may not hear of it
// where much is lost.
void CheckWellAndHeard(SimulatedLan& lan) {
  CheckWell(lan);
  CHECK((lan.options().quality.loss > 0.01 || lan.addresses().Mistaken() == 0));
}

}  // namespace

TEST_CASE("Who comes back takes nothing from an owner that stays", "[sim]") {
  struct Case {
    const char* name;
    std::function<void(SimulatedLan&, std::size_t victim)> lose;
    std::function<void(SimulatedLan&, std::size_t victim)> come_back;
  };
  const auto start = [](SimulatedLan& lan, std::size_t victim) { lan.Start(victim); };
  const std::vector<Case> cases = {
      {"node crashes", [](SimulatedLan& lan, std::size_t victim) { lan.Crash(victim); }, start},
      {"process dies", [](SimulatedLan& lan, std::size_t victim) { lan.Kill(victim); }, start},
      {"leaves", [](SimulatedLan& lan, std::size_t victim) { lan.Leave(victim); }, start},
      {"leaves, and starts without state",
       [](SimulatedLan& lan, std::size_t victim) { lan.Leave(victim); },
       [](SimulatedLan& lan, std::size_t victim) {
         lan.Start(victim, {.listed_after = 700ms, .starting_for = 1500ms});
       }},
      {"paused for 1 s", [](SimulatedLan& lan, std::size_t victim) { lan.Pause(victim, 1s); },
       [](SimulatedLan& lan, std::size_t) { lan.RunFor(1s); }},
      {"paused for 30 s", [](SimulatedLan& lan, std::size_t victim) { lan.Pause(victim, 30s); },
       [](SimulatedLan& lan, std::size_t) { lan.RunFor(30s); }},
      {"suspended for 5 s", [](SimulatedLan& lan, std::size_t victim) { lan.Suspend(victim, 5s); },
       [](SimulatedLan& lan, std::size_t) { lan.RunFor(5s); }},
      {"yields",
       [](SimulatedLan& lan, std::size_t victim) {
         lan.SetYields(victim, speaker::kYieldProxyUnhealthy);
       },
       [](SimulatedLan& lan, std::size_t victim) {
         lan.SetYields(victim, speaker::kYieldsNothing);
       }},
  };
  const std::uint64_t trials = 2 + static_cast<std::uint64_t>(LongHours() * 100);
  for (const Case& c : cases) {
    DYNAMIC_SECTION(c.name) {
      for (const double loss : {0.0, 0.01, 0.05, 0.2}) {
        for (const std::size_t speakers : {std::size_t{3}, std::size_t{5}, std::size_t{10}}) {
          for (std::uint64_t trial = 0; (loss < 0.1 || speakers > 3) && trial < trials; ++trial) {
            const LanOptions options{.speakers = speakers,
                                     .staying = kStaying,
                                     .seed = RunSeed() + trial,
                                     .quality = Losing(loss)};
            INFO("STENTOR_SIM_SEED=" << RunSeed() << ", trial " << trial << ", " << speakers
                                     << " speakers, loss " << loss);
            const auto lan = StartedLan(options);
            REQUIRE(lan);
            const Bounds bounds = BoundsOf(options);
            lan->RunFor(1s + lan->RandomSpan(1s));
            lan->ResetCounts();
            const std::size_t victim = OwnerOf(*lan);
            const std::size_t owned = lan->addresses().CountOf(victim);
            c.lose(*lan, victim);
            lan->RunFor(bounds.converged);
            CHECK(lan->addresses().taken_over() == owned);
            lan->ResetCounts();
            c.come_back(*lan, victim);
            lan->RunFor(2s);
            lan->RunFor(bounds.converged);
            CheckWellAndHeard(*lan);
            CHECK(lan->addresses().taken_over() == 0);
            CHECK(lan->addresses().CountOf(victim) == 0);
          }
        }
      }
    }
  }
}

TEST_CASE("Who yielded for a moment takes nothing back, however large the cluster", "[sim]") {
  const auto speakers = GENERATE(as<std::size_t>(), 10, 40, 100);
  const auto loss = GENERATE(0.0, 0.05);
  for (const Duration yielding : {50ms, 100ms, 200ms, 400ms}) {
    INFO("STENTOR_SIM_SEED=" << RunSeed() << ", " << speakers << " speakers, loss " << loss
                             << ", for " << Ms(yielding) << " ms");
    const auto lan = StartedLan(
        {.speakers = speakers, .staying = kStaying, .seed = RunSeed(), .quality = Losing(loss)});
    REQUIRE(lan);
    lan->RunFor(1s + lan->RandomSpan(1s));
    const std::size_t victim = OwnerOf(*lan);
    lan->SetYields(victim, speaker::kYieldNoCarrier);
    lan->RunFor(yielding);
    lan->ResetCounts();
    lan->SetYields(victim, speaker::kYieldsNothing);
    lan->RunFor(3s);
    CheckWellAndHeard(*lan);
    CHECK(lan->addresses().taken_over() == 0);
    CHECK(lan->addresses().CountOf(victim) == 0);
  }
}

TEST_CASE("In a rolling update each address moves when its owner stops, and only then", "[sim]") {
  const auto kill = GENERATE(true, false);
  const auto speakers = GENERATE(as<std::size_t>(), 3, 10, 40);
  INFO("STENTOR_SIM_SEED=" << RunSeed());
  const auto lan = StartedLan(
      {.speakers = speakers, .staying = kStaying, .seed = RunSeed(), .quality = Losing(0.01)},
      10ms);
  REQUIRE(lan);
  std::size_t moves = 0;
  for (std::size_t node = 0; node < speakers; ++node) {
    moves += lan->addresses().CountOf(node);
    if (kill) {
      lan->Kill(node);
    } else {
      lan->Leave(node);
    }
    lan->RunFor(1s);
    lan->Start(node, {.starting_for = 100ms});
    lan->RunFor(2s);
    CheckWellAndHeard(*lan);
    CHECK(lan->addresses().taken_over() == moves);
  }
}

TEST_CASE("After a partition one of the owners stays, and nothing else moves", "[sim]") {
  const std::uint64_t trials = 5 + static_cast<std::uint64_t>(LongHours() * 500);
  Duration worst{};
  for (const double loss : {0.0, 0.01, 0.05, 0.2}) {
    for (const std::size_t speakers : {std::size_t{2}, std::size_t{5}, std::size_t{10}}) {
      for (std::uint64_t trial = 0; (loss < 0.1 || speakers > 2) && trial < trials; ++trial) {
        INFO("STENTOR_SIM_SEED=" << RunSeed() << ", trial " << trial << ", " << speakers
                                 << " speakers, loss " << loss);
        LanOptions options{.speakers = speakers,
                           .staying = kStaying,
                           .seed = RunSeed() + trial,
                           .quality = Losing(loss)};
        const auto lan = StartedLan(options);
        REQUIRE(lan);
        std::set<std::size_t> one;
        std::set<std::size_t> other;
        for (std::size_t node = 0; node < speakers; ++node) {
          (node <= trial % (speakers - 1) ? one : other).insert(node);
        }
        lan->Partition({one, other});
        lan->RunFor(3s);
        lan->ResetCounts();
        lan->Heal();
        const Bounds bounds = BoundsOf(options);
        lan->RunFor(bounds.converged);
        lan->RunFor(500ms);
        CheckWellAndHeard(*lan);
        CHECK(lan->addresses().taken_over() == 0);
        const Duration doubled = lan->addresses().WorstDoubled(lan->now()).length;
        CHECK(Ms(doubled) <= Ms(bounds.doubled));
        worst = std::max(worst, doubled);
      }
    }
  }
  std::printf("owners that stay, partition healed: one owner after %.0f ms at worst\n", Ms(worst));
}

}  // namespace stentor::sim
