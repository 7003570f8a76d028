// SPDX-License-Identifier: Apache-2.0
#include "common/io/http_probe.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "common/base/strings.h"
#include "common/io/event_loop_impl.h"
#include "common/io/http_error.h"
// clang-format off
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
// clang-format on

namespace stentor::io {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::asio::ip::tcp;
using boost::system::error_code;

constexpr std::string_view kScheme = "http://";
constexpr std::uint16_t kDefaultPort = 80;

absl::Status Invalid(std::string_view text, std::string_view why) {
  return absl::InvalidArgumentError(StrCat("\"", text, "\": ", why));
}

std::optional<std::uint16_t> ParsePort(std::string_view text) {
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, port);
  return parsed.ec == std::errc() && parsed.ptr == end && port != 0 ? std::optional(port)
                                                                    : std::nullopt;
}

// As a URL has it.
std::string HostText(const net::IpAddress& host) {
  return host.IsIpv4() ? host.ToString() : StrCat("[", host.ToString(), "]");
}

tcp::endpoint EndpointOf(const net::IpAddress& host, std::uint16_t port) {
  if (host.IsIpv4()) {
    return {boost::asio::ip::address_v4(host.ipv4().value()), port};
  }
  return {boost::asio::ip::address_v6(host.ipv6().octets()), port};
}

// There is no such address, family or route on this machine, so nobody listens there either.
bool IsNobody(const error_code& error) {
  return error == boost::asio::error::connection_refused ||
         error == boost::system::errc::address_not_available ||
         error == boost::asio::error::address_family_not_supported ||
         error == boost::asio::error::network_unreachable;
}

}  // namespace

absl::StatusOr<HttpTarget> ParseHttpTarget(std::string_view text) {
  std::string_view rest = text;
  if (rest.substr(0, kScheme.size()) == kScheme) {
    rest.remove_prefix(kScheme.size());
  } else if (rest.find("://") != std::string_view::npos) {
    return Invalid(text, "only http:// is supported");
  }
  // It goes into the request as it is.
  if (std::ranges::any_of(rest, [](char c) { return c <= ' ' || c > '~' || c == '#'; })) {
    return Invalid(text, "spaces, fragments and characters beyond ASCII are not allowed");
  }
  HttpTarget target{.port = kDefaultPort};
  const std::size_t slash = rest.find_first_of("/?");
  std::string_view host = rest.substr(0, slash);
  if (slash != std::string_view::npos) {
    target.path = std::string(rest.substr(slash));
    if (target.path.front() == '?') {
      target.path.insert(0, "/");
    }
  }
  const std::size_t bracket = host.find(']');
  const std::size_t colon = host.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (colon != std::string_view::npos) {
    const auto port = ParsePort(host.substr(colon + 1));
    if (!port) {
      return Invalid(text,
                     "the port has to be a number from 1 to 65535; an IPv6 address stands in "
                     "brackets");
    }
    target.port = *port;
    host = host.substr(0, colon);
  }
  if (host == "localhost") {
    target.hosts = {net::IpAddress(net::Ipv4Address::FromOctets(127, 0, 0, 1)),
                    *net::IpAddress::Parse("::1")};
    target.host_header = "localhost";
  } else {
    const bool in_brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
    const auto address =
        net::IpAddress::Parse(in_brackets ? host.substr(1, host.size() - 2) : host);
    if (!address || address->IsIpv4() == in_brackets) {
      return Invalid(text, "the host has to be an IP address, or localhost");
    }
    target.hosts = {*address};
    target.host_header = HostText(*address);
  }
  if (target.port != kDefaultPort) {
    StrAppend(&target.host_header, ":", target.port);
  }
  return target;
}

// Kept by its own pending operations; what they bring after Cancel() or the end is nobody's.
class HttpProbe::Request : public std::enable_shared_from_this<Request> {
 public:
  Request(EventLoop& loop, boost::asio::io_context& context, HttpTarget target, Handler handler)
      : socket_(context),
        timer_(loop),
        target_(std::move(target)),
        handler_(std::move(handler)),
        buffer_(kMaxHeader + kMaxBody) {
    parser_.header_limit(kMaxHeader);
    parser_.body_limit(kMaxBody);
  }

