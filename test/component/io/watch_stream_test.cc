// SPDX-License-Identifier: Apache-2.0

/// \file
/// A watch of the transport, against servers that answer as they like.

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "test/component/io/fixture.h"
#include "test/component/io/scripted_server.h"
#include "test/component/io/temporary_file.h"
#include "test/support/catch.h"
#include "test/support/fake_api_server.h"

namespace stentor {
namespace {

using Catch::Contains;
using std::chrono::milliseconds;
using test::Drips;
using test::FakeApiServer;
using test::RunUntil;
using test::Says;
using test::SaysNothing;
using test::ScriptedServer;
using test::Transport;

constexpr std::size_t kMaxErrorBody = std::size_t{64} << 10U;
const char* const kWatch = "/api/v1/configmaps?watch=true&resourceVersion=1";
const std::string kChunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

config::ClientConfig Plain(const ScriptedServer& server) {
  return {.server = "http://127.0.0.1:" + std::to_string(server.port())};
}

// Each octet in a packet of its own.
ScriptedServer::Script Dribbles(std::string text) {
  return [text = std::move(text)](int fd, const std::atomic<bool>&) {
    for (const char octet : text) {
      test::SendAll(fd, {&octet, 1});
      std::this_thread::sleep_for(milliseconds(2));
    }
  };
}

// What a watch has told, in its order.
struct Told {
  int opened = 0;
  std::string bytes;
  std::size_t pieces = 0;
  std::optional<absl::Status> end;
  std::optional<Duration> retry_after;

