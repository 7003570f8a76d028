// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>

#include "common/base/time.h"

namespace stentor::kube {

/// A source of random numbers from 0 (included) to 1 (excluded).
using Uniform = std::function<double()>;

struct BackoffOptions {
  Duration initial;
  Duration maximum;
};

/// How long to wait after the `failures`-th failure in succession (from 1): `initial`, doubled each
/// time up to `maximum`, of which a random share between a half and all is taken, so that many
/// clients that failed together don't come back together.
[[nodiscard]] Duration Backoff(const BackoffOptions& options, int failures, const Uniform& uniform);

/// The same where the server may have said how long to wait at least: `retry_after` and up to a
/// half of it more, since it tells everybody the same; or the backoff if that is longer.
[[nodiscard]] Duration RetryDelay(const BackoffOptions& options, int failures,
                                  std::optional<Duration> retry_after, const Uniform& uniform);

}  // namespace stentor::kube
