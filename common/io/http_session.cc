// SPDX-License-Identifier: Apache-2.0
#include "common/io/http_session.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

#include "common/io/http_refusals.h"

namespace stentor::io {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using Parser = HttpParser;
using Request = Parser::value_type;
using Response = http::response<http::string_body>;
using PlainStream = beast::tcp_stream;
using TlsStream = beast::ssl_stream<beast::tcp_stream>;

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::size_t kReadOctets = std::size_t{16} << 10U;
constexpr std::size_t kFirstRead = 512;  // what a connection has at hand while it waits
constexpr std::size_t kMaxDiscarded = std::size_t{16} << 20U;
// A body begins with room for as much, where it does not say that it is shorter.
constexpr std::size_t kFirstRoom = std::size_t{64} << 10U;

// One request after the other. At each moment at most one of these is under way: a read, a write,
// or the wait for an authorizer or handler.
template <typename Stream>
class Session final : public HttpSession, public std::enable_shared_from_this<Session<Stream>> {
 public:
  static constexpr bool kTls = std::is_same_v<Stream, TlsStream>;

  Session(Stream stream, std::shared_ptr<boost::asio::ssl::context> tls,
          std::shared_ptr<HttpShared> shared)
      : tls_(std::move(tls)),
        stream_(std::move(stream)),
        shared_(std::move(shared)),
        timer_(stream_.get_executor()),
        buffer_(shared_->limits.header_bytes + kReadOctets) {
    shared_->Add(*this);
  }
  ~Session() override { shared_->Remove(*this); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void Close() override {
    closed_ = true;
    timer_.cancel();
    Tcp().close();
  }

  bool IsIdle() override {
    error_code error;
    return idle_ && Tcp().socket().available(error) == 0;
  }

  void Start() {
    shared_->Awaits(*this);
    if constexpr (kTls) {
      Expire(limits().handshake);
      stream_.async_handshake(boost::asio::ssl::stream_base::server,
                              [self = this->shared_from_this()](error_code error) {
                                if (!error && !self->IsClosed()) {
                                  self->ReadHeader();
                                }
                              });
    } else {
      ReadHeader();
    }
  }

 private:
  [[nodiscard]] beast::tcp_stream& Tcp() { return beast::get_lowest_layer(stream_); }
  [[nodiscard]] const HttpLimits& limits() const { return shared_->limits; }
  [[nodiscard]] bool IsClosed() const { return closed_ || shared_->closed; }
  void Expire(Duration limit) { Tcp().expires_after(limit); }

  // Between two requests.
  void AwaitRequest() {
    if (buffer_.size() != 0) {  // it is there already
      shared_->Awaits(*this);
      ReadHeader();
      return;
    }
    parser_.reset();  // nothing is kept for a client that may never come back
    buffer_.shrink_to_fit();
    idle_ = true;
    shared_->BecameIdle(*this);
    Expire(limits().idle);
    stream_.async_read_some(buffer_.prepare(kFirstRead),
                            [self = this->shared_from_this()](error_code error, std::size_t size) {
                              self->idle_ = false;
                              if (self->IsClosed()) {
                                return;
                              }
                              self->shared_->Awaits(*self);
                              if (error) {
                                self->Finish();
                                return;
                              }
                              self->buffer_.commit(size);
                              self->ReadHeader();
                            });
  }

  void ReadHeader() {
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(limits().header_bytes));
    // Not to be judged before the path is known.
    parser_->body_limit(std::numeric_limits<std::uint64_t>::max());
    Expire(limits().header);
    http::async_read_header(stream_, buffer_, *parser_,
                            [self = this->shared_from_this()](error_code error, std::size_t) {
                              if (!self->IsClosed()) {
                                self->OnHeader(error);
                              }
                            });
  }

