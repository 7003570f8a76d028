// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// How fast the membership looks, asks and gives up. All of its durations are here.

#include <chrono>
#include <cstddef>
#include <optional>
#include <string_view>

#include "common/base/time.h"

namespace stentor::speaker {

/// A dead member is noticed at the latest `suspect_after + confirm_for` after its last heartbeat,
/// plus what this speaker's own timers were late recently.
struct Profile {
  Duration heartbeat_interval{};  ///< Between heartbeats to each observer.
  Duration suspect_after{};       ///< Silence after which a peer is suspected; > 2 intervals.
  Duration probe_interval{};      ///< Between rounds of direct and indirect probes of a suspect,
                                  ///< and between requests for a member's claims.
  Duration confirm_for{};         ///< A suspect that no probe reached for so long is dead.
  Duration refused_for{};     ///< A suspect whose host refuses our probes is dead after so long,
                              ///< where it has also missed a heartbeat.
  std::size_t helpers = 3;    ///< Peers asked in each round to probe a suspect as well.
  std::size_t observers = 8;  ///< How many watch each speaker; all do where there are no more.
  Duration late_after{};      ///< A timer that is later than this makes us more patient.
  Duration late_memory{};     ///< For so long afterwards.
  Duration paused_after{};    ///< A timer that is later than this means that peers may have
                              ///< given us up: below suspect_after + confirm_for - interval.
  Duration hold_for{};        ///< How long to wait for a peer after a start or a pause.
  Duration challenge_lifetime{};  ///< A challenge older than this is not accepted any more.
  Duration leave_for{};      ///< How long "leaving" is repeated to those who have not confirmed.
  Duration view_interval{};  ///< Between two exchanges of the same two differing views.
};

/// 100 ms heartbeats, death noticed 0.32 s after the last one.
[[nodiscard]] constexpr Profile LanProfile() {
  using namespace std::chrono_literals;
  return {.heartbeat_interval = 100ms,
          .suspect_after = 220ms,
          .probe_interval = 20ms,
          .confirm_for = 100ms,
          .refused_for = 30ms,
          .helpers = 3,
          .observers = 8,
          .late_after = 20ms,
          .late_memory = 2s,
          .paused_after = 200ms,
          .hold_for = 400ms,
          .challenge_lifetime = 2s,
          .leave_for = 100ms,
          .view_interval = 1s};
}

/// 25 ms heartbeats, death noticed 85 ms after the last one. For machines whose timers are never
/// 50 ms late: there a speaker that is alive may be given up.
[[nodiscard]] constexpr Profile FastProfile() {
  using namespace std::chrono_literals;
  return {.heartbeat_interval = 25ms,
          .suspect_after = 60ms,
          .probe_interval = 6ms,
          .confirm_for = 25ms,
          .refused_for = 10ms,
          .helpers = 3,
          .observers = 8,
          .late_after = 8ms,
          .late_memory = 2s,
          .paused_after = 55ms,
          .hold_for = 110ms,
          .challenge_lifetime = 2s,
          .leave_for = 100ms,
          .view_interval = 1s};
}

/// For --ml-wan-config: 1 s heartbeats, death noticed 6.5 s after the last one.
[[nodiscard]] constexpr Profile WanProfile() {
  using namespace std::chrono_literals;
  return {.heartbeat_interval = 1s,
          .suspect_after = 3500ms,
          .probe_interval = 500ms,
          .confirm_for = 3s,
          .refused_for = 1s,
          .helpers = 3,
          .observers = 8,
          .late_after = 200ms,
          .late_memory = 20s,
          .paused_after = 5s,
          .hold_for = 7s,
          .challenge_lifetime = 20s,
          .leave_for = 1s,
          .view_interval = 10s};
}

/// "lan", "fast" or "wan"; nothing for other names.
[[nodiscard]] std::optional<Profile> ProfileNamed(std::string_view name);

/// All durations of `profile` times `factor`.
[[nodiscard]] Profile Scaled(Profile profile, double factor);

}  // namespace stentor::speaker
