// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace stentor::config {

/// PEM text, or the file that holds it (read again for each connection); neither: none.
struct PemSource {
  std::string file;
  std::string data;

  [[nodiscard]] bool IsSet() const { return !file.empty() || !data.empty(); }
  friend bool operator==(const PemSource&, const PemSource&) = default;
};

/// How to reach the API server and who we are there.
struct ClientConfig {
  std::string server;  ///< "https://192.0.2.1:6443"
  PemSource certificate_authority;
  PemSource client_certificate;
  PemSource client_key;
  std::string token;            ///< Bearer token.
  std::string token_file;       ///< Or the file that holds it; wins over `token`.
  std::string name_space;       ///< Of the context; "default" where it has none.
  std::string tls_server_name;  ///< Checked instead of the server's host; empty: the host.
  bool insecure_skip_tls_verify = false;

  friend bool operator==(const ClientConfig&, const ClientConfig&) = default;
};

}  // namespace stentor::config
