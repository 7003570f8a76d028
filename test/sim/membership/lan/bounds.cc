// SPDX-License-Identifier: Apache-2.0
#include "test/sim/membership/lan/bounds.h"

#include <algorithm>
#include <cstdlib>

#include "common/base/check.h"

namespace stentor::sim {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

// What is lost costs another heartbeat, or several in a row: as many as thousands of trials show.
Bounds BoundsOf(const LanOptions& options, int detections) {
  const speaker::Profile& profile = options.profile;
  const double loss = options.quality.loss;
  const Duration round_trip = 2 * options.quality.max_delay;
  const Duration late = 2 * options.timer_jitter;
  const int losses_in_a_row = loss == 0 ? 0 : loss < 0.02 ? 2 : loss < 0.1 ? 3 : 7;
  const Duration lost = losses_in_a_row * (profile.heartbeat_interval + options.timer_jitter);
  const Duration seen = profile.heartbeat_interval + late + 2 * round_trip + lost;
  // Where not everybody watches everybody, whom only the dead watched is asked a heartbeat later.
  const bool ring = options.speakers > profile.observers + 1;
  const Duration asked = ring ? profile.heartbeat_interval : Duration::zero();
  const Duration dead =
      detections * (profile.suspect_after + profile.confirm_for + asked + late + round_trip) +
      (detections - 1) * profile.heartbeat_interval + lost;
  // Who restarts alone, or wakes up alone, waits for a peer first.
  const Duration alone = profile.hold_for + late;
  // What is claimed is told, or asked for (perhaps of somebody who doesn't know us yet) and told;
  // and what was told in the last heartbeat waits.
  const Duration asked_claims =
      2 * round_trip + (1 + losses_in_a_row) * (profile.probe_interval + options.timer_jitter);
  const Duration claims = options.staying > 0 ? asked_claims : Duration::zero();
  const Duration told = options.staying > 0 ? claims + seen : Duration::zero();
  return {.unanswered = std::max(dead, alone),
          .doubled = seen + claims,
          .converged = dead + seen + told};
}

std::vector<std::set<std::size_t>> TwoHalves(std::size_t speakers) {
  std::vector<std::set<std::size_t>> halves(2);
  for (std::size_t node = 0; node < speakers; ++node) {
    halves[node % 2].insert(node);
  }
  return halves;
}

LinkQuality Losing(double loss) {
  return {.loss = loss,
          .duplication = loss > 0 ? 0.01 : 0,
          .min_delay = std::chrono::microseconds(100),
          .max_delay = 3ms};
}

std::unique_ptr<SimulatedLan> StartedLan(const LanOptions& options, Duration apart) {
  auto lan = std::make_unique<SimulatedLan>(options);
  lan->FollowAddresses(false);
  for (std::size_t node = 0; node < lan->size(); ++node) {
    lan->Start(node);
    lan->RunFor(lan->RandomSpan(apart));
  }
  if (!lan->RunUntil([&] { return lan->Converged(); }, 60s)) {
    return nullptr;
  }
  lan->FollowAddresses(true);
  lan->ResetCounts();
  return lan;
}

std::size_t OwnerOf(const SimulatedLan& lan) {
  const std::vector<std::size_t> owners = lan.addresses().Announcers(0);
  STENTOR_CHECK(owners.size() == 1) << owners.size();
  return owners.front();
}

double LongHours() {
  const char* const hours = std::getenv("STENTOR_SIM_LONG");
  return hours == nullptr ? 0 : std::strtod(hours, nullptr);
}

}  // namespace stentor::sim
