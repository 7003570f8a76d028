// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// One connection of the HttpServer. Internal to common/io.

#include <memory>

#include "common/io/asio.h"
// clang-format off
#include <boost/asio/ssl/context.hpp>
// clang-format on

#include "common/io/http_shared.h"

namespace stentor::io {

/// Serves `socket` until it ends; with `tls`, after a handshake.
void StartHttpSession(boost::asio::ip::tcp::socket socket,
                      std::shared_ptr<boost::asio::ssl::context> tls,
                      std::shared_ptr<HttpShared> shared);

}  // namespace stentor::io
