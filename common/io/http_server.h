// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// A small HTTP/1.1 server on Boost.Beast, for metrics, probes and webhooks. It assumes hostile
/// clients: every connection has a deadline from its first moment on, and what all of them together
/// can take is bounded.
///
///   auto server = io::HttpServer::Open(
///       loop, {.port = 9443, .tls = tls},
///       {{.path = io::ExactPath("/healthz"),
///         .handle = io::AnswerNow([](const io::HttpRequest&) { ... })},
///        {.path = controller::IsWebhookPath, .method = io::HttpMethod::kPost,
///         .handle = [](io::HttpRequest request, const io::HttpReply& reply) { ... reply(...) }}});

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/io/event_loop.h"
#include "common/io/tls_server.h"
#include "common/obs/metrics.h"

namespace stentor::io {

/// What a path is asked with; all else is answered 405, with what is allowed.
enum class HttpMethod : std::uint8_t {
  kGet,   ///< GET and HEAD, without a body.
  kPost,  ///< POST, with a body or an empty one.
};

struct HttpRequest {
  std::string target;  ///< As the client wrote it: the path, and the query where there is one.
  std::string content_type;  ///< The field's value; empty where there is none.
  std::string body;          ///< All of it.
};

struct HttpAnswer {
  int code = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

/// Answers a request: now or later, on the loop's thread. Only the first call counts, and none does
/// after HttpLimits::answer (503 was sent) or once the server is destroyed.
using HttpReply = std::function<void(HttpAnswer answer)>;
using HttpHandler = std::function<void(HttpRequest request, const HttpReply& reply)>;

/// Whether a bearer token may read what it asks for.
enum class Access : std::uint8_t {
  kAllowed,
  kUnauthenticated,  ///< Nobody's token: 401.
  kDenied,           ///< Somebody's, who may not: 403.
  kUnavailable,      ///< The API server did not say: 503.
};

/// Decides on `token` and calls `done` once, on the loop's thread, now or later, or never where it
/// is destroyed before; a deadline ends the wait.
using Authorizer = std::function<void(const std::string& token, std::function<void(Access)> done)>;

/// What is served at one path or at several.
struct HttpRoute {
  /// Whether it is this route's; the first that says so is taken. Without the query.
  std::function<bool(std::string_view path)> path;
  HttpMethod method = HttpMethod::kGet;
  HttpHandler handle;
  /// Empty: anybody may. Asked before the body is read.
  Authorizer authorize = {};
};

/// For HttpRoute::path: this one.
[[nodiscard]] std::function<bool(std::string_view path)> ExactPath(std::string path);
/// For HttpRoute::handle: what can be answered at once.
[[nodiscard]] HttpHandler AnswerNow(std::function<HttpAnswer(const HttpRequest& request)> answer);

/// Times are limits for all of a step, not for each of its reads.
struct HttpLimits {
  /// Where there is one more, that goes which has been idle longest; where half of them owe us a
  /// handshake or the rest of a request, or none is idle, that of these which has owed it longest.
  /// So who opens connections and says nothing keeps out only who is slower. Where all are being
  /// served, the new one is closed at once.
  std::size_t connections = 64;
  std::size_t header_bytes = 8192;
  std::size_t body_bytes = std::size_t{8} << 20U;  ///< Of one request.
  /// What all requests' and answers' bodies take together. Where it is not enough, the connection
  /// with the longest body is closed, so that who sends little is served also while somebody
  /// tries to fill the memory.
  std::size_t all_bodies_bytes = std::size_t{64} << 20U;
  Duration handshake = std::chrono::seconds(5);  ///< From the connection's first moment on.
  Duration header = std::chrono::seconds(5);     ///< From the handshake or its first octet on.
  Duration body = std::chrono::seconds(10);      ///< From the end of the header on.
  Duration answer = std::chrono::seconds(10);    ///< Authorization, handler and writing, each.
  /// Between two requests. Longer than that of Go's clients (90 s), which may have sent the next
  /// request at the moment in which the connection is closed, and don't repeat a POST.
  Duration idle = std::chrono::seconds(120);
};

struct HttpOptions {
  std::string address;     ///< Empty: all addresses, of both families.
  std::uint16_t port = 0;  ///< 0: any that is free.
  /// Null: plain HTTP. Shared, so that who opens the port again keeps the certificate. As long as
  /// it has no certificate, connections are closed at once.
  std::shared_ptr<ServerTls> tls;
  /// A certificate that changed and can't be used; optional.
  std::function<void(const absl::Status& status)> on_certificate_trouble;
  HttpLimits limits;
};

/// Since the server was opened.
struct HttpCounts {
  std::uint64_t accepted = 0;     ///< Connections.
  std::uint64_t turned_away = 0;  ///< Of these: closed at once, for there were too many.
  std::uint64_t requests = 0;     ///< With a header that was understood.
  /// Closed or answered 503 for want of HttpLimits::all_bodies_bytes.
  std::uint64_t out_of_memory = 0;

  /// What was refused, as stentor_http_refused_connections_total of `server` ("webhooks", say).
  void Collect(std::string_view server, obs::MetricSet& metrics) const;
};

/// Not thread-safe: lives on the event loop's thread. Destroying it closes all connections; no
/// route is called any more.
class HttpServer {
 public:
  /// Listens. Errors: Unavailable (the port is taken), InvalidArgument (the address), both with
  /// address and port. `loop` must outlive it.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<HttpServer>> Open(
      EventLoop& loop, HttpOptions options, std::vector<HttpRoute> routes);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// From now on each answer ends its connection. For a server that is about to end while others
  /// go on: a client that keeps connections might send a request at that very moment, and Go's
  /// (net/http) don't repeat a POST.
  void KeepNoConnections();

  [[nodiscard]] std::uint16_t port() const;
  /// How many are open.
  [[nodiscard]] std::size_t connections() const;
  [[nodiscard]] const HttpCounts& counts() const;

 private:
  struct Impl;
  explicit HttpServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace stentor::io
