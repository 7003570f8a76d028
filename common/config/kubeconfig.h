// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/config/client_config.h"

namespace stentor::config {

/// One kubeconfig file: its text, and its name for messages and relative paths.
struct KubeconfigFile {
  std::string path;
  std::string text;
};

/// The context named `context`, or the current one where that is empty, of `files`, merged as
/// kubectl does: the first file to set current-context wins, and the first to define a cluster,
/// user or context of a name. Relative file names are relative to the folder of the file that has
/// them. Errors are InvalidArgument in one line that names the file or the entry; credential
/// plugins (exec, auth-provider) and passwords are refused.
/// https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
[[nodiscard]] absl::StatusOr<ClientConfig> ParseKubeconfig(std::span<const KubeconfigFile> files,
                                                           std::string_view context = "");

}  // namespace stentor::config
