// SPDX-License-Identifier: Apache-2.0
#include "controller/leader/leader_change.h"

namespace stentor::controller {

std::string_view LeaderChangeKindName(LeaderChangeKind kind) noexcept {
  switch (kind) {
    case LeaderChangeKind::kStarted:
      return "started";
    case LeaderChangeKind::kStopped:
      return "stopped";
    case LeaderChangeKind::kNewHolder:
      return "newHolder";
    case LeaderChangeKind::kWithoutLease:
      return "withoutLease";
    case LeaderChangeKind::kWithLease:
      return "withLease";
    case LeaderChangeKind::kTrouble:
      return "trouble";
    case LeaderChangeKind::kRecovered:
      return "recovered";
  }
  return "";
}

std::string_view StopReasonName(StopReason reason) noexcept {
  switch (reason) {
    case StopReason::kNotRenewed:
      return "notRenewed";
    case StopReason::kTaken:
      return "taken";
    case StopReason::kReleased:
      return "released";
  }
  return "";
}

}  // namespace stentor::controller
