// SPDX-License-Identifier: Apache-2.0

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "test/sim/membership/simulated_lan.h"
#include "test/support/catch.h"

namespace stentor::sim {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""min;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using speaker::ChangeKind;

LinkQuality Losing(double loss) {
  return {.loss = loss,
          .duplication = loss > 0 ? 0.01 : 0,
          .min_delay = std::chrono::microseconds(100),
          .max_delay = 3ms};
}

double Ms(Duration d) { return std::chrono::duration<double, std::milli>(d).count(); }

std::size_t CountOf(const SimulatedLan& lan, ChangeKind kind) {
  return static_cast<std::size_t>(
      std::count_if(lan.observed().begin(), lan.observed().end(),
                    [kind](const Observed& o) { return o.change.kind == kind; }));
}

// Starts a LAN and waits until everybody sees everybody.
SimulatedLan Started(std::size_t count, double loss, std::uint64_t salt = 0) {
  SimulatedLan lan(count, RunSeed() + salt, Losing(loss));
  lan.StartAll();
  REQUIRE(lan.RunUntil([&] { return lan.Converged() && lan.Owners().size() == 1; }, 10s));
  lan.ResetOwnerTimes();
  return lan;
}

}  // namespace

TEST_CASE("Membership declares nobody dead who lives, on a lossy LAN", "[sim]") {
  struct Case {
    const char* name;
    std::size_t speakers;
    double loss;
    Duration span;
    Duration long_span;
  };
  const auto c = GENERATE(values<Case>({
      {"3 speakers, 1 % loss", 3, 0.01, 1h, 24h},
      {"3 speakers, 5 % loss", 3, 0.05, 1h, 24h},
      {"5 speakers, 5 % loss", 5, 0.05, 5min, 1h},
      {"10 speakers, 1 % loss", 10, 0.01, 1min, 1h},
      {"10 speakers, 5 % loss", 10, 0.05, 10min, 1h},
  }));
  DYNAMIC_SECTION(c.name) {
    INFO("STENTOR_SIM_SEED=" << RunSeed());
    SimulatedLan lan = Started(c.speakers, c.loss);
    const std::size_t owner = lan.Owners().front();
    lan.RunFor(LongRun() ? c.long_span : c.span);
    CHECK(lan.false_deaths() == 0);
    CHECK(lan.Converged());
    CHECK(lan.Owners() == std::vector<std::size_t>{owner});
    CHECK(lan.many_owners() == Duration::zero());
    CHECK(lan.no_owner() == Duration::zero());
    std::printf("%s: %zu suspicions, all refuted; %llu datagrams\n", c.name,
                CountOf(lan, ChangeKind::kSuspected),
                static_cast<unsigned long long>(lan.datagrams()));
  }
}

TEST_CASE("Membership notices a crash within its bound, and one other takes over", "[sim]") {
  struct Case {
    const char* name;
    std::size_t speakers;
    double loss;
    bool host_survives;
    Duration bound;
  };
  const auto c = GENERATE(values<Case>({
      {"3 speakers, node dies", 3, 0, false, 340ms},
      {"3 speakers, node dies, 5 % loss", 3, 0.05, false, 700ms},
      {"10 speakers, node dies", 10, 0, false, 340ms},
      {"10 speakers, node dies, 5 % loss", 10, 0.05, false, 700ms},
      {"3 speakers, process dies", 3, 0, true, 220ms},
      {"10 speakers, process dies", 10, 0, true, 220ms},
  }));
  DYNAMIC_SECTION(c.name) {
    INFO("STENTOR_SIM_SEED=" << RunSeed());
    std::vector<double> gaps;
    for (std::uint64_t trial = 0; trial < 20; ++trial) {
      SimulatedLan lan = Started(c.speakers, c.loss, trial);
      const std::size_t owner = lan.Owners().front();
      lan.RunFor(Duration(static_cast<std::int64_t>(lan.random()() % 200'000'000)));
      if (c.host_survives) {
        lan.Kill(owner);
      } else {
        lan.Crash(owner);
      }
      const auto gap = lan.RunUntil([&] { return !lan.Owners().empty(); }, 5s);
      REQUIRE(gap);
      gaps.push_back(Ms(*gap));
      CHECK(*gap <= c.bound);
      REQUIRE(lan.RunUntil([&] { return lan.Converged(); }, c.bound));
      lan.RunFor(1s);
      CHECK(lan.many_owners() == Duration::zero());
      CHECK(lan.false_deaths() == 0);
    }
    std::sort(gaps.begin(), gaps.end());
    std::printf("%s: taken over after %.0f to %.0f ms, median %.0f\n", c.name, gaps.front(),
                gaps.back(), gaps[gaps.size() / 2]);
  }
}

