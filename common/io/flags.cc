// SPDX-License-Identifier: Apache-2.0
#include "common/io/flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>

#include "common/base/strings.h"

namespace stentor::io {
namespace {

constexpr const char* kNamespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
constexpr const char* kDefaultNamespace = "metallb-system";

// Go's flag package takes -name as it takes --name; MetalLB's users may have written either.
std::vector<std::string> WithTwoDashes(int argc, char** argv) {
  std::vector<std::string> out;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    const bool one_dash = argument.size() > 2 && argument[0] == '-' && argument[1] != '-';
    out.push_back(one_dash ? "-" + argument : std::move(argument));
  }
  return out;
}

}  // namespace

void AddCommonFlags(CLI::App& app, CommonFlags& flags, const std::string& version) {
  app.set_version_flag("--version", StrCat(app.get_name(), " ", version));
  app.add_option("--kubeconfig", flags.kubeconfig,
                 "Kubeconfig file; without it KUBECONFIG, else the cluster this pod runs in");
  app.add_option("--namespace", flags.name_space,
                 "Namespace of the custom resources; default: the pod's own")
      ->envname("METALLB_NAMESPACE");
  app.add_option("--pod-name", flags.pod_name, "Name of this pod")->envname("METALLB_POD_NAME");
  app.add_option("--lb-class", flags.load_balancer_class,
                 "Serve only Services of this loadBalancerClass; default: those without one");
  app.add_option_function<std::string>(
         "--log-level",
         [&flags](const std::string& text) {
           const auto level = obs::ParseLevel(text);
           if (!level) {
             throw CLI::ValidationError(
                 "--log-level", "must be all, debug, info, warn, error or none, not " + text);
           }
           flags.log_level = *level;
         },
         "Least level that is logged: all, debug, info, warn, error, none (default info)")
      ->type_name("LEVEL");
  AddAdminFlags(app, flags.admin);
  app.add_option_function<std::string>(
      "--config",
      [&flags](const std::string& name) {
        flags.config_map = name;
        flags.config_map_named = true;
      },
      "ConfigMap with the configuration of MetalLB 0.12 and before, in the same namespace; read "
      "where it exists (default config)");
  // What this version does not serve is accepted, so that manifests of any version of MetalLB since
  // 0.9 start it unchanged.
  AddIgnoredFlag(app, flags, "--config-ns", IgnoredFlag::kText,
                 "Namespace of that ConfigMap, for use outside of a cluster");
  AddIgnoredFlag(app, flags, "--disable-epslices", IgnoredFlag::kSwitch,
                 "Read Endpoints although EndpointSlices are there");
  AddIgnoredFlag(app, flags, "--enable-pprof", IgnoredFlag::kSwitch, "Go's profiler");
  AddIgnoredFlag(app, flags, "--pprof-bind-address", IgnoredFlag::kText,
                 "Address of Go's profiler");
}

void AddIgnoredFlag(CLI::App& app, CommonFlags& flags, const std::string& name, IgnoredFlag kind,
                    const std::string& description) {
  const auto note = [&flags, name] { flags.ignored.push_back(name); };
  if (kind == IgnoredFlag::kSwitch) {
    app.add_flag_function(
        name, [note](std::int64_t) { note(); }, description + " (accepted and ignored)");
  } else {
    app.add_option_function<std::string>(
        name, [note](const std::string&) { note(); }, description + " (accepted and ignored)");
  }
}

ParseOutcome Parse(CLI::App& app, int argc, char** argv) {
  std::vector<std::string> arguments = WithTwoDashes(argc, argv);
  std::ranges::reverse(arguments);  // CLI11 takes a vector from its back
  try {
    app.parse(std::move(arguments));
    return {.go_on = true, .exit_status = 0};
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    return {};
  } catch (const CLI::CallForVersion& version) {
    std::cout << version.what() << '\n';
    return {};
  } catch (const CLI::ExtrasError&) {
    std::string unknown;
    for (const std::string& argument : app.remaining()) {
      StrAppend(&unknown, unknown.empty() ? "" : " ", argument);
    }
    std::fprintf(stderr, "%s: unknown flag %s; --help lists all flags\n", app.get_name().c_str(),
                 unknown.c_str());
  } catch (const CLI::Error& error) {
    std::fprintf(stderr, "%s: %s\n", app.get_name().c_str(), error.what());
  }
  return {.go_on = false, .exit_status = 2};
}

void ReportIgnored(const CommonFlags& flags, const obs::Logger& log) {
  for (const std::string& name : flags.ignored) {
    log.Log(obs::Event::kFlagIgnored, name + " has no effect in this version", {{"flag", name}});
  }
}

std::string ResolveNamespace(const CommonFlags& flags) {
  if (!flags.name_space.empty()) {
    return flags.name_space;
  }
  std::ifstream file(kNamespaceFile);
  std::string name;
  if (file >> name) {
    return name;
  }
  return kDefaultNamespace;
}

}  // namespace stentor::io
