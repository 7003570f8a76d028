// SPDX-License-Identifier: Apache-2.0
#include "common/io/admin_server.h"

#include <netinet/in.h>

#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/io/admin_session.h"
#include "common/io/event_loop_impl.h"

namespace stentor::io {
namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;

// After accept() failed for want of descriptors: what is open has to end first.
constexpr Duration kAcceptPause = std::chrono::milliseconds(200);

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

struct AdminServer::Impl : std::enable_shared_from_this<Impl> {
  Impl(EventLoop& loop, boost::asio::io_context& context, AdminOptions given)
      : options(std::move(given)), acceptor(context), pause(loop) {}

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
      if (self->shared->sessions.size() < self->options.limits.connections) {
        StartAdminSession(std::move(socket),
                          self->options.tls
                              ? self->options.tls->Current(self->options.on_certificate_trouble)
                              : nullptr,
                          self->shared);
      }
      self->Accept();
    });
  }

  AdminOptions options;
  tcp::acceptor acceptor;
  Timer pause;
  std::shared_ptr<AdminShared> shared = std::make_shared<AdminShared>();
};

AdminServer::AdminServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

absl::StatusOr<std::unique_ptr<AdminServer>> AdminServer::Open(
    EventLoop& loop, AdminOptions options, std::map<std::string, AdminRoute> routes) {
  auto impl = std::make_shared<Impl>(loop, loop.impl_->context, std::move(options));
  impl->shared->limits = impl->options.limits;
  impl->shared->routes = std::move(routes);
  if (absl::Status status = impl->Listen(); !status.ok()) {
    return status;
  }
  impl->Accept();
  return std::unique_ptr<AdminServer>(new AdminServer(std::move(impl)));
}

AdminServer::~AdminServer() {
  impl_->shared->closed = true;
  impl_->pause.Disarm();
  error_code ignored;
  ignored = impl_->acceptor.close(ignored);
  for (AdminSession* const session : impl_->shared->sessions) {
    session->Close();
  }
}

std::uint16_t AdminServer::port() const {
  error_code ignored;
  return impl_->acceptor.local_endpoint(ignored).port();
}

std::size_t AdminServer::connections() const { return impl_->shared->sessions.size(); }

}  // namespace stentor::io
