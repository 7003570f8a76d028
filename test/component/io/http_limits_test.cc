// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/io/http_server.h"
#include "test/component/io/http_fixture.h"
#include "test/support/catch.h"

namespace stentor {
namespace {

using namespace std::chrono_literals;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;
using test::Beside;
using test::Get;
using test::HelloAndEcho;
using test::kHasty;
using test::MakeTls;
using test::OpenHttp;
using test::Post;
using test::RunUntil;
using test::SocketClient;
using test::TlsSocketClient;

constexpr std::size_t kMiB = std::size_t{1} << 20U;

std::string Ask(io::EventLoop& loop, const io::HttpServer& server, const std::string& request) {
  return Beside(loop, [&] {
    SocketClient client(server.port());
    client.Send(request);
    return client.ReadAll();
  });
}

// HelloAndEcho(), and GET /large: an answer of `octets`.
std::vector<io::HttpRoute> WithLarge(std::size_t octets) {
  auto routes = HelloAndEcho();
  routes.push_back(
      {.path = io::ExactPath("/large"), .handle = io::AnswerNow([octets](const io::HttpRequest&) {
                                          return io::HttpAnswer{.body = std::string(octets, 'x')};
                                        })});
  return routes;
}

}  // namespace

TEST_CASE("Who is silent or slow is closed", "[http][limits]") {
  io::EventLoop loop;
  struct Case {
    const char* name;
    bool tls;
    std::vector<std::string> sends;  // 50 ms apart
    bool answered;                   // the first of them
  };
  const std::string header = "POST /echo HTTP/1.1\r\nContent-Length: 11\r\n\r\n";
  const std::string chunked = "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  const auto c = GENERATE_COPY(values<Case>({
      {"says nothing", false, {}, false},
      {"stops in its header", false, {"GET /hel"}, false},
      {"sends its header letter by letter",
       false,
       {"G", "E", "T", " ", "/", "h", "e", "l", "l", "o", " "},
       false},
      {"stays after its answer", false, {"GET /hello HTTP/1.1\r\n\r\n"}, true},
      {"sends its second header letter by letter",
       false,
       {"GET /hello HTTP/1.1\r\n\r\n", "G", "E", "T", " ", "/", "h", "e", "l", "l", "o", " "},
       true},
      {"stops before its body", false, {header}, false},
      {"stops in its body", false, {header + "hello"}, false},
      {"sends its body letter by letter",
       false,
       {header, "h", "e", "l", "l", "o", " ", "w", "o", "r", "l"},
       false},
      {"sends chunks one by one",
       false,
       {chunked, "1\r\nh\r\n", "1\r\ne\r\n", "1\r\nl\r\n", "1\r\nl\r\n", "1\r\no\r\n",
        "1\r\n.\r\n"},
       false},
      {"sends a trailer without an end",
       false,
       {chunked, "0\r\n", "A: b\r\n", "A: b\r\n", "A: b\r\n", "A: b\r\n", "A: b\r\n", "A: b\r\n"},
       false},
      {"says nothing to a TLS server", true, {}, false},
      {"stops in its handshake", true, {std::string("\x16\x03\x01\x02\x00\x01", 6)}, false},
      {"sends its handshake octet by octet",
       true,
       {"\x16", "\x03", "\x01", "\x02", "\x01", "\x01", "\x01", "\x01", "\x01"},
       false},
  }));
  DYNAMIC_SECTION(c.name) {
    const auto server =
        OpenHttp(loop, {.tls = c.tls ? MakeTls() : nullptr, .limits = kHasty}, HelloAndEcho());
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

TEST_CASE("Who does not read its answer is closed", "[http][limits]") {
  io::EventLoop loop;
  const bool tls = GENERATE(false, true);
  const auto server =
      OpenHttp(loop, {.tls = tls ? MakeTls() : nullptr, .limits = kHasty}, WithLarge(16 * kMiB));
  if (tls) {
    std::unique_ptr<TlsSocketClient> client;
    Beside(loop, [&] {
      client = std::make_unique<TlsSocketClient>(server->port());
      return client->Send(Get("/large"));
    });
    CHECK(RunUntil(loop, [&] { return server->connections() == 0; }));
  } else {
    SocketClient client(server->port());
    client.Send(Get("/large"));
    REQUIRE(RunUntil(loop, [&] { return server->counts().requests == 1; }));
    CHECK(RunUntil(loop, [&] { return server->connections() == 0; }));
  }
  CHECK(server->counts().requests == 1);
}

TEST_CASE("Who says nothing makes room for who speaks, the longest silent first",
          "[http][limits]") {
  io::EventLoop loop;
  const auto server = OpenHttp(loop, {.limits = {.connections = 3}}, HelloAndEcho());
  std::vector<std::unique_ptr<SocketClient>> silent;
  for (int i = 0; i < 3; ++i) {
    silent.push_back(std::make_unique<SocketClient>(server->port()));
    REQUIRE(
        RunUntil(loop, [&] { return server->connections() == static_cast<std::size_t>(i + 1); }));
  }
  CHECK_THAT(Ask(loop, *server, Get("/hello")), EndsWith("hello\n"));
  CHECK(server->counts().turned_away == 0);
  // The first one was closed; the last one can still be served.
  CHECK(Beside(loop, [&] { return silent.front()->ReadAnswer(); }).empty());
  CHECK_THAT(Beside(loop,
                    [&] {
                      silent.back()->Send("GET /hello HTTP/1.1\r\n\r\n");
                      return silent.back()->ReadAnswer();
                    }),
             EndsWith("hello\n"));
}

TEST_CASE("Where all are being served, one more is turned away", "[http][limits]") {
  io::EventLoop loop;
  std::vector<io::HttpReply> waiting;
  const auto server = OpenHttp(loop, {.limits = {.connections = 2}},
                               {{.path = io::ExactPath("/later"),
                                 .handle = [&](const io::HttpRequest&, const io::HttpReply& reply) {
                                   waiting.push_back(reply);
                                 }}});
  std::vector<std::unique_ptr<SocketClient>> clients;
  for (int i = 0; i < 2; ++i) {
    clients.push_back(std::make_unique<SocketClient>(server->port()));
    clients.back()->Send("GET /later HTTP/1.1\r\n\r\n");
  }
  REQUIRE(RunUntil(loop, [&] { return waiting.size() == 2; }));
  CHECK(Ask(loop, *server, Get("/later")).empty());
  CHECK(server->counts().turned_away == 1);
  obs::MetricSet metrics;
  server->counts().Collect("probes", metrics);
  const auto& refused = metrics.families().at("stentor_http_refused_connections_total").series;
  CHECK(refused == std::map<obs::Labels, double>{
                       {{{"server", "probes"}, {"reason", "tooManyConnections"}}, 1.0},
                       {{{"server", "probes"}, {"reason", "outOfMemory"}}, 0.0}});
  waiting.front()({.body = "at last\n"});
  CHECK_THAT(Beside(loop, [&] { return clients.front()->ReadAnswer(); }), EndsWith("at last\n"));
}

TEST_CASE("A new connection takes the place of the one that is idle longest", "[http][limits]") {
  io::EventLoop loop;
  const auto server = OpenHttp(loop, {.limits = {.connections = 3}}, HelloAndEcho());
  const std::string hello = "GET /hello HTTP/1.1\r\n\r\n";
  std::vector<std::unique_ptr<SocketClient>> clients;
  const auto ask = [&](SocketClient& client) {
    return Beside(loop, [&] {
      client.Send(hello);
      return client.ReadAnswer();
    });
  };
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<SocketClient>(server->port()));
    REQUIRE_THAT(ask(*clients.back()), EndsWith("hello\n"));
  }
  REQUIRE_THAT(ask(*clients[0]), EndsWith("hello\n"));  // so that the second is idle longest

  SocketClient fourth(server->port());
  CHECK_THAT(ask(fourth), EndsWith("hello\n"));
  CHECK(server->connections() == 3);
  CHECK(server->counts().turned_away == 0);
  CHECK(Beside(loop, [&] { return clients[1]->ReadAll(); }).empty());
  CHECK_THAT(ask(*clients[0]), EndsWith("hello\n"));
  CHECK_THAT(ask(*clients[2]), EndsWith("hello\n"));
}

