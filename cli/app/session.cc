// SPDX-License-Identifier: Apache-2.0
#include "cli/app/session.h"

#include <algorithm>
#include <chrono>
#include <iostream>
#include <utility>

#include "cli/report/output.h"
#include "common/io/client_config.h"

namespace stentor::cli {

absl::StatusOr<std::unique_ptr<Session>> Session::Open(const ClusterOptions& options) {
  config::ClientConfig config;
  if (options.server.empty()) {
    auto loaded = io::LoadUserClientConfig(options.kubeconfig, options.context);
    if (!loaded.ok()) {
      return loaded.status();
    }
    config = *std::move(loaded);
  } else {
    config.server = options.server;
  }
  auto loop = std::make_unique<io::EventLoop>();
  auto client = io::KubeClient::Connect(*loop, config);
  if (!client.ok()) {
    return client.status();
  }
  std::string name_space = !options.service_namespace.empty() ? options.service_namespace
                           : config.name_space.empty()        ? "default"
                                                              : config.name_space;
  return std::unique_ptr<Session>(new Session(std::move(loop), *std::move(client),
                                              std::move(name_space),
                                              std::chrono::seconds(options.timeout_seconds)));
}

void PrintError(std::string_view message) {
  std::cerr << "kubectl-stentor: " << Printable(message) << '\n';
}

void PrintProblems(const Snapshot& snapshot) {
  for (const std::string& problem : snapshot.problems) {
    PrintError(problem);
  }
}

bool Print(Format format, const std::string& text, const nlohmann::ordered_json& json,
           bool another) {
  switch (format) {
    case Format::kText:
      std::cout << (another ? "\n" : "") << PrintableLines(text);
      break;
    case Format::kJson:
      std::cout << ToPrettyJson(json) << '\n';
      break;
    case Format::kYaml:
      std::cout << (another ? "---\n" : "") << ToYaml(json);
      break;
  }
  std::cout.flush();
  if (!std::cout) {
    PrintError("cannot write to standard output");
    return false;
  }
  return true;
}

Duration WatchPause(Duration took) {
  constexpr Duration kLeast = std::chrono::seconds(2);
  return std::max(kLeast, 4 * took);
}

}  // namespace stentor::cli
