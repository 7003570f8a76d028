// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What the clients of common/io tell of an answer that can't be read. Internal to common/io.

#include "common/io/asio.h"
// clang-format off
#include <boost/beast/http/error.hpp>
// clang-format on

namespace stentor::io {

/// Whether an answer came that is no HTTP, rather than none, or the beginning of one.
[[nodiscard]] inline bool IsNoHttp(const boost::system::error_code& error) {
  namespace http = boost::beast::http;
  const boost::system::error_code of_http = http::error::bad_version;
  return error.category() == of_http.category() && error != http::error::end_of_stream &&
         error != http::error::partial_message;
}

}  // namespace stentor::io
