// SPDX-License-Identifier: Apache-2.0

/// \file
/// The HTTP probe, against servers that answer as they like.

#include "common/io/http_probe.h"

#include <sys/socket.h>

#include <atomic>
#include <optional>
#include <string>
#include <utility>

#include "common/base/unique_fd.h"
#include "test/component/io/fixture.h"
#include "test/component/io/scripted_server.h"
#include "test/support/catch.h"

namespace stentor {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::Bound;
using test::Drips;
using test::RunUntil;
using test::Says;
using test::SaysNothing;
using test::ScriptedServer;
using Answer = absl::StatusOr<io::HttpProbeAnswer>;
using Catch::Contains;
using Catch::StartsWith;

io::HttpTarget TargetOf(const std::string& host, std::uint16_t port) {
  const auto target = io::ParseHttpTarget(host + ":" + std::to_string(port) + "/healthz");
  REQUIRE(target.ok());
  return *target;
}

Answer Ask(io::EventLoop& loop, const io::HttpTarget& target, Duration limit = seconds(10)) {
  io::HttpProbe probe(loop);
  std::optional<Answer> answer;
  probe.Get(target, limit, [&answer](Answer its) { answer = std::move(its); });
  CHECK_FALSE(answer);  // never from within the call
  REQUIRE(RunUntil(loop, [&answer] { return answer.has_value(); }));
  return *std::move(answer);
}

const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

}  // namespace

TEST_CASE("What a probe is told", "[http_probe]") {
  struct Case {
    const char* name;
    std::string answer;
    int code;
    std::string body;
  };
  const auto c = GENERATE(values<Case>({
      {"200", kOk, 200, "hello"},
      {"503", "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nsick", 503, "sick"},
      {"nothing but a code", "HTTP/1.1 204 No Content\r\n\r\n", 204, ""},
      {"of version 1.0, until the end", "HTTP/1.0 200 OK\r\n\r\nhello", 200, "hello"},
      {"in chunks",
       "HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", 500,
       "hello"},
      {"the longest body",
       "HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n" + std::string(4096, 'x'), 200,
       std::string(4096, 'x')},
      {"a body that is too long", "HTTP/1.1 200 OK\r\nContent-Length: 4097\r\n\r\nx", 200, ""},
      {"any octets", std::string("HTTP/1.1 404 x\r\nContent-Length: 3\r\n\r\n\0\xFF\n", 41), 404,
       std::string("\0\xFF\n", 3)},
  }));
  DYNAMIC_SECTION(c.name) {
    const ScriptedServer server(Says(c.answer));
    REQUIRE(server.IsOpen());
    io::EventLoop loop;
    const Answer answer = Ask(loop, TargetOf("127.0.0.1", server.port()));
    INFO(answer.status().ToString());
    REQUIRE(answer.ok());
    CHECK(answer->code == c.code);
    CHECK(answer->body == c.body);
    CHECK(server.request() ==
          "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(server.port()) +
              "\r\nUser-Agent: stentor\r\nAccept: */*\r\nConnection: "
              "close\r\n\r\n");
  }
}

