// SPDX-License-Identifier: Apache-2.0

/// \file
/// All speakers start, as after a power cut or an installation.

#include <chrono>
#include <cstdio>

#include "test/sim/membership/lan/bounds.h"
#include "test/support/catch.h"
#include "test/support/run_seed.h"

namespace stentor::sim {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

}  // namespace

TEST_CASE("Membership comes to one view soon after all started, at a bounded cost", "[sim]") {
  struct Case {
    const char* name;
    std::size_t speakers;
    Duration within;
    double loss;
  };
  const auto c = GENERATE(values<Case>({
      {"30 speakers at once", 30, 0ms, 0.01},
      {"30 speakers within 1 s", 30, 1s, 0.05},
      {"100 speakers at once", 100, 0ms, 0.01},
      {"100 speakers within 1 s", 100, 1s, 0.01},
      {"100 speakers within 10 s", 100, 10s, 0.05},
      {"300 speakers within 1 s", 300, 1s, 0.01},
  }));
  if (c.speakers > 100 && LongHours() == 0) {
    return;
  }
  DYNAMIC_SECTION(c.name) {
    INFO("STENTOR_SIM_SEED=" << RunSeed());
    SimulatedLan lan({.speakers = c.speakers, .seed = RunSeed(), .quality = Losing(c.loss)});
    lan.FollowAddresses(false);
    for (std::size_t node = 0; node < lan.size(); ++node) {
      lan.After(lan.RandomSpan(c.within), [&lan, node] { lan.Start(node); });
    }
    const TimePoint begin = lan.now();
    lan.RunFor(c.within);
    const auto took = lan.RunUntil([&] { return lan.Converged(); }, 30s);
    REQUIRE(took);
    // The last one is ready when another speaker's view is its own, or has waited for it in vain.
    // Meanwhile views change with each one that becomes ready, and two that differ are compared
    // every other heartbeat, each time with somebody else: what a speaker has missed it hears in
    // one of the next ones, ten at most.
    const Duration heartbeat = lan.options().profile.heartbeat_interval;
    CHECK(Ms(*took) <= Ms(lan.options().profile.hold_for + 20 * heartbeat));
    // For each other speaker: a question, its answer, that it is seen, and that we are ready, and
    // some of them again. At each heartbeat: to the observers, answers to those whom we watch, who
    // is absent, and a view of a node now and then.
    const double nodes = static_cast<double>(lan.size());
    const double datagrams = static_cast<double>(lan.datagrams()) / nodes;
    const double octets = static_cast<double>(lan.octets()) / nodes;
    CHECK(datagrams <= 5 * nodes + 30 * (Ms(lan.now() - begin) / Ms(heartbeat) + 1));
    CHECK(octets <= 200 * datagrams);
    CHECK(lan.CountOf(speaker::ChangeKind::kDied) == 0);
    std::printf("%s: one view after %.0f ms; %.0f datagrams, %.0f octets a node\n", c.name,
                Ms(*took), datagrams, octets);
  }
}

}  // namespace stentor::sim
