// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Command line and environment, as far as both programs share them. Names, defaults and variables
/// are MetalLB's, so that its manifests and charts start Stentor unchanged.

#include <cstdint>
#include <string>
#include <vector>

#include "common/io/admin_settings.h"
#include "common/obs/log.h"

namespace CLI {  // NOLINT(readability-identifier-naming): the library's name
class App;
}  // namespace CLI

namespace stentor::io {

/// Flags that controller and speaker have in common.
struct CommonFlags {
  std::string kubeconfig;  ///< Empty: KUBECONFIG, else the cluster that the pod runs in.
  std::string name_space;  ///< Empty until ResolveNamespace().
  std::string pod_name;
  std::string load_balancer_class;
  std::string config_map = "config";  ///< Of MetalLB 0.12 and before, in the same namespace.
  bool config_map_named = false;      ///< --config was given.
  obs::Level log_level = obs::Level::kInfo;
  AdminSettings admin;
  /// Flags that were given but have no effect in this version; to be reported once at start.
  std::vector<std::string> ignored;
};

/// Adds the common flags to `app`, which fills `flags` while it parses. `flags` must outlive `app`.
/// --version prints the app's name and `version`, and ends.
void AddCommonFlags(CLI::App& app, CommonFlags& flags, const std::string& version);

/// Adds a flag of MetalLB's that means nothing here: with a value (`kText`) or without (`kSwitch`).
/// Where it is given, its name is appended to `flags.ignored`.
enum class IgnoredFlag : std::uint8_t { kText, kSwitch };
void AddIgnoredFlag(CLI::App& app, CommonFlags& flags, const std::string& name, IgnoredFlag kind,
                    const std::string& description);

/// What Parse() says: go on, or leave with this exit status (help was shown, or an error printed).
struct ParseOutcome {
  bool go_on = false;
  int exit_status = 0;
};

/// Parses the command line. Go's spelling of long flags with one dash (-port=7472) is understood.
/// An error is one line on standard error that names the flag; the exit status is then 2.
[[nodiscard]] ParseOutcome Parse(CLI::App& app, int argc, char** argv);

/// Logs once that flags were given which have no effect.
void ReportIgnored(const CommonFlags& flags, const obs::Logger& log);

/// The namespace of the custom resources: flag or METALLB_NAMESPACE, else the pod's own, else
/// "metallb-system".
[[nodiscard]] std::string ResolveNamespace(const CommonFlags& flags);

}  // namespace stentor::io
