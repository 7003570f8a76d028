// SPDX-License-Identifier: Apache-2.0
#include "speaker/node/proxy_health.h"

#include <algorithm>

namespace stentor::speaker {

std::string_view ProxyAnswerName(ProxyAnswer answer) noexcept {
  switch (answer) {
    case ProxyAnswer::kHealthy:
      return "healthy";
    case ProxyAnswer::kUnhealthy:
      return "unhealthy";
    case ProxyAnswer::kNodeLeaving:
      return "nodeLeaving";
    case ProxyAnswer::kRefused:
      return "refused";
    case ProxyAnswer::kSilent:
      return "silent";
  }
  return "unknown";
}

std::string_view ProxyStateName(ProxyState state) noexcept {
  switch (state) {
    case ProxyState::kOff:
      return "off";
    case ProxyState::kAbsent:
      return "absent";
    case ProxyState::kHealthy:
      return "healthy";
    case ProxyState::kUnhealthy:
      return "unhealthy";
    case ProxyState::kGone:
      return "gone";
    case ProxyState::kNodeLeaving:
      return "nodeLeaving";
  }
  return "unknown";
}

ProxyAnswer JudgeProxyAnswer(int code, std::string_view body) {
  if (code >= 200 && code < 300) {
    return ProxyAnswer::kHealthy;
  }
  // {"lastUpdated": "...","currentTime": "...", "nodeEligible": false}. That the rules are stale
  // too can't be told then; it makes no difference to what is to be done.
  constexpr std::string_view kKey = "\"nodeEligible\":";
  const std::size_t key = body.find(kKey);
  if (code == 503 && key != std::string_view::npos) {
    std::string_view value = body.substr(key + kKey.size());
    value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
    if (value.substr(0, 5) == "false") {
      return ProxyAnswer::kNodeLeaving;
    }
  }
  return ProxyAnswer::kUnhealthy;
}

ProxyAnswer JudgeProxyFailure(const absl::Status& status) {
  return absl::IsNotFound(status) ? ProxyAnswer::kRefused : ProxyAnswer::kSilent;
}

bool ProxyHealth::TakeProbe(TimePoint now) {
  if (!options_.enabled || under_way_ || now < due_) {
    return false;
  }
  under_way_ = true;
  return true;
}

bool ProxyHealth::OnAnswer(TimePoint now, ProxyAnswer answer) {
  if (!under_way_) {
    return false;
  }
  under_way_ = false;
  const ProxyState before = state_;
  if (answer == ProxyAnswer::kHealthy) {
    failures_ = 0;
    ++recoveries_;
    // The first one of all is enough: until then nothing was known.
    if (state_ == ProxyState::kAbsent || recoveries_ >= options_.recoveries) {
      state_ = ProxyState::kHealthy;
    }
  } else {
    recoveries_ = 0;
    if (failures_ == 0) {
      failing_since_ = now;
    }
    failures_ = std::min(failures_ + 1, options_.failures);
    state_ = StateAfterFailure(now, answer);
  }
  if (state_ == ProxyState::kAbsent) {
    due_ = now + options_.absent_interval;
  } else if (state_ == ProxyState::kHealthy && failures_ == 0) {
    due_ = now + options_.interval;
  } else {
    due_ = now + options_.trouble_interval;
  }
  return state_ != before;
}

ProxyState ProxyHealth::StateAfterFailure(TimePoint now, ProxyAnswer answer) const {
  if (state_ == ProxyState::kAbsent) {
    return state_;  // nobody is known to have done the work: no reason to give up anything
  }
  const bool answers = answer == ProxyAnswer::kUnhealthy || answer == ProxyAnswer::kNodeLeaving;
  const Duration patience = answers ? options_.unhealthy_after : options_.gone_after;
  if (!Yields() && (failures_ < options_.failures || now - failing_since_ < patience)) {
    return state_;
  }
  switch (answer) {
    case ProxyAnswer::kUnhealthy:
      return ProxyState::kUnhealthy;
    case ProxyAnswer::kNodeLeaving:
      return ProxyState::kNodeLeaving;
    default:
      return ProxyState::kGone;
  }
}

std::optional<TimePoint> ProxyHealth::NextDeadline() const {
  if (!options_.enabled || under_way_) {
    return std::nullopt;
  }
  return due_;
}

}  // namespace stentor::speaker
