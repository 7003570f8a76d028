// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// One connection of the AdminServer. Internal to common/io.

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "common/io/asio.h"
// clang-format off
#include <boost/asio/ssl/context.hpp>
// clang-format on

#include "common/io/admin_server.h"

namespace stentor::io {

/// A connection, as its server knows it.
class AdminSession {
 public:
  virtual ~AdminSession() = default;
  virtual void Close() = 0;
};

/// What the connections of one server share. It outlives the server as long as a handler of one of
/// them is queued; `closed` says so.
struct AdminShared {
  AdminLimits limits;
  std::map<std::string, AdminRoute> routes;
  std::set<AdminSession*> sessions;
  bool closed = false;
};

/// Serves `socket` until it ends; with `tls`, after a handshake.
void StartAdminSession(boost::asio::ip::tcp::socket socket,
                       std::shared_ptr<boost::asio::ssl::context> tls,
                       std::shared_ptr<AdminShared> shared);

}  // namespace stentor::io