TEST_CASE("Membership survives the crash of all but one", "[sim]") {
  INFO("STENTOR_SIM_SEED=" << RunSeed());
  SimulatedLan lan = Started(7, 0);
  const std::size_t last = lan.random()() % lan.size();
  for (std::size_t i = 0; i < lan.size(); ++i) {
    if (i != last) {
      lan.Crash(i);
    }
  }
  CHECK(lan.RunUntil([&] { return lan.Converged(); }, 340ms));
  CHECK(lan.Owners() == std::vector<std::size_t>{last});
}

TEST_CASE("Membership sees a goodbye at once", "[sim]") {
  INFO("STENTOR_SIM_SEED=" << RunSeed());
  SimulatedLan lan = Started(5, 0.05);
  const std::size_t owner = lan.Owners().front();
  lan.Leave(owner);
  const auto gap = lan.RunUntil([&] { return !lan.Owners().empty(); }, 5s);
  REQUIRE(gap);
  CHECK(*gap <= 70ms);
  CHECK(lan.RunUntil([&] { return lan.Converged(); }, 500ms));
  lan.RunFor(1s);
  CHECK(CountOf(lan, ChangeKind::kLeft) >= 3);
  CHECK_FALSE(lan.IsRunning(owner));
  CHECK(lan.many_owners() == Duration::zero());
}

TEST_CASE("Membership takes a restarted speaker back under its new boot id", "[sim]") {
  INFO("STENTOR_SIM_SEED=" << RunSeed());
  const Duration outage =
      GENERATE(values<Duration>({Duration(20ms), Duration(150ms), Duration(3s)}));
  SimulatedLan lan = Started(4, 0.01);
  const std::size_t owner = lan.Owners().front();
  lan.Kill(owner);
  lan.RunFor(outage);
  lan.Start(owner);
  CHECK(lan.RunUntil([&] { return lan.Converged(); }, 1s));
  lan.RunFor(1s);
  CHECK(lan.Converged());
  CHECK(lan.Owners() == std::vector<std::size_t>{owner});
  CHECK(lan.many_owners() <= 110ms);
}

TEST_CASE("Membership with both sides of a partition alive heals to one owner", "[sim]") {
  INFO("STENTOR_SIM_SEED=" << RunSeed());
  for (std::uint64_t trial = 0; trial < 10; ++trial) {
    SimulatedLan lan = Started(6, 0, trial);
    const std::size_t owner = lan.Owners().front();
    lan.Partition({owner, (owner + 1) % lan.size()});
    REQUIRE(lan.RunUntil([&] { return lan.Owners().size() == 2; }, 400ms));
    lan.RunFor(5s);
    CHECK(lan.Owners().size() == 2);
    lan.Heal();
    const auto healed = lan.RunUntil([&] { return lan.Owners().size() == 1; }, 5s);
    REQUIRE(healed);
    CHECK(*healed <= 120ms);
    CHECK(lan.RunUntil([&] { return lan.Converged(); }, 150ms));
    CHECK(lan.Owners() == std::vector<std::size_t>{owner});
    CHECK(lan.RivalsMet(owner) >= 1);  // so that it announces again
  }
}

