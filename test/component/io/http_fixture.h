// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What the tests of the HTTP server share.

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "common/io/http_server.h"
#include "test/component/io/socket_client.h"

namespace stentor::test {

/// Limits that end within a test's patience.
inline constexpr io::HttpLimits kHasty{.connections = 4,
                                       .handshake = std::chrono::milliseconds(200),
                                       .header = std::chrono::milliseconds(200),
                                       .body = std::chrono::milliseconds(200),
                                       .answer = std::chrono::milliseconds(200),
                                       .idle = std::chrono::milliseconds(300)};

/// On 127.0.0.1, at a port that is free; it must open.
[[nodiscard]] std::unique_ptr<io::HttpServer> OpenHttp(io::EventLoop& loop, io::HttpOptions options,
                                                       std::vector<io::HttpRoute> routes);

/// GET /hello ("hello\n") and /sick (503); POST /echo, which tells what it got:
/// "TARGET|CONTENT-TYPE|BODY".
[[nodiscard]] std::vector<io::HttpRoute> HelloAndEcho();

/// A ServerTls that must be usable.
[[nodiscard]] std::shared_ptr<io::ServerTls> MakeTls(io::ServerTlsOptions options = {});

/// A request for `path` after which the connection is closed; `more`: fields, each with its CRLF.
[[nodiscard]] std::string Get(const std::string& path, const std::string& more = "");
/// The same with a body of this length announced.
[[nodiscard]] std::string Post(const std::string& path, const std::string& body,
                               const std::string& more = "");

}  // namespace stentor::test
