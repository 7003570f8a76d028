// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "test/sim/leader/simulated_replicas.h"
#include "test/support/catch.h"

namespace stentor::sim {
namespace {

using controller::LeaderChangeKind;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// The longest wait for a killed leader's successor, in the replicas' times: client-go's bound, that
// is, the Lease and one retry. Clocks may be 1 % slow, and requests take some 0.1 s.
constexpr Duration kReplaced = seconds(15) + milliseconds(4400) + milliseconds(300);

// The same for two that watch: they know when the Lease expires.
constexpr Duration kReplacedWatching = seconds(15) + milliseconds(400);

bool Agreed(const SimulatedReplicas& sim) {
  const auto leader = sim.Leader();
  return leader && sim.IsRunning(*leader);
}

std::size_t Elect(SimulatedReplicas& sim) {
  sim.StartAll();
  REQUIRE(sim.RunUntil([&] { return Agreed(sim); }, seconds(1)));
  return *sim.Leader();
}

std::size_t CountTold(const SimulatedReplicas& sim, LeaderChangeKind kind) {
  return static_cast<std::size_t>(
      std::count_if(sim.told().begin(), sim.told().end(),
                    [kind](const Told& told) { return told.change.kind == kind; }));
}

// One thing after the other goes wrong, at random.
void Trouble(SimulatedReplicas& sim) {
  const auto pick = [&](std::uint64_t n) { return sim.random()() % n; };
  const std::size_t replica = pick(sim.size());
  const Duration time = milliseconds(pick(30'000));
  switch (pick(12)) {
    case 0:
      sim.Kill(replica);
      break;
    case 1:
      sim.Terminate(replica);
      break;
    case 2:
    case 3:
      sim.Start(replica);
      break;
    case 4:
      sim.Pause(replica, time);
      break;
    case 5:
      sim.SetCut(replica, true);
      break;
    case 6:
      sim.SetCut(replica, false);
      break;
    case 7:
      sim.StepWallClock(replica, hours(pick(200)) - hours(100));
      break;
    case 8:
      sim.SetServerDown(true);
      break;
    case 9:
      sim.SetServerDown(false);
      break;
    case 10:
      sim.SetQuality({.max_delay = milliseconds(1 + pick(8'000)),
                      .loss = static_cast<double>(pick(40)) / 100,
                      .late = static_cast<double>(pick(50)) / 100,
                      .errors = static_cast<double>(pick(40)) / 100,
                      .watch_lag = time});
      break;
    default:
      sim.SetQuality({});
  }
}

void CalmDown(SimulatedReplicas& sim) {
  sim.SetQuality({});
  sim.SetServerDown(false);
  for (std::size_t i = 0; i < sim.size(); ++i) {
    sim.SetCut(i, false);
    sim.Pause(i, Duration::zero());
  }
}

}  // namespace

TEST_CASE("One hour without faults: one leader, who is never replaced", "[leader_sim]") {
  SimulatedReplicas sim({.seed = RunSeed()});
  const std::size_t leader = Elect(sim);
  const std::size_t requests = sim.requests();
  for (int i = 0; i < 60; ++i) {
    sim.RunFor(minutes(1));
    sim.StepWallClock(static_cast<std::size_t>(i) % 3, hours(i % 2 == 0 ? 50 : -60));
    REQUIRE(sim.Leader() == leader);
  }
  CHECK(sim.violations() == 0);
  CHECK(CountTold(sim, LeaderChangeKind::kStarted) == 1);
  CHECK(CountTold(sim, LeaderChangeKind::kTrouble) == 0);
  // A renewal every 2 s and, from each standby, next to nothing: they watch.
  CHECK(sim.requests() - requests < 1800 * 115 / 100);
}

TEST_CASE("A killed leader is replaced in time", "[leader_sim]") {
  const bool watch = GENERATE(true, false);
  const int run = GENERATE(range(0, 50));
  CAPTURE(watch, run);
  SimulatedReplicas sim({.seed = RunSeed() + static_cast<std::uint64_t>(run), .watch = watch});
  const std::size_t leader = Elect(sim);
  sim.RunFor(milliseconds(sim.random()() % 20'000));
  sim.Kill(leader);
  const auto took =
      sim.RunUntil([&] { return Agreed(sim); }, watch ? kReplacedWatching : kReplaced);
  CHECK(took);
  CHECK(sim.violations() == 0);
}

TEST_CASE("A leader that is asked to stop is replaced", "[leader_sim]") {
  const bool watch = GENERATE(true, false);
  const int run = GENERATE(range(0, 50));
  CAPTURE(watch, run);
  SimulatedReplicas sim({.seed = RunSeed() + static_cast<std::uint64_t>(run), .watch = watch});
  const std::size_t leader = Elect(sim);
  sim.RunFor(milliseconds(sim.random()() % 20'000));
  sim.Terminate(leader);
  // By those who watch in two round trips, else with the next attempt.
  const auto took = sim.RunUntil([&] { return Agreed(sim) && !sim.IsRunning(leader); },
                                 watch ? milliseconds(200) : milliseconds(4'600));
  CHECK(took);
  CHECK(sim.violations() == 0);
}

TEST_CASE("The container of a killed leader starts again: it needs not wait", "[leader_sim]") {
  SimulatedReplicas sim({.count = 1, .seed = RunSeed(), .same_pod = true});
  const std::size_t leader = Elect(sim);
  sim.RunFor(seconds(30));
  sim.Kill(leader);
  sim.RunFor(milliseconds(100));
  sim.Start(leader);
  CHECK(sim.RunUntil([&] { return Agreed(sim); }, milliseconds(200)));
}

TEST_CASE("A leader that is cut off or paused stops before it is replaced", "[leader_sim]") {
  const bool paused = GENERATE(true, false);
  const int run = GENERATE(range(0, 20));
  CAPTURE(paused, run);
  SimulatedReplicas sim({.seed = RunSeed() + static_cast<std::uint64_t>(run)});
  const std::size_t leader = Elect(sim);
  sim.RunFor(milliseconds(sim.random()() % 20'000));
  if (paused) {
    sim.Pause(leader, minutes(1));
  } else {
    sim.SetCut(leader, true);
  }
  const auto stopped = sim.RunUntil([&] { return sim.Writers().empty(); }, milliseconds(10'200));
  CHECK(stopped);
  CHECK(sim.RunUntil([&] { return Agreed(sim); }, kReplacedWatching));
  const auto next = sim.Leader();
  CHECK(next != leader);
  sim.RunFor(minutes(1));
  sim.SetCut(leader, false);
  sim.RunFor(minutes(1));
  CHECK(sim.Leader() == next);
  CHECK(sim.violations() == 0);
}

TEST_CASE("A leader whose answers are slow counts from its questions", "[leader_sim]") {
  const int run = GENERATE(range(0, 50));
  CAPTURE(run);
  Settings settings{.seed = RunSeed() + static_cast<std::uint64_t>(run), .clock_error_ppm = 1'000};
  settings.times.renew_deadline = milliseconds(14'900);  // next to the end of the Lease
  SimulatedReplicas sim(settings);
  const std::size_t leader = Elect(sim);
  sim.SetQuality({.answer_lag = milliseconds(4'500)});
  sim.RunFor(milliseconds(sim.random()() % 60'000));
  CHECK(sim.Leader() == leader);
  // What is under way is answered, what comes after is not.
  sim.SetQuality({.loss = 1, .answer_lag = milliseconds(4'500)});
  sim.RunFor(seconds(5));
  sim.SetCut(leader, true);
  sim.SetQuality({});
  CHECK(sim.RunUntil([&] { return sim.Leader() && sim.Leader() != leader; }, seconds(25)));
  sim.RunFor(minutes(1));
  CHECK(sim.violations() == 0);
}

TEST_CASE("A deleted Lease makes no second leader", "[leader_sim]") {
  const bool watch = GENERATE(true, false);
  const int run = GENERATE(range(0, 20));
  CAPTURE(watch, run);
  SimulatedReplicas sim({.seed = RunSeed() + static_cast<std::uint64_t>(run), .watch = watch});
  const std::size_t leader = Elect(sim);
  sim.RunFor(seconds(20));
  for (int i = 0; i < 20; ++i) {
    sim.DeleteLease();
    // Who asks now and then can't know of a Lease that came and went between.
    sim.RunFor(milliseconds(sim.random()() % 5'000) + (watch ? seconds(0) : seconds(15)));
    CHECK(sim.Leader() == leader);
  }
  CHECK(sim.violations() == 0);
  CHECK(CountTold(sim, LeaderChangeKind::kStarted) == 1);
}

TEST_CASE("Whatever happens: never two that may write, and in the end one", "[leader_sim]") {
  // With the deadline next to the Lease's end nothing is left but the clocks' error: what is
  // counted from a wrong moment shows.
  const bool tight = GENERATE(true, false);
  const bool watch = GENERATE(true, false);
  const int run = GENERATE(range(0, 40));
  CAPTURE(tight, watch, run);
  Settings settings{.count = 2 + static_cast<std::size_t>(run) % 4,
                    .seed = RunSeed() + static_cast<std::uint64_t>(run),
                    .watch = watch};
  if (tight) {
    settings.times.renew_deadline = milliseconds(14'900);
    settings.clock_error_ppm = 1'000;
  }
  SimulatedReplicas sim(settings);
  sim.StartAll();
  for (int i = 0; i < 200; ++i) {
    Trouble(sim);
    sim.RunFor(milliseconds(sim.random()() % 10'000));
    REQUIRE(sim.violations() == 0);
  }
  CalmDown(sim);
  sim.StartAll();
  sim.RunFor(seconds(30));  // requests from before are still under way, and may take the Lease
  CHECK(sim.RunUntil([&] { return Agreed(sim); }, seconds(20)));
  sim.StartAll();
  sim.RunFor(seconds(60));
  const auto leader = sim.Leader();
  REQUIRE(leader);
  const std::size_t told = sim.told().size();
  sim.RunFor(minutes(2));
  CHECK(sim.Leader() == leader);
  CHECK(sim.told().size() == told);
  CHECK(sim.violations() == 0);
}

}  // namespace stentor::sim
