// SPDX-License-Identifier: Apache-2.0
#include "common/io/client_config.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/config/kubeconfig.h"
#include "common/io/read_file.h"

namespace stentor::io {
namespace {

constexpr std::size_t kMaxKubeconfigBytes = std::size_t{1} << 20U;
constexpr const char* kServiceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/";

// Called once, before any other thread of ours exists.
std::string Environment(const char* name) {
  const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return value == nullptr ? std::string() : std::string(value);
}

absl::StatusOr<config::ClientConfig> FromFiles(const std::vector<std::string>& paths,
                                               bool skip_missing, const std::string& context = "") {
  std::vector<config::KubeconfigFile> files;
  for (const std::string& path : paths) {
    absl::StatusOr<std::string> text = ReadFile(path, kMaxKubeconfigBytes);
    if (absl::IsNotFound(text.status()) && skip_missing) {
      continue;  // kubectl does the same for the files of KUBECONFIG
    }
    if (!text.ok()) {
      return Annotate(text.status(), "kubeconfig");
    }
    files.push_back({path, *std::move(text)});
  }
  if (files.empty()) {
    return absl::NotFoundError("KUBECONFIG names no file that exists");
  }
  return config::ParseKubeconfig(files, context);
}

absl::StatusOr<config::ClientConfig> InCluster() {
  const std::string host = Environment("KUBERNETES_SERVICE_HOST");
  const std::string port = Environment("KUBERNETES_SERVICE_PORT");
  if (host.empty() || port.empty()) {
    return absl::NotFoundError(
        "no API server is configured: give --kubeconfig or KUBECONFIG, or run in a pod "
        "(KUBERNETES_SERVICE_HOST is not set)");
  }
  const bool is_ipv6 = host.find(':') != std::string::npos;
  const std::string folder = kServiceAccount;
  config::ClientConfig config;
  config.server = StrCat("https://", is_ipv6 ? "[" : "", host, is_ipv6 ? "]" : "", ":", port);
  config.certificate_authority.file = folder + "ca.crt";
  config.token_file = folder + "token";
  for (const std::string& file : {config.certificate_authority.file, config.token_file}) {
    if (const auto text = ReadFile(file, kMaxKubeconfigBytes); !text.ok()) {
      return Annotate(text.status(), "service account");
    }
  }
  if (auto name_space = ReadFile(folder + "namespace", kMaxKubeconfigBytes); name_space.ok()) {
    config.name_space = *std::move(name_space);
  }
  return config;
}

std::vector<std::string> Split(const std::string& text) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find(':', begin), text.size());
    if (end > begin) {
      parts.push_back(text.substr(begin, end - begin));
    }
    begin = end + 1;
  }
  return parts;
}

}  // namespace

absl::StatusOr<config::ClientConfig> LoadClientConfig(const std::string& explicit_path) {
  if (!explicit_path.empty()) {
    return FromFiles({explicit_path}, /*skip_missing=*/false);
  }
  if (const std::vector<std::string> paths = Split(Environment("KUBECONFIG")); !paths.empty()) {
    return FromFiles(paths, /*skip_missing=*/true);
  }
  return InCluster();
}

absl::StatusOr<config::ClientConfig> LoadUserClientConfig(const std::string& explicit_path,
                                                          const std::string& context) {
  if (!explicit_path.empty()) {
    return FromFiles({explicit_path}, /*skip_missing=*/false, context);
  }
  if (const std::vector<std::string> paths = Split(Environment("KUBECONFIG")); !paths.empty()) {
    return FromFiles(paths, /*skip_missing=*/true, context);
  }
  if (const std::string home = Environment("HOME"); !home.empty()) {
    const std::string path = home + "/.kube/config";
    if (!absl::IsNotFound(ReadFile(path, kMaxKubeconfigBytes).status())) {
      return FromFiles({path}, /*skip_missing=*/false, context);
    }
  }
  if (!context.empty()) {
    return absl::NotFoundError(StrCat("there is no kubeconfig with the context ", context));
  }
  return InCluster();
}

}  // namespace stentor::io
