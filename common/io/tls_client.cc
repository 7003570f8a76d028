// SPDX-License-Identifier: Apache-2.0
#include "common/io/tls_client.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <stdexcept>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/io/read_file.h"
#include "common/net/ip_address.h"

namespace stentor::io {

// What OpenSSL calls back, with access to the settings.
struct TlsSettingsHooks {
  using Held = std::shared_ptr<const TlsSettings>;

  // Frees what a context held when it goes.
  static void Free(void* /*parent*/, void* held, CRYPTO_EX_DATA* /*data*/, int /*index*/,
                   long /*argl*/, void* /*argp*/) {
    delete static_cast<Held*>(held);
  }

  static int Index() {
    static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, Free);
    return index;
  }

  static const TlsSettings& Of(const SSL* connection) {
    return **static_cast<const Held*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(connection), Index()));
  }

  template <HandshakeHook hook>
  static void OnState(const SSL* connection, int where, int /*value*/) {
    if ((where & SSL_CB_HANDSHAKE_START) == 0 || SSL_is_init_finished(connection) != 0) {
      return;  // TLS 1.3 also says so for what follows the handshake
    }
    const TlsSettings& settings = Of(connection);
    if (!net::IpAddress::Parse(settings.server_name_)) {
      // The only hook before the hello is written; the state that it says is const is ours.
      SSL_set_tlsext_host_name(const_cast<SSL*>(connection), settings.server_name_.c_str());
    }
    if (hook == HandshakeHook::kCalled && settings.on_handshake_) {
      settings.on_handshake_();
    }
  }

  // Instead of X509_verify_cert alone: cpprestsdk's callback for each certificate would check the
  // name that stands in the URL or in the header Host.
  static int Verify(X509_STORE_CTX* context, void* /*argument*/) {
    X509_STORE_CTX_set_verify_cb(context, [](int ok, X509_STORE_CTX* /*context*/) { return ok; });
    return X509_verify_cert(context);
  }
};

namespace {

constexpr std::size_t kMaxPemBytes = std::size_t{4} << 20U;

using Memory = std::unique_ptr<BIO, decltype(&BIO_free_all)>;

Memory Open(const std::string& pem) {
  return {BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free_all};
}

std::string OpenSslReason() {
  const unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  const char* const reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  return reason == nullptr ? "it can't be read" : reason;
}

// Null at the end of the text, and where what is there is no certificate.
X509* NextCertificate(BIO* memory) {
  return PEM_read_bio_X509_AUX(memory, nullptr, nullptr, nullptr);
}

// Whether the text ended in order, rather than with a certificate that is broken.
bool AtEnd() {
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (at_end) {
    ERR_clear_error();
  }
  return at_end;
}

// A key with a passphrase is refused, rather than asked for on the terminal.
int NoPassphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*argument*/) { return -1; }

absl::StatusOr<std::string> Load(const config::PemSource& source) {
  if (source.file.empty()) {
    return source.data;
  }
  return ReadFile(source.file, kMaxPemBytes);
}

}  // namespace

TlsSettings::TlsSettings(std::string server_name, std::function<void()> on_handshake)
    : server_name_(std::move(server_name)),
      on_handshake_(std::move(on_handshake)),
      store_(nullptr, X509_STORE_free),
      key_(nullptr, EVP_PKEY_free) {}

absl::StatusOr<std::shared_ptr<const TlsSettings>> TlsSettings::Parse(
    const std::string& authority, const std::string& certificate, const std::string& key,
    std::string server_name, std::function<void()> on_handshake) {
  ERR_clear_error();
  const std::shared_ptr<TlsSettings> settings(
      new TlsSettings(std::move(server_name), std::move(on_handshake)));
  if (!authority.empty()) {
    settings->store_.reset(X509_STORE_new());
    const Memory memory = Open(authority);
    int count = 0;
    while (X509* const x509 = NextCertificate(memory.get())) {
      const Certificate owner(x509, X509_free);
      if (X509_STORE_add_cert(settings->store_.get(), x509) != 1) {
        return absl::InvalidArgumentError(StrCat("the certificate authority: ", OpenSslReason()));
      }
      ++count;
    }
    if (!AtEnd() || count == 0) {
      return absl::InvalidArgumentError(
          StrCat("the certificate authority: ",
                 count == 0 ? "it holds no PEM certificate" : OpenSslReason()));
    }
  }
  if (certificate.empty()) {
    return settings;
  }
  const Memory memory = Open(certificate);
  while (X509* const x509 = NextCertificate(memory.get())) {
    settings->chain_.emplace_back(x509, X509_free);
  }
  if (!AtEnd() || settings->chain_.empty()) {
    return absl::InvalidArgumentError(
        StrCat("the client certificate: ",
               settings->chain_.empty() ? "it holds no PEM certificate" : OpenSslReason()));
  }
  settings->key_.reset(PEM_read_bio_PrivateKey(Open(key).get(), nullptr, NoPassphrase, nullptr));
  if (!settings->key_) {
    return absl::InvalidArgumentError(StrCat("the client key: ", OpenSslReason()));
  }
  if (X509_check_private_key(settings->chain_.front().get(), settings->key_.get()) != 1) {
    ERR_clear_error();
    return absl::InvalidArgumentError("the client key is not that of the client certificate");
  }
  return settings;
}

