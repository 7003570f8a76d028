// SPDX-License-Identifier: Apache-2.0
#include "common/io/api_server_url.h"

#include <cpprest/uri_builder.h>

#include "common/base/strings.h"
#include "common/net/ip_address.h"

namespace stentor::io {

absl::StatusOr<ApiServerUrl> ParseApiServerUrl(const std::string& url) {
  if (!web::uri::validate(url)) {
    return absl::InvalidArgumentError(
        StrCat("the API server's address \"", url, "\" is not a URL"));
  }
  const web::uri uri(url);
  if ((uri.scheme() != "https" && uri.scheme() != "http") || uri.host().empty()) {
    return absl::InvalidArgumentError(
        StrCat("the API server's address \"", url, "\" must begin with https://"));
  }
  ApiServerUrl server{.base = uri, .host = uri.host(), .is_tls = uri.scheme() == "https"};
  constexpr int kHttps = 443;
  constexpr int kHttp = 80;
  const int port = uri.is_port_default() ? (server.is_tls ? kHttps : kHttp) : uri.port();
  server.port = static_cast<std::uint16_t>(port);
  server.path = uri.path();
  server.path.erase(server.path.find_last_not_of('/') + 1);
  server.host_header = uri.is_port_default() ? uri.host() : StrCat(uri.host(), ":", port);
  if (server.host.front() != '[') {
    return server;
  }
  server.host = server.host.substr(1, server.host.size() - 2);
  if (!net::Ipv6Address::Parse(server.host)) {
    return absl::InvalidArgumentError(
        StrCat("the API server's address ", url, ": ", uri.host(), " is no IPv6 address"));
  }
  server.base = web::uri_builder(uri).set_host(server.host).to_uri();
  return server;
}

}  // namespace stentor::io
