// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What the connections of one HttpServer share, and how they share it. Internal to common/io.

#include <cstddef>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "common/io/http_server.h"

namespace stentor::io {

/// A connection, as its server and the other connections know it.
class HttpSession {
 public:
  virtual ~HttpSession() = default;
  /// At once; its memory goes when its last handler has run.
  virtual void Close() = 0;
  /// Whether it waits for its client's next request, and nothing of that has come.
  [[nodiscard]] virtual bool IsIdle() = 0;

 private:
  friend class HttpShared;
  std::size_t held_ = 0;                  // octets of bodies
  bool may_be_closed_for_memory_ = true;  // false where that would free none
  std::uint64_t idle_since_ = 0;          // a number that grows
  std::uint64_t awaited_since_ = 0;       // likewise; 0: it is not its client's turn
};

/// What the connections of one server share. It outlives the server as long as a handler of one of
/// them is queued.
class HttpShared {
 public:
  HttpShared(HttpLimits its_limits, std::vector<HttpRoute> its_routes)
      : limits(its_limits), routes(std::move(its_routes)) {}

  void Add(HttpSession& session) { sessions_.insert(&session); }
  void Remove(HttpSession& session);
  [[nodiscard]] std::size_t size() const { return sessions_.size(); }

  /// Makes room for one more connection, by closing one; false where all are being served. That
  /// goes which has been idle longest; where half of the room is with connections whose clients owe
  /// a handshake, a request or the end of one, or where none is idle, that of these which has owed
  /// it longest. So whoever opens connections and says nothing keeps out only who is slower than he
  /// is.
  bool MakeRoom();
  void BecameIdle(HttpSession& session) {
    session.idle_since_ = ++moments_;
    session.awaited_since_ = 0;
  }
  /// It is the client's turn: to shake hands, to send a request, or to close.
  void Awaits(HttpSession& session) { session.awaited_since_ = ++moments_; }
  /// It is ours.
  void Serves(HttpSession& session) { session.awaited_since_ = 0; }

  /// `session` now holds `octets` of bodies. Where that is too much for all, closes the connection
  /// that holds most; false where that is `session` itself, which then holds none.
  [[nodiscard]] bool Hold(HttpSession& session, std::size_t octets);
  /// What it holds is in the hands of a handler, and isn't freed by closing the connection.
  void Lend(HttpSession& session, bool lent) { session.may_be_closed_for_memory_ = !lent; }

  /// No more connections: closes all, and `closed` stops the handlers that are queued.
  void CloseAll();

  const HttpLimits limits;
  const std::vector<HttpRoute> routes;
  HttpCounts counts;
  bool closed = false;
  bool keeps_none = false;  ///< HttpServer::KeepNoConnections

 private:
  std::set<HttpSession*> sessions_;
  std::size_t held_ = 0;
  std::uint64_t moments_ = 0;
};

}  // namespace stentor::io
