// SPDX-License-Identifier: Apache-2.0
#include "speaker/membership/profile.h"

namespace stentor::speaker {

std::optional<Profile> ProfileNamed(std::string_view name) {
  if (name == "lan") {
    return LanProfile();
  }
  if (name == "fast") {
    return FastProfile();
  }
  if (name == "wan") {
    return WanProfile();
  }
  return std::nullopt;
}

Profile Scaled(Profile profile, double factor) {
  for (Duration* const duration :
       {&profile.heartbeat_interval, &profile.suspect_after, &profile.probe_interval,
        &profile.confirm_for, &profile.refused_for, &profile.late_after, &profile.late_memory,
        &profile.paused_after, &profile.hold_for, &profile.challenge_lifetime, &profile.leave_for,
        &profile.view_interval}) {
    *duration =
        Duration(static_cast<Duration::rep>(static_cast<double>(duration->count()) * factor));
  }
  return profile;
}

}  // namespace stentor::speaker
