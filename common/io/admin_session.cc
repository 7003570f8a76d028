// SPDX-License-Identifier: Apache-2.0
#include "common/io/admin_session.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <type_traits>

#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

#include "common/base/strings.h"

namespace stentor::io {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using Request = http::request<http::empty_body>;
using Response = http::response<http::string_body>;
using PlainStream = beast::tcp_stream;
using TlsStream = beast::ssl_stream<beast::tcp_stream>;

constexpr std::string_view kBearer = "bearer ";
constexpr std::size_t kMaxDiscarded = std::size_t{64} << 10U;

// The token of "Authorization: Bearer <token>"; empty where there is none.
std::string TokenOf(const Request& request) {
  const beast::string_view field = request[http::field::authorization];
  const std::string_view value(field.data(), field.size());
  if (value.size() <= kBearer.size() ||
      !beast::iequals(field.substr(0, kBearer.size()), {kBearer.data(), kBearer.size()})) {
    return {};
  }
  return std::string(value.substr(kBearer.size()));
}

AdminAnswer Plain(int code, std::string text) { return {.code = code, .body = std::move(text)}; }

AdminAnswer Refusal(Access access) {
  switch (access) {
    case Access::kUnauthenticated:
      return Plain(401, "a bearer token of this cluster is needed\n");
    case Access::kDenied:
      return Plain(403, "this token may not get this path\n");
    case Access::kAllowed:
    case Access::kUnavailable:
      break;
  }
  return Plain(503, "the API server could not be asked about this token\n");
}

template <typename Stream>
class Session final : public AdminSession, public std::enable_shared_from_this<Session<Stream>> {
 public:
  static constexpr bool kTls = std::is_same_v<Stream, TlsStream>;

  Session(Stream stream, std::shared_ptr<boost::asio::ssl::context> tls,
          std::shared_ptr<AdminShared> shared)
      : tls_(std::move(tls)),
        stream_(std::move(stream)),
        shared_(std::move(shared)),
        buffer_(2 * shared_->limits.header_bytes) {
    shared_->sessions.insert(this);
  }
  ~Session() override { shared_->sessions.erase(this); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void Close() override { beast::get_lowest_layer(stream_).close(); }

  void Start() {
    if constexpr (kTls) {
      Expire(shared_->limits.handshake);
      stream_.async_handshake(boost::asio::ssl::stream_base::server,
                              [self = this->shared_from_this()](error_code error) {
                                if (!error) {
                                  self->Read(self->shared_->limits.header);
                                }
                              });
    } else {
      Read(shared_->limits.header);
    }
  }

 private:
  void Expire(Duration limit) { beast::get_lowest_layer(stream_).expires_after(limit); }

  void Read(Duration limit) {
    if (shared_->closed) {
      return;
    }
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(shared_->limits.header_bytes));
    Expire(limit);
    http::async_read_header(stream_, buffer_, *parser_,
                            [self = this->shared_from_this()](error_code error, std::size_t) {
                              self->OnRequest(error);
                            });
  }

  void OnRequest(error_code error) {
    if (shared_->closed) {
      return;
    }
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
      Last(Plain(431, "the header is too long\n"));
      return;
    }
    const error_code end = http::error::end_of_stream;
    if (error.category() == end.category() && error != end &&
        error != http::error::partial_message) {
      Last(Plain(400, "this is no HTTP request that is understood here\n"));
      return;
    }
    if (error) {
      Finish();  // the deadline, or the client went
      return;
    }
    if (!parser_->is_done()) {
      Last(Plain(413, "a request has no body here\n"));
      return;
    }
    Route(parser_->get());
  }

  void Route(const Request& request) {
    const std::string_view target(request.target().data(), request.target().size());
    const auto route = shared_->routes.find(std::string(target.substr(0, target.find('?'))));
    if (route == shared_->routes.end()) {
      Answer(Plain(404, "there is nothing here\n"));
      return;
    }
    if (request.method() != http::verb::get && request.method() != http::verb::head) {
      Answer(Plain(405, "GET or HEAD\n"));
      return;
    }
    if (!route->second.authorize) {
      Answer(route->second.handle());
      return;
    }
    const std::string token = TokenOf(request);
    if (token.empty()) {
      Answer(Refusal(Access::kUnauthenticated));
      return;
    }
    AwaitAuthorization(token, route->second);
  }

