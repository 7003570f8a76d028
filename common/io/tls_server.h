// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The TLS settings of what is served, and its certificate. OpenSSL is hidden here.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace boost::asio::ssl {
class context;  // NOLINT(readability-identifier-naming): the library's name
}  // namespace boost::asio::ssl

namespace stentor::io {

enum class TlsVersion : std::uint8_t { k12, k13 };

/// As MetalLB's flags have them.
struct ServerTlsOptions {
  TlsVersion min_version = TlsVersion::k13;
  /// IANA names ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256") of suites of TLS 1.2; empty: OpenSSL's.
  std::vector<std::string> cipher_suites;
  /// Numbers of the IANA registry "TLS Supported Groups" (29 is x25519); empty: OpenSSL's.
  std::vector<int> groups;
  /// Folder with tls.crt (the chain) and tls.key; empty: a certificate signed by itself, made now.
  std::string certificate_folder;
};

/// Reads "VersionTLS12" or "VersionTLS13".
[[nodiscard]] absl::StatusOr<TlsVersion> ParseTlsVersion(const std::string& text);

/// A server's TLS context, made anew when its files change. Not thread-safe.
class ServerTls {
 public:
  /// Errors: what in `options` can't be used, with the name of the flag or file.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<ServerTls>> Make(ServerTlsOptions options);
  ~ServerTls();
  ServerTls(const ServerTls&) = delete;
  ServerTls& operator=(const ServerTls&) = delete;

  /// What a new connection is to use. The files are looked at (not read) at each call; where they
  /// changed and can't be used, `on_trouble` hears of it once and the old ones stay in use.
  [[nodiscard]] std::shared_ptr<boost::asio::ssl::context> Current(
      const std::function<void(const absl::Status& status)>& on_trouble);

 private:
  struct Impl;
  explicit ServerTls(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace stentor::io
