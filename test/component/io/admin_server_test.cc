// SPDX-License-Identifier: Apache-2.0
#include "common/io/admin_server.h"

#include <openssl/ssl.h>
#include <stdlib.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "test/component/io/socket_client.h"
#include "test/support/catch.h"
#include "test/support/test_certificates.h"

namespace stentor {
namespace {

using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;
using test::Beside;
using test::RunUntil;
using test::SocketClient;
using test::TlsSocketClient;

constexpr io::AdminLimits kHasty{
    .connections = 4, .handshake = 200ms, .header = 200ms, .idle = 300ms, .answer = 200ms};

std::string Get(const std::string& path, const std::string& more = "") {
  return "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + more + "\r\n";
}

std::map<std::string, io::AdminRoute> Routes() {
  return {
      {"/hello", {.handle = [] { return io::AdminAnswer{.body = "hello\n"}; }, .authorize = {}}},
      {"/sick",
       {.handle = [] { return io::AdminAnswer{.code = 503, .body = "sick\n"}; }, .authorize = {}}}};
}

std::unique_ptr<io::AdminServer> Open(io::EventLoop& loop, io::AdminOptions options,
                                      std::map<std::string, io::AdminRoute> routes = Routes()) {
  options.address = "127.0.0.1";
  auto server = io::AdminServer::Open(loop, std::move(options), std::move(routes));
  INFO(server.status());
  REQUIRE(server.ok());
  return *std::move(server);
}

std::shared_ptr<io::ServerTls> Tls(io::ServerTlsOptions options) {
  auto tls = io::ServerTls::Make(std::move(options));
  INFO(tls.status());
  REQUIRE(tls.ok());
  return *std::move(tls);
}

// A folder with tls.crt and tls.key, as kubelets mount a Secret.
class CertificateFolder {
 public:
  CertificateFolder() { REQUIRE(mkdtemp(path_.data()) != nullptr); }
  ~CertificateFolder() { std::filesystem::remove_all(path_); }
  CertificateFolder(const CertificateFolder&) = delete;
  CertificateFolder& operator=(const CertificateFolder&) = delete;

