// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What the HttpServer answers without asking a handler. Internal to common/io.

#include <optional>
#include <string>
#include <string_view>

#include "common/io/asio.h"
// clang-format off
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
// clang-format on

#include "common/io/http_server.h"

namespace stentor::io {

/// The body goes where it is told to, piece by piece.
using HttpParser = boost::beast::http::request_parser<boost::beast::http::buffer_body>;

[[nodiscard]] std::string_view View(boost::beast::string_view text);

/// The token of "Authorization: Bearer <token>" (RFC 6750, 2.1); empty where there is none.
[[nodiscard]] std::string TokenOf(const HttpParser::value_type& request);

/// The field Allow.
[[nodiscard]] const char* AllowedMethods(HttpMethod method);

[[nodiscard]] HttpAnswer PlainText(int code, std::string text);

/// Of who may not; of kAllowed too, what is said of kUnavailable.
[[nodiscard]] HttpAnswer RefusalOfAccess(Access access);

/// Of a header or body that could not be read; absent where nobody is left to be told.
[[nodiscard]] std::optional<HttpAnswer> RefusalOfOctets(boost::system::error_code error);

/// Of a request of which nobody can tell where it ends (RFC 9112, 6.1 and 6.3), so that the
/// connection must end with it; absent where all is well.
[[nodiscard]] std::optional<HttpAnswer> RefusalOfFraming(const HttpParser& parser);

/// Why it is not served by `route`, whatever its body says; absent where it may be.
[[nodiscard]] std::optional<HttpAnswer> RefusalOfRequest(const HttpParser& parser,
                                                         const HttpRoute& route,
                                                         const HttpLimits& limits);

}  // namespace stentor::io