  // Nothing is read meanwhile, so the stream's own deadline does not run: a timer does.
  void AwaitAuthorization(const std::string& token, const AdminRoute& route) {
    const auto settled = std::make_shared<bool>(false);
    const auto settle = [self = this->shared_from_this(), settled, &route](Access access) {
      if (std::exchange(*settled, true) || self->shared_->closed) {
        return;
      }
      self->authorization_timer_.reset();
      self->Answer(access == Access::kAllowed ? route.handle() : Refusal(access));
    };
    authorization_timer_.emplace(stream_.get_executor());
    authorization_timer_->expires_after(shared_->limits.answer);
    authorization_timer_->async_wait([settle](error_code error) {
      if (!error) {
        settle(Access::kUnavailable);
      }
    });
    route.authorize(token, settle);
  }

  // An answer after which the rest of what the client sends can't be understood.
  void Last(AdminAnswer answer) {
    last_ = true;
    Answer(std::move(answer));
  }

  void Answer(AdminAnswer answer) {
    const Request& request = parser_->get();
    const bool keep_alive = !last_ && request.keep_alive();
    response_.emplace(static_cast<http::status>(answer.code), 11);
    Response& response = *response_;
    response.set(http::field::content_type, answer.content_type);
    response.set(http::field::cache_control, "no-store");
    response.set("X-Content-Type-Options", "nosniff");
    if (answer.code == 401) {
      response.set(http::field::www_authenticate, "Bearer");
    }
    if (answer.code == 405) {
      response.set(http::field::allow, "GET, HEAD");
    }
    response.keep_alive(keep_alive);
    response.content_length(answer.body.size());
    if (last_ || request.method() != http::verb::head) {
      response.body() = std::move(answer.body);
    }
    serializer_.emplace(response);
    Expire(shared_->limits.answer);
    http::async_write(stream_, *serializer_,
                      [self = this->shared_from_this(), keep_alive](error_code error, std::size_t) {
                        if (!error && keep_alive) {
                          self->Read(self->shared_->limits.idle);
                        } else if (!error) {
                          self->Finish();
                        }
                      });
  }

  // Ends in order, so that the client sees a whole answer.
  void Finish() {
    Expire(shared_->limits.handshake);
    if constexpr (kTls) {
      stream_.async_shutdown(
          [self = this->shared_from_this()](error_code) { self->CloseSending(); });
    } else {
      CloseSending();
    }
  }

  // Closing a socket with unread bytes resets it, and the client may never see the last answer; so
  // some of what it still sends is read, until the deadline of Finish().
  void CloseSending() {
    error_code error;
    error = beast::get_lowest_layer(stream_).socket().shutdown(
        boost::asio::ip::tcp::socket::shutdown_send, error);
    if (!error && last_) {
      Discard();
    }
  }

  void Discard() {
    beast::get_lowest_layer(stream_).async_read_some(
        boost::asio::buffer(discarded_),
        [self = this->shared_from_this()](error_code error, std::size_t size) {
          self->discarded_total_ += size;
          if (!error && self->discarded_total_ < kMaxDiscarded) {
            self->Discard();
          }
        });
  }

  // The stream refers to the context, so it goes first.
  const std::shared_ptr<boost::asio::ssl::context> tls_;
  Stream stream_;
  const std::shared_ptr<AdminShared> shared_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::empty_body>> parser_;
  std::optional<Response> response_;
  std::optional<http::response_serializer<http::string_body>> serializer_;
  std::optional<boost::asio::steady_timer> authorization_timer_;
  bool last_ = false;
  std::array<char, 1024> discarded_{};
  std::size_t discarded_total_ = 0;
};

}  // namespace

void StartAdminSession(boost::asio::ip::tcp::socket socket,
                       std::shared_ptr<boost::asio::ssl::context> tls,
                       std::shared_ptr<AdminShared> shared) {
  if (tls != nullptr) {
    TlsStream stream(PlainStream(std::move(socket)), *tls);
    std::make_shared<Session<TlsStream>>(std::move(stream), std::move(tls), std::move(shared))
        ->Start();
  } else {
    std::make_shared<Session<PlainStream>>(PlainStream(std::move(socket)), nullptr,
                                           std::move(shared))
        ->Start();
  }
}

}  // namespace stentor::io
