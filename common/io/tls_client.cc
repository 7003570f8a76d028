// SPDX-License-Identifier: Apache-2.0
#include "common/io/tls_client.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <stdexcept>
#include <string>

#include <boost/asio/buffer.hpp>

#include "common/base/strings.h"
#include "common/io/read_file.h"

namespace stentor::io {
namespace {

constexpr std::size_t kMaxPemBytes = std::size_t{4} << 20U;

std::string Load(const config::PemSource& source) {
  if (source.file.empty()) {
    return source.data;
  }
  absl::StatusOr<std::string> content = ReadFile(source.file, kMaxPemBytes);
  if (!content.ok()) {
    throw std::runtime_error(std::string(content.status().message()));
  }
  return *std::move(content);
}

// Runs `use` on the PEM text of `source`; what it throws gets the name of what was wrong.
template <typename Use>
void With(const config::PemSource& source, std::string_view what, Use use) {
  const std::string pem = Load(source);
  try {
    use(boost::asio::buffer(pem));
  } catch (const std::exception& error) {
    throw std::runtime_error(StrCat("the ", what, source.file.empty() ? "" : " in ", source.file,
                                    " can't be used: ", std::string(error.what())));
  }
}

}  // namespace

void ConfigureTls(boost::asio::ssl::context& context, const config::ClientConfig& config) {
  using boost::asio::ssl::context_base;
  context.set_options(context_base::no_sslv2 | context_base::no_sslv3 | context_base::no_tlsv1 |
                      context_base::no_tlsv1_1);
  if (config.certificate_authority.IsSet()) {
    SSL_CTX_set_cert_store(context.native_handle(), X509_STORE_new());
    With(config.certificate_authority, "certificate authority", [&](auto pem) {
      if (std::string_view(static_cast<const char*>(pem.data()), pem.size())
              .find("-----BEGIN CERTIFICATE-----") == std::string_view::npos) {
        throw std::runtime_error("it holds no PEM certificate");
      }
      context.add_certificate_authority(pem);
    });
  }
  if (config.client_certificate.IsSet()) {
    With(config.client_certificate, "client certificate",
         [&](auto pem) { context.use_certificate_chain(pem); });
    With(config.client_key, "client key",
         [&](auto pem) { context.use_private_key(pem, context_base::pem); });
  }
}

absl::Status CheckTls(const config::ClientConfig& config) {
  if (config.client_certificate.IsSet() != config.client_key.IsSet()) {
    return absl::InvalidArgumentError("a client certificate needs its key, and the reverse");
  }
  try {
    boost::asio::ssl::context context(boost::asio::ssl::context::tls_client);
    ConfigureTls(context, config);
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(error.what());
  }
  return absl::OkStatus();
}

}  // namespace stentor::io
