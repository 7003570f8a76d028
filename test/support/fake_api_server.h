// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// A small API server in memory, on 127.0.0.1: list in pages, watch, write, status, and faults on
/// request. No more than the tests of the Kubernetes client need; a thread for each connection.

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "test/support/test_certificates.h"

namespace stentor::test {

enum class FaultKind : std::uint8_t {
  kStatus,      ///< Answers `code`, with Retry-After where `retry_after` is not 0.
  kReset,       ///< Resets the connection.
  kSilence,     ///< Reads the request and never answers.
  kClose,       ///< Closes the connection without an answer.
  kDropAnswer,  ///< Does what is asked, and then closes the connection without an answer.
};

/// Befalls the next `count` requests whose "METHOD path?query" contains `match`.
struct Fault {
  std::string match;
  FaultKind kind = FaultKind::kStatus;
  int code = 500;
  int retry_after = 0;
  int count = 1;
};

struct FakeTls {
  Identity identity;
  std::string client_authority;  ///< PEM; not empty: a client certificate of it is required.
};

/// What a request was.
struct SeenRequest {
  std::string method;
  std::string target;
  std::string authorization;
  std::string body;
  std::string host;         ///< The header.
  std::string server_name;  ///< SNI; empty: none.
  std::string client;       ///< Common name of the client's certificate; empty: none.
  int connection = 0;       ///< From 1, in the order in which they were accepted.
};

/// All methods are thread-safe.
class FakeApiServer {
 public:
  FakeApiServer();
  /// `is_ipv6`: on ::1, which a machine may not have: then no request arrives.
  explicit FakeApiServer(FakeTls tls, bool is_ipv6 = false);
  ~FakeApiServer();
  FakeApiServer(const FakeApiServer&) = delete;
  FakeApiServer& operator=(const FakeApiServer&) = delete;

  /// "http://127.0.0.1:PORT"
  [[nodiscard]] std::string url() const;

  /// For new connections; those that are open go on as they are.
  void UseTls(const FakeTls& tls);
  /// Closes the connections that wait for a request, as a proxy does after a while. Their number:
  /// one whose answer has just been sent does not wait yet.
  int CloseIdle();
  /// From now on no request on a connection that is open now is answered or noted.
  void Freeze();
  /// As if etcd had been restored: versions begin anew, below what has been told.
  void Restore();

  /// Creates or replaces an object of `resource` ("services"); it gets a new resourceVersion.
  void Put(const std::string& resource, nlohmann::json object);
  void Remove(const std::string& resource, const std::string& name_space, const std::string& name);
  [[nodiscard]] nlohmann::json Get(const std::string& resource, const std::string& name_space,
                                   const std::string& name) const;

  void Inject(Fault fault);
  /// Only this bearer token is accepted from now on; empty: any.
  void RequireToken(std::string token);
  /// Forgets the history: watches from before now, and open list pages, get 410.
  void Compact();
  /// Sends a bookmark to all watches.
  void Bookmark();
  /// Ends all watches in order; or, `in_line`, in the middle of a chunk of an event.
  void EndWatches(bool in_line);
  /// Watch events are sent in HTTP chunks of at most this many octets.
  void SetChunkSize(std::size_t octets);

  [[nodiscard]] std::vector<SeenRequest> requests() const;
  [[nodiscard]] int CountOf(const std::string& match) const;
  [[nodiscard]] int open_watches() const;
  /// Accepted so far.
  [[nodiscard]] int connections() const;
  /// The most connections that were open at a time.
  [[nodiscard]] int most_connections() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace stentor::test
