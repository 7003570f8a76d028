// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/config/client_config.h"

namespace stentor::io {

/// Where the API server is, and who we are: the kubeconfig file `explicit_path` (--kubeconfig);
/// where that is empty the files that the environment variable KUBECONFIG lists, the first to name
/// something wins; else the service account of the pod. Errors are one line that says what is wrong
/// with which file, or that there is neither.
[[nodiscard]] absl::StatusOr<config::ClientConfig> LoadClientConfig(
    const std::string& explicit_path);

/// The same for a person at a terminal, as kubectl has it: before the service account also
/// $HOME/.kube/config; and the context `context` rather than the current one, where it is given.
[[nodiscard]] absl::StatusOr<config::ClientConfig> LoadUserClientConfig(
    const std::string& explicit_path, const std::string& context);

}  // namespace stentor::io
