// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/app/options.h"

namespace stentor::cli {

/// The commands. Each prints its report on standard output, errors as one line on standard error,
/// and returns the exit status.
[[nodiscard]] int RunStatus(const Options& options);
[[nodiscard]] int RunExplain(const Options& options);
[[nodiscard]] int RunWhy(const Options& options);
[[nodiscard]] int RunWhatIfNode(const Options& options);
[[nodiscard]] int RunWhatIfFiles(const Options& options);

/// These ask no API server.
[[nodiscard]] int RunValidate(const Options& options);
[[nodiscard]] int RunConvert(const Options& options);

}  // namespace stentor::cli
