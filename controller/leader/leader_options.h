// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/base/time.h"
#include "common/model/types.h"

namespace stentor::controller {

/// Who takes part in an election, for which Lease, and in what times. The times are client-go's
/// defaults (k8s.io/client-go/tools/leaderelection).
struct LeaderOptions {
  model::ObjectKey lease;  ///< Namespace and name.
  std::string identity;    ///< LeaderIdentity(); another one for each run of the program.

  /// A holder whose identity begins so is an earlier run in this very pod, of which nothing lives
  /// any more, so its Lease need not expire first: IdentityPrefix() where the pod's name is known
  /// for certain (from the downward API). Empty: no such thing.
  std::string predecessor_prefix;

  /// What a holder asks others to wait for, from when they last saw it renew. Whole seconds.
  Duration lease_duration = std::chrono::seconds(15);
  /// A leader that has not renewed for this long stops leading.
  Duration renew_deadline = std::chrono::seconds(10);
  /// Between two renewals, and the least time between two attempts to acquire.
  Duration retry_period = std::chrono::seconds(2);
  /// An attempt to acquire comes after retry_period and up to this share of it more, at random.
  double jitter_factor = 1.2;
  /// A request without an answer for this long is given up.
  Duration request_timeout = std::chrono::seconds(5);
  /// For Release(): what has not succeeded by then is given up; the Lease expires instead.
  Duration release_limit = std::chrono::seconds(10);
};

/// Whether the times make sense together, as client-go checks them: lease_duration above
/// renew_deadline above retry_period * jitter_factor, all positive; InvalidArgument names what is
/// wrong.
[[nodiscard]] absl::Status ValidateLeaderOptions(const LeaderOptions& options);

/// "POD_0123456789abcdef". A pod's name has no underscore, so no pod's prefix fits another's.
[[nodiscard]] std::string LeaderIdentity(std::string_view pod, std::uint64_t random);
/// "POD_"
[[nodiscard]] std::string IdentityPrefix(std::string_view pod);

}  // namespace stentor::controller
