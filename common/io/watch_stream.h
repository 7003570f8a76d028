// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// One watch of the API server, read on the event loop's own thread. Internal to common/io.
///
/// On Boost.Beast rather than cpprestsdk, which takes four tasks and a second thread for each piece
/// that arrives: for a stream of short events that is more than all that is done with them.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/io/event_loop.h"
#include "common/io/tls_client.h"
#include "common/kube/transport.h"

namespace stentor::io {

/// What the connections of watches share: an SSL_CTX. Immutable.
class WatchTls {
 public:
  /// `verifies`: whether the server's certificate is checked. Errors: Internal, where OpenSSL
  /// refuses the settings.
  [[nodiscard]] static absl::StatusOr<std::shared_ptr<const WatchTls>> Make(
      const std::shared_ptr<const TlsSettings>& settings, bool verifies);
  ~WatchTls();
  WatchTls(const WatchTls&) = delete;
  WatchTls& operator=(const WatchTls&) = delete;

 private:
  friend class WatchStream;
  struct Context;
  explicit WatchTls(std::unique_ptr<Context> context);

  const std::unique_ptr<Context> context_;
};

/// What a watch is asked of, and how.
struct WatchRequest {
  std::string host;  ///< A name, or an address without brackets.
  std::uint16_t port = 0;
  std::string host_header;
  std::string path;  ///< With query, percent-encoded.
  std::string accept;
  std::string token;  ///< Empty: none is sent.
};

/// Times of a watch; both as in TransportLimits.
struct WatchTimes {
  Duration idle{};        ///< Without progress for so long, it ends with DeadlineExceeded.
  Duration dead_after{};  ///< When the kernel gives the connection up.
};

/// How a watch ended.
struct WatchOutcome {
  /// Of the connection: OK where the server ended the answer in order, else Unavailable or
  /// DeadlineExceeded.
  absl::Status status;
  kube::Response response;  ///< Its body only where the code is not 200, and not all of a long one.
  bool opened = false;      ///< The server answered 200.
};

/// As kube::WatchEvents: `on_open`, `on_bytes`, `on_end`, each of which may destroy the stream.
struct WatchStreamHandlers {
  std::function<void()> on_open;
  std::function<void(std::string_view bytes)> on_bytes;
  std::function<void(WatchOutcome outcome)> on_end;
};

/// Each has a connection of its own, which ends with it: the server ends a watch after minutes, so
/// that there is little to gain from keeping it. Lives on the loop's thread.
class WatchStream {
 public:
  /// Connects, asks, and reads until the end; calls nobody back from within. `tls` null: without
  /// TLS. `loop` must outlive it. Throws std::exception where there can't be such a request, as
  /// with a token that is too long for a header.
  WatchStream(EventLoop& loop, std::shared_ptr<const WatchTls> tls, const WatchRequest& request,
              const WatchTimes& times, WatchStreamHandlers handlers);
  /// Closes the connection; nothing is called back any more.
  ~WatchStream();
  WatchStream(const WatchStream&) = delete;
  WatchStream& operator=(const WatchStream&) = delete;

 private:
  class Session;
  template <typename Stream>
  class SessionOn;
  std::shared_ptr<Session> session_;
};

}  // namespace stentor::io
