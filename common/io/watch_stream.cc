// SPDX-License-Identifier: Apache-2.0
#include "common/io/watch_stream.h"

#include <array>
#include <limits>
#include <type_traits>
#include <utility>

#include "common/base/strings.h"
#include "common/io/event_loop_impl.h"
#include "common/io/http_error.h"
#include "common/io/tcp_liveness.h"
// clang-format off
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
// clang-format on

namespace stentor::io {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
// With their executor's type known, which saves a call by pointer for each step.
using Executor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<tcp, Executor>;
using Resolver = asio::ip::basic_resolver<tcp, Executor>;
using TlsStream = asio::ssl::stream<Socket>;

// Most events fit into a piece; longer ones are told in several.
constexpr std::size_t kPiece = std::size_t{4} << 10U;
constexpr std::size_t kMaxHeader = std::size_t{32} << 10U;     // or chunk extensions
constexpr std::size_t kMaxErrorBody = std::size_t{64} << 10U;  // of a watch that was refused

absl::Status StatusOf(std::string_view what, error_code error) {
  const std::string text = StrCat(what, ": ", error.message());
  return error == asio::error::timed_out ? absl::DeadlineExceededError(text)
                                         : absl::UnavailableError(text);
}

http::request<http::empty_body> MessageOf(const WatchRequest& request) {
  constexpr unsigned kHttp11 = 11;
  http::request<http::empty_body> message(http::verb::get, request.path, kHttp11);
  message.set(http::field::host, request.host_header);
  message.set(http::field::accept, request.accept);
  message.set(http::field::user_agent, "stentor");
  if (!request.token.empty()) {
    message.set(http::field::authorization, StrCat("Bearer ", request.token));
  }
  return message;
}

}  // namespace

struct WatchTls::Context {
  asio::ssl::context ssl{asio::ssl::context::tls_client};
};

WatchTls::WatchTls(std::unique_ptr<Context> context) : context_(std::move(context)) {}
WatchTls::~WatchTls() = default;

absl::StatusOr<std::shared_ptr<const WatchTls>> WatchTls::Make(
    const std::shared_ptr<const TlsSettings>& settings, bool verifies) {
  try {
    auto context = std::make_unique<Context>();
    if (!settings->HasAuthority()) {
      context->ssl.set_default_verify_paths();  // takes long: the system's whole bundle is read
    }
    context->ssl.set_verify_mode(verifies ? asio::ssl::verify_peer : asio::ssl::verify_none);
    // A watch knows its socket, and needs nobody to look for it.
    TlsSettings::Apply(settings, context->ssl.native_handle(), HandshakeHook::kNotCalled);
    return std::shared_ptr<const WatchTls>(new WatchTls(std::move(context)));
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  }
}

// What doesn't depend on the kind of stream. Kept by its own pending operations; what they bring
// after Stop() is nobody's.
class WatchStream::Session : public std::enable_shared_from_this<WatchStream::Session> {
 public:
  Session(EventLoop& loop, const WatchRequest& request, const WatchTimes& times,
          WatchStreamHandlers handlers)
      : loop_(loop),
        times_(times),
        host_(request.host),
        port_(request.port),
        handlers_(std::move(handlers)),
        resolver_(loop.impl_->context),
        idle_timer_(loop),
        progress_(loop.Now()) {}
  virtual ~Session() = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void Start() {
    AwaitIdleness(times_.idle);
    // Most often an address, for which a resolver would start a thread.
    error_code no_address;
    const auto address = asio::ip::make_address(host_, no_address);
    if (!no_address) {
      Connect(std::array{tcp::endpoint(address, port_)});
      return;
    }
    resolver_.async_resolve(
        host_, StrCat(port_),
        Held([this](error_code error, const tcp::resolver::results_type& found) {
          if (error) {
            Fail("Failed to resolve its name", error);
          } else {
            Connect(found);
          }
        }));
  }

  // The handlers stay: one of them may be who stops.
  void Stop() {
    stopped_ = true;
    idle_timer_.Disarm();
    resolver_.cancel();
    error_code ignored;
    ignored = socket().close(ignored);
  }

 protected:
  // A step that is not taken any more once the session has been stopped.
  template <typename Step>
  struct HeldStep {
    template <typename... Results>
    void operator()(Results&&... results) {
      if (!self->stopped_) {
        self->progress_ = self->loop_.Now();
        step(std::forward<Results>(results)...);
      }
    }
    std::shared_ptr<Session> self;
    Step step;
  };
  template <typename Step>
  HeldStep<Step> Held(Step step) {
    return {shared_from_this(), std::move(step)};
  }

  virtual Socket& socket() = 0;
  // What follows when the connection is there.
  virtual void OnConnected() = 0;

  [[nodiscard]] bool stopped() const { return stopped_; }
  // Of a refusal, no more is read than can be told.
  [[nodiscard]] bool has_enough() const { return response_.body.size() >= kMaxErrorBody; }

  void Fail(std::string_view what, error_code error) { End(StatusOf(what, error)); }

  void End(absl::Status status) {
    const auto self = shared_from_this();  // on_end may destroy the stream
    const auto on_end = std::move(handlers_.on_end);
    Stop();
    on_end({.status = std::move(status), .response = std::move(response_), .opened = opened_});
  }

