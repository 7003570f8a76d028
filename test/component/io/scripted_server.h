// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// An HTTP server that answers as a test likes, also what is no HTTP.

#include <sys/socket.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <thread>

#include "common/base/unique_fd.h"

namespace stentor::test {

/// A TCP socket that is bound to `port` of 127.0.0.1 (or ::1), 0: to a free one, which `port` then
/// holds. Not open where that can't be.
[[nodiscard]] UniqueFd Bound(int family, std::uint16_t* port);

/// Serves one connection after the other, on a thread: the request's header is read to its end;
/// then a script has the connection, until it returns.
class ScriptedServer {
 public:
  /// `stop`: the server goes.
  using Script = std::function<void(int fd, const std::atomic<bool>& stop)>;

  explicit ScriptedServer(Script script, int family = AF_INET);
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  /// False where `family` can't be had.
  [[nodiscard]] bool IsOpen() const { return thread_.joinable(); }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] int accepted() const { return accepted_; }
  /// The last request's header. Only once an answer has come.
  [[nodiscard]] const std::string& request() const { return request_; }

 private:
  void Serve(const Script& script);

  UniqueFd listener_;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_ = false;
  std::atomic<int> accepted_ = 0;
  std::string request_;
  std::thread thread_;
};

/// False where the other side has gone.
bool SendAll(int fd, std::string_view text);

[[nodiscard]] ScriptedServer::Script Says(std::string text);
/// `start`, and then `text` again and again, every few milliseconds, for ever.
[[nodiscard]] ScriptedServer::Script Drips(std::string start, std::string text);
/// A script: the connection stays open.
void SaysNothing(int fd, const std::atomic<bool>& stop);

}  // namespace stentor::test
