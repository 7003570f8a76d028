// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Asks the API server whose a bearer token is (TokenReview) and whether that account may get a
/// path (SubjectAccessReview), as kube-rbac-proxy and controller-runtime do for metrics.

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "common/base/time.h"
#include "common/io/event_loop.h"
#include "common/io/http_server.h"
#include "common/io/kube_client.h"

namespace stentor::io {

struct TokenAuthorizerOptions {
  std::string path = "/metrics";             ///< Asked about with verb get.
  Duration keep = std::chrono::seconds(10);  ///< An answer is believed for this long.
  std::size_t max_kept = 256;                ///< Answers; the oldest go first.
  /// Tokens that are being asked about at once: strangers must not flood the API server through
  /// us. What comes beyond is told kUnavailable.
  std::size_t max_pending = 8;
};

/// Tokens are not kept, only their SHA-256. Only answers of the API server are: what could not be
/// asked is asked again. Not thread-safe: lives on the event loop's thread.
class TokenAuthorizer {
 public:
  /// `loop` and `client` must outlive it.
  TokenAuthorizer(EventLoop& loop, KubeClient& client, TokenAuthorizerOptions options = {});
  ~TokenAuthorizer();
  TokenAuthorizer(const TokenAuthorizer&) = delete;
  TokenAuthorizer& operator=(const TokenAuthorizer&) = delete;

  /// An Authorizer. `done` is called at once where the answer is known, and never once this object
  /// is destroyed.
  void Decide(const std::string& token, std::function<void(Access)> done);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace stentor::io
