// SPDX-License-Identifier: Apache-2.0
#include "common/io/admin_settings.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <sstream>
#include <vector>

namespace stentor::io {
namespace {

std::vector<std::string> Split(const std::string& list) {
  std::vector<std::string> parts;
  std::istringstream stream(list);
  for (std::string part; std::getline(stream, part, ',');) {
    if (!part.empty()) {
      parts.push_back(part);
    }
  }
  return parts;
}

int ParseGroup(const std::string& text) {
  int number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end || number < 0) {
    throw CLI::ValidationError("--tls-curve-preferences",
                               "must be numbers with commas between them, not " + text);
  }
  return number;
}

}  // namespace

void AddAdminFlags(CLI::App& app, AdminSettings& settings) {
  app.add_option("--port", settings.metrics_port,
                 "Port of /metrics: HTTPS with a token; 7472: plain HTTP for anybody; 0: none")
      ->take_last()
      ->capture_default_str();
  app.add_option("--health-probe-port", settings.probe_port,
                 "Port of /healthz and /readyz; 0: none")
      ->take_last()
      ->capture_default_str();
  app.add_option("--metrics-cert-dir", settings.tls.certificate_folder,
                 "Folder with tls.crt and tls.key for the metrics; read again when they change. "
                 "Without it a certificate is made that signs itself")
      ->take_last();
  app.add_option_function<std::string>(
         "--tls-min-version",
         [&settings](const std::string& text) {
           const auto version = ParseTlsVersion(text.empty() ? "VersionTLS13" : text);
           if (!version.ok()) {
             throw CLI::ValidationError("--tls-min-version",
                                        std::string(version.status().message()));
           }
           settings.tls.min_version = *version;
         },
         "Least TLS version of what is served: VersionTLS12 or VersionTLS13 (default)")
      ->take_last();
  app.add_option_function<std::string>(
         "--tls-cipher-suites",
         [&settings](const std::string& text) { settings.tls.cipher_suites = Split(text); },
         "IANA names of the suites for TLS 1.2, with commas between them")
      ->take_last();
  app.add_option_function<std::string>(
         "--tls-curve-preferences",
         [&settings](const std::string& text) {
           settings.tls.groups.clear();
           for (const std::string& part : Split(text)) {
             settings.tls.groups.push_back(ParseGroup(part));
           }
         },
         "IANA numbers of the TLS groups to offer, with commas between them")
      ->take_last();
}

}  // namespace stentor::io
