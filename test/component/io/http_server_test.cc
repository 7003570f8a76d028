// SPDX-License-Identifier: Apache-2.0
#include "common/io/http_server.h"

#include <sys/socket.h>

#include <array>
#include <chrono>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "test/component/io/http_fixture.h"
#include "test/support/catch.h"

namespace stentor {
namespace {

using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;
using test::Beside;
using test::Get;
using test::HelloAndEcho;
using test::kHasty;
using test::OpenHttp;
using test::Post;
using test::RunUntil;
using test::SocketClient;

// What a client that sends `request` gets until the server closes the connection.
std::string AnswerTo(io::EventLoop& loop, const io::HttpServer& server,
                     const std::string& request) {
  return Beside(loop, [&] {
    SocketClient client(server.port());
    client.Send(request);
    return client.ReadAll();
  });
}

std::string Chunked(const std::string& chunks, const std::string& version = "1.1") {
  return "POST /echo HTTP/" + version +
         "\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks;
}

}  // namespace

// Beast would end the program over the fourth octet of an empty body, were its assertions on.
TEST_CASE("A request may come octet by octet", "[http]") {
  io::EventLoop loop;
  const auto server = OpenHttp(loop, {}, HelloAndEcho());
  const std::string request = Chunked(GENERATE("0\r\n\r\n", "2\r\nab\r\n0\r\nA: b\r\n\r\n"));
  const std::string answer = Beside(loop, [&] {
    SocketClient client(server->port());
    for (const char octet : request) {
      client.Send({octet});
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return client.ReadAll();
  });
  CHECK(answer.starts_with("HTTP/1.1 200 "));
}

TEST_CASE("Each path and method has its answer", "[http]") {
  io::EventLoop loop;
  const auto server = OpenHttp(loop, {}, HelloAndEcho());
  struct Case {
    const char* name;
    std::string request;
    const char* status;
    const char* end;
  };
  const auto c = GENERATE(values<Case>({
      {"a path", Get("/hello"), "HTTP/1.1 200 ", "\r\n\r\nhello\n"},
      {"with a query", Get("/hello?verbose=1"), "HTTP/1.1 200 ", "\r\n\r\nhello\n"},
      {"an answer that is not 200", Get("/sick"), "HTTP/1.1 503 ", "\r\n\r\nsick\n"},
      {"another path", Get("/"), "HTTP/1.1 404 ", "\n"},
      {"a longer path", Get("/hello/"), "HTTP/1.1 404 ", "\n"},
      {"a path in capitals", Get("/Hello"), "HTTP/1.1 404 ", "\n"},
      {"HEAD has no body", "HEAD /hello HTTP/1.1\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 ",
       "\r\n\r\n"},
      {"HTTP/1.0", "GET /hello HTTP/1.0\r\n\r\n", "HTTP/1.1 200 ", "hello\n"},
      {"HTTP/1.0 is not kept", "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
       "HTTP/1.1 200 ", "hello\n"},
      {"GET with a body of no octets", Get("/hello", "Content-Length: 0\r\n"), "HTTP/1.1 200 ",
       "hello\n"},
      {"GET with a body", Get("/hello", "Content-Length: 5\r\n") + "hello", "HTTP/1.1 413 ",
       "no body here\n"},
      {"GET with a body in chunks", Get("/hello", "Transfer-Encoding: chunked\r\n") + "0\r\n\r\n",
       "HTTP/1.1 413 ", "no body here\n"},
      {"a POST to a path without", Post("/none", "hello"), "HTTP/1.1 404 ", "nothing here\n"},
  }));
  DYNAMIC_SECTION(c.name) {
    CHECK_THAT(AnswerTo(loop, *server, c.request), StartsWith(c.status) && EndsWith(c.end));
    CHECK(RunUntil(loop, [&] { return server->connections() == 0; }));
  }
}

TEST_CASE("A server that is about to end keeps no connection", "[http]") {
  io::EventLoop loop;
  const auto server = OpenHttp(loop, {}, HelloAndEcho());
  server->KeepNoConnections();
  const std::string answer = AnswerTo(loop, *server, "GET /hello HTTP/1.1\r\n\r\n");
  CHECK_THAT(answer, StartsWith("HTTP/1.1 200 ") && Contains("Connection: close\r\n") &&
                         EndsWith("hello\n"));
  CHECK(RunUntil(loop, [&] { return server->connections() == 0; }));
}

TEST_CASE("Another method is told which are allowed", "[http]") {
  io::EventLoop loop;
  const auto server = OpenHttp(loop, {}, HelloAndEcho());
  struct Case {
    const char* request_line;
    const char* allow;
  };
  const auto c = GENERATE(values<Case>({
      {"DELETE /hello", "Allow: GET, HEAD\r\n"},
      {"POST /hello", "Allow: GET, HEAD\r\n"},
      {"OPTIONS /hello", "Allow: GET, HEAD\r\n"},
      {"TRACE /hello", "Allow: GET, HEAD\r\n"},
      {"get /hello", "Allow: GET, HEAD\r\n"},
      {"BREW /hello", "Allow: GET, HEAD\r\n"},
      {"GET /echo", "Allow: POST\r\n"},
      {"HEAD /echo", "Allow: POST\r\n"},
      {"PUT /echo?timeout=10s", "Allow: POST\r\n"},
      {"PATCH /echo", "Allow: POST\r\n"},
  }));
  DYNAMIC_SECTION(c.request_line) {
    const std::string answer =
        AnswerTo(loop, *server,
                 std::string(c.request_line) +
                     " HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    CHECK_THAT(answer, StartsWith("HTTP/1.1 405 ") && Contains(c.allow));
  }
}

TEST_CASE("A body is handed over whole, with target and content type", "[http]") {
  io::EventLoop loop;
  const auto server = OpenHttp(loop, {.limits = {.body_bytes = 100'000}}, HelloAndEcho());
  const std::string most(100'000, 'x');
  struct Case {
    const char* name;
    std::string request;
    std::string body;
  };
  const auto c = GENERATE_COPY(values<Case>({
      {"a short one", Post("/echo", "{}"), "/echo||{}"},
      {"none announced", "POST /echo HTTP/1.1\r\nConnection: close\r\n\r\n", "/echo||"},
      {"one of no octets", Post("/echo", ""), "/echo||"},
      {"with a query, as the API server sends it", Post("/echo?timeout=10s", "{}"),
       "/echo?timeout=10s||{}"},
      {"with a content type", Post("/echo", "{}", "Content-Type: application/json\r\n"),
       "/echo|application/json|{}"},
      {"with all octets there are", Post("/echo", std::string("\0\r\n\xff", 4)),
       "/echo||" + std::string("\0\r\n\xff", 4)},
      {"the longest", Post("/echo", most), "/echo||" + most},
      {"in one chunk", Chunked("5\r\nhello\r\n0\r\n\r\n"), "/echo||hello"},
      {"in several chunks", Chunked("1\r\nh\r\n0003\r\nell\r\n1;ext=1\r\no\r\n0\r\n\r\n"),
       "/echo||hello"},
      {"in chunks with a trailer", Chunked("5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"), "/echo||hello"},
      {"in no chunk", Chunked("0\r\n\r\n"), "/echo||"},
      {"the longest, in chunks", Chunked("186A0\r\n" + most + "\r\n0\r\n\r\n"), "/echo||" + most},
      {"that says that it is expected, with the body",
       Post("/echo", "{}", "Expect: 100-continue\r\n"), "/echo||{}"},
  }));
  DYNAMIC_SECTION(c.name) {
    const std::string answer = AnswerTo(loop, *server, c.request);
    CHECK_THAT(answer, StartsWith("HTTP/1.1 200 "));
    const std::size_t end = answer.find("\r\n\r\n");
    REQUIRE(end != std::string::npos);
    CHECK((answer.substr(end + 4) == c.body));
    CHECK(RunUntil(loop, [&] { return server->connections() == 0; }));
  }
}

TEST_CASE("Who expects 100-continue is told to go on, or why not", "[http]") {
  io::EventLoop loop;
  const auto server = OpenHttp(loop, {.limits = {.body_bytes = 100}}, HelloAndEcho());
  struct Case {
    const char* name;
    std::string header;
    const char* answer;
  };
  const auto c = GENERATE(values<Case>({
      {"a body that fits", "POST /echo HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n",
       "HTTP/1.1 100 Continue\r\n\r\n"},
      {"in chunks", "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-Continue\r\n",
       "HTTP/1.1 100 Continue\r\n\r\n"},
      {"a body that is too long",
       "POST /echo HTTP/1.1\r\nContent-Length: 101\r\nExpect: 100-continue\r\n", "HTTP/1.1 413 "},
      {"another path", "POST /none HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n",
       "HTTP/1.1 404 "},
      {"something else", "POST /echo HTTP/1.1\r\nContent-Length: 5\r\nExpect: the worst\r\n",
       "HTTP/1.1 417 "},
  }));
  DYNAMIC_SECTION(c.name) {
    const auto [first, second] = Beside(loop, [&] {
      SocketClient client(server->port());
      client.Send(c.header + "\r\n");
      const std::string before = client.ReadAnswer();
      if (!before.starts_with("HTTP/1.1 100 ")) {
        return std::pair(before, std::string());
      }
      client.Send(c.header.find("chunked") == std::string::npos ? "hello"
                                                                : "5\r\nhello\r\n0\r\n\r\n");
      return std::pair(before, client.ReadAnswer());
    });
    CHECK_THAT(first, StartsWith(c.answer));
    CHECK(second.ends_with("|hello") == first.starts_with("HTTP/1.1 100 "));
  }
}

TEST_CASE("A body that is too long is refused before it is read", "[http]") {
  io::EventLoop loop;
  const auto server = OpenHttp(loop, {.limits = {.body_bytes = 100}}, HelloAndEcho());
  struct Case {
    const char* name;
    std::string request;
  };
  const auto c = GENERATE(values<Case>({
      {"announced", "POST /echo HTTP/1.1\r\nContent-Length: 101\r\n\r\n"},
      {"announced as endless",
       "POST /echo HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n"},
      {"announced, and it comes", Post("/echo", std::string(1'000'000, 'x'))},
      {"in one chunk", Chunked("65\r\n")},
      {"in several chunks", Chunked("64\r\n" + std::string(100, 'x') + "\r\n1\r\n")},
      {"in an endless chunk", Chunked("ffffffffffffffff\r\n")},
  }));
  DYNAMIC_SECTION(c.name) {
    CHECK_THAT(AnswerTo(loop, *server, c.request),
               StartsWith("HTTP/1.1 413 ") && Contains("Connection: close\r\n"));
    CHECK(RunUntil(loop, [&] { return server->connections() == 0; }));
  }
}

TEST_CASE("What is no HTTP/1.1 is refused, and the connection closed", "[http]") {
  io::EventLoop loop;
  bool handled = false;
  const auto server = OpenHttp(loop, {},
                               {{.path = [](std::string_view) { return true; },
                                 .method = io::HttpMethod::kPost,
                                 .handle = io::AnswerNow([&](const io::HttpRequest&) {
                                   handled = true;
                                   return io::HttpAnswer{};
                                 })}});
  struct Case {
    const char* name;
    std::string request;
    const char* status;
  };
  const auto c = GENERATE(values<Case>({
      {"another protocol", "hello there\r\n\r\n", "HTTP/1.1 400 "},
      {"HTTP/0.9", "POST /\r\n\r\n", "HTTP/1.1 400 "},
      {"HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 505 "},
      {"HTTP/2's preface with a frame",
       "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + std::string("\0\0\0\4\0\0\0\0\0", 9), "HTTP/1.1 505 "},
      {"HTTP/3.0", "POST / HTTP/3.0\r\n\r\n", "HTTP/1.1 505 "},
      {"HTTP/1.2", "POST / HTTP/1.2\r\n\r\n", "HTTP/1.1 505 "},
      {"a TLS client", std::string("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00\r\n\r\n", 14),
       "HTTP/1.1 400 "},
      {"lines without CR", "POST / HTTP/1.1\nContent-Length: 0\n\n", "HTTP/1.1 505 "},
      {"a space in a field's name", "POST / HTTP/1.1\r\nContent Length: 0\r\n\r\n",
       "HTTP/1.1 400 "},
      {"a space after a field's name", "POST / HTTP/1.1\r\nContent-Length : 0\r\n\r\n",
       "HTTP/1.1 400 "},
      {"a zero in a field", std::string("POST / HTTP/1.1\r\nX: a\0b\r\n\r\n", 26), "HTTP/1.1 400 "},
      {"a zero in the path", std::string("POST /\0 HTTP/1.1\r\n\r\n", 20), "HTTP/1.1 400 "},
      {"no path", "POST  HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
      {"a negative length", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 400 "},
      {"a length in hex", "POST / HTTP/1.1\r\nContent-Length: 0x5\r\n\r\nhello", "HTTP/1.1 400 "},
      {"a length beyond 64 bits", "POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n",
       "HTTP/1.1 400 "},
      {"an empty length", "POST / HTTP/1.1\r\nContent-Length: \r\n\r\n", "HTTP/1.1 400 "},
      {"two lengths", "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nhe",
       "HTTP/1.1 400 "},
      {"a length and chunks",
       "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       "HTTP/1.1 400 "},
      {"chunks and a length",
       "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
       "HTTP/1.1 400 "},
      {"another transfer encoding", "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
       "HTTP/1.1 400 "},
      {"chunked, and then another", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
       "HTTP/1.1 400 "},
      {"chunked twice",
       "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
       "HTTP/1.1 400 "},
      {"chunks in HTTP/1.0", Chunked("0\r\n\r\n", "1.0"), "HTTP/1.1 400 "},
      {"a chunk's length that is none", Chunked("five\r\nhello\r\n"), "HTTP/1.1 400 "},
      {"a chunk's length that is negative", Chunked("-5\r\nhello\r\n"), "HTTP/1.1 400 "},
      {"a chunk's length beyond 64 bits", Chunked("10000000000000000\r\n"), "HTTP/1.1 400 "},
      {"a chunk longer than it says", Chunked("1\r\nhello\r\n0\r\n\r\n"), "HTTP/1.1 400 "},
      {"a header that is too long", Get("/hello", "X: " + std::string(9000, 'x') + "\r\n"),
       "HTTP/1.1 431 "},
      {"a header without an end", "GET /hello HTTP/1.1\r\nX: " + std::string(100000, 'x'),
       "HTTP/1.1 431 "},
      {"a path without an end", "GET /" + std::string(100000, 'x'), "HTTP/1.1 431 "},
      {"a method without an end", std::string(100000, 'X'), "HTTP/1.1 431 "},
      {"fields without an end",
       "GET / HTTP/1.1\r\n" +
           [] {
             std::string fields;
             for (int i = 0; i < 5000; ++i) {
               fields += "A: b\r\n";
             }
             return fields;
           }(),
       "HTTP/1.1 431 "},
  }));
  DYNAMIC_SECTION(c.name) {
    CHECK_THAT(AnswerTo(loop, *server, c.request), StartsWith(c.status));
    CHECK_FALSE(handled);
    CHECK(RunUntil(loop, [&] { return server->connections() == 0; }));
  }
}

TEST_CASE("A client that goes amid its request leaves nothing behind", "[http]") {
  io::EventLoop loop;
  bool handled = false;
  const auto server = OpenHttp(loop, {},
                               {{.path = io::ExactPath("/echo"),
                                 .method = io::HttpMethod::kPost,
                                 .handle = io::AnswerNow([&](const io::HttpRequest&) {
                                   handled = true;
                                   return io::HttpAnswer{};
                                 })}});
  const std::string begun =
      GENERATE("", "POST", "POST /echo HTTP/1.1\r\nContent-Length: 5\r\n",
               "POST /echo HTTP/1.1\r\nContent-Length: 5\r\n\r\nhell",
               "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n");
  DYNAMIC_SECTION("after " << begun.size() << " octets") {
    Beside(loop, [&] {
      SocketClient client(server->port());
      client.Send(begun);
      return 0;
    });
    CHECK(RunUntil(loop,
                   [&] { return server->counts().accepted == 1 && server->connections() == 0; }));
    CHECK_FALSE(handled);
  }
}

TEST_CASE("Whatever octets come, the server goes on", "[http]") {
  io::EventLoop loop;
  const auto server = OpenHttp(loop, {.limits = kHasty}, HelloAndEcho());
  const std::vector<std::string> seeds = {
      Get("/hello", "Authorization: Bearer x\r\n"), Post("/echo?timeout=10s", "{\"a\": 1}"),
      Chunked("5\r\nhello\r\n1;a=b\r\no\r\n0\r\nX: y\r\n\r\n"),
      Post("/echo", "hello", "Expect: 100-continue\r\n") + Get("/hello")};
  std::mt19937 random(20260721);  // NOLINT(cert-msc51-cpp): the same octets each time
  const auto pick = [&random](std::size_t count) { return random() % count; };
  for (int i = 0; i < 300; ++i) {
    std::string request = seeds[pick(seeds.size())];
    for (std::size_t edits = 1 + pick(4); edits > 0; --edits) {
      const std::size_t at = pick(request.size());
      switch (pick(4)) {
        case 0:
          request[at] = static_cast<char>(pick(256));
          break;
        case 1:
          request.erase(at, 1 + pick(5));
          break;
        case 2:
          request.insert(at, 1 + pick(3), "\r\n: 0;"[pick(7)]);
          break;
        default:
          request += seeds[pick(seeds.size())];
      }
      if (request.empty()) {
        request = "x";
      }
    }
    const std::string answer = Beside(loop, [&] {
      SocketClient client(server->port());
      client.Send(request);
      shutdown(client.fd(), SHUT_WR);
      return client.ReadAll();
    });
    INFO(request);
    CHECK((answer.empty() || answer.starts_with("HTTP/1.1 ")));
    CHECK_THAT(answer, !EndsWith("timeout"));
  }
  CHECK(RunUntil(loop, [&] { return server->connections() == 0; }));
  CHECK_THAT(AnswerTo(loop, *server, Get("/hello")), EndsWith("hello\n"));
}

TEST_CASE("A connection is kept for the next request, and pipelined ones are answered", "[http]") {
  io::EventLoop loop;
  const auto server = OpenHttp(loop, {}, HelloAndEcho());
  const auto answers = Beside(loop, [&] {
    SocketClient client(server->port());
    client.Send("GET /hello HTTP/1.1\r\n\r\n");
    std::vector<std::string> all = {client.ReadAnswer()};
    client.Send(
        "GET /none HTTP/1.1\r\n\r\n"
        "POST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\none"
        "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"
        "HEAD /sick HTTP/1.1\r\nConnection: close\r\n\r\n"
        "GET /hello HTTP/1.1\r\n\r\n");
    for (int i = 0; i < 3; ++i) {
      all.push_back(client.ReadAnswer());
    }
    all.push_back(client.ReadAll());
    return all;
  });
  CHECK_THAT(answers[0], EndsWith("hello\n"));
  CHECK_THAT(answers[1], StartsWith("HTTP/1.1 404 "));
  CHECK_THAT(answers[2], EndsWith("/echo||one"));
  CHECK_THAT(answers[3], EndsWith("/echo||two"));
  CHECK_THAT(answers[4], StartsWith("HTTP/1.1 503 ") && EndsWith("\r\n\r\n"));
  CHECK(server->counts().requests == 5);
}

TEST_CASE("A handler may answer later, once, or never", "[http]") {
  io::EventLoop loop;
  std::optional<io::HttpReply> kept;
  io::Timer later(loop);
  auto server = OpenHttp(
      loop, {.limits = kHasty},
      {{.path = io::ExactPath("/later"),
        .method = io::HttpMethod::kPost,
        .handle =
            [&](const io::HttpRequest& request, const io::HttpReply& reply) {
              later.ArmAfter(20ms, [reply, body = request.body] { reply({.body = body}); });
            }},
       {.path = io::ExactPath("/twice"),
        .handle =
            [](const io::HttpRequest&, const io::HttpReply& reply) {
              reply({.body = "first"});
              reply({.body = "second"});
            }},
       {.path = io::ExactPath("/never"),
        .handle = [&](const io::HttpRequest&, const io::HttpReply& reply) { kept = reply; }}});

  SECTION("later") {
    CHECK_THAT(AnswerTo(loop, *server, Post("/later", "hello")), EndsWith("\r\n\r\nhello"));
  }
  SECTION("twice") {
    CHECK_THAT(AnswerTo(loop, *server, Get("/twice")), EndsWith("\r\n\r\nfirst"));
  }
  SECTION("never") {
    CHECK_THAT(AnswerTo(loop, *server, Get("/never")), StartsWith("HTTP/1.1 503 "));
    REQUIRE(kept.has_value());
    (*kept)({.body = "too late"});
    CHECK(RunUntil(loop, [&] { return server->connections() == 0; }));
  }
  SECTION("never, and the next request on the connection") {
    const auto [first, second] = Beside(loop, [&] {
      SocketClient client(server->port());
      client.Send("GET /never HTTP/1.1\r\n\r\nGET /twice HTTP/1.1\r\n\r\n");
      const std::string answer = client.ReadAnswer();
      return std::pair(answer, client.ReadAnswer());
    });
    CHECK_THAT(first, StartsWith("HTTP/1.1 503 "));
    CHECK_THAT(second, EndsWith("first"));
  }
  SECTION("when the client has gone") {
    Beside(loop, [&] {
      SocketClient client(server->port());
      client.Send(Get("/never"));
      return 0;
    });
    REQUIRE(RunUntil(loop, [&] { return kept.has_value(); }));
    (*kept)({.body = "for nobody"});
    CHECK(RunUntil(loop, [&] { return server->connections() == 0; }));
  }
  SECTION("when the server has gone") {
    SocketClient client(server->port());
    client.Send(Get("/never"));
    REQUIRE(RunUntil(loop, [&] { return kept.has_value(); }));
    server.reset();
    (*kept)({.body = "for nobody"});
    CHECK(Beside(loop, [&] { return client.ReadAll(); }).empty());
  }
}

TEST_CASE("A port that is taken and an address that is none are told", "[http]") {
  io::EventLoop loop;
  const auto server = OpenHttp(loop, {}, HelloAndEcho());
  const auto second =
      io::HttpServer::Open(loop, {.address = "127.0.0.1", .port = server->port()}, HelloAndEcho());
  CHECK(absl::IsUnavailable(second.status()));
  CHECK_THAT(std::string(second.status().message()), Contains(std::to_string(server->port())));
  CHECK(absl::IsInvalidArgument(io::HttpServer::Open(loop, {.address = "x"}, {}).status()));
}

TEST_CASE("Without an address both families are served", "[http]") {
  io::EventLoop loop;
  auto server = io::HttpServer::Open(loop, {}, HelloAndEcho());
  REQUIRE(server.ok());
  CHECK_THAT(AnswerTo(loop, **server, Get("/hello")), EndsWith("hello\n"));
}

TEST_CASE("A token decides", "[http]") {
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
  const auto handle = io::AnswerNow([&](const io::HttpRequest& request) {
    served = true;
    return io::HttpAnswer{.body = "up " + request.body + "\n"};
  });
  const auto server =
      OpenHttp(loop, {.limits = kHasty},
               {{.path = io::ExactPath("/metrics"), .handle = handle, .authorize = authorize},
                {.path = io::ExactPath("/post"),
                 .method = io::HttpMethod::kPost,
                 .handle = handle,
                 .authorize = authorize}});
  struct Case {
    const char* name;
    const char* field;
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
  const bool post = GENERATE(false, true);
  DYNAMIC_SECTION(c.name << (post ? ", with a body" : "")) {
    const std::string answer = AnswerTo(
        loop, *server, post ? Post("/post", "and running", c.field) : Get("/metrics", c.field));
    CHECK_THAT(answer, StartsWith(c.status));
    CHECK(asked.size() == (c.asks ? 1 : 0));
    CHECK(served == (answer.find(post ? "up and running" : "up ") != std::string::npos));
    CHECK(served == std::string(c.status).ends_with("200 "));
    CHECK((answer.find("WWW-Authenticate: Bearer") != std::string::npos) ==
          std::string(c.status).ends_with("401 "));
  }
}

}  // namespace stentor
