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

}  // namespace stentor::kube