TEST_CASE("Membership routes around links that are cut", "[sim]") {
  INFO("STENTOR_SIM_SEED=" << RunSeed());
  SimulatedLan lan = Started(4, 0.01);
  const std::size_t owner = lan.Owners().front();
  const std::size_t other = (owner + 1) % lan.size();
  lan.SetLink(owner, other, false);
  const bool both_ways = GENERATE(false, true);
  if (both_ways) {
    lan.SetLink(other, owner, false);
  }
  lan.RunFor(60s);
  CHECK(lan.false_deaths() == 0);
  CHECK(lan.Owners() == std::vector<std::size_t>{owner});
  CHECK(lan.no_owner() == Duration::zero());
  CHECK(lan.many_owners() == Duration::zero());
}

TEST_CASE("Membership of a speaker that was paused answers nothing before it is confirmed",
          "[sim]") {
  INFO("STENTOR_SIM_SEED=" << RunSeed());
  const Duration pause =
      GENERATE(values<Duration>({Duration(50ms), Duration(150ms), Duration(250ms), Duration(450ms),
                                 Duration(1s), Duration(5s), Duration(30s)}));
  DYNAMIC_SECTION("paused for " << Ms(pause) << " ms") {
    for (std::uint64_t trial = 0; trial < 5; ++trial) {
      SimulatedLan lan = Started(4, 0.01, trial);
      const std::size_t owner = lan.Owners().front();
      lan.Pause(owner, pause);
      lan.RunFor(pause);
      const bool taken_over = !lan.Owners().empty() && lan.Owners().front() != owner;
      lan.ResetOwnerTimes();
      lan.RunFor(2s);
      CHECK(lan.Converged());
      CHECK(lan.Owners() == std::vector<std::size_t>{owner});
      // When it is confirmed it may answer before the last of the others has heard of it.
      CHECK(lan.many_owners() <= 110ms);
      if (pause >= 450ms) {
        CHECK(taken_over);
        CHECK(lan.no_owner() <= 110ms);
      }
      // Whoever was away must not take the others for dead.
      for (const Observed& o : lan.observed()) {
        CHECK((o.change.kind != ChangeKind::kDied || o.change.node == lan.NameOf(owner)));
      }
      if (pause <= 150ms) {
        CHECK(CountOf(lan, ChangeKind::kDied) == 0);
      }
    }
  }
}

