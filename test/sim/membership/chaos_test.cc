// SPDX-License-Identifier: Apache-2.0

/// \file
/// Faults of all kinds, one after the other and on top of each other.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "test/sim/membership/lan/bounds.h"
#include "test/support/catch.h"
#include "test/support/run_seed.h"

namespace stentor::sim {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

class Chaos {
 public:
  Chaos(SimulatedLan& lan, double rough_loss) : lan_(lan), rough_loss_(rough_loss) {}

  /// Does something to somebody; what, is told in History().
  void Strike() {
    const std::size_t node = Any();
    const std::size_t other = Any();
    const Duration span = lan_.RandomSpan(lan_.random()() % 8 == 0 ? 30s : 2s);
    switch (lan_.random()() % 16) {
      case 0:
        Say("crash", node);
        lan_.Crash(node);
        break;
      case 1:
        Say("kill", node);
        lan_.Kill(node);
        break;
      case 2:
        Say("leave", node);
        lan_.Leave(node);
        break;
      case 3:
        Say("crash half, from", node);
        for (std::size_t i = 0; i < lan_.size() / 2; ++i) {
          lan_.Crash((node + i) % lan_.size());
        }
        break;
      case 4:
        Say("pause for " + std::to_string(Ms(span)), node);
        lan_.Pause(node, span);
        break;
      case 5:
        Say("suspend for " + std::to_string(Ms(span)), node);
        lan_.Suspend(node, span);
        break;
      case 6:
        Say("toggle one way from " + std::to_string(node) + " to", other);
        lan_.SetLink(node, other, lan_.random()() % 2 == 0);
        break;
      case 7:
        Say("split off", node);
        lan_.Partition({{node}, Others(node)});
        break;
      case 8:
        Say("split off with its next", node);
        lan_.Partition({{node, (node + 1) % lan_.size()}, Others(node)});
        break;
      case 9:
        Say("heal", node);
        lan_.Heal();
        break;
      case 10:
        Say("change losses", node);
        lan_.SetQuality(Losing(lan_.random()() % 2 == 0 ? rough_loss_ : 0.01));
        break;
      case 11:
        Say("yield or not", node);
        lan_.SetYields(node, lan_.random()() % 2 == 0 ? speaker::kYieldProxyUnhealthy
                                                      : speaker::kYieldsNothing);
        break;
      default:
        for (std::size_t i = 0; i < lan_.size(); ++i) {
          if (!lan_.IsRunning(i) && lan_.random()() % 2 == 0) {
            Say("start", i);
            lan_.Start(i, {.listed_after = lan_.random()() % 2 == 0 ? 0s : lan_.RandomSpan(1s),
                           .starting_for = lan_.random()() % 2 == 0 ? 0s : lan_.RandomSpan(1s)});
          }
        }
        break;
    }
  }

  /// Nothing more happens, but what was under way.
  void Settle() {
    lan_.Heal();
    lan_.SetQuality(Losing(0));
    Say("heal", 0);
    while (!AllAwake()) {
      lan_.RunFor(100ms);
    }
    lan_.RunFor(1s);  // what starts, starts
  }

  [[nodiscard]] const std::string& history() const { return history_; }

 private:
  [[nodiscard]] std::size_t Any() { return lan_.random()() % lan_.size(); }

  [[nodiscard]] std::set<std::size_t> Others(std::size_t node) const {
    std::set<std::size_t> others;
    for (std::size_t i = 0; i < lan_.size(); ++i) {
      if (i != node) {
        others.insert(i);
      }
    }
    return others;
  }

  [[nodiscard]] bool AllAwake() const {
    for (std::size_t i = 0; i < lan_.size(); ++i) {
      if (lan_.IsRunning(i) && !lan_.IsAwake(i)) {
        return false;
      }
    }
    return true;
  }

  void Say(const std::string& what, std::size_t node) {
    history_ += std::to_string(Ms(lan_.now().time_since_epoch() - 3600000s)) + " " + what + " " +
                std::to_string(node) + "\n";
  }

  SimulatedLan& lan_;
  double rough_loss_;
  std::string history_;
};

}  // namespace

TEST_CASE("Membership comes to one view after anything", "[sim]") {
  INFO("STENTOR_SIM_SEED=" << RunSeed());
  const std::uint64_t trials = 40 + static_cast<std::uint64_t>(LongHours() * 3000);
  Duration worst_converged{};
  for (std::uint64_t trial = 0; trial < trials; ++trial) {
    LanOptions options{.speakers = 2 + trial % 11,
                       .staying = trial / 2 % 2 == 0 ? std::size_t{10} : 0,
                       .seed = RunSeed() + trial * 1000,
                       .profile = trial % 3 == 2 ? speaker::FastProfile() : speaker::LanProfile(),
                       .quality = Losing(0.01)};
    if (trial % 3 == 2) {
      options.quality.max_delay = 1ms;
    }
    INFO("trial " << trial << ", " << options.speakers << " speakers");
    const auto lan = StartedLan(options);
    REQUIRE(lan);
    const double rough_loss = trial % 2 == 0 ? 0.2 : 0.05;
    Chaos chaos(*lan, rough_loss);
    for (int step = 0; step < 30; ++step) {
      chaos.Strike();
      lan->RunFor(lan->RandomSpan(1s));
    }
    chaos.Settle();
    options.quality.loss = 0;
    const Bounds bounds = BoundsOf(options);
    lan->RunFor(lan->last_cause() - lan->now() + bounds.converged);
    if (!lan->Converged()) {
      UNSCOPED_INFO(chaos.history() << lan->Views());
    }
    CHECK(lan->Converged());
    worst_converged = std::max(worst_converged, lan->last_view_change() - lan->last_cause());
    CHECK(lan->addresses().unanswered() == 0);
    CHECK(lan->addresses().doubled() == 0);
    CHECK((rough_loss > 0.1 || lan->false_deaths() == 0));
    lan->ResetCounts();
    lan->RunFor(5s);
    CHECK(lan->addresses().taken_over() == 0);
  }
  std::printf("after chaos: one view after %.0f ms\n", Ms(worst_converged));
}

}  // namespace stentor::sim
