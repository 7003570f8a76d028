// SPDX-License-Identifier: Apache-2.0
#include "common/kube/backoff.h"

#include <algorithm>

namespace stentor::kube {

Duration Backoff(const BackoffOptions& options, int failures, const Uniform& uniform) {
  Duration delay = options.initial;
  for (int i = 1; i < failures && delay < options.maximum; ++i) {
    delay *= 2;
  }
  delay = std::min(delay, options.maximum);
  return std::chrono::duration_cast<Duration>(delay * (0.5 + uniform() / 2));
}

Duration RetryDelay(const BackoffOptions& options, int failures,
                    std::optional<Duration> retry_after, const Uniform& uniform) {
  const Duration backoff = Backoff(options, failures, uniform);
  if (!retry_after) {
    return backoff;
  }
  return std::max(backoff,
                  std::chrono::duration_cast<Duration>(*retry_after * (1 + uniform() / 2)));
}

}  // namespace stentor::kube
