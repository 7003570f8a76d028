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
#include "common/crypto/x509.h"

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
  /// Folder with tls.crt (the chain) and tls.key, as kubelets mount a Secret; empty: none.
  std::string certificate_folder;
};

/// Reads "VersionTLS12" or "VersionTLS13".
[[nodiscard]] absl::StatusOr<TlsVersion> ParseTlsVersion(const std::string& text);

/// A server's TLS settings and its certificate, which may be exchanged: new connections get the new
/// one, those that are open go on. Speaks HTTP/1.1 only: a client that negotiates (ALPN) and offers
/// nothing but HTTP/2 is refused in the handshake. Keys that it has read are wiped. Not
/// thread-safe.
class ServerTls {
 public:
  /// With the certificate of the folder; without a folder, with one signed by itself, made now.
  /// Errors: what in `options` can't be used, with the name of the flag or folder.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<ServerTls>> Make(ServerTlsOptions options);

  /// The same, but it may have no certificate yet: that comes by Use(), or appears in the folder.
  /// Errors: InvalidArgument, of what else is in `options`.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<ServerTls>> MakeEmpty(
      ServerTlsOptions options);

  ~ServerTls();
  ServerTls(const ServerTls&) = delete;
  ServerTls& operator=(const ServerTls&) = delete;

  /// What new connections get from now on; not for who has a folder. `pair` isn't kept, and is the
  /// caller's to wipe. Errors: InvalidArgument where it is no certificate and its key; then the
  /// last one stays in use.
  [[nodiscard]] absl::Status Use(const crypto::PemPair& pair);

  /// Looks at the folder (its files are read only where they changed); OK where there is none.
  /// FailedPrecondition, NotFound or InvalidArgument where what is there can't be used; then the
  /// last one stays in use. Told once for each change, and always while there is no certificate.
  [[nodiscard]] absl::Status Refresh();

  [[nodiscard]] bool HasCertificate() const;

  /// What a new connection is to use; null while there is no certificate. Does Refresh(), and what
  /// that tells is given to `on_trouble`.
  [[nodiscard]] std::shared_ptr<boost::asio::ssl::context> Current(
      const std::function<void(const absl::Status& status)>& on_trouble);

 private:
  struct Impl;
  explicit ServerTls(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace stentor::io
