// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// TLS settings of the API client. Internal to common/io; boost::asio::ssl throws, and so do these.

#include <utility>
// clang-format off
#include <boost/asio/ssl/context.hpp>
// clang-format on

#include "absl/status/status.h"
#include "common/config/client_config.h"

namespace stentor::io {

/// Puts authority and client certificate of `config` into `context`, files read anew. Where there
/// is an authority, it alone is trusted: the system's are dropped, else any of them could vouch for
/// the API server. Throws std::runtime_error with a message that names the file.
void ConfigureTls(boost::asio::ssl::context& context, const config::ClientConfig& config);

/// Whether ConfigureTls() would do, as a status.
[[nodiscard]] absl::Status CheckTls(const config::ClientConfig& config);

}  // namespace stentor::io
