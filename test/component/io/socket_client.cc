// SPDX-License-Identifier: Apache-2.0
#include "test/component/io/socket_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <csignal>

namespace stentor::test {
namespace {

constexpr timeval kPatience{.tv_sec = 10, .tv_usec = 0};

// The body's length in a header; 0 where it is not there.
std::size_t ContentLength(const std::string& header) {
  const std::string name = "Content-Length: ";
  const std::size_t at = header.find(name);
  return at == std::string::npos ? 0 : std::stoul(header.substr(at + name.size()));
}

}  // namespace

SocketClient::SocketClient(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
  setsockopt(fd(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  setsockopt(fd(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // The kernel accepts for a listening server; where it does not, the first Send() says so.
  (void)connect(fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

bool SocketClient::Send(const std::string& bytes) {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t size = send(fd(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (size <= 0) {
      return false;
    }
    sent += static_cast<std::size_t>(size);
  }
  return true;
}

std::string SocketClient::ReadAll() {
  std::string all;
  std::array<char, 4096> part{};
  for (;;) {
    const ssize_t size = recv(fd(), part.data(), part.size(), 0);
    if (size == 0 || (size < 0 && errno != EAGAIN)) {
      return all;
    }
    if (size < 0) {
      return all + "timeout";
    }
    all.append(part.data(), static_cast<std::size_t>(size));
  }
}

std::string SocketClient::ReadAnswer() {
  std::string answer;
  char octet = 0;
  while (!answer.ends_with("\r\n\r\n")) {
    if (recv(fd(), &octet, 1, 0) != 1) {
      return answer;
    }
    answer += octet;
  }
  for (std::size_t left = ContentLength(answer); left > 0; --left) {
    if (recv(fd(), &octet, 1, 0) != 1) {
      return answer;
    }
    answer += octet;
  }
  return answer;
}

TlsSocketClient::TlsSocketClient(std::uint16_t port, int max_version, const std::string& protocols)
    : socket_(port),
      context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free),
      tls_(nullptr, SSL_free) {
  // OpenSSL writes without MSG_NOSIGNAL; a server that has gone must not end the test.
  (void)signal(SIGPIPE, SIG_IGN);
  SSL_CTX_set_max_proto_version(context_.get(), max_version);
  if (!protocols.empty()) {
    SSL_CTX_set_alpn_protos(context_.get(),
                            reinterpret_cast<const unsigned char*>(protocols.data()),
                            static_cast<unsigned int>(protocols.size()));
  }
  tls_.reset(SSL_new(context_.get()));
  SSL_set_fd(tls_.get(), socket_.fd());
  connected_ = SSL_connect(tls_.get()) == 1;
}

TlsSocketClient::~TlsSocketClient() = default;

std::string TlsSocketClient::PeerName() const {
  const std::unique_ptr<X509, void (*)(X509*)> certificate(SSL_get1_peer_certificate(tls_.get()),
                                                           X509_free);
  std::array<char, 64> name{};
  if (certificate != nullptr) {
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName, name.data(),
                              name.size());
  }
  return name.data();
}

std::string TlsSocketClient::Version() const { return SSL_get_version(tls_.get()); }

std::string TlsSocketClient::Protocol() const {
  const unsigned char* name = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(tls_.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

bool TlsSocketClient::Send(const std::string& bytes) {
  return SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size())) > 0;
}

std::string TlsSocketClient::Ask(const std::string& bytes) {
  if (!Send(bytes)) {
    return "";
  }
  std::string answer;
  char octet = 0;
  while (!answer.ends_with("\r\n\r\n")) {
    if (SSL_read(tls_.get(), &octet, 1) != 1) {
      return answer;
    }
    answer += octet;
  }
  for (std::size_t left = ContentLength(answer); left > 0; --left) {
    if (SSL_read(tls_.get(), &octet, 1) != 1) {
      return answer;
    }
    answer += octet;
  }
  return answer;
}

std::string TlsSocketClient::Exchange(const std::string& bytes) {
  if (!Send(bytes)) {
    return "";
  }
  std::string all;
  std::array<char, 4096> part{};
  int size = 0;
  while ((size = SSL_read(tls_.get(), part.data(), part.size())) > 0) {
    all.append(part.data(), static_cast<std::size_t>(size));
  }
  return all;
}

}  // namespace stentor::test