  void OnHeader(error_code error) {
    if (error) {
      Refuse(error);
      return;
    }
    ++shared_->counts.requests;
    if (auto refusal = RefusalOfFraming(*parser_); refusal.has_value()) {
      Last(*std::move(refusal));
      return;
    }
    const Request& request = parser_->get();
    const std::string_view target = View(request.target());
    const std::string_view path = target.substr(0, target.find('?'));
    const auto route = std::ranges::find_if(
        shared_->routes, [path](const HttpRoute& each) { return each.path(path); });
    if (route == shared_->routes.end()) {
      Answer(PlainText(404, "there is nothing here\n"));
      return;
    }
    route_ = &*route;
    if (auto refusal = RefusalOfRequest(*parser_, *route_, limits()); refusal.has_value()) {
      Answer(*std::move(refusal));
      return;
    }
    if (!route_->authorize) {
      Proceed();
      return;
    }
    const std::string token = TokenOf(request);
    if (token.empty()) {
      Answer(RefusalOfAccess(Access::kUnauthenticated));
      return;
    }
    route_->authorize(token, [weak = this->weak_from_this(),
                              turn = Wait(RefusalOfAccess(Access::kUnavailable))](Access access) {
      const auto self = weak.lock();
      if (self == nullptr || !self->TakeTurn(turn)) {
        return;
      }
      if (access == Access::kAllowed) {
        self->Proceed();
      } else {
        self->Answer(RefusalOfAccess(access));
      }
    });
  }

  // Nothing is read or written until somebody takes the turn that is returned, so the stream's own
  // deadline does not run: this one does, after which `otherwise` is answered.
  std::uint64_t Wait(HttpAnswer otherwise) {
    const std::uint64_t turn = ++turn_;
    timer_.expires_after(limits().answer);
    timer_.async_wait([self = this->shared_from_this(), turn,
                       otherwise = std::move(otherwise)](error_code) mutable {
      if (self->TakeTurn(turn)) {
        self->Answer(std::move(otherwise));
      }
    });
    return turn;
  }

  // False where somebody else was faster, or the connection is closed.
  bool TakeTurn(std::uint64_t turn) {
    if (IsClosed() || turn != turn_) {
      return false;
    }
    ++turn_;
    timer_.cancel();
    return true;
  }

  void Proceed() {
    if (parser_->is_done()) {
      Handle();
      return;
    }
    parser_->body_limit(limits().body_bytes);
    Expire(limits().body);
    if (parser_->get()[http::field::expect].empty() || buffer_.size() != 0) {
      ReadBody();
      return;
    }
    boost::asio::async_write(stream_, boost::asio::buffer(kContinue.data(), kContinue.size()),
                             [self = this->shared_from_this()](error_code error, std::size_t) {
                               if (!error && !self->IsClosed()) {
                                 self->ReadBody();
                               }
                             });
  }

  // Room grows with what has come, not with what is announced.
  [[nodiscard]] bool MakeRoom() {
    if (received_ < body_.size()) {
      return true;
    }
    const std::size_t most = static_cast<std::size_t>(std::min<std::uint64_t>(
        parser_->content_length().value_or(limits().body_bytes), limits().body_bytes));
    const std::size_t room = std::min(most, std::max(kFirstRoom, 2 * body_.size()));
    if (!shared_->Hold(*this, room)) {
      return false;
    }
    body_.reserve(room);
    body_.resize(room);
    buffer_.reserve(kReadOctets);
    return true;
  }

  void ReadBody() {
    if (!MakeRoom()) {
      Last(PlainText(503, "too many bodies are being read\n"));
      return;
    }
    auto& room = parser_->get().body();
    room.data = body_.data() + received_;
    room.size = body_.size() - received_;
    http::async_read_some(stream_, buffer_, *parser_,
                          [self = this->shared_from_this()](error_code error, std::size_t) {
                            if (!self->IsClosed()) {
                              self->OnBody(error);
                            }
                          });
  }

  void OnBody(error_code error) {
    received_ = body_.size() - parser_->get().body().size;
    if (error && error != http::error::need_buffer) {
      Refuse(error);
    } else if (!parser_->is_done()) {
      ReadBody();
    } else {
      body_.resize(received_);
      Handle();
    }
  }

