// SPDX-License-Identifier: Apache-2.0

/// \file
/// Long times in which nobody dies: no address may move.

#include <chrono>
#include <cstdio>
#include <vector>

#include "test/sim/membership/lan/bounds.h"
#include "test/support/catch.h"
#include "test/support/run_seed.h"

namespace stentor::sim {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""min;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using speaker::ChangeKind;

LinkQuality Slow() {
  return {.loss = 0.01, .duplication = 0.2, .min_delay = 1ms, .max_delay = 40ms};
}

LanOptions Fast(std::size_t speakers, double loss) {
  LanOptions options{.speakers = speakers, .profile = speaker::FastProfile()};
  options.quality = Losing(loss);
  options.quality.max_delay = 1ms;
  return options;
}

// No change of anything while `disturb` is called every `between`.
void CheckSteady(const char* name, const LanOptions& options, Duration span,
                 const std::function<void(SimulatedLan&)>& disturb = {},
                 Duration between = Duration::max()) {
  INFO("STENTOR_SIM_SEED=" << RunSeed());
  const auto lan = StartedLan(options);
  REQUIRE(lan);
  const TimePoint end = lan->now() + span;
  while (lan->now() < end) {
    lan->RunFor(std::min<Duration>(between, end - lan->now()));
    if (disturb) {
      disturb(*lan);
    }
  }
  CHECK(lan->RunUntil([&] { return lan->Converged(); }, 1s));  // a last pause ends
  CHECK(lan->false_deaths() == 0);
  CHECK(lan->CountOf(ChangeKind::kDied) == 0);
  CHECK(lan->addresses().taken_over() == 0);
  std::printf(
      "%s, %.0f min: %llu suspicions, all refuted; %.1f datagrams/s a node\n", name,
      Ms(span) / 60000, static_cast<unsigned long long>(lan->CountOf(ChangeKind::kSuspected)),
      static_cast<double>(lan->datagrams()) * 1000 / Ms(span) / static_cast<double>(lan->size()));
}

}  // namespace

TEST_CASE("Membership declares nobody dead who lives, on a lossy LAN", "[sim]") {
  struct Case {
    const char* name;
    LanOptions options;
    Duration span;
  };
  const auto c = GENERATE(values<Case>({
      {"2 speakers, 5 % loss", {.speakers = 2, .quality = Losing(0.05)}, 10min},
      {"3 speakers, 5 % loss", {.speakers = 3, .quality = Losing(0.05)}, 20min},
      {"5 speakers, 1 % loss", {.speakers = 5, .quality = Losing(0.01)}, 1h},
      {"5 speakers, 5 % loss", {.speakers = 5, .quality = Losing(0.05)}, 1h},
      {"10 speakers, 1 % loss", {.speakers = 10, .quality = Losing(0.01)}, 10min},
      {"10 speakers, 5 % loss", {.speakers = 10, .quality = Losing(0.05)}, 20min},
      {"30 speakers, 5 % loss", {.speakers = 30, .quality = Losing(0.05)}, 1min},
      {"100 speakers, 1 % loss", {.speakers = 100, .quality = Losing(0.01)}, 5s},
      {"100 speakers, 5 % loss", {.speakers = 100, .quality = Losing(0.05)}, 10s},
      {"5 speakers, fast, 1 % loss", Fast(5, 0.01), 5min},
      {"10 speakers, fast, 1 % loss", Fast(10, 0.01), 2min},
      {"10 speakers, 40 ms of reordering, 20 % twice", {.speakers = 10, .quality = Slow()}, 5min},
  }));
  DYNAMIC_SECTION(c.name) {
    LanOptions options = c.options;
    options.seed = RunSeed();
    const auto long_span = std::chrono::duration_cast<Duration>(
        LongHours() * std::chrono::duration<double, std::ratio<3600>>(1));
    CheckSteady(c.name, options, std::max<Duration>(c.span, long_span));
  }
}

TEST_CASE("Membership stands timers that are late, and short pauses", "[sim]") {
  struct Case {
    const char* name;
    Duration timer_jitter;
    Duration pause;
    Duration between;
    double loss;
  };
  const auto c = GENERATE(values<Case>({
      {"timers up to 15 ms late", 15ms, 0ms, 10s, 0.01},
      {"timers up to 50 ms late", 50ms, 0ms, 10s, 0.01},
      {"stutters of 20 ms", 2ms, 20ms, 50ms, 0.01},
      {"stutters of 50 ms", 2ms, 50ms, 200ms, 0.01},
      {"stutters of 100 ms", 2ms, 100ms, 2s, 0.01},
  }));
  DYNAMIC_SECTION(c.name) {
    const LanOptions options{.speakers = 5,
                             .seed = RunSeed(),
                             .quality = Losing(c.loss),
                             .timer_jitter = c.timer_jitter};
    CheckSteady(
        c.name, options, 3min,
        [&c](SimulatedLan& lan) {
          if (c.pause > Duration::zero()) {
            lan.Pause(lan.random()() % lan.size(), lan.RandomSpan(c.pause));
          }
        },
        c.between);
  }
}

TEST_CASE("Membership is not moved by forged ICMP errors", "[sim]") {
  const LanOptions options{.speakers = 10, .seed = RunSeed(), .quality = Losing(0.05)};
  CheckSteady(
      "forged port unreachable", options, 1min,
      [](SimulatedLan& lan) {
        lan.ForgeUnreachable(lan.random()() % lan.size(), lan.random()() % lan.size());
      },
      1ms);
}

}  // namespace stentor::sim