TEST_CASE("A body without an end is not read for ever", "[http_probe]") {
  const ScriptedServer server(Drips("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                                    "1000\r\n" + std::string(4096, 'x') + "\r\n"));
  io::EventLoop loop;
  const Answer answer = Ask(loop, TargetOf("127.0.0.1", server.port()));
  REQUIRE(answer.ok());
  CHECK(answer->code == 200);
  CHECK(answer->body.size() <= io::HttpProbe::kMaxBody);
}

TEST_CASE("What is no answer", "[http_probe]") {
  struct Case {
    const char* name;
    ScriptedServer::Script script;
    Duration limit;
    absl::StatusCode want;
  };
  constexpr Duration kShort = milliseconds(100);
  constexpr Duration kLong = seconds(20);
  const auto c = GENERATE_COPY(values<Case>({
      {"silence", SaysNothing, kShort, absl::StatusCode::kDeadlineExceeded},
      {"a header, drop by drop", Drips("HTTP/1.1 200 OK\r\n", "X"), kShort,
       absl::StatusCode::kDeadlineExceeded},
      {"a body, drop by drop", Drips("HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n", "x"),
       kShort, absl::StatusCode::kDeadlineExceeded},
      {"the connection ends", Says(""), kLong, absl::StatusCode::kUnavailable},
      {"it ends within the header", Says("HTTP/1.1 200 OK\r\nConte"), kLong,
       absl::StatusCode::kUnavailable},
      {"it ends within the body", Says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"), kLong,
       absl::StatusCode::kUnavailable},
      {"another protocol", Says("SSH-2.0-OpenSSH_9.2\r\n"), kLong, absl::StatusCode::kDataLoss},
      {"TLS", Says(std::string("\x15\x03\x01\0\x02\x02\x16", 7)), kLong,
       absl::StatusCode::kUnavailable},
      {"a code that is none", Says("HTTP/1.1 abc OK\r\n\r\n"), kLong, absl::StatusCode::kDataLoss},
      {"a header without an end",
       Drips("HTTP/1.1 200 OK\r\n", "X: " + std::string(500, 'y') + "\r\n"), kLong,
       absl::StatusCode::kDataLoss},
      {"a field without an end", Drips("HTTP/1.1 200 OK\r\nX: ", std::string(500, 'y')), kLong,
       absl::StatusCode::kDataLoss},
  }));
  DYNAMIC_SECTION(c.name) {
    const ScriptedServer server(c.script);
    REQUIRE(server.IsOpen());
    io::EventLoop loop;
    const Answer answer = Ask(loop, TargetOf("127.0.0.1", server.port()), c.limit);
    CHECK(answer.status().code() == c.want);
    CHECK_THAT(std::string(answer.status().message()), Contains("127.0.0.1:"));
  }
}

TEST_CASE("A reset is told from a refusal", "[http_probe]") {
  const ScriptedServer server([](int fd, const std::atomic<bool>&) {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  });
  io::EventLoop loop;
  CHECK(absl::IsUnavailable(Ask(loop, TargetOf("127.0.0.1", server.port())).status()));
}

TEST_CASE("Nobody listens", "[http_probe]") {
  std::uint16_t port = 0;
  const UniqueFd reserved = Bound(AF_INET, &port);  // bound, and does not listen
  io::EventLoop loop;
  for (const char* const host : {"127.0.0.1", "localhost"}) {
    const Answer answer = Ask(loop, TargetOf(host, port));
    CHECK(absl::IsNotFound(answer.status()));
    CHECK_THAT(std::string(answer.status().message()), StartsWith("nobody listens on "));
  }
}

TEST_CASE("localhost is also ::1", "[http_probe]") {
  const ScriptedServer server(Says(kOk), AF_INET6);
  if (!server.IsOpen()) {
    WARN("this machine has no ::1");
    return;
  }
  io::EventLoop loop;
  std::uint16_t port = server.port();
  const UniqueFd reserved = Bound(AF_INET, &port);  // nobody else shall listen there
  const Answer answer = Ask(loop, TargetOf("localhost", server.port()));
  REQUIRE(answer.ok());
  CHECK(answer->code == 200);
}

TEST_CASE("A probe that is given up calls nobody back", "[http_probe]") {
  const ScriptedServer silent(SaysNothing);
  const ScriptedServer server(Says(kOk));
  io::EventLoop loop;
  int first = 0;
  int second = 0;
  SECTION("by another request") {
    io::HttpProbe probe(loop);
    probe.Get(TargetOf("127.0.0.1", silent.port()), milliseconds(50), [&](Answer) { ++first; });
    REQUIRE(RunUntil(loop, [&] { return silent.accepted() == 1; }));
    probe.Get(TargetOf("127.0.0.1", server.port()), seconds(10), [&](Answer) { ++second; });
    REQUIRE(RunUntil(loop, [&] { return second == 1; }));
  }
  SECTION("with its owner") {
    {
      io::HttpProbe probe(loop);
      probe.Get(TargetOf("127.0.0.1", server.port()), milliseconds(50), [&](Answer) { ++first; });
    }
    CHECK(absl::IsDeadlineExceeded(
        Ask(loop, TargetOf("127.0.0.1", silent.port()), milliseconds(100)).status()));
  }
  SECTION("with its owner and the loop, while it is under way") {
    io::EventLoop other;
    io::HttpProbe probe(other);
    probe.Get(TargetOf("127.0.0.1", silent.port()), seconds(10), [&](Answer) { ++first; });
    REQUIRE(RunUntil(other, [&] { return silent.accepted() == 1; }));
  }
  CHECK(first == 0);
}

TEST_CASE("A handler may ask again, or end the probe", "[http_probe]") {
  const ScriptedServer server(Says(kOk));
  io::EventLoop loop;
  auto probe = std::make_unique<io::HttpProbe>(loop);
  const io::HttpTarget target = TargetOf("127.0.0.1", server.port());
  int answers = 0;
  std::function<void(Answer)> next = [&](Answer answer) {
    CHECK(answer.ok());
    if (++answers < 3) {
      probe->Get(target, seconds(10), next);
    } else {
      probe.reset();
    }
  };
  probe->Get(target, seconds(10), next);
  REQUIRE(RunUntil(loop, [&] { return probe == nullptr; }));
  CHECK(answers == 3);
  CHECK(server.accepted() == 3);  // a connection each
}

}  // namespace stentor
