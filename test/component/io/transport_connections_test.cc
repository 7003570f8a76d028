// SPDX-License-Identifier: Apache-2.0

/// \file
/// The connections of the Kubernetes transport: used again, closed by others, dead without a word.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <string>
#include <vector>

#include "common/io/random.h"
#include "test/component/io/fixture.h"
#include "test/support/catch.h"
#include "test/support/fake_api_server.h"

namespace stentor {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::FakeApiServer;
using test::FaultKind;
using test::RunUntil;
using test::Send;
using test::TestAuthority;
using test::Transport;

const char* const kList = "/api/v1/namespaces/default/configmaps";

nlohmann::json ConfigMap(const std::string& name) {
  return {{"metadata", {{"namespace", "default"}, {"name", name}}}};
}

// Requests under way at a time: each answer begins the next.
class Stream {
 public:
  Stream(kube::KubeTransport& transport, int total) : transport_(transport), left_(total) {}

  void Begin(int at_a_time) {
    for (int i = 0; i < at_a_time; ++i) {
      Next();
    }
  }
  [[nodiscard]] int fine() const { return fine_; }

 private:
  void Next() {
    if (left_ == 0) {
      return;
    }
    const std::size_t place = static_cast<std::size_t>(--left_);
    calls_.resize(std::max(calls_.size(), place + 1));
    calls_[place] = transport_.Send({.path = kList}, [this](const auto& response) {
      fine_ += response.ok() && response->code == 200 ? 1 : 0;
      Next();
    });
  }

  kube::KubeTransport& transport_;
  std::vector<std::unique_ptr<kube::KubeCall>> calls_;
  int left_;
  int fine_ = 0;
};

int Option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof(value);
  return getsockopt(fd, level, name, &value, &size) == 0 ? value : -1;
}

}  // namespace

TEST_CASE("Connections are used again, as many as requests at a time", "[transport]") {
  const TestAuthority authority;
  FakeApiServer server(
      {.identity = authority.Issue("api", "IP:127.0.0.1"), .client_authority = ""});
  io::EventLoop loop;
  const auto transport =
      Transport(loop, {.server = server.url(),
                       .certificate_authority = {.file = "", .data = authority.certificate()}});
  const int at_a_time = GENERATE(1, 8);
  constexpr int kTotal = 400;
  Stream stream(*transport, kTotal);
  stream.Begin(at_a_time);
  REQUIRE(RunUntil(loop, [&] { return stream.fine() == kTotal; }));
  CHECK(server.connections() == at_a_time);
}

TEST_CASE("What is sent on a connection that was closed while idle is sent again", "[transport]") {
  FakeApiServer server;
  server.Put("configmaps", ConfigMap("a"));
  io::EventLoop loop;
  const auto transport = Transport(loop, {.server = server.url()});
  REQUIRE(Send(loop, *transport, {.path = kList}).ok());
  const std::string method = GENERATE("GET", "PUT", "POST", "DELETE");
  DYNAMIC_SECTION(method) {
    REQUIRE(RunUntil(loop, [&] { return server.CloseIdle() == 1; }));
    const std::string body = method == "PUT"    ? server.Get("configmaps", "default", "a").dump()
                             : method == "POST" ? ConfigMap("b").dump()
                                                : "";
    const auto answer =
        Send(loop, *transport,
             {.method = method,
              .path = std::string(kList) + (method == "PUT" || method == "DELETE" ? "/a" : ""),
              .body = body});
    INFO(answer.status());
    REQUIRE(answer.ok());
    CHECK(answer->code < 300);
    CHECK(server.connections() == 2);
    CHECK(server.CountOf(method) == (method == "GET" ? 2 : 1));
  }
}

