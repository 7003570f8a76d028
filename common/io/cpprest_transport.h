// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "common/config/client_config.h"
#include "common/io/event_loop.h"
#include "common/kube/transport.h"

namespace stentor::io {

/// Starts cpprestsdk's pool with 1 thread instead of 40. Call it first thing in main, before
/// anything else can start the pool; further calls do nothing. One, because a connection is then
/// back in the pool when its answer is told, so that the next request uses it again.
void InitializeTransportThreads();

/// Times and sizes of a transport; tests shorten them.
struct TransportLimits {
  Duration request_idle = std::chrono::seconds(30);  ///< Without progress, a request fails.
  Duration watch_idle = std::chrono::seconds(330);   ///< Beyond timeoutSeconds of any watch.
  /// A token file, authority or client certificate is read again after this.
  Duration credential_age = std::chrono::seconds(60);
  /// The kernel gives up a connection whose other end has not answered for this long: of TLS, and
  /// of watches.
  Duration dead_after = std::chrono::seconds(30);
  std::size_t max_body_bytes = std::size_t{64} << 20U;
};

/// The transport on cpprestsdk; watches are WatchStream's. `config.server` may name an IPv6
/// literal.
///
/// TLS is verified against `config`'s authority alone and the server's name. Files are read again
/// at least once a minute: at once when the server answers 401, and those of TLS when a connection
/// fails. What goes on (watches) keeps its connection; all that begins later uses the new ones.
///
/// A request is repeated once, at once, where a kept-alive connection turned out to be closed: GET,
/// DELETE, and PUT, whose resourceVersion lets it through once (the second is then a 409). A POST
/// or PATCH only where the server can't have read it whole, or, which cpprestsdk does by itself,
/// where the connection was closed before a word of the answer: all that we create has a name, so
/// that the second is refused (409 AlreadyExists).
///
/// With an authority of its own it makes OpenSSL's default authorities empty for the whole process
/// (SSL_CERT_FILE): reading them for each connection costs more than all else. Make it before there
/// are threads that read the environment.
///
/// Errors: what in `config` can't be used. `loop` must outlive it.
[[nodiscard]] absl::StatusOr<std::unique_ptr<kube::KubeTransport>> MakeCpprestTransport(
    EventLoop& loop, const config::ClientConfig& config, const TransportLimits& limits = {});

}  // namespace stentor::io
