// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace stentor::controller {

enum class LeaderChangeKind : std::uint8_t {
  kStarted,       ///< This replica leads. Read all anew before the first write.
  kStopped,       ///< It leads no more: write nothing from now on. `reason` says why.
  kNewHolder,     ///< The Lease has another holder than before; `holder`, empty for none.
  kWithoutLease,  ///< This replica leads (kStarted precedes) without a Lease, as if it were the
                  ///< only one: the API refuses Leases, see `status`. They are asked for again,
                  ///< less and less often.
  kWithLease,     ///< It holds the Lease from now on, after kWithoutLease.
  kTrouble,       ///< An attempt failed, see `status`; told once for each code in succession.
  kRecovered,     ///< An attempt succeeded, after kTrouble.
};

enum class StopReason : std::uint8_t {
  kNotRenewed,  ///< No renewal succeeded within renew_deadline.
  kTaken,       ///< The Lease names another holder, or none.
  kReleased,    ///< Release() was called.
};

/// Something for a log line and for the rest of the program, in the order in which it happened.
struct LeaderChange {
  LeaderChangeKind kind = LeaderChangeKind::kStarted;
  StopReason reason = StopReason::kNotRenewed;  ///< kStopped.
  std::string holder;                           ///< kNewHolder.
  absl::Status status;                          ///< kWithoutLease, kTrouble.
};

/// Names for logs, in camelCase; static storage.
[[nodiscard]] std::string_view LeaderChangeKindName(LeaderChangeKind kind) noexcept;
[[nodiscard]] std::string_view StopReasonName(StopReason reason) noexcept;

}  // namespace stentor::controller
