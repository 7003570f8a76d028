// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace stentor::controller {

/// `stentor-controller validate -f FILE...`: reads manifests (YAML or JSON, `-` for standard input)
/// and prints, a line for each object, what the webhooks would say of them. `argv` begins with
/// "validate". The exit status: 0 all is good, 1 something would be refused, 2 the files or flags
/// can't be read.
[[nodiscard]] int RunValidate(int argc, char** argv);

}  // namespace stentor::controller
