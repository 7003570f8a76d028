// SPDX-License-Identifier: Apache-2.0
#include "test/bench/api/api_client.h"

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>
#include <optional>
// clang-format off
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
// clang-format on

namespace stentor::bench {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using Stream = asio::ssl::stream<asio::ip::tcp::socket>;
using Message = http::request<http::string_body>;

[[noreturn]] void Die(const std::string& what, const std::string& why) {
  std::fprintf(stderr, "api-bench: %s: %s\n", what.c_str(), why.c_str());
  std::exit(1);
}

void Check(const boost::system::error_code& error, const char* what) {
  if (error) {
    Die(what, error.message());
  }
}

Message Build(const std::string& method, const std::string& target, const std::string& host,
              const std::string& authorization, std::string body) {
  Message message{http::string_to_verb(method), target, 11};
  message.set(http::field::host, host);
  message.set(http::field::accept, "application/json");
  if (!authorization.empty()) {
    message.set(http::field::authorization, authorization);
  }
  if (!body.empty()) {
    message.set(http::field::content_type, "application/json");
    message.body() = std::move(body);
  }
  message.prepare_payload();
  return message;
}

// Connects and shakes hands, then calls `done`.
void Open(Stream& stream, const asio::ip::tcp::endpoint& server, std::function<void()> done) {
  stream.next_layer().async_connect(
      server, [&stream, done = std::move(done)](boost::system::error_code error) mutable {
        Check(error, "connect");
        stream.next_layer().set_option(asio::ip::tcp::no_delay(true));
        stream.async_handshake(asio::ssl::stream_base::client,
                               [done = std::move(done)](boost::system::error_code failed) {
                                 Check(failed, "TLS handshake");
                                 done();
                               });
      });
}

}  // namespace

// One request at a time; then it asks its client for the next.
class ApiClient::Connection {
 public:
  explicit Connection(ApiClient& client) : client_(client), stream_(client.io_, client.tls_) {}

  void Run(Job job) {
    done_ = std::move(job.done);
    message_ =
        Build(job.method, job.target, client_.host_, client_.authorization_, std::move(job.body));
    if (open_) {
      Write();
      return;
    }
    Open(stream_, client_.server_, [this] {
      open_ = true;
      Write();
    });
  }

 private:
  void Write() {
    http::async_write(stream_, message_, [this](boost::system::error_code error, std::size_t) {
      Check(error, "request");
      Read();
    });
  }

  void Read() {
    parser_.emplace();
    parser_->body_limit(std::numeric_limits<std::uint64_t>::max());
    http::async_read(stream_, buffer_, *parser_,
                     [this](boost::system::error_code error, std::size_t) {
                       Check(error, "answer");
                       if (!parser_->keep_alive()) {
                         Die("answer", "the server closes the connection");
                       }
                       const Done done = std::move(done_);
                       const auto answer = parser_->release();
                       client_.Next(*this);  // first: the API server need not wait for us
                       done(answer.result_int(), answer.body());
                     });
  }

  ApiClient& client_;
  Stream stream_;
  bool open_ = false;
  Message message_;
  boost::beast::flat_buffer buffer_;
  std::optional<http::response_parser<http::string_body>> parser_;
  Done done_;
};

class ApiClient::WatchConnection {
 public:
  WatchConnection(ApiClient& client, const std::string& target, std::function<void()> opened,
                  std::function<void(std::string_view)> line)
      : stream_(client.io_, client.tls_),
        message_(Build("GET", target, client.host_, client.authorization_, "")),
        opened_(std::move(opened)),
        line_(std::move(line)) {
    parser_.body_limit(std::numeric_limits<std::uint64_t>::max());
    Open(stream_, client.server_, [this] { Write(); });
  }

 private:
  void Write() {
    http::async_write(stream_, message_, [this](boost::system::error_code error, std::size_t) {
      Check(error, "watch");
      http::async_read_header(stream_, buffer_, parser_,
                              [this](boost::system::error_code failed, std::size_t) {
                                Check(failed, "watch");
                                if (parser_.get().result_int() != 200) {
                                  Die("watch", std::to_string(parser_.get().result_int()));
                                }
                                opened_();
                                Read();
                              });
    });
  }

  void Read() {
    parser_.get().body().data = piece_.data();
    parser_.get().body().size = piece_.size();
    http::async_read_some(stream_, buffer_, parser_,
                          [this](boost::system::error_code error, std::size_t) {
                            if (error != http::error::need_buffer) {
                              Check(error, "watch");
                            }
                            Take(piece_.size() - parser_.get().body().size);
                            if (parser_.is_done()) {
                              Die("watch", "it ended");
                            }
                            Read();
                          });
  }

  void Take(std::size_t count) {
    text_.append(piece_.data(), count);
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = text_.find('\n', begin)) != std::string::npos;
         begin = end + 1) {
      line_(std::string_view(text_).substr(begin, end - begin));
    }
    text_.erase(0, begin);
  }

  Stream stream_;
  Message message_;
  const std::function<void()> opened_;
  const std::function<void(std::string_view)> line_;
  boost::beast::flat_buffer buffer_;
  http::response_parser<http::buffer_body> parser_;
  std::array<char, 65536> piece_;
  std::string text_;  // what came of a line that is not complete yet
};

ApiClient::ApiClient(asio::io_context& io, const Access& access, std::size_t connections)
    : io_(io), tls_(asio::ssl::context::tls_client), host_(access.host), limit_(connections) {
  tls_.load_verify_file(access.authority);
  tls_.set_verify_mode(asio::ssl::verify_peer);
  tls_.set_verify_callback(asio::ssl::host_name_verification(access.host));
  if (!access.certificate.empty()) {
    tls_.use_certificate_chain_file(access.certificate);
    tls_.use_private_key_file(access.key, asio::ssl::context::pem);
  }
  if (!access.token.empty()) {
    std::ifstream file(access.token);
    authorization_ = "Bearer " + std::string(std::istreambuf_iterator<char>(file), {});
  }
  server_ = asio::ip::tcp::resolver(io).resolve(access.host, access.port).begin()->endpoint();
}

ApiClient::~ApiClient() = default;

void ApiClient::Send(std::string method, std::string target, std::string body, Done done) {
  Job job{std::move(method), std::move(target), std::move(body), std::move(done)};
  if (!idle_.empty()) {
    Connection* const connection = idle_.back();
    idle_.pop_back();
    connection->Run(std::move(job));
  } else if (connections_.size() < limit_) {
    connections_.push_back(std::make_unique<Connection>(*this));
    connections_.back()->Run(std::move(job));
  } else {
    waiting_.push_back(std::move(job));
  }
}

void ApiClient::Next(Connection& connection) {
  if (waiting_.empty()) {
    idle_.push_back(&connection);
    return;
  }
  Job job = std::move(waiting_.front());
  waiting_.pop_front();
  connection.Run(std::move(job));
}

void ApiClient::Watch(std::string target, std::function<void()> opened,
                      std::function<void(std::string_view)> line) {
  watches_.push_back(
      std::make_unique<WatchConnection>(*this, target, std::move(opened), std::move(line)));
}

}  // namespace stentor::bench
