// SPDX-License-Identifier: Apache-2.0

/// \file
/// TLS of the Kubernetes transport: whom it trusts, by which name, and files that are replaced.

#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <string>
#include <string_view>

#include "common/base/unique_fd.h"
#include "common/io/random.h"
#include "test/component/io/fixture.h"
#include "test/component/io/temporary_file.h"
#include "test/support/catch.h"
#include "test/support/fake_api_server.h"

namespace stentor {
namespace {

using test::FakeApiServer;
using test::RunUntil;
using test::Send;
using test::TemporaryFile;
using test::TestAuthority;
using test::Transport;

const char* const kList = "/api/v1/namespaces/default/configmaps";

config::ClientConfig Tls(const FakeApiServer& server, const TestAuthority& authority) {
  return {.server = server.url(),
          .certificate_authority = {.file = "", .data = authority.certificate()}};
}

// False: the test is over. That it was skipped is then the result of the run (CMakeLists.txt).
bool HasIpv6Loopback() {
  const UniqueFd fd(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  if (fd.IsOpen() &&
      bind(fd.Get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    return true;
  }
  WARN("SKIPPED: this machine has no ::1");
  return false;
}

// What the last request of `server` was.
test::SeenRequest Last(const FakeApiServer& server) { return server.requests().back(); }

}  // namespace

TEST_CASE("TLS verifies authority and name", "[transport][tls]") {
  const TestAuthority authority;
  const TestAuthority other;
  io::EventLoop loop;
  SECTION("right authority, right name") {
    FakeApiServer server(
        {.identity = authority.Issue("api", "IP:127.0.0.1"), .client_authority = ""});
    const auto transport = Transport(loop, Tls(server, authority));
    const auto answer = Send(loop, *transport, {.path = kList});
    INFO(answer.status());
    CHECK(answer.ok());
  }
  SECTION("another authority") {
    FakeApiServer server(
        {.identity = authority.Issue("api", "IP:127.0.0.1"), .client_authority = ""});
    const auto transport = Transport(loop, Tls(server, other));
    CHECK(absl::IsUnavailable(Send(loop, *transport, {.path = kList}).status()));
    CHECK(server.requests().empty());
  }
  SECTION("another name") {
    FakeApiServer server(
        {.identity = authority.Issue("api", "IP:127.0.0.2"), .client_authority = ""});
    const auto transport = Transport(loop, Tls(server, authority));
    CHECK(absl::IsUnavailable(Send(loop, *transport, {.path = kList}).status()));
    CHECK(server.requests().empty());
  }
  SECTION("verification switched off") {
    FakeApiServer server(
        {.identity = authority.Issue("api", "IP:127.0.0.2"), .client_authority = ""});
    auto config = Tls(server, other);
    config.insecure_skip_tls_verify = true;
    const auto transport = Transport(loop, config);
    CHECK(Send(loop, *transport, {.path = kList}).ok());
  }
}

TEST_CASE("A request may be given up at any moment", "[transport][tls]") {
  const TestAuthority authority;
  FakeApiServer server(
      {.identity = authority.Issue("api", "IP:127.0.0.1"), .client_authority = ""});
  io::EventLoop loop;
  const auto transport = Transport(loop, Tls(server, authority));
  constexpr int kRequests = 2000;
  for (int i = 0; i < kRequests; ++i) {
    // While it is connected and shakes hands, is written, waits, is read: on another thread.
    const auto until = loop.Now() + std::chrono::microseconds(io::RandomU64() % 3000);
    const auto call =
        i % 2 == 0
            ? transport->Send({.path = kList}, [](const auto&) {})
            : transport->Watch("/api/v1/namespaces/default/configmaps?watch=true&resourceVersion=1",
                               {.on_open = [] {},
                                .on_bytes = [](std::string_view) {},
                                .on_end = [](const absl::Status&, auto) {}});
    while (loop.Now() < until) {
    }
  }
  CHECK(Send(loop, *transport, {.path = kList}).ok());
}

TEST_CASE("A client certificate is shown", "[transport][tls]") {
  const TestAuthority authority;
  FakeApiServer server({.identity = authority.Issue("api", "IP:127.0.0.1"),
                        .client_authority = authority.certificate()});
  io::EventLoop loop;
  auto config = Tls(server, authority);
  SECTION("from data") {
    const test::Identity client = authority.Issue("client", "");
    config.client_certificate.data = client.certificate;
    config.client_key.data = client.key;
    const auto transport = Transport(loop, config);
    const auto answer = Send(loop, *transport, {.path = kList});
    INFO(answer.status());
    CHECK(answer.ok());
  }
  SECTION("from files") {
    const test::Identity client = authority.Issue("client", "");
    const TemporaryFile certificate;
    const TemporaryFile key;
    certificate.Write(client.certificate);
    key.Write(client.key);
    config.client_certificate.file = certificate.path();
    config.client_key.file = key.path();
    const auto transport = Transport(loop, config);
    CHECK(Send(loop, *transport, {.path = kList}).ok());
  }
  SECTION("none") {
    const auto transport = Transport(loop, config);
    CHECK_FALSE(Send(loop, *transport, {.path = kList}).ok());
    CHECK(server.requests().empty());
  }
}

TEST_CASE("An IPv6 literal: its SAN is checked, no SNI is sent, Host has brackets", "[.ipv6]") {
  if (!HasIpv6Loopback()) {
    return;
  }
  const TestAuthority authority;
  struct Case {
    const char* name;
    const char* san;
    bool works;
  };
  const auto c = GENERATE(values<Case>({
      {"its address", "IP:::1", true},
      {"its address among others", "DNS:api.example,IP:2001:db8::1,IP:0:0:0:0:0:0:0:1", true},
      {"another address", "IP:2001:db8::1", false},
      {"a name", "DNS:localhost", false},
      {"its text as a name", "DNS:::1", false},
  }));
  DYNAMIC_SECTION(c.name) {
    FakeApiServer server({.identity = authority.Issue("api", c.san), .client_authority = ""},
                         /*is_ipv6=*/true);
    io::EventLoop loop;
    const auto transport = Transport(loop, Tls(server, authority));
    const auto answer = Send(loop, *transport, {.path = kList});
    INFO(answer.status());
    REQUIRE(answer.ok() == c.works);
    if (c.works) {
      CHECK(Last(server).host == server.url().substr(std::string("https://").size()));
      CHECK(Last(server).server_name.empty());
    } else {
      CHECK(server.requests().empty());
    }
  }
}

TEST_CASE("An IPv6 literal serves a watch", "[.ipv6]") {
  if (!HasIpv6Loopback()) {
    return;
  }
  const TestAuthority authority;
  FakeApiServer server({.identity = authority.Issue("api", "IP:::1"), .client_authority = ""},
                       /*is_ipv6=*/true);
  io::EventLoop loop;
  io::KubeClient client(loop, Transport(loop, Tls(server, authority)), server.url(),
                        io::RandomUniform);
  test::Mirror mirror;
  const auto watch =
      client.Watch({.name = "configmaps", .path = "/api/v1/configmaps"}, mirror.Handlers());
  REQUIRE(RunUntil(loop, [&] { return mirror.synced == 1 && server.open_watches() == 1; }));
  server.Put("configmaps", {{"metadata", {{"namespace", "default"}, {"name", "a"}}}});
  CHECK(RunUntil(loop, [&] { return mirror.objects.size() == 1; }));
  CHECK(mirror.troubles.empty());
}

TEST_CASE("tls-server-name is checked and sent instead of the host", "[transport][tls]") {
  const TestAuthority authority;
  struct Case {
    const char* name;
    const char* san;
    const char* server_name;
    bool works;
    const char* sni;
  };
  const auto c = GENERATE(values<Case>({
      {"a name", "DNS:kubernetes.default", "kubernetes.default", true, "kubernetes.default"},
      {"a wildcard", "DNS:*.example.com", "api.example.com", true, "api.example.com"},
      {"an address", "IP:192.0.2.1", "192.0.2.1", true, ""},
      {"an IPv6 address", "IP:2001:db8::1", "2001:db8::1", true, ""},
      {"the host does not count", "IP:127.0.0.1", "kubernetes.default", false, ""},
      {"none: the host", "IP:127.0.0.1", "", true, ""},
  }));
  DYNAMIC_SECTION(c.name) {
    // The subject's name must not count.
    FakeApiServer server(
        {.identity = authority.Issue("kubernetes.default", c.san), .client_authority = ""});
    io::EventLoop loop;
    auto config = Tls(server, authority);
    config.tls_server_name = c.server_name;
    const auto transport = Transport(loop, config);
    const auto answer = Send(loop, *transport, {.path = kList});
    INFO(answer.status());
    REQUIRE(answer.ok() == c.works);
    if (c.works) {
      CHECK(Last(server).server_name == c.sni);
      CHECK(Last(server).host == server.url().substr(std::string("https://").size()));
    }
  }
}

TEST_CASE("The server moves to another authority, and the file follows or leads", "[client][tls]") {
  const TestAuthority old_authority;
  const TestAuthority new_authority;
  const test::FakeTls old_tls{.identity = old_authority.Issue("api", "IP:127.0.0.1"),
                              .client_authority = ""};
  const test::FakeTls new_tls{.identity = new_authority.Issue("api", "IP:127.0.0.1"),
                              .client_authority = ""};
  FakeApiServer server(old_tls);
  const TemporaryFile file(old_authority.certificate());
  io::EventLoop loop;
  // Long: what is noticed here is noticed by failing.
  io::KubeClient client(loop,
                        Transport(loop,
                                  {.server = server.url(),
                                   .certificate_authority = {.file = file.path(), .data = ""}},
                                  {.credential_age = std::chrono::hours(1)}),
                        server.url(), io::RandomUniform);
  test::Mirror mirror;
  const auto watch =
      client.Watch({.name = "configmaps", .path = "/api/v1/configmaps"}, mirror.Handlers());
  const auto put = [&](const std::string& name) {
    server.Put("configmaps", {{"metadata", {{"namespace", "default"}, {"name", name}}}});
    return RunUntil(loop, [&] { return mirror.objects.count({"default", name}) == 1; });
  };
  REQUIRE(RunUntil(loop, [&] { return mirror.synced == 1 && server.open_watches() == 1; }));

  enum class First : std::uint8_t { kServer, kFile, kBothInFile, kHalfAFile };
  struct Case {
    const char* name;
    First first;
  };
  const auto c = GENERATE(values<Case>({
      {"the server first", First::kServer},
      {"the file first", First::kFile},
      {"the file first, with both", First::kBothInFile},
      {"the file first, half of it", First::kHalfAFile},
  }));
  const std::string& next = new_authority.certificate();
  DYNAMIC_SECTION(c.name) {
    switch (c.first) {
      case First::kServer:
        server.UseTls(new_tls);
        break;
      case First::kFile:
        file.Write(next);
        break;
      case First::kBothInFile:
        file.Write(old_authority.certificate() + next);
        break;
      case First::kHalfAFile:
        file.Write(next.substr(0, next.size() / 2));
        break;
    }
    CHECK(put("on the running watch"));
    server.UseTls(new_tls);
    server.EndWatches(true);  // and their connections
    server.CloseIdle();
    if (c.first == First::kServer || c.first == First::kHalfAFile) {
      REQUIRE(RunUntil(loop, [&] { return !mirror.troubles.empty(); }));
      file.Write(next);
    }
    CHECK(put("after the change"));
    CHECK(mirror.synced == 1);  // resumed, without a list
  }
}

TEST_CASE("A client certificate that is replaced is used, and half a pair does not hurt",
          "[transport][tls]") {
  const TestAuthority authority;
  const test::Identity first = authority.Issue("first", "");
  const test::Identity second = authority.Issue("second", "");
  FakeApiServer server({.identity = authority.Issue("api", "IP:127.0.0.1"),
                        .client_authority = authority.certificate()});
  const TemporaryFile certificate(first.certificate);
  const TemporaryFile key(first.key);
  io::EventLoop loop;
  auto config = Tls(server, authority);
  config.client_certificate.file = certificate.path();
  config.client_key.file = key.path();
  const bool by_age = GENERATE(true, false);
  const auto transport =
      Transport(loop, config,
                {.credential_age = by_age ? Duration(std::chrono::milliseconds(1))
                                          : Duration(std::chrono::hours(1))});
  const auto client_of_next = [&] {
    const auto answer = Send(loop, *transport, {.path = kList});
    INFO(answer.status());
    REQUIRE(answer.ok());
    CHECK(answer->code == 200);
    return Last(server).client;
  };
  DYNAMIC_SECTION((by_age ? "noticed by age" : "noticed by a 401")) {
    REQUIRE(client_of_next() == "first");
    const bool certificate_first = GENERATE(true, false);
    DYNAMIC_SECTION((certificate_first ? "certificate, then key" : "key, then certificate")) {
      (certificate_first ? certificate : key)
          .Write(certificate_first ? second.certificate : second.key);
      CHECK(client_of_next() == "first");
      // A new connection, with the last good pair.
      (void)RunUntil(loop, [&] { return server.CloseIdle() > 0; });
      CHECK(client_of_next() == "first");
      (certificate_first ? key : certificate)
          .Write(certificate_first ? second.key : second.certificate);
      if (!by_age) {
        CHECK(client_of_next() == "first");
        server.Inject({.match = "GET", .code = 401});
      }
      CHECK(client_of_next() == "second");
    }
  }
}

TEST_CASE("A 401 that nothing new answers is told, once", "[transport][tls]") {
  const TestAuthority authority;
  FakeApiServer server({.identity = authority.Issue("api", "IP:127.0.0.1"),
                        .client_authority = authority.certificate()});
  const test::Identity client = authority.Issue("client", "");
  const TemporaryFile certificate(client.certificate);
  const TemporaryFile key(client.key);
  io::EventLoop loop;
  auto config = Tls(server, authority);
  config.client_certificate.file = certificate.path();
  config.client_key.file = key.path();
  const auto transport = Transport(loop, config);
  server.Inject({.match = "GET", .code = 401, .count = 9});
  const auto answer = Send(loop, *transport, {.path = kList});
  REQUIRE(answer.ok());
  CHECK(answer->code == 401);
  CHECK(server.requests().size() == 1);
}

TEST_CASE("Files that can't be used are refused at once, each by its name", "[transport][tls]") {
  const TestAuthority authority;
  const test::Identity client = authority.Issue("client", "");
  const test::Identity other = authority.Issue("other", "");
  io::EventLoop loop;
  struct Case {
    const char* name;
    std::string authority;
    std::string certificate;
    std::string key;
    const char* says;
  };
  const auto c = GENERATE_COPY(values<Case>({
      {"no PEM", "x", "", "", "the certificate authority: it holds no PEM certificate"},
      {"broken after the first", authority.certificate() + authority.certificate().substr(0, 100),
       "", "", "the certificate authority: "},
      {"certificate is a key", authority.certificate(), client.key, client.key,
       "the client certificate: it holds no PEM certificate"},
      {"key is a certificate", authority.certificate(), client.certificate, client.certificate,
       "the client key: "},
      {"key of another", authority.certificate(), client.certificate, other.key,
       "the client key is not that of the client certificate"},
  }));
  DYNAMIC_SECTION(c.name) {
    const auto transport =
        io::MakeCpprestTransport(loop, {.server = "https://192.0.2.1",
                                        .certificate_authority = {.file = "", .data = c.authority},
                                        .client_certificate = {.file = "", .data = c.certificate},
                                        .client_key = {.file = "", .data = c.key}});
    CHECK(absl::IsInvalidArgument(transport.status()));
    const std::string message(transport.status().message());
    INFO(message);
    CHECK(message.rfind(c.says, 0) == 0);
  }
}

}  // namespace stentor