  [[nodiscard]] kube::WatchEvents Events() {
    return {.on_open =
                [this] {
                  CHECK(bytes.empty());
                  ++opened;
                },
            .on_bytes =
                [this](std::string_view piece) {
                  CHECK((opened == 1 && !end));
                  bytes += piece;
                  ++pieces;
                },
            .on_end =
                [this](const absl::Status& status, std::optional<Duration> after) {
                  CHECK_FALSE(end);
                  end = status;
                  retry_after = after;
                }};
  }
};

// A whole watch of `server`.
Told Watch(const ScriptedServer& server, const io::TransportLimits& limits = {}) {
  io::EventLoop loop;
  const auto transport = Transport(loop, Plain(server), limits);
  Told told;
  const auto call = transport->Watch(kWatch, told.Events());
  CHECK_FALSE(told.end);  // never from within the call
  REQUIRE(RunUntil(loop, [&told] { return told.end.has_value(); }));
  return told;
}

}  // namespace

TEST_CASE("How a watch ends is told by how its answer does", "[watch]") {
  struct Case {
    const char* description;
    ScriptedServer::Script script;
    absl::StatusCode code;
    std::string bytes;
    std::string why;
  };
  const auto c = GENERATE(values<Case>({
      {"in order", Says(kChunked + "4\r\nabcd\r\n2\r\nef\r\n0\r\n\r\n"), absl::StatusCode::kOk,
       "abcdef", ""},
      {"of a length", Says("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"),
       absl::StatusCode::kOk, "abc", ""},
      {"with the connection, where no length was told", Says("HTTP/1.1 200 OK\r\n\r\nabc"),
       absl::StatusCode::kOk, "abc", ""},
      {"empty", Says(kChunked + "0\r\n\r\n"), absl::StatusCode::kOk, "", ""},
      {"empty, octet by octet", Dribbles(kChunked + "0\r\n\r\n"), absl::StatusCode::kOk, "", ""},
      {"octet by octet", Dribbles(kChunked + "1\r\na\r\n0\r\n\r\n"), absl::StatusCode::kOk, "a",
       ""},
      {"within a chunk", Says(kChunked + "9\r\nabcd"), absl::StatusCode::kUnavailable, "abcd",
       "broke off"},
      {"between chunks", Says(kChunked + "4\r\nabcd\r\n"), absl::StatusCode::kUnavailable, "abcd",
       "broke off"},
      {"with a chunk of no length", Says(kChunked + "4\r\nabcd\r\nxyz\r\n"),
       absl::StatusCode::kUnavailable, "abcd", "broke off"},
      {"with a chunk longer than any", Says(kChunked + std::string(40, 'f') + "\r\n"),
       absl::StatusCode::kUnavailable, "", "broke off"},
      {"with extensions of a chunk without end", Drips(kChunked + "4;", std::string(4000, 'x')),
       absl::StatusCode::kUnavailable, "", "broke off"},
      {"before a word", Says(""), absl::StatusCode::kUnavailable, "", "client certificate?"},
      {"with what is no HTTP", Says("220 mail.example ESMTP\r\n\r\n"),
       absl::StatusCode::kUnavailable, "", "no HTTP"},
      {"with a header without end", Drips("HTTP/1.1 200 OK\r\nX: ", std::string(4000, 'x')),
       absl::StatusCode::kUnavailable, "", "no HTTP"},
      {"refused",
       Says("HTTP/1.1 403 Forbidden\r\nContent-Length: 40\r\n\r\n"
            R"({"kind":"Status","message":"not for you"})"),
       absl::StatusCode::kPermissionDenied, "", ""},
      {"moved",
       Says("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\n"
            "Content-Length: 0\r\n\r\n"),
       absl::StatusCode::kUnavailable, "", ""},
  }));
  DYNAMIC_SECTION(c.description) {
    const ScriptedServer server(c.script);
    const Told told = Watch(server);
    INFO(*told.end);
    CHECK(told.end->code() == c.code);
    CHECK(told.bytes == c.bytes);
    CHECK_THAT(std::string(told.end->message()), Contains(c.why));
    // What was opened is not asked for again behind the caller's back.
    CHECK((told.opened == 0 || server.accepted() == 1));
  }
}

TEST_CASE("A refusal is told with its message and Retry-After, and bounded", "[watch]") {
  SECTION("a short one") {
    const ScriptedServer server(
        Says("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 29\r\n\r\n"
             R"({"message":"too many watches"})"));
    const Told told = Watch(server);
    CHECK(absl::IsUnavailable(*told.end));
    CHECK(told.retry_after == Duration(std::chrono::seconds(7)));
    CHECK(told.opened == 0);
  }
  SECTION("one without end") {
    const ScriptedServer server(
        Drips("HTTP/1.1 500 Internal Server Error\r\n\r\n", std::string(kMaxErrorBody / 4, 'x')));
    const Told told = Watch(server);
    CHECK(absl::IsUnavailable(*told.end));
    CHECK(told.bytes.empty());
  }
}

TEST_CASE("A long event arrives whole, piece by piece", "[watch]") {
  constexpr std::size_t kLength = std::size_t{1} << 20U;
  std::string event;
  while (event.size() < kLength) {
    event += std::to_string(event.size());
  }
  std::ostringstream head;
  head << kChunked << std::hex << event.size() << "\r\n";
  const ScriptedServer server(Says(head.str() + event + "\r\n0\r\n\r\n"));
  const Told told = Watch(server);
  CHECK(told.end->ok());
  CHECK((told.bytes == event));
  CHECK(told.pieces > 8);
  CHECK(told.pieces < kLength / 1024);
}

TEST_CASE("A watch is given up when nothing has come for long, and only then", "[watch]") {
  const milliseconds idle(1000);
  SECTION("silence instead of an answer") {
    const ScriptedServer server(SaysNothing);
    const Told told = Watch(server, {.watch_idle = idle});
    CHECK(absl::IsDeadlineExceeded(*told.end));
    CHECK(told.opened == 0);
  }
  SECTION("silence after some events") {
    const ScriptedServer server([](int fd, const std::atomic<bool>& stop) {
      test::SendAll(fd, kChunked + "4\r\nabcd\r\n");
      SaysNothing(fd, stop);
    });
    const Told told = Watch(server, {.watch_idle = idle});
    CHECK(absl::IsDeadlineExceeded(*told.end));
    CHECK(told.bytes == "abcd");
  }
  SECTION("now and then an event") {
    const ScriptedServer server(Drips(kChunked, "1\r\nx\r\n"));
    io::EventLoop loop;
    const auto transport = Transport(loop, Plain(server), {.watch_idle = idle});
    Told told;
    const auto call = transport->Watch(kWatch, told.Events());
    const TimePoint until = loop.Now() + 3 * idle;
    CHECK(RunUntil(loop, [&] { return loop.Now() >= until; }));
    CHECK_FALSE(told.end);
    CHECK_FALSE(told.bytes.empty());
  }
}

TEST_CASE("Whoever is told something may end the watch", "[watch]") {
  const bool ends = GENERATE(true, false);
  const ScriptedServer server(ends ? Says(kChunked + "4\r\nabcd\r\n0\r\n\r\n")
                                   : Drips(kChunked, "4\r\nabcd\r\n"));
  io::EventLoop loop;
  const auto transport = Transport(loop, Plain(server));
  std::unique_ptr<kube::KubeCall> call;
  int told_since = 0;
  bool over = false;
  const auto end_it = [&](bool here) {
    told_since += over ? 1 : 0;
    if (here) {
      over = true;
      call.reset();
    }
  };
  const int where = GENERATE(0, 1, 2);
  if (where == 2 && !ends) {
    return;
  }
  call = transport->Watch(kWatch, {.on_open = [&] { end_it(where == 0); },
                                   .on_bytes = [&](std::string_view) { end_it(where == 1); },
                                   .on_end = [&](const auto&, auto) { end_it(where == 2); }});
  REQUIRE(RunUntil(loop, [&] { return over; }));
  const TimePoint until = loop.Now() + milliseconds(50);
  REQUIRE(RunUntil(loop, [&] { return loop.Now() >= until; }));
  CHECK(told_since == 0);
}

TEST_CASE("A watch is asked for as a request is", "[watch]") {
  FakeApiServer server;
  const test::TemporaryFile file("first");
  io::EventLoop loop;
  config::ClientConfig config = {.server = server.url()};
  config.token_file = file.path();
  const auto transport = Transport(loop, config);
  server.RequireToken("first");
  Told first;
  const auto before = transport->Watch(kWatch, first.Events());
  REQUIRE(RunUntil(loop, [&] { return first.opened == 1; }));
  const test::SeenRequest seen = server.requests().back();
  CHECK(seen.method == "GET");
  CHECK(seen.target == kWatch);
  CHECK(seen.authorization == "Bearer first");
  CHECK("http://" + seen.host == server.url());
  // A token that has been replaced is read again after a 401, and the open watch goes on.
  server.RequireToken("second");
  file.Write("second");
  Told second;
  const auto after = transport->Watch(kWatch, second.Events());
  REQUIRE(RunUntil(loop, [&] { return second.opened == 1; }));
  CHECK(server.CountOf("watch=true") == 3);
  CHECK_FALSE(first.end);
}

TEST_CASE("What stands in the server's URL stands before each path", "[watch]") {
  FakeApiServer server;
  io::EventLoop loop;
  const std::string base = GENERATE("", "/", "/k8s/clusters/c%2D1", "/k8s/clusters/c%2D1/");
  const auto transport = Transport(loop, {.server = server.url() + base});
  const std::string path = base.size() > 1 ? "/k8s/clusters/c%2D1" : "";
  (void)test::Send(loop, *transport, {.path = "/api/v1/configmaps?limit=1"});
  CHECK(server.requests().back().target == path + "/api/v1/configmaps?limit=1");
  Told told;
  const auto call = transport->Watch(kWatch, told.Events());
  REQUIRE(RunUntil(loop, [&] { return server.requests().size() == 2; }));
  CHECK(server.requests().back().target == path + kWatch);
}

TEST_CASE("A token that no header can hold is refused", "[watch]") {
  const FakeApiServer server;
  io::EventLoop loop;
  const auto transport =
      Transport(loop, {.server = server.url(), .token = std::string(70'000, 't')});
  Told told;
  const auto call = transport->Watch(kWatch, told.Events());
  CHECK_FALSE(told.end);
  REQUIRE(RunUntil(loop, [&] { return told.end.has_value(); }));
  CHECK(absl::IsInvalidArgument(*told.end));
}

TEST_CASE("The server of a watch is verified", "[watch][tls]") {
  const test::TestAuthority authority;
  const test::TestAuthority other;
  struct Case {
    const char* description;
    const char* name;
    bool trusted;
    bool verifies;
    bool works;
  };
  const auto c = GENERATE(values<Case>({{"right", "IP:127.0.0.1", true, true, true},
                                        {"another authority", "IP:127.0.0.1", false, true, false},
                                        {"another name", "IP:127.0.0.2", true, true, false},
                                        {"not asked for", "IP:127.0.0.2", false, false, true}}));
  DYNAMIC_SECTION(c.description) {
    FakeApiServer server({.identity = authority.Issue("api", c.name), .client_authority = ""});
    io::EventLoop loop;
    const auto transport = Transport(
        loop, {.server = server.url(),
               .certificate_authority = {.file = "",
                                         .data = (c.trusted ? authority : other).certificate()},
               .insecure_skip_tls_verify = !c.verifies});
    Told told;
    const auto call = transport->Watch(kWatch, told.Events());
    REQUIRE(RunUntil(loop, [&] { return told.end || told.opened == 1; }));
    CHECK(told.opened == (c.works ? 1 : 0));
    if (!c.works) {
      CHECK(absl::IsUnavailable(*told.end));
      CHECK_THAT(std::string(told.end->message()), Contains("configured authority"));
      CHECK(server.requests().empty());
    }
  }
}

TEST_CASE("A server that can't be found is one clear error", "[watch]") {
  io::EventLoop loop;
  // Longer than a label may be: no server is asked.
  const auto transport =
      Transport(loop, {.server = "http://" + std::string(64, 'a') + ".invalid:8080"});
  Told told;
  const auto call = transport->Watch(kWatch, told.Events());
  REQUIRE(RunUntil(loop, [&] { return told.end.has_value(); }));
  CHECK(absl::IsUnavailable(*told.end));
  CHECK_THAT(std::string(told.end->message()), Contains("resolve"));
}

}  // namespace stentor
