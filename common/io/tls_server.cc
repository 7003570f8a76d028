// SPDX-License-Identifier: Apache-2.0
#include "common/io/tls_server.h"

#include <openssl/ssl.h>
#include <sys/stat.h>

#include <array>
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
#include "common/io/read_file.h"
#include "common/io/self_signed.h"

namespace stentor::io {
namespace {

using boost::asio::ssl::context;
using ContextPointer = std::shared_ptr<context>;

constexpr std::size_t kMaxPemBytes = std::size_t{1} << 20U;

// What tells one version of a file from the next; kubelets replace a symbolic link on the way.
using FileVersion = std::array<std::int64_t, 4>;

std::optional<FileVersion> VersionOf(const std::string& path) {
  struct stat info{};
  if (stat(path.c_str(), &info) != 0) {
    return std::nullopt;
  }
  return FileVersion{static_cast<std::int64_t>(info.st_ino), info.st_mtim.tv_sec,
                     info.st_mtim.tv_nsec, info.st_size};
}

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

// Throws what Asio throws.
void Use(context& tls, const PemPair& pair) {
  tls.use_certificate_chain(boost::asio::buffer(pair.certificate));
  tls.use_private_key(boost::asio::buffer(pair.key), boost::asio::ssl::context_base::pem);
  if (SSL_CTX_check_private_key(tls.native_handle()) != 1) {
    throw std::runtime_error("the key is not the certificate's");
  }
}

absl::StatusOr<ContextPointer> MakeContext(const ServerTlsOptions& options, const PemPair& pair,
                                           const std::string& where) {
  std::string ciphers;
  STENTOR_ASSIGN_OR_RETURN(ciphers, CipherList(options.cipher_suites));
  std::string groups;
  for (const int group : options.groups) {
    if (const auto name = GroupNames().find(group); name != GroupNames().end()) {
      StrAppend(&groups, groups.empty() ? "" : ":", name->second);
    }
  }
  try {
    auto tls = std::make_shared<context>(context::tls_server);
    SSL_CTX* const handle = tls->native_handle();
    SSL_CTX_set_min_proto_version(
        handle, options.min_version == TlsVersion::k12 ? TLS1_2_VERSION : TLS1_3_VERSION);
    SSL_CTX_set_options(handle, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_session_cache_mode(handle, SSL_SESS_CACHE_OFF);
    if (!ciphers.empty() && SSL_CTX_set_cipher_list(handle, ciphers.c_str()) != 1) {
      return absl::InvalidArgumentError("--tls-cipher-suites: OpenSSL offers none of them");
    }
    if (!groups.empty() && SSL_CTX_set1_groups_list(handle, groups.c_str()) != 1) {
      return absl::InvalidArgumentError("--tls-curve-preferences: OpenSSL does not take them");
    }
    Use(*tls, pair);
    return tls;
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(
        StrCat("the certificate and key in ", where, " can't be used: ", error.what()));
  }
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
  using Versions = std::pair<std::optional<FileVersion>, std::optional<FileVersion>>;

  [[nodiscard]] std::string CertificatePath() const {
    return options.certificate_folder + "/tls.crt";
  }
  [[nodiscard]] std::string KeyPath() const { return options.certificate_folder + "/tls.key"; }
  [[nodiscard]] Versions Look() const {
    return {VersionOf(CertificatePath()), VersionOf(KeyPath())};
  }

  absl::Status Load() {
    seen = Look();
    PemPair pair;
    STENTOR_ASSIGN_OR_RETURN(pair.certificate, ReadFile(CertificatePath(), kMaxPemBytes));
    STENTOR_ASSIGN_OR_RETURN(pair.key, ReadFile(KeyPath(), kMaxPemBytes));
    STENTOR_ASSIGN_OR_RETURN(current, MakeContext(options, pair, options.certificate_folder));
    return absl::OkStatus();
  }

  ServerTlsOptions options;
  Versions seen;
  ContextPointer current;
};

ServerTls::ServerTls(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ServerTls::~ServerTls() = default;

absl::StatusOr<std::unique_ptr<ServerTls>> ServerTls::Make(ServerTlsOptions options) {
  if (!options.cipher_suites.empty() && options.min_version == TlsVersion::k13) {
    return absl::InvalidArgumentError(
        "--tls-cipher-suites: the suites of TLS 1.3 can't be chosen; leave it away, or set "
        "--tls-min-version=VersionTLS12");
  }
  auto impl = std::make_unique<Impl>();
  impl->options = std::move(options);
  if (!impl->options.certificate_folder.empty()) {
    if (const absl::Status status = impl->Load(); !status.ok()) {
      return Annotate(status, "--metrics-cert-dir");
    }
  } else {
    PemPair pair;
    STENTOR_ASSIGN_OR_RETURN(pair, MakeSelfSigned("stentor"));
    STENTOR_ASSIGN_OR_RETURN(impl->current, MakeContext(impl->options, pair, "memory"));
  }
  return std::unique_ptr<ServerTls>(new ServerTls(std::move(impl)));
}

std::shared_ptr<context> ServerTls::Current(
    const std::function<void(const absl::Status& status)>& on_trouble) {
  if (!impl_->options.certificate_folder.empty() && impl_->Look() != impl_->seen) {
    if (const absl::Status status = impl_->Load(); !status.ok() && on_trouble) {
      on_trouble(status);
    }
  }
  return impl_->current;
}

}  // namespace stentor::io
