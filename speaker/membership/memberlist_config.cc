// SPDX-License-Identifier: Apache-2.0
#include "speaker/membership/memberlist_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/time/time.h"
#include "common/base/strings.h"

namespace stentor::speaker {
namespace {

constexpr absl::Duration kDefaultProbeInterval = absl::Seconds(1);
constexpr absl::Duration kShortestProbeInterval = absl::Milliseconds(10);
constexpr absl::Duration kLongestProbeInterval = absl::Minutes(5);
constexpr int kDefaultSuspicionMult = 4;
constexpr double kFastest = 0.25;
constexpr double kSlowest = 50;

absl::Status Wrong(std::string_view key, std::string_view want) {
  return absl::InvalidArgumentError(StrCat(key, ": want ", want));
}

}  // namespace

absl::StatusOr<Profile> ParseMemberlistConfig(std::string_view text) {
  const nlohmann::json config = nlohmann::json::parse(text, nullptr, false);
  if (!config.is_object()) {
    return absl::InvalidArgumentError("not a JSON object");
  }
  const auto find = [&config](const char* key) -> const nlohmann::json* {
    const auto it = config.find(key);
    return it == config.end() ? nullptr : &*it;
  };
  absl::Duration probe = kDefaultProbeInterval;
  if (const nlohmann::json* value = find("ProbeInterval")) {
    if (!value->is_string() || !absl::ParseDuration(value->get<std::string>(), &probe) ||
        probe < kShortestProbeInterval || probe > kLongestProbeInterval) {
      return Wrong("ProbeInterval", "a duration from 10ms to 5m, as \"1s\"");
    }
  }
  int mult = kDefaultSuspicionMult;
  if (const nlohmann::json* value = find("SuspicionMult")) {
    if (!value->is_number_integer() || *value < 1 || *value > 100) {
      return Wrong("SuspicionMult", "a number from 1 to 100");
    }
    mult = value->get<int>();
  }
  const double factor =
      absl::FDivDuration(probe, kDefaultProbeInterval) * mult / kDefaultSuspicionMult;
  Profile profile = Scaled(LanProfile(), std::clamp(factor, kFastest, kSlowest));
  if (const nlohmann::json* value = find("IndirectChecks")) {
    if (!value->is_number_integer() || *value < 0 || *value > 1000) {
      return Wrong("IndirectChecks", "a number from 0 to 1000");
    }
    profile.helpers = std::clamp<std::size_t>(value->get<std::size_t>(), 1, 8);
  }
  return profile;
}

}  // namespace stentor::speaker
