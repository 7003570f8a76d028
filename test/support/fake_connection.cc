// SPDX-License-Identifier: Apache-2.0
#include "test/support/fake_connection.h"

#include <openssl/pem.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace stentor::test {
namespace {

X509* ReadCertificate(const std::string& pem) {
  BIO* const memory = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  X509* const certificate = PEM_read_bio_X509(memory, nullptr, nullptr, nullptr);
  BIO_free_all(memory);
  return certificate;
}

std::string HeaderOf(const std::string& head, const std::string& lower_name) {
  std::string lower = head;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const std::size_t at = lower.find("\r\n" + lower_name + ":");
  if (at == std::string::npos) {
    return "";
  }
  const std::size_t begin = head.find_first_not_of(' ', at + 3 + lower_name.size());
  return head.substr(begin, head.find("\r\n", begin) - begin);
}

}  // namespace

SslContext MakeServerContext(const FakeTls& tls) {
  SslContext context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  X509* const certificate = ReadCertificate(tls.identity.certificate);
  SSL_CTX_use_certificate(context.get(), certificate);
  X509_free(certificate);
  BIO* const memory = BIO_new_mem_buf(tls.identity.key.data(), -1);
  EVP_PKEY* const key = PEM_read_bio_PrivateKey(memory, nullptr, nullptr, nullptr);
  SSL_CTX_use_PrivateKey(context.get(), key);
  EVP_PKEY_free(key);
  BIO_free_all(memory);
  if (!tls.client_authority.empty()) {
    X509* const authority = ReadCertificate(tls.client_authority);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), authority);
    X509_free(authority);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return context;
}

FakeConnection::FakeConnection(int fd, SSL_CTX* context) : fd_(fd) {
  if (context != nullptr) {
    ssl_ = SSL_new(context);
    SSL_set_fd(ssl_, fd_);
  }
}

FakeConnection::~FakeConnection() {
  if (ssl_ != nullptr) {
    SSL_free(ssl_);
  }
  close(fd_);
}

bool FakeConnection::Fill() {
  std::array<char, 4096> bytes;
  const auto size = static_cast<int>(bytes.size());
  const long count = ssl_ != nullptr ? SSL_read(ssl_, bytes.data(), size)
                                     : recv(fd_, bytes.data(), bytes.size(), 0);
  if (count <= 0) {
    return false;
  }
  buffer_.append(bytes.data(), static_cast<std::size_t>(count));
  return true;
}

std::optional<SeenRequest> FakeConnection::Read() {
  if (ssl_ != nullptr && SSL_is_init_finished(ssl_) == 0 && SSL_accept(ssl_) != 1) {
    return std::nullopt;
  }
  std::size_t end = std::string::npos;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    idle_ = buffer_.empty();
    if (!Fill()) {
      return std::nullopt;
    }
    idle_ = false;
  }
  const std::string head = buffer_.substr(0, end + 2);
  buffer_.erase(0, end + 4);
  const std::string length = HeaderOf(head, "content-length");
  const std::size_t size = length.empty() ? 0 : std::stoul(length);
  while (buffer_.size() < size) {
    if (!Fill()) {
      return std::nullopt;
    }
  }
  const std::size_t space = head.find(' ');
  const std::size_t second = head.find(' ', space + 1);
  SeenRequest request{.method = head.substr(0, space),
                      .target = head.substr(space + 1, second - space - 1),
                      .authorization = HeaderOf(head, "authorization"),
                      .body = buffer_.substr(0, size),
                      .host = HeaderOf(head, "host")};
  if (ssl_ != nullptr) {
    const char* const name = SSL_get_servername(ssl_, TLSEXT_NAMETYPE_host_name);
    request.server_name = name == nullptr ? "" : name;
    request.client = ClientName();
  }
  buffer_.erase(0, size);
  return request;
}

std::string FakeConnection::ClientName() const {
  X509* const certificate = SSL_get1_peer_certificate(ssl_);
  if (certificate == nullptr) {
    return "";
  }
  std::array<char, 64> name{};
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name.data(),
                            static_cast<int>(name.size()));
  X509_free(certificate);
  return name.data();
}

bool FakeConnection::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const long count = ssl_ != nullptr
                           ? SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()))
                           : send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) {
      return false;
    }
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

void FakeConnection::MakeReset() {
  const linger hard{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
}

void FakeConnection::AwaitEnd() {
  while (Fill()) {
    buffer_.clear();
  }
}

void FakeConnection::Shutdown() { shutdown(fd_, SHUT_RDWR); }

}  // namespace stentor::test
