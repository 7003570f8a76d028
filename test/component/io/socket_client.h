// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Clients that behave as they like, for the server's tests: blocking sockets on 127.0.0.1, used on
/// a thread of their own while the server's loop runs.

#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "common/base/unique_fd.h"
#include "test/component/io/fixture.h"

typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;

namespace stentor::test {

/// Runs `work` on a thread, and `loop` until it is done.
template <typename Work>
auto Beside(io::EventLoop& loop, Work work) {
  auto result = std::async(std::launch::async, std::move(work));
  (void)RunUntil(loop, [&result] {
    return result.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  });
  return result.get();
}

/// A connection; it waits for anything for at most 10 s.
class SocketClient {
 public:
  explicit SocketClient(std::uint16_t port);
  /// False where the other side has gone.
  bool Send(const std::string& bytes);
  /// What comes until the other side ends, or "timeout" at the end of it.
  std::string ReadAll();
  /// One answer: header and as much body as it announces.
  std::string ReadAnswer();
  [[nodiscard]] int fd() const { return fd_.Get(); }

 private:
  UniqueFd fd_;
};

/// TLS on such a connection.
class TlsSocketClient {
 public:
  /// `max_version`: OpenSSL's number; 0: the newest. `protocols`: what ALPN offers, each with its
  /// length before it; empty: nothing.
  explicit TlsSocketClient(std::uint16_t port, int max_version = 0,
                           const std::string& protocols = "");
  ~TlsSocketClient();
  TlsSocketClient(const TlsSocketClient&) = delete;
  TlsSocketClient& operator=(const TlsSocketClient&) = delete;

  [[nodiscard]] bool connected() const { return connected_; }
  /// The subject's common name in the server's certificate.
  [[nodiscard]] std::string PeerName() const;
  [[nodiscard]] std::string Version() const;
  /// What ALPN agreed on; empty: nothing.
  [[nodiscard]] std::string Protocol() const;
  bool Send(const std::string& bytes);
  /// Sends and reads until the other side ends.
  std::string Exchange(const std::string& bytes);
  /// Sends and reads one answer: header and as much body as it announces.
  std::string Ask(const std::string& bytes);

 private:
  SocketClient socket_;
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
  std::unique_ptr<SSL, void (*)(SSL*)> tls_;
  bool connected_ = false;
};

}  // namespace stentor::test
