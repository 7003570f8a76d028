// SPDX-License-Identifier: Apache-2.0

/// \file
/// The halves of a large cluster meet again: each speaker has given up half of the others.

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

TEST_CASE("Membership of a large cluster gives up nobody when its halves meet again", "[sim]") {
  struct Case {
    std::size_t speakers;
    double loss;
    double least_hours;  ///< Only in runs that are as long.
  };
  const auto c =
      GENERATE(values<Case>({{20, 0.01, 0}, {200, 0.05, 0}, {300, 0.01, 0.01}, {300, 0.05, 0.01}}));
  if (LongHours() < c.least_hours) {
    return;
  }
  DYNAMIC_SECTION(c.speakers << " speakers, loss " << c.loss) {
    INFO("STENTOR_SIM_SEED=" << RunSeed());
    const LanOptions options{
        .speakers = c.speakers, .addresses = 100, .seed = RunSeed(), .quality = Losing(c.loss)};
    const auto lan = StartedLan(options, 1ms);
    REQUIRE(lan);
    lan->Partition(TwoHalves(lan->size()));
    REQUIRE(lan->RunUntil([&] { return lan->Converged(); }, 10s));
    lan->RunFor(2s);
    const std::uint64_t before = lan->datagrams();
    const std::uint64_t deaths = lan->CountOf(speaker::ChangeKind::kDied);
    lan->Heal();
    const auto took = lan->RunUntil([&] { return lan->Converged(); }, 10s);
    REQUIRE(took);
    // However large it is: in the first heartbeat half of the others are met, and what was lost, or
    // went to somebody who had it already, takes a few more.
    CHECK(Ms(*took) <= 10 * Ms(options.profile.heartbeat_interval));
    // For each of the others: a question, a counter-question, the answer and a greeting.
    const double datagrams =
        static_cast<double>(lan->datagrams() - before) / static_cast<double>(c.speakers);
    CHECK(datagrams <= 5 * static_cast<double>(c.speakers) + 20 * Ms(*took) / 100);
    lan->RunFor(2s);
    CHECK(lan->CountOf(speaker::ChangeKind::kDied) == deaths);
    CHECK(lan->addresses().unanswered() == 0);
    CHECK(lan->addresses().doubled() == 0);
    std::printf(
        "%zu speakers, %.0f %% loss: the halves have one view after %.0f ms; %.0f "
        "datagrams a node\n",
        c.speakers, 100 * c.loss, Ms(*took), datagrams);
  }
}

}  // namespace stentor::sim