TEST_CASE("Many clients that only connect leave nothing behind", "[http][limits]") {
  io::EventLoop loop;
  const auto server = OpenHttp(
      loop, {.tls = GENERATE(true, false) ? MakeTls() : nullptr, .limits = {.connections = 16}},
      HelloAndEcho());
  Beside(loop, [&] {
    for (int i = 0; i < 500; ++i) {
      const SocketClient client(server->port());
    }
    return 0;
  });
  CHECK(RunUntil(loop,
                 [&] { return server->counts().accepted == 500 && server->connections() == 0; }));
}

TEST_CASE("The server can go while clients are connected", "[http][limits]") {
  io::EventLoop loop;
  auto server =
      OpenHttp(loop, {.tls = GENERATE(true, false) ? MakeTls() : nullptr}, HelloAndEcho());
  SocketClient client(server->port());
  REQUIRE(RunUntil(loop, [&] { return server->connections() == 1; }));
  server.reset();
  CHECK(Beside(loop, [&] { return client.ReadAll(); }).empty());
}

TEST_CASE("Bodies that are only announced take no room", "[http][limits]") {
  io::EventLoop loop;
  const auto server = OpenHttp(
      loop, {.limits = {.body_bytes = 8 * kMiB, .all_bodies_bytes = 8 * kMiB}}, HelloAndEcho());
  std::vector<std::unique_ptr<SocketClient>> announcers;
  for (int i = 0; i < 40; ++i) {
    announcers.push_back(std::make_unique<SocketClient>(server->port()));
    announcers.back()->Send("POST /echo HTTP/1.1\r\nContent-Length: 8388608\r\n\r\nx");
  }
  REQUIRE(RunUntil(loop, [&] { return server->counts().requests == 40; }));
  CHECK_THAT(Ask(loop, *server, Post("/echo", "hello")), EndsWith("|hello"));
  CHECK(server->connections() == 40);
  CHECK(server->counts().out_of_memory == 0);
}

