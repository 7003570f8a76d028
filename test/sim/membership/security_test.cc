// SPDX-License-Identifier: Apache-2.0

/// \file
/// What somebody on the segment without the key can do: nothing. Keys that differ.

#include <algorithm>
#include <chrono>
#include <map>
#include <vector>

#include "test/sim/membership/lan/bounds.h"
#include "test/support/catch.h"
#include "test/support/run_seed.h"

namespace stentor::sim {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using speaker::ChangeKind;

}  // namespace

TEST_CASE("Membership is not moved by recordings, forgeries and noise", "[sim]") {
  INFO("STENTOR_SIM_SEED=" << RunSeed());
  SimulatedLan lan({.speakers = 3, .seed = RunSeed()});
  std::vector<SimulatedLan::Carried> recorded;
  lan.SetTap([&recorded](const SimulatedLan::Carried& carried) { recorded.push_back(carried); });
  for (std::size_t node = 0; node < lan.size(); ++node) {
    lan.Start(node);
  }
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
  lan.SetTap({});
  REQUIRE(lan.Converged());
  REQUIRE(recorded.size() > 100);

  lan.ResetCounts();
  std::size_t changes = 0;
  // Bytes that name a key which nobody has may make one line for a node that is gone, no more.
  lan.SetObserver([&changes](const Observed& o) {
    changes += o.change.kind == ChangeKind::kKeyDiffers ? 0 : 1;
  });
  const std::vector<std::uint64_t> versions = {lan.At(0).view_version(), lan.At(2).view_version()};
  for (const SimulatedLan::Carried& r : recorded) {
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
  CHECK(changes == 0);
  CHECK(lan.CountOf(ChangeKind::kKeyDiffers) <= 2);
  CHECK(lan.At(0).view_version() == versions[0]);
  CHECK(lan.At(2).view_version() == versions[1]);
  CHECK(lan.addresses().taken_over() == 0);
  CHECK(lan.Converged());
}

TEST_CASE("Membership gets over faults while all that was said is said again", "[sim]") {
  INFO("STENTOR_SIM_SEED=" << RunSeed());
  const auto lan = StartedLan({.speakers = 5, .seed = RunSeed(), .quality = Losing(0.01)});
  REQUIRE(lan);
  std::vector<SimulatedLan::Carried> recorded;
  lan->SetTap([&recorded](const SimulatedLan::Carried& carried) { recorded.push_back(carried); });
  const auto replay = [&](Duration span) {
    for (const TimePoint end = lan->now() + span; lan->now() < end; lan->RunFor(1ms)) {
      const SimulatedLan::Carried any = recorded[lan->random()() % recorded.size()];
      lan->Inject(any.to, any.source, any.bytes);
      lan->Inject(lan->random()() % lan->size(), any.source, any.bytes);
    }
  };
  lan->RunFor(2s);
  replay(5s);
  CHECK(lan->addresses().taken_over() == 0);
  const Bounds bounds = BoundsOf(lan->options());
  const std::size_t victim = OwnerOf(*lan);
  lan->Crash(victim);
  replay(bounds.converged);
  CHECK(lan->Converged());
  replay(2s);
  CHECK(lan->Converged());  // the recordings do not bring it back
  lan->Start(victim);
  replay(bounds.converged);
  CHECK(lan->Converged());
  CHECK(Ms(lan->addresses().WorstUnanswered(lan->now()).length) <= Ms(bounds.unanswered));
  CHECK(Ms(lan->addresses().WorstDoubled(lan->now()).length) <= Ms(bounds.doubled));
}

TEST_CASE("Membership leaves out a speaker whose key differs, and names it once", "[sim]") {
  INFO("STENTOR_SIM_SEED=" << RunSeed());
  SimulatedLan lan({.speakers = 3, .seed = RunSeed()});
  lan.Start(0);
  lan.Start(1);
  lan.Start(2, {.secrets = {"another secret"}});
  lan.RunFor(5s);
  CHECK(lan.At(0).AliveMembers().size() == 2);
  CHECK(lan.At(1).AliveMembers().size() == 2);
  CHECK(lan.At(2).AliveMembers().size() == 1);
  CHECK(lan.Converged());
  CHECK(lan.CountOf(ChangeKind::kKeyDiffers) == 4);  // each side names each of the other
}

}  // namespace stentor::sim
