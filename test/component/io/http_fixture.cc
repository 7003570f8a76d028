// SPDX-License-Identifier: Apache-2.0
#include "test/component/io/http_fixture.h"

#include <utility>

#include "test/support/catch.h"

namespace stentor::test {

std::unique_ptr<io::HttpServer> OpenHttp(io::EventLoop& loop, io::HttpOptions options,
                                         std::vector<io::HttpRoute> routes) {
  options.address = "127.0.0.1";
  auto server = io::HttpServer::Open(loop, std::move(options), std::move(routes));
  INFO(server.status());
  REQUIRE(server.ok());
  return *std::move(server);
}

std::vector<io::HttpRoute> HelloAndEcho() {
  return {{.path = io::ExactPath("/hello"), .handle = io::AnswerNow([](const io::HttpRequest&) {
                                              return io::HttpAnswer{.body = "hello\n"};
                                            })},
          {.path = io::ExactPath("/sick"), .handle = io::AnswerNow([](const io::HttpRequest&) {
                                             return io::HttpAnswer{.code = 503, .body = "sick\n"};
                                           })},
          {.path = io::ExactPath("/echo"),
           .method = io::HttpMethod::kPost,
           .handle = io::AnswerNow([](const io::HttpRequest& request) {
             return io::HttpAnswer{.body = request.target + "|" + request.content_type + "|" +
                                           request.body};
           })}};
}

std::shared_ptr<io::ServerTls> MakeTls(io::ServerTlsOptions options) {
  auto tls = io::ServerTls::Make(std::move(options));
  INFO(tls.status());
  REQUIRE(tls.ok());
  return *std::move(tls);
}

std::string Get(const std::string& path, const std::string& more) {
  return "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + more + "\r\n";
}

std::string Post(const std::string& path, const std::string& body, const std::string& more) {
  return "POST " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n" + more + "\r\n" + body;
}

}  // namespace stentor::test