  void Handle() {
    const Request& request = parser_->get();
    HttpRequest given{.target = std::string(View(request.target())),
                      .content_type = std::string(View(request[http::field::content_type])),
                      .body = std::exchange(body_, {})};
    shared_->Lend(*this, true);
    shared_->Serves(*this);
    route_->handle(std::move(given), [weak = this->weak_from_this(),
                                      turn = Wait(PlainText(503, "there was no answer in time\n"))](
                                         HttpAnswer answer) {
      const auto self = weak.lock();
      if (self != nullptr && self->TakeTurn(turn)) {
        self->Answer(std::move(answer));
      }
    });
  }

  void Refuse(error_code error) {
    if (auto refusal = RefusalOfOctets(error); refusal.has_value()) {
      Last(*std::move(refusal));
    } else {
      Finish();
    }
  }

  // An answer after which the rest of what the client sends can't be understood.
  void Last(HttpAnswer answer) {
    last_ = true;
    Answer(std::move(answer));
  }

  void Answer(HttpAnswer answer) {
    const Request& request = parser_->get();
    body_ = {};
    shared_->Lend(*this, false);
    shared_->Serves(*this);
    if (!shared_->Hold(*this, answer.body.capacity())) {
      last_ = true;
      answer = PlainText(503, "too many answers are being written\n");
    }
    last_ = last_ || !parser_->is_done();  // a body that nobody reads
    const bool keep_alive =
        !last_ && !shared_->keeps_none && request.keep_alive() && request.version() == 11;
    response_.emplace(static_cast<http::status>(answer.code), 11);
    Response& response = *response_;
    response.set(http::field::content_type, answer.content_type);
    response.set(http::field::cache_control, "no-store");
    response.set("X-Content-Type-Options", "nosniff");
    if (answer.code == 401) {
      response.set(http::field::www_authenticate, "Bearer");
    }
    if (answer.code == 405 && route_ != nullptr) {
      response.set(http::field::allow, AllowedMethods(route_->method));
    }
    response.keep_alive(keep_alive);
    response.content_length(answer.body.size());
    if (request.method() != http::verb::head) {
      response.body() = std::move(answer.body);
    }
    serializer_.emplace(response);
    Expire(limits().answer);
    http::async_write(stream_, *serializer_,
                      [self = this->shared_from_this(), keep_alive](error_code error, std::size_t) {
                        if (!error && !self->IsClosed()) {
                          self->OnAnswered(keep_alive);
                        }
                      });
  }

  void OnAnswered(bool keep_alive) {
    serializer_.reset();
    response_.reset();
    (void)shared_->Hold(*this, 0);
    route_ = nullptr;
    received_ = 0;
    if (keep_alive) {
      AwaitRequest();
    } else {
      Finish();
    }
  }

  // Ends in order, so that the client sees a whole answer.
  void Finish() {
    shared_->Awaits(*this);
    Expire(limits().handshake);
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
    error = Tcp().socket().shutdown(boost::asio::ip::tcp::socket::shutdown_send, error);
    if (!error && last_ && !IsClosed()) {
      Discard();
    }
  }

  void Discard() {
    buffer_.clear();
    Tcp().async_read_some(buffer_.prepare(kReadOctets),
                          [self = this->shared_from_this()](error_code error, std::size_t size) {
                            self->discarded_ += size;
                            if (!error && self->discarded_ < kMaxDiscarded) {
                              self->Discard();
                            }
                          });
  }

  // The stream refers to the context, so it goes first.
  const std::shared_ptr<boost::asio::ssl::context> tls_;
  Stream stream_;
  const std::shared_ptr<HttpShared> shared_;
  boost::asio::steady_timer timer_;
  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  const HttpRoute* route_ = nullptr;  // of the request that is being served
  std::string body_;                  // room for it, of which received_ octets are filled
  std::size_t received_ = 0;
  std::uint64_t turn_ = 0;
  std::optional<Response> response_;
  std::optional<http::response_serializer<http::string_body>> serializer_;
  std::size_t discarded_ = 0;
  bool idle_ = false;
  bool last_ = false;
  bool closed_ = false;
};

}  // namespace

void StartHttpSession(boost::asio::ip::tcp::socket socket,
                      std::shared_ptr<boost::asio::ssl::context> tls,
                      std::shared_ptr<HttpShared> shared) {
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
