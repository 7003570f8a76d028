// SPDX-License-Identifier: Apache-2.0
#include "common/io/http_server.h"

#include <netinet/in.h>

#include <utility>

#include "common/base/strings.h"
#include "common/io/event_loop_impl.h"
#include "common/io/http_session.h"

namespace stentor::io {
namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;

// After accept() failed for want of descriptors: what is open has to end first.
constexpr Duration kAcceptPause = std::chrono::milliseconds(200);

constexpr obs::MetricInfo kRefused{
    "stentor_http_refused_connections_total", obs::MetricType::kCounter,
    "Connections to a port of this process that were closed, or not served, for want of room"};

absl::Status Listen(tcp::acceptor& acceptor, const tcp::endpoint& endpoint) {
  error_code error;
  error = acceptor.open(endpoint.protocol(), error);
  if (!error) {
    error = acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  }
  if (!error && endpoint.address().is_v6()) {
    // "::" is for both families.
    error = acceptor.set_option(boost::asio::ip::v6_only(false), error);
  }
  if (!error) {
    error = acceptor.bind(endpoint, error);
  }
  if (!error) {
    error = acceptor.listen(tcp::acceptor::max_listen_connections, error);
  }
  if (error) {
    error_code ignored;
    ignored = acceptor.close(ignored);
    return absl::UnavailableError(StrCat("cannot listen on ", endpoint.address().to_string(),
                                         " port ", endpoint.port(), ": ", error.message()));
  }
  return absl::OkStatus();
}

}  // namespace

std::function<bool(std::string_view path)> ExactPath(std::string path) {
  return [path = std::move(path)](std::string_view asked) { return asked == path; };
}

HttpHandler AnswerNow(std::function<HttpAnswer(const HttpRequest& request)> answer) {
  return [answer = std::move(answer)](const HttpRequest& request, const HttpReply& reply) {
    reply(answer(request));
  };
}

struct HttpServer::Impl : std::enable_shared_from_this<Impl> {
  Impl(EventLoop& loop, boost::asio::io_context& context, HttpOptions given,
       std::vector<HttpRoute> routes)
      : options(std::move(given)),
        acceptor(context),
        pause(loop),
        shared(std::make_shared<HttpShared>(options.limits, std::move(routes))) {}

  absl::Status Listen() {
    if (!options.address.empty()) {
      error_code error;
      const auto address = boost::asio::ip::make_address(options.address, error);
      if (error) {
        return absl::InvalidArgumentError(StrCat("\"", options.address, "\" is no IP address"));
      }
      return io::Listen(acceptor, {address, options.port});
    }
    absl::Status both = io::Listen(acceptor, {tcp::v6(), options.port});
    if (both.ok()) {
      return both;
    }
    // A machine without IPv6.
    return io::Listen(acceptor, {tcp::v4(), options.port});
  }

  void Accept() {
    acceptor.async_accept([self = shared_from_this()](error_code error, tcp::socket socket) {
      if (self->shared->closed) {
        return;
      }
      if (error) {
        self->pause.ArmAfter(kAcceptPause, [&server = *self] { server.Accept(); });
        return;
      }
      self->Serve(std::move(socket));
      self->Accept();
    });
  }

  // Where it only returns, the connection is closed.
  void Serve(tcp::socket socket) {
    ++shared->counts.accepted;
    if (shared->size() >= options.limits.connections && !shared->MakeRoom()) {
      ++shared->counts.turned_away;
      return;
    }
    // An answer's last piece must not wait for the client to acknowledge the one before.
    error_code ignored;
    ignored = socket.set_option(tcp::no_delay(true), ignored);
    if (options.tls == nullptr) {
      StartHttpSession(std::move(socket), nullptr, shared);
    } else if (auto tls = options.tls->Current(options.on_certificate_trouble); tls != nullptr) {
      StartHttpSession(std::move(socket), std::move(tls), shared);
    }
  }

  const HttpOptions options;
  tcp::acceptor acceptor;
  Timer pause;
  const std::shared_ptr<HttpShared> shared;
};

void HttpCounts::Collect(std::string_view server, obs::MetricSet& metrics) const {
  const auto set = [&](const char* reason, std::uint64_t count) {
    metrics.Set(kRefused, {{"server", std::string(server)}, {"reason", reason}}, count);
  };
  set("tooManyConnections", turned_away);
  set("outOfMemory", out_of_memory);
}

HttpServer::HttpServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Open(EventLoop& loop, HttpOptions options,
                                                             std::vector<HttpRoute> routes) {
  auto impl =
      std::make_shared<Impl>(loop, loop.impl_->context, std::move(options), std::move(routes));
  if (absl::Status status = impl->Listen(); !status.ok()) {
    return status;
  }
  impl->Accept();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

HttpServer::~HttpServer() {
  impl_->pause.Disarm();
  error_code ignored;
  ignored = impl_->acceptor.close(ignored);
  impl_->shared->CloseAll();
}

void HttpServer::KeepNoConnections() { impl_->shared->keeps_none = true; }

std::uint16_t HttpServer::port() const {
  error_code ignored;
  return impl_->acceptor.local_endpoint(ignored).port();
}

std::size_t HttpServer::connections() const { return impl_->shared->size(); }

const HttpCounts& HttpServer::counts() const { return impl_->shared->counts; }

}  // namespace stentor::io