// The answer is lost, the deed is not: what comes of a second one?
TEST_CASE("What was done and not answered is not done twice", "[transport]") {
  FakeApiServer server;
  server.Put("configmaps", ConfigMap("a"));
  io::EventLoop loop;
  const auto transport = Transport(loop, {.server = server.url()});
  const bool kept_alive = GENERATE(true, false);
  DYNAMIC_SECTION((kept_alive ? "kept-alive connection" : "new connection")) {
    if (kept_alive) {
      REQUIRE(Send(loop, *transport, {.path = kList}).ok());
    }
    SECTION("PUT") {
      nlohmann::json object = server.Get("configmaps", "default", "a");
      object["data"] = {{"k", "v"}};
      server.Inject({.match = "PUT", .kind = FaultKind::kDropAnswer});
      const auto answer =
          Send(loop, *transport,
               {.method = "PUT", .path = std::string(kList) + "/a", .body = object.dump()});
      REQUIRE(answer.ok());
      CHECK(absl::IsAborted(kube::StatusOf(*answer)));
      const auto now = server.Get("configmaps", "default", "a");
      CHECK(now["data"]["k"] == "v");
      CHECK(std::stoi(now["metadata"]["resourceVersion"].get<std::string>()) ==
            std::stoi(object["metadata"]["resourceVersion"].get<std::string>()) + 1);
    }
    SECTION("POST") {
      server.Inject({.match = "POST", .kind = FaultKind::kDropAnswer});
      const auto answer =
          Send(loop, *transport, {.method = "POST", .path = kList, .body = ConfigMap("b").dump()});
      if (kept_alive) {
        REQUIRE(answer.ok());
        CHECK(absl::IsAlreadyExists(kube::StatusOf(*answer)));
      } else {
        CHECK(absl::IsUnavailable(answer.status()));
      }
      CHECK_FALSE(server.Get("configmaps", "default", "b").empty());
    }
  }
}

TEST_CASE("After one silent connection, the others of the pool are not tried", "[transport]") {
  FakeApiServer server;
  io::EventLoop loop;
  auto transport = Transport(loop, {.server = server.url()}, {.request_idle = milliseconds(1500)});
  // An early answer frees its connection for a late request: where every one is early, once more.
  for (int turn = 0; turn < 20 && server.connections() < 2; ++turn) {
    Stream stream(*transport, 8);
    stream.Begin(8);
    REQUIRE(RunUntil(loop, [&] { return stream.fine() == 8; }));
  }
  REQUIRE(server.connections() > 1);
  server.Freeze();
  SECTION("the transport's own patience ends") {
    CHECK(absl::IsDeadlineExceeded(Send(loop, *transport, {.path = kList}).status()));
    CHECK(Send(loop, *transport, {.path = kList}).ok());
  }
  SECTION("a caller's patience ends") {
    io::KubeClient client(loop, std::move(transport), server.url(), io::RandomUniform);
    std::optional<absl::Status> status;
    const auto ask = [&] {
      status.reset();
      client.Request({.path = kList, .time_limit = milliseconds(1200)},
                     [&](const auto& response) { status = response.status(); });
      REQUIRE(RunUntil(loop, [&] { return status.has_value(); }));
    };
    ask();
    CHECK(absl::IsDeadlineExceeded(*status));
    ask();
    CHECK(status->ok());
  }
}

TEST_CASE("The kernel watches over each connection", "[transport]") {
  const TestAuthority authority;
  const bool is_tls = GENERATE(true, false);
  DYNAMIC_SECTION((is_tls ? "TLS" : "plain")) {
    FakeApiServer secure(
        {.identity = authority.Issue("api", "IP:127.0.0.1"), .client_authority = ""});
    FakeApiServer plain;
    FakeApiServer& server = is_tls ? secure : plain;
    io::EventLoop loop;
    io::KubeClient client(
        loop,
        Transport(loop,
                  {.server = server.url(),
                   .certificate_authority = {.file = "", .data = authority.certificate()}},
                  {.dead_after = seconds(12)}),
        server.url(), io::RandomUniform);
    test::Mirror mirror;
    const auto watch =
        client.Watch({.name = "configmaps", .path = "/api/v1/configmaps"}, mirror.Handlers());
    REQUIRE(RunUntil(loop, [&] { return mirror.synced == 1 && server.open_watches() == 1; }));
    // The listing's and the watch's; a plain request's is not watched.
    const int expected = is_tls ? 2 : 1;
    const std::string url = server.url();
    const int port = std::stoi(url.substr(url.rfind(':') + 1));
    const auto watched = [port] {
      int found = 0;
      for (int fd = 0; fd < 256; ++fd) {
        sockaddr_in peer{};
        socklen_t size = sizeof(peer);
        if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0 &&
            peer.sin_family == AF_INET && ntohs(peer.sin_port) == port &&
            Option(fd, SOL_SOCKET, SO_KEEPALIVE) == 1 &&
            Option(fd, IPPROTO_TCP, TCP_KEEPIDLE) == 6 &&
            Option(fd, IPPROTO_TCP, TCP_KEEPINTVL) == 2 &&
            Option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT) == 12'000) {
          ++found;
        }
      }
      return found;
    };
    // Of a request's connection on the library's thread.
    CHECK(RunUntil(loop, [&] { return watched() >= expected; }));
  }
}

}  // namespace stentor
