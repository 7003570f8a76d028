// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// A small HTTP server for metrics and probes, on Boost.Beast: GET and HEAD of fixed paths, nothing
/// else. It assumes hostile clients: every connection has a deadline from its first moment on.
///
///   auto server = io::AdminServer::Open(loop, {.address = "127.0.0.1", .port = 17472},
///                                       {{"/healthz", {.handle = [] { ... }}}});

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/io/event_loop.h"
#include "common/io/tls_server.h"

namespace stentor::io {

struct AdminAnswer {
  int code = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

/// Whether a bearer token may read what it asks for.
enum class Access : std::uint8_t {
  kAllowed,
  kUnauthenticated,  ///< Nobody's token: 401.
  kDenied,           ///< Somebody's, who may not: 403.
  kUnavailable,      ///< The API server did not say: 503.
};

/// Decides on `token` and calls `done` once, on the loop's thread, now or later, or never where it
/// is destroyed before; the connection's deadline ends the wait.
using Authorizer = std::function<void(const std::string& token, std::function<void(Access)> done)>;

/// What is served at one path.
struct AdminRoute {
  std::function<AdminAnswer()> handle;
  Authorizer authorize;  ///< Empty: anybody may.
};

/// Times are limits for all of a step, not for each of its reads.
struct AdminLimits {
  std::size_t connections = 64;  ///< What comes beyond is closed at once.
  std::size_t header_bytes = 8192;
  Duration handshake = std::chrono::seconds(5);  ///< From the connection's first moment on.
  Duration header = std::chrono::seconds(5);     ///< First request, complete.
  Duration idle = std::chrono::seconds(90);      ///< Each further one, complete.
  Duration answer = std::chrono::seconds(10);    ///< Authorization and writing, each.
};

struct AdminOptions {
  std::string address;     ///< Empty: all addresses, of both families.
  std::uint16_t port = 0;  ///< 0: any that is free.
  /// Null: plain HTTP. Shared, so that who opens the port again keeps the certificate.
  std::shared_ptr<ServerTls> tls;
  /// A certificate that changed and can't be used; optional.
  std::function<void(const absl::Status& status)> on_certificate_trouble;
  AdminLimits limits;
};

/// Not thread-safe: lives on the event loop's thread. Destroying it closes all connections; no
/// route is called any more.
class AdminServer {
 public:
  /// Listens. Errors: Unavailable (the port is taken), InvalidArgument (the address), both with
  /// address and port. `loop` must outlive it.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<AdminServer>> Open(
      EventLoop& loop, AdminOptions options, std::map<std::string, AdminRoute> routes);
  ~AdminServer();
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  /// How many are open.
  [[nodiscard]] std::size_t connections() const;

 private:
  struct Impl;
  explicit AdminServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace stentor::io
