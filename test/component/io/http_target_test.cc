// SPDX-License-Identifier: Apache-2.0

/// \file
/// Where the HTTP probe may be sent.

#include <string>

#include "common/io/http_probe.h"
#include "test/support/catch.h"

namespace stentor {

using Catch::Contains;

TEST_CASE("Where a probe goes", "[http_probe]") {
  struct Case {
    const char* text;
    const char* hosts;
    int port;
    const char* path;
    const char* header;
  };
  const auto c = GENERATE(values<Case>({
      {"http://127.0.0.1:10256/healthz", "127.0.0.1", 10256, "/healthz", "127.0.0.1:10256"},
      {"127.0.0.1:10256/healthz", "127.0.0.1", 10256, "/healthz", "127.0.0.1:10256"},
      {"localhost:10256", "127.0.0.1 ::1", 10256, "/", "localhost:10256"},
      {"http://192.0.2.1", "192.0.2.1", 80, "/", "192.0.2.1"},
      {"http://192.0.2.1:80/", "192.0.2.1", 80, "/", "192.0.2.1"},
      {"http://[2001:db8::1]/a?b=c", "2001:db8::1", 80, "/a?b=c", "[2001:db8::1]"},
      {"[::1]:10256/x:y/z", "::1", 10256, "/x:y/z", "[::1]:10256"},
      {"127.0.0.1:1?verbose", "127.0.0.1", 1, "/?verbose", "127.0.0.1:1"},
  }));
  DYNAMIC_SECTION(c.text) {
    const auto target = io::ParseHttpTarget(c.text);
    REQUIRE(target.ok());
    std::string hosts;
    for (const net::IpAddress& host : target->hosts) {
      hosts += (hosts.empty() ? "" : " ") + host.ToString();
    }
    CHECK(hosts == c.hosts);
    CHECK(target->port == c.port);
    CHECK(target->path == c.path);
    CHECK(target->host_header == c.header);
  }
}

TEST_CASE("Where no probe goes", "[http_probe]") {
  struct Case {
    const char* text;
    const char* why;
  };
  const auto c = GENERATE(values<Case>({
      {"", "an IP address, or localhost"},
      {"https://127.0.0.1:10256/healthz", "only http://"},
      {"ftp://127.0.0.1/", "only http://"},
      {"node-1:10256", "an IP address, or localhost"},
      {"http://user@127.0.0.1/", "an IP address, or localhost"},
      {"http://:10256/", "an IP address, or localhost"},
      {"127.0.0.1:", "the port"},
      {"127.0.0.1:0", "the port"},
      {"127.0.0.1:65536", "the port"},
      {"127.0.0.1:10256x/", "the port"},
      {"127.0.0.1:-1/", "the port"},
      {"2001:db8::1", "in brackets"},
      {"[127.0.0.1]:80", "an IP address, or localhost"},
      {"[]:80", "an IP address, or localhost"},
      {"[::1", "the port"},
      {"127.0.0.1/a b", "spaces"},
      {"127.0.0.1/a\r\nX: y", "spaces"},
      {"127.0.0.1/#a", "fragments"},
      {"127.0.0.1/\xC3\xBC", "ASCII"},
  }));
  DYNAMIC_SECTION(c.text) {
    const auto target = io::ParseHttpTarget(c.text);
    REQUIRE(target.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK_THAT(std::string(target.status().message()), Contains(c.why));
  }
}

}  // namespace stentor