void TlsSettings::Apply(const std::shared_ptr<const TlsSettings>& settings, SSL_CTX* context,
                        HandshakeHook hook) {
  const TlsSettings& self = *settings;
  auto held = std::make_unique<std::shared_ptr<const TlsSettings>>(settings);
  bool fine = SSL_CTX_set_ex_data(context, TlsSettingsHooks::Index(), held.get()) == 1;
  if (fine) {
    (void)held.release();  // the context frees it
  }
  fine = fine && SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1;
  if (self.store_) {
    SSL_CTX_set1_cert_store(context, self.store_.get());
  }
  X509_VERIFY_PARAM* const check = SSL_CTX_get0_param(context);
  // What the bundle holds is trusted as it is, an intermediate authority too, as by client-go.
  fine = fine && X509_VERIFY_PARAM_set_flags(check, X509_V_FLAG_PARTIAL_CHAIN) == 1;
  if (net::IpAddress::Parse(self.server_name_)) {
    fine = fine && X509_VERIFY_PARAM_set1_ip_asc(check, self.server_name_.c_str()) == 1;
  } else {
    fine = fine && X509_VERIFY_PARAM_set1_host(check, self.server_name_.c_str(), 0) == 1;
    X509_VERIFY_PARAM_set_hostflags(
        check, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  }
  for (const Certificate& certificate : self.chain_) {
    fine = fine && (certificate == self.chain_.front()
                        ? SSL_CTX_use_certificate(context, certificate.get()) == 1
                        : SSL_CTX_add1_chain_cert(context, certificate.get()) == 1);
  }
  fine = fine && (!self.key_ || SSL_CTX_use_PrivateKey(context, self.key_.get()) == 1);
  if (!fine) {
    throw std::runtime_error(StrCat("TLS can't be set up: ", OpenSslReason()));
  }
  SSL_CTX_set_info_callback(context, hook == HandshakeHook::kCalled
                                         ? TlsSettingsHooks::OnState<HandshakeHook::kCalled>
                                         : TlsSettingsHooks::OnState<HandshakeHook::kNotCalled>);
  SSL_CTX_set_cert_verify_callback(context, TlsSettingsHooks::Verify, nullptr);
}

TlsSource::TlsSource(const config::ClientConfig& config, std::string server_name,
                     std::function<void()> on_handshake)
    : authority_(config.certificate_authority),
      certificate_(config.client_certificate),
      key_(config.client_key),
      server_name_(std::move(server_name)),
      on_handshake_(std::move(on_handshake)) {}

absl::StatusOr<TlsSource> TlsSource::Make(const config::ClientConfig& config,
                                          std::string server_name,
                                          std::function<void()> on_handshake) {
  if (config.client_certificate.IsSet() != config.client_key.IsSet()) {
    return absl::InvalidArgumentError("a client certificate needs its key, and the reverse");
  }
  TlsSource source(config, std::move(server_name), std::move(on_handshake));
  absl::StatusOr<Texts> texts = source.Read();
  absl::Status status = texts.status();
  if (status.ok()) {
    status = source.Use(*std::move(texts));
  }
  if (!status.ok()) {
    return absl::InvalidArgumentError(status.message());
  }
  return source;
}

absl::StatusOr<TlsSource::Texts> TlsSource::Read() const {
  Texts texts;
  STENTOR_ASSIGN_OR_RETURN(texts.authority, Load(authority_));
  STENTOR_ASSIGN_OR_RETURN(texts.certificate, Load(certificate_));
  STENTOR_ASSIGN_OR_RETURN(texts.key, Load(key_));
  // An empty file is a file that is being written, never "none".
  for (const auto& [source, text] :
       {std::pair{&authority_, &texts.authority}, std::pair{&certificate_, &texts.certificate},
        std::pair{&key_, &texts.key}}) {
    if (source->IsSet() && text->empty()) {
      return absl::InvalidArgumentError(StrCat(source->file, " is empty"));
    }
  }
  return texts;
}

absl::Status TlsSource::Use(Texts texts) {
  auto settings = TlsSettings::Parse(texts.authority, texts.certificate, texts.key, server_name_,
                                     on_handshake_);
  if (!settings.ok()) {
    return settings.status();
  }
  texts_ = std::move(texts);
  current_ = *std::move(settings);
  return absl::OkStatus();
}

bool TlsSource::Refresh() {
  if (authority_.file.empty() && certificate_.file.empty() && key_.file.empty()) {
    return false;
  }
  absl::StatusOr<Texts> texts = Read();
  return texts.ok() && *texts != texts_ && Use(*std::move(texts)).ok();
}

}  // namespace stentor::io