TEST_CASE("Membership converges after anything", "[sim]") {
  INFO("STENTOR_SIM_SEED=" << RunSeed());
  const int trials = LongRun() ? 200 : 8;
  for (int trial = 0; trial < trials; ++trial) {
    CAPTURE(trial);
    const std::size_t count = 3 + static_cast<std::size_t>(trial) % 6;
    SimulatedLan lan(count, RunSeed() + static_cast<std::uint64_t>(trial) * 1000, Losing(0.05));
    lan.StartAll();
    for (int step = 0; step < 40; ++step) {
      const std::size_t node = lan.random()() % count;
      const std::size_t other = lan.random()() % count;
      switch (lan.random()() % 9) {
        case 0:
          lan.Crash(node);
          break;
        case 1:
          lan.Kill(node);
          break;
        case 2:
          if (lan.IsRunning(node)) {
            lan.Leave(node);
          }
          break;
        case 3:
        case 4:
          if (!lan.IsRunning(node)) {
            lan.Start(node);
          }
          break;
        case 5:
          lan.Pause(node, Duration(static_cast<std::int64_t>(lan.random()() % 2'000'000'000)));
          break;
        case 6:
          lan.SetLink(node, other, lan.random()() % 2 == 0);
          break;
        case 7:
          lan.Partition({node, other});
          break;
        default:
          lan.SetQuality(Losing(lan.random()() % 2 == 0 ? 0.2 : 0.01));
          break;
      }
      lan.RunFor(Duration(static_cast<std::int64_t>(lan.random()() % 1'000'000'000)));
    }
    lan.Heal();
    lan.SetQuality(Losing(0));
    lan.RunFor(2s);  // the last pause ends
    const bool converged = lan.RunUntil([&] { return lan.Converged(); }, 2s).has_value();
    CHECK(converged);
    CHECK(lan.Owners().size() <= 1);
  }
}

TEST_CASE("Membership is not moved by recordings, forgeries and noise", "[sim]") {
  INFO("STENTOR_SIM_SEED=" << RunSeed());
  SimulatedLan lan(3, RunSeed(), Losing(0));
  lan.Record();
  lan.StartAll();
  lan.RunFor(2s);
  lan.Kill(0);
  lan.RunFor(1s);
  lan.Start(0);
  lan.RunFor(1s);
  lan.Crash(1);
  lan.RunFor(1s);
  lan.Kill(2);  // a receiver that restarted has forgotten which counters it saw
  lan.Start(2);
  lan.RunFor(2s);
  REQUIRE(lan.Converged());

  const std::vector<SimulatedLan::Recorded> recorded = lan.recorded();
  REQUIRE(recorded.size() > 100);
  // Bytes that name a key which nobody has may make one line for a node that is gone, no more.
  const auto changes_of_view = [&] {
    return lan.observed().size() - CountOf(lan, ChangeKind::kKeyDiffers);
  };
  const std::size_t changes = changes_of_view();
  const std::vector<std::uint64_t> versions = {lan.At(0).view_version(), lan.At(2).view_version()};
  for (const SimulatedLan::Recorded& r : recorded) {
    for (const std::size_t to : {std::size_t{0}, std::size_t{2}}) {
      lan.Inject(to, r.source, r.bytes);
      std::vector<std::byte> forged = r.bytes;
      forged[lan.random()() % forged.size()] ^= static_cast<std::byte>(1 + lan.random()() % 255);
      lan.Inject(to, r.source, forged);
      forged.resize(lan.random()() % forged.size());
      lan.Inject(to, r.source, forged);
      std::vector<std::byte> noise(lan.random()() % 1500);
      std::generate(noise.begin(), noise.end(),
                    [&] { return static_cast<std::byte>(lan.random()() & 0xffU); });
      lan.Inject(to, r.source, noise);
    }
    lan.RunFor(1ms);
  }
  lan.RunFor(1s);
  CHECK(changes_of_view() == changes);
  CHECK(CountOf(lan, ChangeKind::kKeyDiffers) <= 2);
  CHECK(lan.At(0).view_version() == versions[0]);
  CHECK(lan.At(2).view_version() == versions[1]);
  CHECK(lan.Converged());
}

TEST_CASE("Membership leaves out a speaker whose key differs, and names it once", "[sim]") {
  INFO("STENTOR_SIM_SEED=" << RunSeed());
  SimulatedLan lan(3, RunSeed(), Losing(0));
  lan.Start(0);
  lan.Start(1);
  lan.Start(2, "another secret");
  lan.RunFor(5s);
  CHECK(lan.At(0).AliveMembers().size() == 2);
  CHECK(lan.At(1).AliveMembers().size() == 2);
  CHECK(lan.At(2).AliveMembers().size() == 1);
  CHECK(CountOf(lan, ChangeKind::kKeyDiffers) == 4);  // each side names each of the other
}

TEST_CASE("Membership carries the reasons to yield to everybody's election", "[sim]") {
  INFO("STENTOR_SIM_SEED=" << RunSeed());
  SimulatedLan lan = Started(3, 0);
  const std::size_t owner = lan.Owners().front();
  lan.SetYields(owner, speaker::kYieldProxyUnhealthy);
  lan.RunFor(10ms);
  REQUIRE(lan.Owners().size() == 1);
  CHECK(lan.Owners().front() != owner);
  for (std::size_t i = 0; i < lan.size(); ++i) {
    lan.SetYields(i, speaker::kYieldProxyUnhealthy);
  }
  lan.RunFor(10ms);
  CHECK(lan.Owners() == std::vector<std::size_t>{owner});  // all are ill: health is ignored
}

}  // namespace stentor::sim
