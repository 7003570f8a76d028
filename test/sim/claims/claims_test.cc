// SPDX-License-Identifier: Apache-2.0

/// \file
/// Claims on the way: addresses that are given back, and many claims that change all the time.

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "test/sim/claims/staying.h"
#include "test/sim/membership/lan/bounds.h"
#include "test/support/catch.h"
#include "test/support/run_seed.h"

namespace stentor::sim {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

}  // namespace

// Who gives an address back does not wait for its successor here, so that for as long as that one
// does not know of it nobody answers.
TEST_CASE("An address that is given back is taken over as soon as others can hear of it", "[sim]") {
  for (const double loss : {0.0, 0.05}) {
    for (const std::size_t speakers : {std::size_t{3}, std::size_t{40}, std::size_t{100}}) {
      INFO("STENTOR_SIM_SEED=" << RunSeed() << ", " << speakers << " speakers, loss " << loss);
      const LanOptions options{
          .speakers = speakers, .staying = kStaying, .seed = RunSeed(), .quality = Losing(loss)};
      const auto lan = StartedLan(options, 10ms);
      REQUIRE(lan);
      const std::size_t victim = OwnerOf(*lan);
      lan->Crash(victim);
      lan->RunFor(3s);
      const std::size_t tenant = OwnerOf(*lan);
      lan->Start(victim);
      lan->RunFor(5s + lan->RandomSpan(1s));
      REQUIRE(OwnerOf(*lan) == tenant);
      lan->ResetCounts();
      lan->Release(tenant);
      lan->RunFor(3s);
      CHECK(OwnerOf(*lan) == victim);
      CheckWell(*lan);
      const Duration gap = lan->addresses().WorstUnanswered(lan->now()).length;
      std::printf("%zu speakers, loss %.2f: given back, taken over after %.1f ms\n", speakers, loss,
                  Ms(gap));
      const Duration lost = loss == 0 ? Duration::zero() : 1500ms;
      CHECK(Ms(gap) <= Ms(options.quality.max_delay + lost));
    }
  }
}

// Then who is to take it over learns of it from what others see.
TEST_CASE("An address that is given back is taken over also where the first word of it is lost",
          "[sim]") {
  Duration worst{};
  for (const std::size_t speakers : {std::size_t{3}, std::size_t{40}, std::size_t{100}}) {
    for (std::uint64_t trial = 0; trial < 3; ++trial) {
      INFO("STENTOR_SIM_SEED=" << RunSeed() << ", " << speakers << " speakers, trial " << trial);
      const LanOptions options{
          .speakers = speakers, .staying = kStaying, .seed = RunSeed() + trial};
      const auto lan = StartedLan(options, 10ms);
      REQUIRE(lan);
      const std::size_t victim = OwnerOf(*lan);
      lan->Crash(victim);
      lan->RunFor(3s);
      const std::size_t tenant = OwnerOf(*lan);
      lan->Start(victim);
      lan->RunFor(5s + lan->RandomSpan(1s));
      REQUIRE(OwnerOf(*lan) == tenant);
      lan->ResetCounts();
      lan->SetLink(tenant, victim, false);
      lan->Release(tenant);
      lan->RunFor(5ms);
      lan->SetLink(tenant, victim, true);
      const auto taken = lan->RunUntil([&] { return lan->addresses().unanswered() == 0; }, 5s);
      REQUIRE(taken);
      CHECK(OwnerOf(*lan) == victim);
      lan->RunFor(3s);
      CheckWell(*lan);
      worst = std::max(worst, *taken);
      CHECK(Ms(*taken) <= (speakers > 9 ? 1000 : Ms(BoundsOf(options).doubled)));
    }
  }
  std::printf("given back, the first word lost: taken over after %.0f ms at worst\n", Ms(worst));
}

TEST_CASE("Claims that change all the time cost little, and keep nobody from failing over",
          "[sim]") {
  struct Case {
    std::size_t speakers;
    std::size_t claims;    // of each of:
    std::size_t changing;  // speakers
    double most;           // datagrams a second and speaker
  };
  const auto c =
      GENERATE(values<Case>({{.speakers = 3, .claims = 10'000, .changing = 3, .most = 100},
                             {.speakers = 10, .claims = 1'000, .changing = 10, .most = 300},
                             {.speakers = 100, .claims = 200, .changing = 10, .most = 400}}));
  for (const double loss : {0.0, 0.05}) {
    INFO("STENTOR_SIM_SEED=" << RunSeed() << ", " << c.speakers << " speakers, loss " << loss);
    const LanOptions options{
        .speakers = c.speakers, .staying = kStaying, .seed = RunSeed(), .quality = Losing(loss)};
    const auto lan = StartedLan(options, 10ms);
    REQUIRE(lan);
    lan->RunFor(2s);
    std::size_t changes = 0;
    const auto change_for = [&](Duration span) {
      for (const TimePoint end = lan->now() + span; lan->now() < end; lan->RunFor(10ms)) {
        ++changes;
        for (std::size_t node = 0; node < c.changing; ++node) {
          if (lan->IsRunning(node)) {
            lan->SetOtherClaims(node, c.claims, changes);
          }
        }
      }
    };
    change_for(3s);
    lan->ResetCounts();
    change_for(2s);
    const double rate = static_cast<double>(lan->datagrams()) / 2 / static_cast<double>(c.speakers);
    std::printf("%zu speakers, loss %.2f, %zu with %zu claims that change: %.0f datagrams/s each\n",
                c.speakers, loss, c.changing, c.claims, rate);
    CHECK(rate < c.most);
    CHECK(lan->addresses().taken_over() == 0);
    const std::size_t victim = OwnerOf(*lan);
    const std::size_t owned = lan->addresses().CountOf(victim);
    lan->Crash(victim);
    change_for(1s);
    CHECK(lan->addresses().taken_over() == owned);
    CHECK(Ms(lan->addresses().WorstUnanswered(lan->now()).length) <=
          Ms(BoundsOf(options).unanswered));
    lan->ResetCounts();
    lan->Start(victim);
    change_for(2s);
    CHECK(lan->addresses().taken_over() == 0);
    CHECK(lan->At(victim).Ready());
    lan->RunFor(5s + lan->RandomSpan(1s));
    CheckWell(*lan);
  }
}

}  // namespace stentor::sim
