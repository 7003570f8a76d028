// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cli/app/options.h"

namespace stentor::cli {

/// `completion bash|zsh`: prints the script.
[[nodiscard]] int RunCompletion(const Options& options);

/// `__complete WORD...`, which the scripts and kubectl (through kubectl_complete-stentor) run: what
/// the last word, perhaps empty, could become, a line each, and at the end the line ":4" (kubectl's
/// sign for: no file names) or ":0" (file names too).
[[nodiscard]] int PrintCompletions(const std::vector<std::string>& words);

}  // namespace stentor::cli
