// SPDX-License-Identifier: Apache-2.0
#include "controller/leader/leader_options.h"

#include <chrono>
#include <limits>

#include "common/base/strings.h"

namespace stentor::controller {

absl::Status ValidateLeaderOptions(const LeaderOptions& options) {
  using std::chrono::seconds;
  if (options.identity.empty() || options.lease.name.empty() || options.lease.name_space.empty()) {
    return absl::InvalidArgumentError(
        "leader election needs an identity, and the namespace and name of its Lease");
  }
  if (options.lease_duration % seconds(1) != Duration::zero() ||
      options.lease_duration < seconds(1) ||
      options.lease_duration > seconds(std::numeric_limits<std::int32_t>::max())) {
    return absl::InvalidArgumentError("the lease duration must be whole seconds, at least one");
  }
  if (options.retry_period <= Duration::zero() || options.request_timeout <= Duration::zero() ||
      options.release_limit < Duration::zero() || !(options.jitter_factor >= 0)) {
    return absl::InvalidArgumentError("the times of the leader election must be positive");
  }
  if (options.lease_duration <= options.renew_deadline) {
    return absl::InvalidArgumentError("the lease duration must be greater than the renew deadline");
  }
  if (options.renew_deadline <= options.retry_period * options.jitter_factor) {
    return absl::InvalidArgumentError(StrCat("the renew deadline must be greater than ",
                                             options.jitter_factor, " times the retry period"));
  }
  return absl::OkStatus();
}

std::string IdentityPrefix(std::string_view pod) { return StrCat(pod, "_"); }

std::string LeaderIdentity(std::string_view pod, std::uint64_t random) {
  return StrCat(IdentityPrefix(pod), absl::Hex(random, absl::kZeroPad16));
}

}  // namespace stentor::controller