  void Start(Duration time_limit) {
    // Weak: the timer is the request's own.
    timer_.ArmAfter(time_limit, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) {
        self->Finish(absl::DeadlineExceededError(StrCat("no answer from ", self->Where())));
      }
    });
    Connect();
  }

  void Cancel() {
    handler_ = nullptr;
    Close();
  }

 private:
  [[nodiscard]] std::string Where() const {
    return StrCat(HostText(target_.hosts[host_]), ":", target_.port);
  }

  void Connect() {
    socket_.async_connect(EndpointOf(target_.hosts[host_], target_.port),
                          [self = shared_from_this()](error_code error) {
                            if (self->handler_ != nullptr) {
                              self->OnConnected(error);
                            }
                          });
  }

  void OnConnected(const error_code& error) {
    if (!error) {
      Ask();
      return;
    }
    if (!IsNobody(error)) {
      Finish(absl::UnavailableError(StrCat("cannot reach ", Where(), ": ", error.message())));
      return;
    }
    if (host_ + 1 == target_.hosts.size()) {
      Finish(absl::NotFoundError(StrCat("nobody listens on ", Where())));
      return;
    }
    ++host_;
    error_code ignored;
    ignored = socket_.close(ignored);  // the next one may be of the other family
    Connect();
  }

  // What follows a step that went well; nothing, where nobody waits for the answer any more.
  [[nodiscard]] auto Then(void (Request::*step)()) {
    return [self = shared_from_this(), step](error_code error, std::size_t) {
      if (self->handler_ == nullptr) {
        return;
      }
      if (error) {
        self->Fail(error);
      } else {
        (self.get()->*step)();
      }
    };
  }

  void Ask() {
    request_ = StrCat("GET ", target_.path, " HTTP/1.1\r\nHost: ", target_.host_header,
                      "\r\nUser-Agent: stentor\r\nAccept: */*\r\nConnection: close\r\n\r\n");
    boost::asio::async_write(socket_, boost::asio::buffer(request_), Then(&Request::ReadHeader));
  }

  // Apart from the body: a Content-Length beyond the limit is told with the header only.
  void ReadHeader() {
    http::async_read_header(socket_, buffer_, parser_, Then(&Request::ReadBody));
  }

  void ReadBody() { http::async_read(socket_, buffer_, parser_, Then(&Request::Succeed)); }

  void Succeed() {
    auto answer = parser_.release();
    Finish(HttpProbeAnswer{.code = static_cast<int>(answer.result_int()),
                           .body = std::move(answer.body())});
  }

  void Fail(const error_code& error) {
    if (error == http::error::body_limit) {
      Succeed();  // the code is known, and the body is not read to its end
      return;
    }
    if (IsNoHttp(error)) {
      Finish(absl::DataLossError(StrCat(Where(), " does not answer in HTTP: ", error.message())));
    } else {
      Finish(absl::UnavailableError(
          StrCat(Where(), " closed the connection without a complete answer: ", error.message())));
    }
  }

  void Finish(absl::StatusOr<HttpProbeAnswer> result) {
    if (const Handler handler = std::exchange(handler_, nullptr)) {
      Close();
      handler(std::move(result));  // it may destroy the probe
    }
  }

  void Close() {
    timer_.Disarm();
    error_code ignored;
    ignored = socket_.close(ignored);
  }

  tcp::socket socket_;
  Timer timer_;
  const HttpTarget target_;
  std::size_t host_ = 0;  // that is asked
  Handler handler_;
  std::string request_;
  beast::flat_buffer buffer_;
  http::response_parser<http::string_body> parser_;
};

HttpProbe::HttpProbe(EventLoop& loop) : loop_(loop) {}

HttpProbe::~HttpProbe() {
  if (request_ != nullptr) {
    request_->Cancel();
  }
}

void HttpProbe::Get(const HttpTarget& target, Duration time_limit, Handler handler) {
  if (request_ != nullptr) {
    request_->Cancel();
  }
  request_ = std::make_shared<Request>(loop_, loop_.impl_->context, target, std::move(handler));
  request_->Start(time_limit);
}

}  // namespace stentor::io