TEST_CASE("Where bodies take too much room, the longest goes", "[http][limits]") {
  io::EventLoop loop;
  const auto server = OpenHttp(loop, {.limits = {.body_bytes = kMiB, .all_bodies_bytes = 2 * kMiB}},
                               HelloAndEcho());
  const std::string header =
      "POST /echo HTTP/1.1\r\nContent-Length: " + std::to_string(kMiB) + "\r\n\r\n";
  SocketClient first(server->port());
  SocketClient second(server->port());
  Beside(loop, [&] {
    first.Send(header + std::string(kMiB - 1, 'x'));
    second.Send(header + std::string(kMiB - 1, 'x'));
    return 0;
  });
  REQUIRE(RunUntil(loop, [&] { return server->counts().requests == 2; }));

  // Once all of it has arrived nothing is left, also not for a body of five octets.
  const TimePoint deadline = loop.Now() + test::kDeadline;
  while (server->counts().out_of_memory == 0 && loop.Now() < deadline) {
    REQUIRE_THAT(Ask(loop, *server, Post("/echo", "hello")), EndsWith("|hello"));
  }
  CHECK(server->counts().out_of_memory == 1);
  CHECK(RunUntil(loop, [&] { return server->connections() == 1; }));

  // Of the two, the other one goes on.
  const auto answers = Beside(loop, [&] {
    std::vector<std::string> all;
    for (SocketClient* const client : {&first, &second}) {
      client->Send("x");
      all.push_back(client->ReadAnswer().substr(0, 12));
    }
    return all;
  });
  CAPTURE(answers);
  // The other one is told so, if the end of its connection leaves it the time to read it.
  const auto gone = [](const std::string& answer) {
    return answer.empty() || answer == "HTTP/1.1 503";
  };
  CHECK(((answers[0] == "HTTP/1.1 200" && gone(answers[1])) ||
         (answers[1] == "HTTP/1.1 200" && gone(answers[0]))));
}

