// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Asks a local HTTP server how it is: one GET, one short answer.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/io/event_loop.h"
#include "common/net/ip_address.h"

namespace stentor::io {

/// Where to ask.
struct HttpTarget {
  std::vector<net::IpAddress> hosts;  ///< The first one on which somebody listens is asked.
  std::uint16_t port = 0;
  std::string path = "/";   ///< With its query.
  std::string host_header;  ///< "127.0.0.1:10256"

  friend bool operator==(const HttpTarget&, const HttpTarget&) = default;
};

/// Reads `http://HOST[:PORT][/PATH]`, `http://` may be left out. HOST is numeric (IPv6 in
/// brackets), or `localhost`, which is 127.0.0.1 or ::1: no name is ever resolved. Errors are
/// InvalidArgument, fit for whoever wrote the flag.
[[nodiscard]] absl::StatusOr<HttpTarget> ParseHttpTarget(std::string_view text);

struct HttpProbeAnswer {
  int code = 0;
  std::string body;  ///< Any bytes; incomplete where it is longer than HttpProbe::kMaxBody.
};

/// One request at a time. Lives on the event loop's thread. Each request has a connection of its
/// own, which is closed afterwards.
class HttpProbe {
 public:
  static constexpr std::size_t kMaxHeader = 8192;
  static constexpr std::size_t kMaxBody = 4096;

  /// NotFound: nobody listens there. DeadlineExceeded: the answer was not complete in time.
  /// Unavailable: the connection failed otherwise, or ended early. DataLoss: what came was no HTTP,
  /// or its header too long. Messages name the address that was asked.
  using Handler = std::function<void(absl::StatusOr<HttpProbeAnswer>)>;

  /// `loop` must outlive it.
  explicit HttpProbe(EventLoop& loop);
  /// Nothing is called back afterwards.
  ~HttpProbe();
  HttpProbe(const HttpProbe&) = delete;
  HttpProbe& operator=(const HttpProbe&) = delete;

  /// `handler` is called once, from the loop, never from within the call; it may ask again. A
  /// request that is still under way is given up, and its handler not called.
  void Get(const HttpTarget& target, Duration time_limit, Handler handler);

 private:
  class Request;
  EventLoop& loop_;
  std::shared_ptr<Request> request_;
};

}  // namespace stentor::io
