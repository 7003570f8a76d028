// SPDX-License-Identifier: Apache-2.0

/// \file
/// Detection and traffic against the size of the cluster.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "test/sim/membership/lan/bounds.h"
#include "test/sim/membership/lan/detection.h"
#include "test/support/catch.h"
#include "test/support/run_seed.h"

namespace stentor::sim {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

// Of 10 ms each; the last one is that and more.
void PrintHistogram(const std::vector<Duration>& samples, Duration from, std::size_t bars) {
  std::vector<std::size_t> counts(bars);
  for (const Duration sample : samples) {
    const auto bar = static_cast<std::size_t>(std::max<Duration>(sample - from, 0ms) / 10ms);
    ++counts[std::min(bar, bars - 1)];
  }
  for (std::size_t bar = 0; bar < bars; ++bar) {
    std::printf("  %4.0f ms %s\n", Ms(from + bar * Duration(10ms)),
                std::string(counts[bar], '#').c_str());
  }
}

}  // namespace

TEST_CASE("Membership notices a crash as fast in a large cluster, at the same cost", "[sim]") {
  struct Case {
    std::size_t speakers;
    int crashes;
    Duration steady;
    double least_hours;  ///< Only in runs that are as long.
  };
  const auto c = GENERATE(values<Case>({{3, 60, 10s, 0},
                                        {5, 60, 10s, 0},
                                        {10, 60, 10s, 0},
                                        {30, 30, 10s, 0},
                                        {100, 10, 3s, 0},
                                        {300, 10, 10s, 0.01},
                                        {1000, 4, 10s, 0.01}}));
  if (LongHours() < c.least_hours) {
    return;
  }
  DYNAMIC_SECTION(c.speakers << " speakers") {
    INFO("STENTOR_SIM_SEED=" << RunSeed());
    const LanOptions options{.speakers = c.speakers, .addresses = 100, .seed = RunSeed()};
    const auto lan = StartedLan(options, c.speakers > 10 ? 1s / c.speakers : Duration(50ms));
    REQUIRE(lan);
    std::vector<Duration> noticed;
    std::vector<Duration> taken_over;
    const speaker::Profile& profile = options.profile;
    const Duration bound = profile.suspect_after + profile.confirm_for + 2 * options.timer_jitter +
                           2 * options.quality.max_delay;
    for (int i = 0; i < c.crashes; ++i) {
      const auto detection = CrashOnce(*lan, OwnerOf(*lan));
      REQUIRE(detection);
      noticed.push_back(detection->noticed);
      taken_over.push_back(detection->taken_over);
      CHECK(Ms(detection->taken_over) <= Ms(bound));
      CHECK(lan->false_deaths() == 0);
    }
    lan->RunFor(2s);
    const std::clock_t begin = std::clock();
    const Traffic traffic = TrafficOf(*lan, c.steady);
    const double cpu = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC /
                       static_cast<double>(c.speakers) / (Ms(c.steady) / 1000);
    CHECK(lan->addresses().taken_over() == 0);
    // Heartbeats to the observers, what they ask of others, and their answers.
    const double rate = 1000 / Ms(profile.heartbeat_interval);
    CHECK(traffic.datagrams <= rate * (static_cast<double>(profile.observers) + 4));
    const Quantiles first = QuantilesOf(noticed);
    const Quantiles moved = QuantilesOf(taken_over);
    std::printf(
        "%zu speakers, %d crashes: noticed after %.0f (median), %.0f (worst) ms; all addresses "
        "answered after %.0f, %.0f ms; %.1f datagrams/s, %.0f octets/s, %.0f us of CPU a second a "
        "node\n",
        c.speakers, c.crashes, Ms(first.median), Ms(first.worst), Ms(moved.median), Ms(moved.worst),
        traffic.datagrams, traffic.octets, cpu * 1e6);
    PrintHistogram(taken_over, 200ms, 16);
  }
}

}  // namespace stentor::sim
