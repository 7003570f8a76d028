// SPDX-License-Identifier: Apache-2.0
#include "test/sim/membership/lan/detection.h"

#include <algorithm>

namespace stentor::sim {

using std::chrono_literals::operator""s;

Quantiles QuantilesOf(std::vector<Duration> samples) {
  if (samples.empty()) {
    return {};
  }
  std::sort(samples.begin(), samples.end());
  return {.median = samples[samples.size() / 2],
          .p99 = samples[(samples.size() * 99) / 100],
          .worst = samples.back()};
}

std::optional<Detection> CrashOnce(SimulatedLan& lan, std::size_t victim) {
  const auto converged = [&lan] { return lan.Converged(); };
  lan.RunFor(lan.RandomSpan(2 * lan.options().profile.heartbeat_interval));
  lan.ResetCounts();
  const TimePoint crash = lan.now();
  lan.Crash(victim);
  const bool all_know = lan.RunUntil(converged, 60s).has_value();
  const Duration taken_over = lan.addresses().WorstUnanswered(lan.now()).length;
  if (!all_know || lan.addresses().unanswered() > 0 || !lan.FirstDeath(victim)) {
    return std::nullopt;
  }
  const Detection detection = {.noticed = *lan.FirstDeath(victim) - crash,
                               .known = *lan.LastDeath(victim) - crash,
                               .taken_over = taken_over};
  lan.Start(victim);
  if (!lan.RunUntil(converged, 60s)) {
    return std::nullopt;
  }
  return detection;
}

Traffic TrafficOf(SimulatedLan& lan, Duration span) {
  lan.ResetCounts();
  lan.RunFor(span);
  const double node_seconds =
      std::chrono::duration<double>(span).count() * static_cast<double>(lan.size());
  return {.datagrams = static_cast<double>(lan.datagrams()) / node_seconds,
          .octets = static_cast<double>(lan.octets()) / node_seconds};
}

}  // namespace stentor::sim
