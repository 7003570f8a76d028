// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// One blocking connection of FakeApiServer, plain or TLS. Internal to it.

#include <openssl/ssl.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "test/support/fake_api_server.h"

namespace stentor::test {

using SslContext = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;

/// The server's side of TLS.
SslContext MakeServerContext(const FakeTls& tls);

class FakeConnection {
 public:
  /// Takes `fd`; `context` null: plain.
  FakeConnection(int fd, SSL_CTX* context);
  ~FakeConnection();
  FakeConnection(const FakeConnection&) = delete;
  FakeConnection& operator=(const FakeConnection&) = delete;

  /// The next request; nothing at the end of the connection.
  [[nodiscard]] std::optional<SeenRequest> Read();
  bool Write(std::string_view bytes);
  /// The next close is a reset.
  void MakeReset();
  /// Waits until the client closes, or the server is shut down.
  void AwaitEnd();
  /// From any thread: makes all reads and writes end.
  void Shutdown();
  /// From any thread: whether it waits for a request of which nothing has arrived.
  [[nodiscard]] bool idle() const { return idle_; }

 private:
  bool Fill();
  [[nodiscard]] std::string ClientName() const;

  int fd_;
  SSL* ssl_ = nullptr;
  std::atomic<bool> idle_ = false;
  std::string buffer_;
};

}  // namespace stentor::test
