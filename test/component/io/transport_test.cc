// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "test/component/io/fixture.h"
#include "test/component/io/temporary_file.h"
#include "test/support/catch.h"
#include "test/support/fake_api_server.h"

namespace stentor {
namespace {

using test::FakeApiServer;
using test::Fault;
using test::FaultKind;
using test::RunUntil;
using test::Send;
using test::TemporaryFile;
using test::Transport;

const char* const kList = "/api/v1/namespaces/default/configmaps";

config::ClientConfig Plain(const FakeApiServer& server) { return {.server = server.url()}; }

nlohmann::json ConfigMap(const std::string& name) {
  return {{"metadata", {{"namespace", "default"}, {"name", name}}}};
}

}  // namespace

TEST_CASE("A request brings code, body and Retry-After", "[transport]") {
  FakeApiServer server;
  io::EventLoop loop;
  const auto transport = Transport(loop, Plain(server));

  auto answer = Send(loop, *transport, {.path = kList});
  REQUIRE(answer.ok());
  CHECK(answer->code == 200);
  CHECK(nlohmann::json::parse(answer->body)["items"].empty());
  CHECK_FALSE(answer->retry_after.has_value());

  server.Inject({.match = "GET", .code = 429, .retry_after = 7});
  answer = Send(loop, *transport, {.path = kList});
  REQUIRE(answer.ok());
  CHECK(answer->code == 429);
  CHECK(answer->retry_after == Duration(std::chrono::seconds(7)));
  CHECK(absl::IsUnavailable(kube::StatusOf(*answer)));
}

TEST_CASE("A stale resourceVersion is a conflict, a fresh one is taken", "[transport]") {
  FakeApiServer server;
  server.Put("configmaps", ConfigMap("a"));
  io::EventLoop loop;
  const auto transport = Transport(loop, Plain(server));
  nlohmann::json object = server.Get("configmaps", "default", "a");
  object["data"] = {{"k", "Grüße"}};
  const kube::Request put{
      .method = "PUT", .path = std::string(kList) + "/a", .body = object.dump()};
  auto answer = Send(loop, *transport, put);
  REQUIRE(answer.ok());
  CHECK(answer->code == 200);
  CHECK(server.Get("configmaps", "default", "a")["data"]["k"] == "Grüße");
  answer = Send(loop, *transport, put);
  REQUIRE(answer.ok());
  CHECK(absl::IsAborted(kube::StatusOf(*answer)));
}

TEST_CASE("A broken connection is retried once for GET and PUT, not for POST", "[transport]") {
  FakeApiServer server;
  server.Put("configmaps", ConfigMap("a"));
  io::EventLoop loop;
  const auto transport = Transport(loop, Plain(server));
  struct Case {
    const char* name;
    const char* method;
    FaultKind fault;
    int times;
    bool works;
  };
  const auto c = GENERATE(values<Case>({
      {"GET, reset once", "GET", FaultKind::kReset, 1, true},
      {"GET, closed once", "GET", FaultKind::kClose, 1, true},
      {"GET, reset twice", "GET", FaultKind::kReset, 2, false},
      {"PUT, closed once", "PUT", FaultKind::kClose, 1, true},
      {"POST, closed once", "POST", FaultKind::kClose, 1, false},
  }));
  DYNAMIC_SECTION(c.name) {
    server.Inject({.match = c.method, .kind = c.fault, .count = c.times});
    const bool is_put = std::string(c.method) == "PUT";
    const auto answer = Send(loop, *transport,
                             {.method = c.method,
                              .path = std::string(kList) + (is_put ? "/a" : ""),
                              .body = is_put ? server.Get("configmaps", "default", "a").dump()
                                      : std::string(c.method) == "POST" ? ConfigMap("b").dump()
                                                                        : ""});
    INFO(answer.status());
    CHECK(answer.ok() == c.works);
    CHECK((c.works || absl::IsUnavailable(answer.status())));
  }
}

TEST_CASE("Silence ends in a timeout", "[transport]") {
  FakeApiServer server;
  server.Inject({.match = "GET", .kind = FaultKind::kSilence, .count = 9});
  io::EventLoop loop;
  const auto transport =
      Transport(loop, Plain(server), {.request_idle = std::chrono::milliseconds(300)});
  CHECK(absl::IsDeadlineExceeded(Send(loop, *transport, {.path = kList}).status()));
}

TEST_CASE("An answer beyond the cap is refused", "[transport]") {
  FakeApiServer server;
  auto large = ConfigMap("a");
  large["data"] = {{"k", std::string(20000, 'x')}};
  server.Put("configmaps", large);
  io::EventLoop loop;
  const auto transport = Transport(loop, Plain(server), {.max_body_bytes = 10000});
  CHECK(absl::IsDataLoss(Send(loop, *transport, {.path = kList}).status()));
}

TEST_CASE("Nobody listens: one clear error", "[transport]") {
  config::ClientConfig config;
  {
    const FakeApiServer gone;
    config.server = gone.url();
  }
  io::EventLoop loop;
  const auto transport = Transport(loop, config);
  const auto answer = Send(loop, *transport, {.path = kList});
  CHECK(absl::IsUnavailable(answer.status()));
  CHECK_FALSE(answer.status().message().empty());
}

TEST_CASE("Many requests are under way at once, and a destroyed call says nothing", "[transport]") {
  FakeApiServer server;
  io::EventLoop loop;
  const auto transport = Transport(loop, Plain(server));
  int answers = 0;
  std::vector<std::unique_ptr<kube::KubeCall>> calls;
  for (int i = 0; i < 50; ++i) {
    calls.push_back(transport->Send(
        {.path = kList}, [&answers](const auto& response) { answers += response.ok() ? 1 : 0; }));
  }
  for (int i = 0; i < 10; ++i) {
    calls.pop_back();
  }
  CHECK(RunUntil(loop, [&] { return answers == 40; }));
  calls.clear();
  CHECK(Send(loop, *transport, {.path = kList}).ok());
  CHECK(answers == 40);
}

TEST_CASE("The transport can go while calls are under way", "[transport]") {
  FakeApiServer server;
  server.Inject({.match = "silent", .kind = FaultKind::kSilence, .count = 3});
  io::EventLoop loop;
  auto transport = Transport(loop, Plain(server));
  int calls_back = 0;
  auto request = transport->Send({.path = "/api/v1/silent"},
                                 [&calls_back](const auto& /*response*/) { ++calls_back; });
  auto watch = transport->Watch("/api/v1/configmaps?watch=true&resourceVersion=100",
                                {.on_open = [] {},
                                 .on_bytes = [](std::string_view) {},
                                 .on_end = [&calls_back](const auto&, auto) { ++calls_back; }});
  REQUIRE(RunUntil(loop, [&] { return server.open_watches() == 1 && server.CountOf("silent"); }));
  request.reset();
  watch.reset();
  transport.reset();
  CHECK(RunUntil(loop, [] { return true; }));
  CHECK(calls_back == 0);
}

TEST_CASE("A token file that was replaced is read again after a 401", "[transport]") {
  FakeApiServer server;
  const TemporaryFile file;
  file.Write("first\n");
  server.RequireToken("first");
  io::EventLoop loop;
  auto config = Plain(server);
  config.token_file = file.path();
  const auto transport = Transport(loop, config);
  auto answer = Send(loop, *transport, {.path = kList});
  REQUIRE(answer.ok());
  CHECK(answer->code == 200);

  server.RequireToken("second");
  answer = Send(loop, *transport, {.path = kList});
  REQUIRE(answer.ok());
  CHECK(answer->code == 401);

  file.Write("second\n");
  answer = Send(loop, *transport, {.path = kList});
  REQUIRE(answer.ok());
  CHECK(answer->code == 200);
}

TEST_CASE("Of many requests that meet a 401 together, each gets the new token", "[transport]") {
  FakeApiServer server;
  const TemporaryFile file("first");
  io::EventLoop loop;
  auto config = Plain(server);
  config.token_file = file.path();
  const auto transport = Transport(loop, config);
  REQUIRE(Send(loop, *transport, {.path = kList}).ok());
  server.RequireToken("second");
  file.Write("second");
  int answers = 0;
  int fine = 0;
  std::vector<std::unique_ptr<kube::KubeCall>> calls;
  for (int i = 0; i < 20; ++i) {
    calls.push_back(transport->Send({.path = kList}, [&](const auto& response) {
      ++answers;
      fine += response.ok() && response->code == 200 ? 1 : 0;
    }));
  }
  CHECK(RunUntil(loop, [&] { return answers == 20; }));
  CHECK(fine == 20);
}

TEST_CASE("What can't work is refused at once", "[transport]") {
  io::EventLoop loop;
  struct Case {
    const char* name;
    config::ClientConfig config;
  };
  const auto c = GENERATE(values<Case>({
      {"no URL", {.server = "not a url"}},
      {"no scheme", {.server = "ftp://192.0.2.1"}},
      {"IPv6 literal with a zone", {.server = "https://[fe80::1%25eth0]:6443"}},
      {"brackets around a name", {.server = "https://[api]:6443"}},
      {"authority is no PEM",
       {.server = "https://192.0.2.1", .certificate_authority = {.file = "", .data = "x"}}},
      {"authority's file is missing",
       {.server = "https://192.0.2.1", .certificate_authority = {.file = "/none", .data = ""}}},
      {"certificate without key",
       {.server = "https://192.0.2.1", .client_certificate = {.file = "", .data = "x"}}},
  }));
  DYNAMIC_SECTION(c.name) {
    const auto transport = io::MakeCpprestTransport(loop, c.config);
    CHECK_FALSE(transport.ok());
    CHECK_FALSE(transport.status().message().empty());
  }
}

}  // namespace stentor
