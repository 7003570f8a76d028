// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace stentor::cli {

enum class Format : std::uint8_t { kText, kJson, kYaml };

/// Exit statuses; docs/kubectl-stentor.md is the contract.
inline constexpr int kExitGood = 0;
inline constexpr int kExitFound = 1;    ///< The answer is bad news: see each command.
inline constexpr int kExitUsage = 2;    ///< Flags or files that can't be used, or output.
inline constexpr int kExitCluster = 3;  ///< The API server can't be reached, or refuses too much.

/// What all commands that ask the API server have in common.
struct ClusterOptions {
  std::string kubeconfig;
  std::string context;
  std::string server;             ///< Instead of a kubeconfig: an address without credentials.
  std::string service_namespace;  ///< -n; empty: of the context.
  std::string name_space = "metallb-system";  ///< Stentor's.
  int timeout_seconds = 30;
};

/// The command line, parsed.
struct Options {
  ClusterOptions cluster;
  Format format = Format::kText;
  bool watch = false;
  std::string subject;             ///< Service, address or node.
  std::string event;               ///< What happens to the subject: "gone".
  std::vector<std::string> files;  ///< -f
};

}  // namespace stentor::cli