TEST_CASE("A body for which there is no room at all is answered 503", "[http][limits]") {
  io::EventLoop loop;
  const auto server = OpenHttp(loop, {.limits = {.body_bytes = kMiB, .all_bodies_bytes = kMiB / 2}},
                               WithLarge(kMiB));
  CHECK_THAT(Ask(loop, *server, Post("/echo", std::string(kMiB, 'x'))),
             StartsWith("HTTP/1.1 503 ") && EndsWith("bodies are being read\n"));
  CHECK_THAT(Ask(loop, *server, Get("/large")),
             StartsWith("HTTP/1.1 503 ") && EndsWith("answers are being written\n"));
  CHECK(server->counts().out_of_memory == 2);
  CHECK_THAT(Ask(loop, *server, Post("/echo", std::string(kMiB / 4, 'x'))),
             StartsWith("HTTP/1.1 200 "));
}

TEST_CASE("Answers that nobody reads do not fill the memory", "[http][limits]") {
  io::EventLoop loop;
  const auto server =
      OpenHttp(loop, {.limits = {.all_bodies_bytes = 64 * kMiB}}, WithLarge(20 * kMiB));
  std::vector<std::unique_ptr<SocketClient>> hoarders;
  for (int i = 0; i < 8; ++i) {
    hoarders.push_back(std::make_unique<SocketClient>(server->port()));
    hoarders.back()->Send(Get("/large"));
  }
  REQUIRE(RunUntil(loop, [&] { return server->counts().requests == 8; }));
  CHECK(server->counts().out_of_memory == 5);  // 3 of them fit
  CHECK_THAT(Ask(loop, *server, Get("/hello")), EndsWith("hello\n"));
}

TEST_CASE("Those who send slowly in great number do not keep others out", "[http][limits]") {
  io::EventLoop loop;
  const auto tls = GENERATE(false, true) ? MakeTls() : nullptr;
  const auto server =
      OpenHttp(loop,
               {.tls = tls,
                .limits = {.connections = 64, .handshake = 300ms, .header = 300ms, .body = 300ms}},
               HelloAndEcho());
  // Each of them is replaced once it is closed, for as long as the honest client tries.
  const auto [answered, tries] = Beside(loop, [&] {
    std::map<int, std::unique_ptr<SocketClient>> slow;
    int good = 0;
    int all = 0;
    for (; all < 20; ++all) {
      for (int i = 0; i < 8; ++i) {
        const int place = (8 * all + i) % 48;
        slow[place] = std::make_unique<SocketClient>(server->port());
        slow[place]->Send(i % 2 == 0 ? "G" : "POST /echo HTTP/1.1\r\nContent-Length: 9\r\n\r\nx");
      }
      if (tls != nullptr) {
        TlsSocketClient client(server->port());
        good += client.connected() && client.Exchange(Get("/hello")).ends_with("hello\n") ? 1 : 0;
      } else {
        SocketClient client(server->port());
        client.Send(Get("/hello"));
        good += client.ReadAll().ends_with("hello\n") ? 1 : 0;
      }
    }
    return std::pair(good, all);
  });
  CHECK(answered == tries);
  CHECK(RunUntil(loop, [&] { return server->connections() == 0; }));
}

}  // namespace stentor
