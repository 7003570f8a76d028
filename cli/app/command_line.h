// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace stentor::cli {

/// Parses the command line, runs the command that it names, and returns the exit status. What can't
/// be parsed is one line on standard error.
[[nodiscard]] int RunCommandLine(int argc, char** argv);

}  // namespace stentor::cli
