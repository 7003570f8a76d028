// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// TLS as the API's client: whom we trust, who we are, and files that are replaced under us.
/// Internal to common/io.

#include <openssl/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/config/client_config.h"

namespace stentor::io {

/// Whether TlsSettings::Parse's `on_handshake` is called for a connection.
enum class HandshakeHook : std::uint8_t { kCalled, kNotCalled };

/// What one reading of the files gave. Immutable, and so for any thread.
class TlsSettings {
 public:
  /// `server_name` is what the certificate must be for: a DNS name or an IP address.
  /// `on_handshake`, if any, is called on the connection's thread when its handshake begins.
  [[nodiscard]] static absl::StatusOr<std::shared_ptr<const TlsSettings>> Parse(
      const std::string& authority, const std::string& certificate, const std::string& key,
      std::string server_name, std::function<void()> on_handshake);

  TlsSettings(const TlsSettings&) = delete;
  TlsSettings& operator=(const TlsSettings&) = delete;
  ~TlsSettings() = default;

  /// Puts them into the context of one connection, which keeps them alive. Where there is an
  /// authority, it alone is trusted: the system's are dropped, else any of them could vouch for the
  /// API server. The name is checked by OpenSSL (subjectAltName alone, as Go does), whatever verify
  /// callback the connection's library sets, and is sent as SNI unless it is an address (RFC 6066,
  /// section 3). Throws std::runtime_error.
  static void Apply(const std::shared_ptr<const TlsSettings>& settings, SSL_CTX* context,
                    HandshakeHook hook = HandshakeHook::kCalled);

  /// Whether there is an authority.
  [[nodiscard]] bool HasAuthority() const { return store_ != nullptr; }

 private:
  friend struct TlsSettingsHooks;
  using Store = std::unique_ptr<X509_STORE, void (*)(X509_STORE*)>;
  using Certificate = std::unique_ptr<X509, void (*)(X509*)>;
  using Key = std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)>;

  TlsSettings(std::string server_name, std::function<void()> on_handshake);

  const std::string server_name_;
  const std::function<void()> on_handshake_;
  Store store_;  // null: the system's authorities
  std::vector<Certificate> chain_;
  Key key_;
};

/// The settings for new connections, of files that somebody else replaces: a kubelet the authority,
/// cert-manager or kubeadm a client certificate. Lives on one thread.
class TlsSource {
 public:
  /// Reads the files. Errors: InvalidArgument in one line that names what can't be used.
  [[nodiscard]] static absl::StatusOr<TlsSource> Make(const config::ClientConfig& config,
                                                      std::string server_name,
                                                      std::function<void()> on_handshake);

  /// Reads the files again. True where they hold something new that can be used. What can't, such
  /// as a certificate whose key has not been replaced yet, leaves the last good settings in force.
  [[nodiscard]] bool Refresh();

  /// Never null.
  [[nodiscard]] const std::shared_ptr<const TlsSettings>& current() const { return current_; }

 private:
  struct Texts {
    std::string authority;
    std::string certificate;
    std::string key;
    friend bool operator==(const Texts&, const Texts&) = default;
  };

  TlsSource(const config::ClientConfig& config, std::string server_name,
            std::function<void()> on_handshake);
  [[nodiscard]] absl::StatusOr<Texts> Read() const;
  [[nodiscard]] absl::Status Use(Texts texts);

  config::PemSource authority_;
  config::PemSource certificate_;
  config::PemSource key_;
  std::string server_name_;
  std::function<void()> on_handshake_;
  Texts texts_;  // of current_
  std::shared_ptr<const TlsSettings> current_;
};

}  // namespace stentor::io
