// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "common/config/client_config.h"
#include "common/io/event_loop.h"
#include "common/kube/transport.h"

namespace stentor::io {

/// Starts cpprestsdk's pool with 2 threads instead of 40. Call it first thing in main, before
/// anything else can start the pool; further calls do nothing.
void InitializeTransportThreads();

/// Times and sizes of a transport; tests shorten them.
struct TransportLimits {
  Duration request_idle = std::chrono::seconds(30);  ///< Without progress, a request fails.
  Duration watch_idle = std::chrono::seconds(330);   ///< Beyond timeoutSeconds of any watch.
  Duration token_age = std::chrono::seconds(60);     ///< A token file is read again after this.
  std::size_t max_body_bytes = std::size_t{64} << 20U;
};

/// The transport on cpprestsdk. TLS is verified against `config`'s authority alone and the server's
/// name. A bearer token is read from its file again at least once a minute, and at once when the
/// server answers 401. Errors: what in `config` can't be used. `loop` must outlive it.
[[nodiscard]] absl::StatusOr<std::unique_ptr<kube::KubeTransport>> MakeCpprestTransport(
    EventLoop& loop, const config::ClientConfig& config, const TransportLimits& limits = {});

}  // namespace stentor::io
