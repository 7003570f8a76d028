// SPDX-License-Identifier: Apache-2.0
#include "common/io/tls_server.h"

#include <openssl/ssl.h>

#include <map>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>
// clang-format off
#include <boost/asio/ssl/context.hpp>
// clang-format on
#include <boost/asio/buffer.hpp>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/io/certificate_folder.h"
#include "common/io/key_wiper.h"
#include "common/io/self_signed.h"

namespace stentor::io {
namespace {

using boost::asio::ssl::context;
using ContextPointer = std::shared_ptr<context>;

// The protocols that ALPN (RFC 7301) may agree on, each with its length before it.
constexpr std::string_view kProtocols = "\x08http/1.1";

// OpenSSL's names of the groups. What is missing here it does not know (hybrids with ML-KEM).
const std::map<int, const char*>& GroupNames() {
  static const auto* const kNames = new std::map<int, const char*>{
      {23, "P-256"}, {24, "P-384"}, {25, "P-521"}, {29, "X25519"}, {30, "X448"}};
  return *kNames;
}

absl::StatusOr<std::string> CipherList(const std::vector<std::string>& suites) {
  std::string list;
  for (const std::string& suite : suites) {
    std::string_view name = OPENSSL_cipher_name(suite.c_str());
    if (name == "(NONE)") {  // Go writes two of them without the end
      name = OPENSSL_cipher_name((suite + "_SHA256").c_str());
    }
    if (name == "(NONE)") {
      return absl::InvalidArgumentError(
          StrCat("--tls-cipher-suites: \"", suite, "\" is no cipher suite that is known here"));
    }
    StrAppend(&list, list.empty() ? "" : ":", name);
  }
  return list;
}

// Only called for clients that negotiate.
int SelectProtocol(SSL* /*tls*/, const unsigned char** selected, unsigned char* size,
                   const unsigned char* offered, unsigned int offered_size, void* /*unused*/) {
  unsigned char* found = nullptr;
  const int outcome =
      SSL_select_next_proto(&found, size, reinterpret_cast<const unsigned char*>(kProtocols.data()),
                            static_cast<unsigned int>(kProtocols.size()), offered, offered_size);
  *selected = found;
  return outcome == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

// Without a certificate.
absl::StatusOr<ContextPointer> MakeContext(const ServerTlsOptions& options) {
  if (!options.cipher_suites.empty() && options.min_version == TlsVersion::k13) {
    return absl::InvalidArgumentError(
        "--tls-cipher-suites: the suites of TLS 1.3 can't be chosen; leave it away, or set "
        "--tls-min-version=VersionTLS12");
  }
  std::string ciphers;
  STENTOR_ASSIGN_OR_RETURN(ciphers, CipherList(options.cipher_suites));
  std::string groups;
  for (const int group : options.groups) {
    if (const auto name = GroupNames().find(group); name != GroupNames().end()) {
      StrAppend(&groups, groups.empty() ? "" : ":", name->second);
    }
  }
  auto tls = std::make_shared<context>(context::tls_server);
  SSL_CTX* const handle = tls->native_handle();
  SSL_CTX_set_min_proto_version(
      handle, options.min_version == TlsVersion::k12 ? TLS1_2_VERSION : TLS1_3_VERSION);
  SSL_CTX_set_options(handle, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
  SSL_CTX_set_session_cache_mode(handle, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(handle, 0);
  // A connection that waits keeps no buffers of 16 KiB.
  SSL_CTX_set_mode(handle, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_alpn_select_cb(handle, SelectProtocol, nullptr);
  if (!ciphers.empty() && SSL_CTX_set_cipher_list(handle, ciphers.c_str()) != 1) {
    return absl::InvalidArgumentError("--tls-cipher-suites: OpenSSL offers none of them");
  }
  if (!groups.empty() && SSL_CTX_set1_groups_list(handle, groups.c_str()) != 1) {
    return absl::InvalidArgumentError("--tls-curve-preferences: OpenSSL does not take them");
  }
  return tls;
}

// `where` names the pair in the error.
absl::StatusOr<ContextPointer> MakeContext(const ServerTlsOptions& options,
                                           const crypto::PemPair& pair, std::string_view where) {
  STENTOR_ASSIGN_OR_RETURN(ContextPointer tls, MakeContext(options));
  try {
    tls->use_certificate_chain(boost::asio::buffer(pair.certificate));
    tls->use_private_key(boost::asio::buffer(pair.key), boost::asio::ssl::context_base::pem);
    if (SSL_CTX_check_private_key(tls->native_handle()) != 1) {
      throw std::runtime_error("the key is not the certificate's");
    }
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(StrCat(where, " can't be used: ", error.what()));
  }
  return tls;
}

}  // namespace

absl::StatusOr<TlsVersion> ParseTlsVersion(const std::string& text) {
  if (text == "VersionTLS12") {
    return TlsVersion::k12;
  }
  if (text == "VersionTLS13") {
    return TlsVersion::k13;
  }
  return absl::InvalidArgumentError("must be VersionTLS12 or VersionTLS13, not " + text);
}

struct ServerTls::Impl {
  explicit Impl(ServerTlsOptions given) : options(std::move(given)) {
    if (!options.certificate_folder.empty()) {
      folder.emplace(options.certificate_folder);
    }
  }

  absl::Status Use(const crypto::PemPair& pair, std::string_view where) {
    STENTOR_ASSIGN_OR_RETURN(current, MakeContext(options, pair, where));
    return absl::OkStatus();
  }

  // Where the folder has changed since the last call.
  void Load() {
    trouble = [this]() -> absl::Status {
      STENTOR_ASSIGN_OR_RETURN(crypto::PemPair pair, folder->Read());
      const KeyWiper wiper(pair.key);
      return Use(pair, StrCat("the certificate and key in ", folder->path()));
    }();
  }

  const ServerTlsOptions options;
  std::optional<CertificateFolder> folder;
  absl::Status trouble;  // of the last Load()
  ContextPointer current;
};

ServerTls::ServerTls(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ServerTls::~ServerTls() = default;

absl::StatusOr<std::unique_ptr<ServerTls>> ServerTls::Make(ServerTlsOptions options) {
  STENTOR_ASSIGN_OR_RETURN(std::unique_ptr<ServerTls> tls, MakeEmpty(std::move(options)));
  if (tls->impl_->folder.has_value()) {
    STENTOR_RETURN_IF_ERROR(tls->impl_->trouble);
    return tls;
  }
  STENTOR_ASSIGN_OR_RETURN(PemPair pair, MakeSelfSigned("stentor"));
  const KeyWiper wiper(pair.key);
  STENTOR_RETURN_IF_ERROR(tls->Use(pair));
  return tls;
}

absl::StatusOr<std::unique_ptr<ServerTls>> ServerTls::MakeEmpty(ServerTlsOptions options) {
  STENTOR_RETURN_IF_ERROR(MakeContext(options).status());
  std::unique_ptr<ServerTls> tls(new ServerTls(std::make_unique<Impl>(std::move(options))));
  if (tls->impl_->folder.has_value()) {
    tls->impl_->Load();
  }
  return tls;
}

absl::Status ServerTls::Use(const crypto::PemPair& pair) {
  return impl_->Use(pair, "the certificate and key");
}

absl::Status ServerTls::Refresh() {
  if (impl_->folder.has_value() && impl_->folder->HasChanged()) {
    impl_->Load();
    return impl_->trouble;
  }
  return HasCertificate() ? absl::OkStatus() : impl_->trouble;
}

bool ServerTls::HasCertificate() const { return impl_->current != nullptr; }

std::shared_ptr<context> ServerTls::Current(
    const std::function<void(const absl::Status& status)>& on_trouble) {
  if (impl_->folder.has_value() && impl_->folder->HasChanged()) {
    impl_->Load();
    if (!impl_->trouble.ok() && on_trouble) {
      on_trouble(impl_->trouble);
    }
  }
  return impl_->current;
}

}  // namespace stentor::io