  void Write(const test::Identity& identity) {
    Replace("tls.crt", identity.certificate);
    Replace("tls.key", identity.key);
  }
  void Replace(const std::string& name, const std::string& text) {
    const std::string made = path_ + "/new";
    std::ofstream(made) << text;
    std::filesystem::rename(made, path_ + "/" + name);
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/stentor_certificates_XXXXXX";
};

}  // namespace

TEST_CASE("Each path and method has its answer", "[admin]") {
  io::EventLoop loop;
  const auto server = Open(loop, {});
  struct Case {
    const char* name;
    std::string request;
    const char* status;
    const char* body;
  };
  const auto c = GENERATE(values<Case>({
      {"a path", Get("/hello"), "HTTP/1.1 200 ", "\r\n\r\nhello\n"},
      {"with a query", Get("/hello?verbose=1"), "HTTP/1.1 200 ", "\r\n\r\nhello\n"},
      {"an answer that is not 200", Get("/sick"), "HTTP/1.1 503 ", "\r\n\r\nsick\n"},
      {"another path", Get("/"), "HTTP/1.1 404 ", "\n"},
      {"a longer path", Get("/hello/"), "HTTP/1.1 404 ", "\n"},
      {"HEAD has no body", "HEAD /hello HTTP/1.1\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 ",
       "\r\n\r\n"},
      {"another method", "DELETE /hello HTTP/1.1\r\nConnection: close\r\n\r\n", "HTTP/1.1 405 ",
       "GET or HEAD\n"},
      {"a body", "POST /hello HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 413 ",
       "no body here\n"},
      {"a body in chunks", "GET /hello HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       "HTTP/1.1 413 ", "no body here\n"},
      {"no HTTP", "hello there\r\n\r\n", "HTTP/1.1 400 ", "understood here\n"},
      {"a header that is too long", Get("/hello", "X: " + std::string(9000, 'x') + "\r\n"),
       "HTTP/1.1 431 ", "too long\n"},
      {"a header without an end", "GET /hello HTTP/1.1\r\nX: " + std::string(100000, 'x'),
       "HTTP/1.1 431 ", "too long\n"},
  }));
  DYNAMIC_SECTION(c.name) {
    const std::string answer = Beside(loop, [&] {
      SocketClient client(server->port());
      client.Send(c.request);
      return client.ReadAll();
    });
    CHECK_THAT(answer, StartsWith(c.status) && EndsWith(c.body));
    CHECK(RunUntil(loop, [&] { return server->connections() == 0; }));
  }
}

TEST_CASE("A connection is kept for the next request, and pipelined ones are answered", "[admin]") {
  io::EventLoop loop;
  const auto server = Open(loop, {});
  const auto answers = Beside(loop, [&] {
    SocketClient client(server->port());
    client.Send("GET /hello HTTP/1.1\r\n\r\n");
    const std::string first = client.ReadAnswer();
    client.Send("GET /none HTTP/1.1\r\n\r\nGET /hello HTTP/1.1\r\n\r\n");
    const std::string second = client.ReadAnswer();
    return std::array<std::string, 3>{first, second, client.ReadAnswer()};
  });
  CHECK_THAT(answers[0], EndsWith("hello\n"));
  CHECK_THAT(answers[1], StartsWith("HTTP/1.1 404 "));
  CHECK_THAT(answers[2], EndsWith("hello\n"));
}

TEST_CASE("Who is silent or slow is closed", "[admin]") {
  io::EventLoop loop;
  struct Case {
    const char* name;
    bool tls;
    std::vector<std::string> sends;  // 50 ms apart
    bool answered;                   // the first of them
  };
  const auto c = GENERATE(values<Case>({
      {"says nothing", false, {}, false},
      {"stops in its header", false, {"GET /hel"}, false},
      {"sends its header letter by letter",
       false,
       {"G", "E", "T", " ", "/", "h", "e", "l", "l", "o", " "},
       false},
      {"stays after its answer", false, {"GET /hello HTTP/1.1\r\n\r\n"}, true},
      {"says nothing to a TLS server", true, {}, false},
      {"stops in its handshake", true, {std::string("\x16\x03\x01\x02\x00\x01", 6)}, false},
  }));
  DYNAMIC_SECTION(c.name) {
    const auto server = Open(loop, {.tls = c.tls ? Tls({}) : nullptr, .limits = kHasty});
    const std::string got = Beside(loop, [&] {
      SocketClient client(server->port());
      for (const std::string& part : c.sends) {
        client.Send(part);
        std::this_thread::sleep_for(50ms);
      }
      return client.ReadAll();
    });
    CHECK_THAT(got, !EndsWith("timeout"));
    CHECK(got.starts_with("HTTP/1.1 200 ") == c.answered);
    CHECK(RunUntil(loop, [&] { return server->connections() == 0; }));
  }
}

TEST_CASE("Connections beyond the cap are closed, and served again when there is room", "[admin]") {
  io::EventLoop loop;
  const auto server = Open(loop, {.limits = {.connections = 3}});
  std::vector<std::unique_ptr<SocketClient>> holders;
  for (int i = 0; i < 3; ++i) {
    holders.push_back(std::make_unique<SocketClient>(server->port()));
  }
  REQUIRE(RunUntil(loop, [&] { return server->connections() == 3; }));
  const auto ask = [&] {
    SocketClient client(server->port());
    client.Send(Get("/hello"));
    return client.ReadAll();
  };
  CHECK(Beside(loop, ask).empty());
  CHECK(server->connections() == 3);
  holders.pop_back();
  REQUIRE(RunUntil(loop, [&] { return server->connections() == 2; }));
  CHECK_THAT(Beside(loop, ask), EndsWith("hello\n"));
}

TEST_CASE("Many clients that only connect leave nothing behind", "[admin]") {
  io::EventLoop loop;
  const auto server = Open(loop, {.tls = Tls({})});
  Beside(loop, [&] {
    for (int i = 0; i < 200; ++i) {
      const SocketClient client(server->port());
    }
    return 0;
  });
  CHECK(RunUntil(loop, [&] { return server->connections() == 0; }));
}

TEST_CASE("The server can go while clients are connected", "[admin]") {
  io::EventLoop loop;
  auto server = Open(loop, {.tls = GENERATE(true, false) ? Tls({}) : nullptr});
  SocketClient client(server->port());
  REQUIRE(RunUntil(loop, [&] { return server->connections() == 1; }));
  server.reset();
  CHECK(Beside(loop, [&] { return client.ReadAll(); }).empty());
}

TEST_CASE("A port that is taken and an address that is none are told", "[admin]") {
  io::EventLoop loop;
  const auto server = Open(loop, {});
  const auto second =
      io::AdminServer::Open(loop, {.address = "127.0.0.1", .port = server->port()}, Routes());
  CHECK(absl::IsUnavailable(second.status()));
  CHECK_THAT(std::string(second.status().message()), Contains(std::to_string(server->port())));
  CHECK(absl::IsInvalidArgument(io::AdminServer::Open(loop, {.address = "x"}, {}).status()));
}

TEST_CASE("Without an address both families are served", "[admin]") {
  io::EventLoop loop;
  auto server = io::AdminServer::Open(loop, {}, Routes());
  REQUIRE(server.ok());
  const std::string answer = Beside(loop, [&] {
    SocketClient client((*server)->port());
    client.Send(Get("/hello"));
    return client.ReadAll();
  });
  CHECK_THAT(answer, EndsWith("hello\n"));
}

TEST_CASE("A token decides", "[admin]") {
  io::EventLoop loop;
  std::vector<std::string> asked;
  bool served = false;
  io::Timer later(loop);
  const auto authorize = [&](const std::string& token, std::function<void(io::Access)> done) {
    asked.push_back(token);
    if (token == "nobody") {
      done(io::Access::kUnauthenticated);
    } else if (token == "late") {
      later.ArmAfter(20ms, [done = std::move(done)] { done(io::Access::kAllowed); });
    } else if (token != "never") {
      done(token == "good"     ? io::Access::kAllowed
           : token == "denied" ? io::Access::kDenied
                               : io::Access::kUnavailable);
    }
  };
  const auto server = Open(loop, {.limits = kHasty},
                           {{"/metrics",
                             {.handle =
                                  [&] {
                                    served = true;
                                    return io::AdminAnswer{.body = "up 1\n"};
                                  },
                              .authorize = authorize}}});
  struct Case {
    const char* name;
    const char* header;
    const char* status;
    bool asks;
  };
  const auto c = GENERATE(values<Case>({
      {"none", "", "HTTP/1.1 401 ", false},
      {"empty", "Authorization: Bearer \r\n", "HTTP/1.1 401 ", false},
      {"another scheme", "Authorization: Basic Z29vZA==\r\n", "HTTP/1.1 401 ", false},
      {"nobody's", "Authorization: Bearer nobody\r\n", "HTTP/1.1 401 ", true},
      {"somebody's who may not", "Authorization: Bearer denied\r\n", "HTTP/1.1 403 ", true},
      {"the API server is away", "Authorization: Bearer x\r\n", "HTTP/1.1 503 ", true},
      {"nobody ever answers", "Authorization: Bearer never\r\n", "HTTP/1.1 503 ", true},
      {"good", "Authorization: Bearer good\r\n", "HTTP/1.1 200 ", true},
      {"good, after a while", "Authorization: Bearer late\r\n", "HTTP/1.1 200 ", true},
      {"good, scheme in lower case", "authorization: bearer good\r\n", "HTTP/1.1 200 ", true},
  }));
  DYNAMIC_SECTION(c.name) {
    const std::string answer = Beside(loop, [&] {
      SocketClient client(server->port());
      client.Send(Get("/metrics", c.header));
      return client.ReadAll();
    });
    CHECK_THAT(answer, StartsWith(c.status));
    CHECK(asked.size() == (c.asks ? 1 : 0));
    CHECK(served == (answer.find("up 1") != std::string::npos));
    CHECK(served == std::string(c.status).ends_with("200 "));
    CHECK((answer.find("WWW-Authenticate: Bearer") != std::string::npos) ==
          std::string(c.status).ends_with("401 "));
  }
}

TEST_CASE("TLS 1.3 is served, and TLS 1.2 only where it is wanted", "[admin][tls]") {
  io::EventLoop loop;
  struct Case {
    const char* name;
    io::ServerTlsOptions options;
    int client_max;
    std::string version;  // empty: refused
  };
  const auto c = GENERATE(values<Case>({
      {"defaults", {}, 0, "TLSv1.3"},
      {"an old client", {}, TLS1_2_VERSION, ""},
      {"an old client where it is wanted",
       {.min_version = io::TlsVersion::k12},
       TLS1_2_VERSION,
       "TLSv1.2"},
      {"a suite of TLS 1.2",
       {.min_version = io::TlsVersion::k12,
        .cipher_suites = {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"}},
       TLS1_2_VERSION,
       "TLSv1.2"},
      {"TLS 1.1", {.min_version = io::TlsVersion::k12}, TLS1_1_VERSION, ""},
      {"groups, one of them unknown to OpenSSL", {.groups = {4588, 24}}, 0, "TLSv1.3"},
  }));
  DYNAMIC_SECTION(c.name) {
    const auto server = Open(loop, {.tls = Tls(c.options)});
    const auto [version, answer] = Beside(loop, [&] {
      TlsSocketClient client(server->port(), c.client_max);
      return client.connected() ? std::pair(client.Version(), client.Exchange(Get("/hello")))
                                : std::pair<std::string, std::string>();
    });
    CHECK(version == c.version);
    CHECK(answer.ends_with("hello\n") == !c.version.empty());
  }
}

TEST_CASE("TLS settings that can't be used are told with their flag", "[admin][tls]") {
  const CertificateFolder empty;
  struct Case {
    const char* name;
    io::ServerTlsOptions options;
    std::string word;
  };
  const std::vector<Case> cases = {
      {"suites with TLS 1.3", {.cipher_suites = {"TLS_AES_128_GCM_SHA256"}}, "--tls-min-version"},
      {"no such suite",
       {.min_version = io::TlsVersion::k12, .cipher_suites = {"ROT13"}},
       "\"ROT13\""},
      {"no files", {.certificate_folder = empty.path()}, empty.path() + "/tls.crt"},
  };
  for (const Case& c : cases) {
    DYNAMIC_SECTION(c.name) {
      const auto tls = io::ServerTls::Make(c.options);
      REQUIRE_FALSE(tls.ok());
      CHECK_THAT(std::string(tls.status().message()), Contains(c.word));
    }
  }
  CHECK(*io::ParseTlsVersion("VersionTLS12") == io::TlsVersion::k12);
  CHECK_FALSE(io::ParseTlsVersion("1.3").ok());
}

TEST_CASE("A certificate that is replaced is served, and a broken one is not", "[admin][tls]") {
  const test::TestAuthority authority;
  CertificateFolder folder;
  folder.Write(authority.Issue("first", "IP:127.0.0.1"));
  io::EventLoop loop;
  std::vector<std::string> troubles;
  const auto server = Open(loop, {.tls = Tls({.certificate_folder = folder.path()}),
                                  .on_certificate_trouble = [&](const absl::Status& status) {
                                    troubles.emplace_back(status.message());
                                  }});
  const auto name = [&] {
    return Beside(loop, [&] { return TlsSocketClient(server->port(), 0).PeerName(); });
  };
  CHECK(name() == "first");

  folder.Write(authority.Issue("second", "IP:127.0.0.1"));
  CHECK(name() == "second");
  CHECK(troubles.empty());

  folder.Replace("tls.key", "not a key");
  CHECK(name() == "second");
  CHECK(name() == "second");
  REQUIRE(troubles.size() == 1);
  CHECK_THAT(troubles[0], Contains(folder.path()));

  folder.Write(authority.Issue("third", "IP:127.0.0.1"));
  CHECK(name() == "third");
  CHECK(troubles.size() == 1);
}

}  // namespace stentor
