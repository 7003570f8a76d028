// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "common/io/http_server.h"
#include "test/component/io/http_fixture.h"
#include "test/support/catch.h"
#include "test/support/test_certificates.h"

// curl(1) is a judge that we did not write. Hidden from an ordinary run, so that CTest can count
// these apart as skipped where there is no curl.

namespace stentor {
namespace {

using Catch::Matchers::StartsWith;
using test::Beside;
using test::HelloAndEcho;
using test::OpenHttp;

constexpr int kFails = -1;  // with a status that depends on curl's version

struct Outcome {
  int exit_status = -1;
  std::string output;
};

Outcome Run(const std::string& command) {
  Outcome outcome;
  // NOLINTNEXTLINE(cert-env33-c): curl(1) is what is asked
  FILE* const pipe = popen((command + " 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  for (int octet = fgetc(pipe); octet != EOF; octet = fgetc(pipe)) {
    outcome.output += static_cast<char>(octet);
  }
  const int status = pclose(pipe);
  outcome.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

// The authority's certificate, and a body of 2 MiB.
class Files {
 public:
  explicit Files(const test::TestAuthority& authority) {
    REQUIRE(mkdtemp(path_.data()) != nullptr);
    std::ofstream(path_ + "/ca.crt") << authority.certificate();
    std::ofstream(path_ + "/body") << std::string(std::size_t{2} << 20U, 'x');
  }
  ~Files() { std::filesystem::remove_all(path_); }
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/stentor_curl_XXXXXX";
};

}  // namespace

TEST_CASE("curl understands what is served", "[.][curl]") {
  if (Run("curl --version").exit_status != 0) {
    std::puts("SKIPPED: curl is not installed");
    return;
  }
  const test::TestAuthority authority;
  const Files files(authority);
  const test::Identity identity = authority.Issue("localhost", "IP:127.0.0.1");
  auto tls = io::ServerTls::MakeEmpty({});
  REQUIRE(tls.ok());
  REQUIRE((*tls)->Use({.certificate = identity.certificate, .key = identity.key}).ok());
  io::EventLoop loop;
  const auto server =
      OpenHttp(loop, {.tls = *std::move(tls), .limits = {.body_bytes = std::size_t{3} << 20U}},
               HelloAndEcho());
  const std::string url = "https://127.0.0.1:" + std::to_string(server->port());
  struct Case {
    const char* name;
    std::string arguments;  // URL and PATH are replaced
    int exit_status;        // curl's
    std::string output;
  };
  const std::string code = "-o /dev/null -w '%{http_code} %{http_version} %{num_connects}' ";
  const auto c = GENERATE_COPY(values<Case>({
      {"a GET", "URL/hello", 0, "hello\n"},
      {"a HEAD", code + "-I URL/hello", 0, "200 1.1 1"},
      {"HTTP/1.0", code + "-0 --no-alpn URL/hello", 0, "200 1.1 1"},
      {"HTTP/2 where there is any", code + "--http2 URL/hello", 0, "200 1.1 1"},
      {"two requests on one connection", code + "URL/hello -o /dev/null URL/sick", 0,
       "200 1.1 1503 1.1 0"},
      {"a POST", "-H 'Content-Type: application/json' -d '{}' 'URL/echo?timeout=10s'", 0,
       "/echo?timeout=10s|application/json|{}"},
      {"a long POST, which expects 100-continue",
       "-H 'Content-Type: a/b' --data-binary @PATH/body URL/echo", 0, "/echo|a/b|xxxxxxxx"},
      {"a long POST in chunks",
       "-H 'Content-Type: a/b' -H 'Transfer-Encoding: chunked' --data-binary @PATH/body URL/echo",
       0, "/echo|a/b|xxxxxxxx"},
      {"a POST that is too long",
       code + "-H 'Expect:' --data-binary @PATH/body --data-binary @PATH/body URL/echo", 0,
       "413 1.1 1"},
      {"one that is too long, and expects 100-continue",
       code + "--data-binary @PATH/body --data-binary @PATH/body URL/echo", 0, "413 1.1 1"},
      {"one that is too long, in chunks",
       code + "-H 'Transfer-Encoding: chunked' --data-binary @PATH/body --data-binary @PATH/body "
              "URL/echo",
       0, "413 1.1 1"},
      {"another method", code + "-X DELETE URL/hello", 0, "405 1.1 1"},
      {"TLS 1.2 at most", "--tls-max 1.2 URL/hello", 35, "curl: (35)"},
      {"HTTP/2 and nothing else", "--no-alpn --http2-prior-knowledge URL/hello", kFails, "curl: ("},
  }));
  DYNAMIC_SECTION(c.name) {
    std::string command =
        "curl -sS --max-time 20 --cacert " + files.path() + "/ca.crt " + c.arguments;
    for (std::size_t at = 0; (at = command.find("URL")) != std::string::npos;) {
      command.replace(at, 3, url);
    }
    for (std::size_t at = 0; (at = command.find("PATH")) != std::string::npos;) {
      command.replace(at, 4, files.path());
    }
    const Outcome outcome = Beside(loop, [&] { return Run(command); });
    INFO(outcome.output.substr(0, 500));
    CHECK(
        (c.exit_status == kFails ? outcome.exit_status > 0 : outcome.exit_status == c.exit_status));
    CHECK(outcome.output.starts_with(c.output));
  }
}

}  // namespace stentor
