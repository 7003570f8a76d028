// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The least that a program needs to talk to an API server: HTTP/1.1 over TLS on one thread. For
/// benchmarks: it is what Stentor's own client is compared with, so it does nothing that could be
/// left out. There is no retry; what goes wrong with a connection ends the program.

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
// clang-format off
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
// clang-format on

namespace stentor::bench {

/// Where the API server is, and who asks: a token or a client certificate.
struct Access {
  std::string host;
  std::string port;
  std::string authority;    ///< File.
  std::string token;        ///< File; empty: none.
  std::string certificate;  ///< File; empty: none.
  std::string key;          ///< File.
};

/// Requests over at most so many connections, which are opened when they are needed and kept.
class ApiClient {
 public:
  using Done = std::function<void(unsigned code, const std::string& body)>;

  ApiClient(boost::asio::io_context& io, const Access& access, std::size_t connections);
  ~ApiClient();
  ApiClient(const ApiClient&) = delete;
  ApiClient& operator=(const ApiClient&) = delete;

  /// Those that find no connection free wait for their turn. An empty body is none.
  void Send(std::string method, std::string target, std::string body, Done done);

  /// Opens a watch on a connection of its own. `opened` is called when its 200 is there, `line` for
  /// each line (without its end). Any other answer, and its end, end the program.
  void Watch(std::string target, std::function<void()> opened,
             std::function<void(std::string_view)> line);

 private:
  class Connection;
  class WatchConnection;
  struct Job {
    std::string method;
    std::string target;
    std::string body;
    Done done;
  };

  void Next(Connection& connection);

  boost::asio::io_context& io_;
  boost::asio::ssl::context tls_;
  const std::string host_;
  std::string authorization_;
  boost::asio::ip::tcp::endpoint server_;
  const std::size_t limit_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> idle_;
  std::vector<std::unique_ptr<WatchConnection>> watches_;
  std::deque<Job> waiting_;
};

}  // namespace stentor::bench