  void OnHeader(const http::response_header<>& header) {
    response_.code = static_cast<int>(header.result_int());
    if (const auto it = header.find("Retry-After"); it != header.end()) {
      response_.retry_after =
          kube::ParseRetryAfter(std::string_view(it->value().data(), it->value().size()));
    }
    opened_ = header.result() == http::status::ok;
    if (opened_) {
      handlers_.on_open();
    }
  }

  void OnBody(std::string_view bytes) {
    if (opened_) {
      handlers_.on_bytes(bytes);
    } else {
      response_.body += bytes;
    }
  }

 private:
  template <typename Endpoints>
  void Connect(const Endpoints& endpoints) {
    asio::async_connect(
        socket(), endpoints, Held([this](error_code error, const auto& /*endpoint*/) {
          if (error) {
            Fail("Failed to connect", error);
            return;
          }
          error_code ignored;  // without it, the request follows the handshake later
          ignored = socket().set_option(tcp::no_delay(true), ignored);
          WatchOverTcp(socket().native_handle(), times_.dead_after);
          OnConnected();
        }));
  }

  // Looked at now and then: a timer that is armed anew for each event costs more than reading it.
  void AwaitIdleness(Duration left) {
    idle_timer_.ArmAfter(left, [this] {
      const Duration idle = loop_.Now() - progress_;
      if (idle >= times_.idle) {
        End(absl::DeadlineExceededError("no answer in time"));
      } else {
        AwaitIdleness(times_.idle - idle);
      }
    });
  }

  EventLoop& loop_;
  const WatchTimes times_;
  const std::string host_;
  const std::uint16_t port_;
  WatchStreamHandlers handlers_;
  Resolver resolver_;
  Timer idle_timer_;
  TimePoint progress_;  // when a step was done last
  kube::Response response_;
  bool opened_ = false;
  bool stopped_ = false;
};

template <typename Stream>
class WatchStream::SessionOn final : public Session {
 public:
  // `stream`: what a Stream is made of.
  template <typename... Arguments>
  SessionOn(EventLoop& loop, std::shared_ptr<const WatchTls> tls, const WatchRequest& request,
            const WatchTimes& times, WatchStreamHandlers handlers, Arguments&... stream)
      : Session(loop, request, times, std::move(handlers)),
        tls_(std::move(tls)),
        stream_(stream...),
        message_(MessageOf(request)),
        buffer_(kMaxHeader) {
    parser_.header_limit(kMaxHeader);
    buffer_.reserve(kPiece);  // Beast reads as much as there is room for, at first 512 octets
    parser_.body_limit(std::numeric_limits<std::uint64_t>::max());  // Boost 1.74 takes none as 0
  }

 private:
  Socket& socket() override { return beast::get_lowest_layer(stream_); }

  void OnConnected() override {
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      stream_.async_handshake(asio::ssl::stream_base::client, Held([this](error_code error) {
                                if (error) {
                                  Fail("SSL handshake", error);
                                } else {
                                  Ask();
                                }
                              }));
    } else {
      Ask();
    }
  }

  void Ask() {
    http::async_write(stream_, message_, Held([this](error_code error, std::size_t /*octets*/) {
                        message_ = {};
                        if (error) {
                          Fail("Failed to write request", error);
                        } else {
                          ReadHeader();
                        }
                      }));
  }

  void ReadHeader() {
    http::async_read_header(
        stream_, buffer_, parser_, Held([this](error_code error, std::size_t /*octets*/) {
          if (error) {
            Fail(IsNoHttp(error) ? "its answer is no HTTP" : "Failed to read HTTP status line",
                 error);
            return;
          }
          OnHeader(parser_.get().base());
          Read();
        }));
  }

  void Read() {
    if (stopped()) {
      return;  // by a handler
    }
    if (parser_.is_done() || has_enough()) {
      End(absl::OkStatus());
      return;
    }
    auto& body = parser_.get().body();
    body.data = piece_.data();
    body.size = piece_.size();
    http::async_read_some(stream_, buffer_, parser_,
                          Held([this](error_code error, std::size_t /*octets*/) {
                            const std::size_t left = parser_.get().body().size;
                            if (left < piece_.size()) {
                              OnBody({piece_.data(), piece_.size() - left});
                            }
                            if (error && error != http::error::need_buffer && !stopped()) {
                              Fail("the stream broke off", error);
                              return;
                            }
                            Read();
                          }));
  }

  const std::shared_ptr<const WatchTls> tls_;  // stream_ uses it
  Stream stream_;
  http::request<http::empty_body> message_;  // until it is written
  http::response_parser<http::buffer_body> parser_;
  beast::flat_buffer buffer_;
  std::array<char, kPiece> piece_;
};

WatchStream::WatchStream(EventLoop& loop, std::shared_ptr<const WatchTls> tls,
                         const WatchRequest& request, const WatchTimes& times,
                         WatchStreamHandlers handlers) {
  asio::io_context& context = loop.impl_->context;
  if (tls) {
    asio::ssl::context& ssl = tls->context_->ssl;
    session_ = std::make_shared<SessionOn<TlsStream>>(loop, std::move(tls), request, times,
                                                      std::move(handlers), context, ssl);
  } else {
    session_ = std::make_shared<SessionOn<Socket>>(loop, nullptr, request, times,
                                                   std::move(handlers), context);
  }
  session_->Start();
}

WatchStream::~WatchStream() { session_->Stop(); }

}  // namespace stentor::io
