// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// How the API server is reached. Internal to common/io.

#include <cpprest/base_uri.h>

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace stentor::io {

/// The parts of an API server's URL, as those want them who connect to it.
struct ApiServerUrl {
  /// For cpprestsdk, which hands the host to the resolver as it stands, where an IPv6 literal must
  /// not have brackets.
  web::uri base;
  std::string host;         ///< Without brackets.
  std::string host_header;  ///< With brackets, and with the port where it is not the scheme's.
  std::string path;         ///< What stands before each request's; no '/' at its end.
  std::uint16_t port = 0;
  bool is_tls = false;
};

/// Errors: InvalidArgument, with the URL. May throw what cpprestsdk does.
[[nodiscard]] absl::StatusOr<ApiServerUrl> ParseApiServerUrl(const std::string& url);

}  // namespace stentor::io
