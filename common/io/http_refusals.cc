// SPDX-License-Identifier: Apache-2.0
#include "common/io/http_refusals.h"

#include <utility>

namespace stentor::io {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

constexpr std::string_view kBearer = "bearer ";

bool Allows(HttpMethod method, http::verb asked) {
  return method == HttpMethod::kPost ? asked == http::verb::post
                                     : asked == http::verb::get || asked == http::verb::head;
}

}  // namespace

std::string_view View(beast::string_view text) { return {text.data(), text.size()}; }

std::string TokenOf(const HttpParser::value_type& request) {
  const beast::string_view field = request[http::field::authorization];
  if (field.size() <= kBearer.size() ||
      !beast::iequals(field.substr(0, kBearer.size()), {kBearer.data(), kBearer.size()})) {
    return {};
  }
  return std::string(View(field.substr(kBearer.size())));
}

const char* AllowedMethods(HttpMethod method) {
  return method == HttpMethod::kPost ? "POST" : "GET, HEAD";
}

HttpAnswer PlainText(int code, std::string text) { return {.code = code, .body = std::move(text)}; }

HttpAnswer RefusalOfAccess(Access access) {
  switch (access) {
    case Access::kUnauthenticated:
      return PlainText(401, "a bearer token of this cluster is needed\n");
    case Access::kDenied:
      return PlainText(403, "this token may not get this path\n");
    case Access::kAllowed:
    case Access::kUnavailable:
      break;
  }
  return PlainText(503, "the API server could not be asked about this token\n");
}

std::optional<HttpAnswer> RefusalOfOctets(error_code error) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return PlainText(431, "the header is too long\n");
  }
  if (error == http::error::body_limit) {
    return PlainText(413, "the body is too long\n");
  }
  if (error == http::error::bad_version) {  // also of HTTP/2, which begins with one of its own
    return PlainText(505, "HTTP/1.1 is spoken here\n");
  }
  if (error == http::error::end_of_stream || error == http::error::partial_message ||
      error.category() != error_code(http::error::end_of_stream).category()) {
    return std::nullopt;  // the deadline, or the client went
  }
  return PlainText(400, "this is no HTTP request that is understood here\n");
}

std::optional<HttpAnswer> RefusalOfFraming(const HttpParser& parser) {
  const HttpParser::value_type& request = parser.get();
  if (request.count(http::field::transfer_encoding) != 0 &&
      (!parser.chunked() || request.version() < 11)) {
    return PlainText(400, "of transfer encodings, only chunked is understood here\n");
  }
  return std::nullopt;
}

std::optional<HttpAnswer> RefusalOfRequest(const HttpParser& parser, const HttpRoute& route,
                                           const HttpLimits& limits) {
  const HttpParser::value_type& request = parser.get();
  if (!Allows(route.method, request.method())) {
    return PlainText(405, std::string(AllowedMethods(route.method)) + " only\n");
  }
  if (route.method == HttpMethod::kGet && !parser.is_done()) {
    return PlainText(413, "a request has no body here\n");
  }
  if (parser.content_length().value_or(0) > limits.body_bytes) {
    return PlainText(413,
                     "the body is longer than " + std::to_string(limits.body_bytes) + " octets\n");
  }
  const beast::string_view expected = request[http::field::expect];
  if (!expected.empty() && !beast::iequals(expected, "100-continue")) {
    return PlainText(417, "only 100-continue can be expected here\n");
  }
  return std::nullopt;
}

}  // namespace stentor::io
