// SPDX-License-Identifier: Apache-2.0
#include "common/io/cpprest_transport.h"

#include <cpprest/http_client.h>
#include <openssl/ssl.h>
#include <pplx/threadpool.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <map>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/io/tls_client.h"
#include "common/io/token_source.h"
#include "common/net/ip_address.h"

namespace stentor::io {
namespace {

namespace http = web::http;
using kube::KubeCall;
using kube::Response;

constexpr std::size_t kMaxErrorBody = std::size_t{64} << 10U;  // of a watch that was refused
constexpr int kTransportThreads = 2;

// One call. What the loop's thread touches and what cpprestsdk's threads touch are apart: the
// latter only read constants, own `Incoming`, and post.
struct Call {
  kube::Request request;
  kube::ResponseHandler on_response;  // of a request
  kube::WatchEvents events;           // of a watch
  bool is_watch = false;

  bool cancelled = false;
  bool retried = false;        // after a broken connection
  bool token_renewed = false;  // after a 401
  pplx::cancellation_token_source cancellation;
};

// The answer as it arrives, on cpprestsdk's threads; its steps run one after the other.
struct Incoming {
  concurrency::streams::streambuf<std::uint8_t> body;
  Response response;
  std::uint8_t first_octet = 0;
  bool streams = false;  // bytes go to on_bytes rather than into response.body
  std::size_t max_body_bytes = 0;
};

struct Outcome {
  absl::Status status;  // of the connection
  Response response;
  bool opened = false;  // a watch that got its 200
};

absl::Status ExplainFailure(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const http::http_exception& error) {
    const std::string what = error.what();
    if (error.error_code().value() == ETIMEDOUT) {
      return absl::DeadlineExceededError(StrCat("no answer in time (", what, ")"));
    }
    if (what.find("SSL handshake") != std::string::npos) {
      return absl::UnavailableError(
          StrCat(what,
                 ": its certificate is not of the configured authority, or not for this "
                 "name, or it refuses ours"));
    }
    if (what.find("HTTP status line") != std::string::npos) {
      return absl::UnavailableError(
          StrCat(what, ": it closed the connection (does it want a client certificate?)"));
    }
    return absl::UnavailableError(what);
  } catch (const std::exception& error) {
    return absl::UnavailableError(error.what());
  } catch (...) {
    return absl::UnavailableError("the request failed");
  }
}

std::optional<Duration> RetryAfter(const http::http_headers& headers) {
  const auto it = headers.find("Retry-After");
  if (it == headers.end()) {
    return std::nullopt;
  }
  constexpr int kMaxSeconds = 3600;  // longer would be as good as never
  int seconds = 0;
  const std::string& text = it->second;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || seconds < 0) {
    return std::nullopt;
  }
  return std::chrono::seconds(std::min(seconds, kMaxSeconds));
}

http::client::http_client_config ClientOptions(const config::ClientConfig& config, Duration idle) {
  http::client::http_client_config options;
  options.set_timeout(std::chrono::duration_cast<std::chrono::microseconds>(idle));
  options.set_validate_certificates(!config.insecure_skip_tls_verify);
  options.set_max_redirects(0);  // a redirect could carry the token elsewhere
  const std::string host = web::uri(config.server).host();
  options.set_tlsext_sni_enabled(!net::IpAddress::Parse(host));  // RFC 6066, 3: no addresses
  options.set_ssl_context_callback(
      [config](boost::asio::ssl::context& context) { ConfigureTls(context, config); });
  return options;
}

class CpprestTransport;

// For destructors: cpprestsdk rethrows there what a task ended with, which nobody waits for now.
template <typename Function>
void Quietly(Function function) noexcept {
  try {
    function();
  } catch (...) {
    return;
  }
}

class CallHandle final : public KubeCall {
 public:
  explicit CallHandle(std::shared_ptr<Call> call) : call_(std::move(call)) {}
  ~CallHandle() override {
    call_->cancelled = true;
    Quietly([this] { call_->cancellation.cancel(); });
  }
  CallHandle(const CallHandle&) = delete;
  CallHandle& operator=(const CallHandle&) = delete;

 private:
  std::shared_ptr<Call> call_;
};

class CpprestTransport final : public kube::KubeTransport {
 public:
  CpprestTransport(EventLoop& loop, const config::ClientConfig& config,
                   const TransportLimits& limits)
      : loop_(loop),
        limits_(limits),
        token_(config.token, config.token_file, limits.token_age),
        requests_(config.server, ClientOptions(config, limits.request_idle)),
        watches_(config.server, ClientOptions(config, limits.watch_idle)) {}

  // Waits for cpprestsdk's threads, which post to the loop; cancelled, they end at once. What they
  // have posted finds the transport gone by `alive_`.
  ~CpprestTransport() override {
    alive_.reset();
    for (auto& [id, running] : running_) {
      running.call->cancelled = true;
      Quietly([&call = *running.call] { call.cancellation.cancel(); });
    }
    for (auto& [id, running] : running_) {
      Quietly([&task = running.task] { task.wait(); });
    }
  }
  CpprestTransport(const CpprestTransport&) = delete;
  CpprestTransport& operator=(const CpprestTransport&) = delete;

  std::unique_ptr<KubeCall> Send(kube::Request request, kube::ResponseHandler handler) override {
    auto call = std::make_shared<Call>();
    call->request = std::move(request);
    call->on_response = std::move(handler);
    Begin(call);
    return std::make_unique<CallHandle>(std::move(call));
  }

  std::unique_ptr<KubeCall> Watch(std::string path, kube::WatchEvents events) override {
    auto call = std::make_shared<Call>();
    call->request.path = std::move(path);
    call->events = std::move(events);
    call->is_watch = true;
    Begin(call);
    return std::make_unique<CallHandle>(std::move(call));
  }

 private:
  struct Running {
    std::shared_ptr<Call> call;
    pplx::task<void> task;
  };

  // One attempt. On the loop's thread.
  void Begin(const std::shared_ptr<Call>& call) {
    const std::uint64_t id = next_id_++;
    const absl::StatusOr<http::http_request> request = Build(call->request);
    if (!request.ok()) {
      PostOutcome(id, call, {.status = request.status(), .response = {}});
      return;
    }
    http::client::http_client& client = call->is_watch ? watches_ : requests_;
    auto incoming = std::make_shared<Incoming>();
    incoming->max_body_bytes = call->is_watch ? kMaxErrorBody : limits_.max_body_bytes;
    // Each step runs on a thread of cpprestsdk; `this` is used for its loop alone, and outlives
    // them. No step waits for another.
    pplx::task<void> task;
    try {
      task = client.request(*request, call->cancellation.get_token())
                 .then([this, call, incoming](const http::http_response& response) {
                   return Receive(call, incoming, response);
                 })
                 .then([this, id, call, incoming](const pplx::task<absl::Status>& received) {
                   Outcome outcome;
                   outcome.opened = incoming->streams;
                   try {
                     outcome.status = received.get();
                     outcome.response = std::move(incoming->response);
                   } catch (...) {
                     outcome.status = ExplainFailure(std::current_exception());
                   }
                   PostOutcome(id, call, std::move(outcome));
                 });
    } catch (...) {
      PostOutcome(id, call, {.status = ExplainFailure(std::current_exception()), .response = {}});
      return;
    }
    running_.emplace(id, Running{call, std::move(task)});
  }

  absl::StatusOr<http::http_request> Build(const kube::Request& request) {
    STENTOR_ASSIGN_OR_RETURN(const std::string token, token_.Get(loop_.Now()));
    try {
      http::http_request message(request.method);
      message.set_request_uri(request.path);
      message.headers().add("Accept", request.accept);
      message.headers().add("User-Agent", "stentor");
      if (!token.empty()) {
        message.headers().add("Authorization", "Bearer " + token);
      }
      if (!request.body.empty()) {
        message.set_body(request.body, request.content_type);
      }
      return message;
    } catch (const std::exception& error) {
      return absl::InvalidArgumentError(error.what());
    }
  }

  pplx::task<absl::Status> Receive(const std::shared_ptr<Call>& call,
                                   const std::shared_ptr<Incoming>& incoming,
                                   const http::http_response& response) {
    incoming->body = response.body().streambuf();
    incoming->response.code = response.status_code();
    incoming->response.retry_after = RetryAfter(response.headers());
    if (call->is_watch && response.status_code() == http::status_codes::OK) {
      incoming->streams = true;
      loop_.Post([call] {
        if (!call->cancelled && call->events.on_open) {
          call->events.on_open();
        }
      });
    }
    return Pump(call, incoming);
  }

  // Reads until the end. Asks for one octet, since more would wait for as many, and then takes all
  // that is there.
  pplx::task<absl::Status> Pump(const std::shared_ptr<Call>& call,
                                const std::shared_ptr<Incoming>& incoming) {
    return incoming->body.getn(&incoming->first_octet, 1)
        .then([this, call, incoming](std::size_t count) -> pplx::task<absl::Status> {
          if (count == 0) {
            return pplx::task_from_result(absl::OkStatus());
          }
          std::string bytes(1, static_cast<char>(incoming->first_octet));
          std::uint8_t* more = nullptr;
          std::size_t available = 0;
          while (incoming->body.acquire(more, available) && more != nullptr && available > 0) {
            bytes.append(reinterpret_cast<const char*>(more), available);
            incoming->body.release(more, available);
          }
          if (absl::Status status = Deliver(call, *incoming, std::move(bytes)); !status.ok()) {
            return pplx::task_from_result(std::move(status));
          }
          return Pump(call, incoming);
        });
  }

  absl::Status Deliver(const std::shared_ptr<Call>& call, Incoming& incoming, std::string bytes) {
    if (incoming.streams) {
      loop_.Post([call, bytes = std::move(bytes)] {
        if (!call->cancelled) {
          call->events.on_bytes(bytes);
        }
      });
      return absl::OkStatus();
    }
    if (bytes.size() > incoming.max_body_bytes - incoming.response.body.size()) {
      return absl::DataLossError(
          StrCat("the answer is longer than ", incoming.max_body_bytes, " octets"));
    }
    incoming.response.body += bytes;
    return absl::OkStatus();
  }

  // On any thread.
  void PostOutcome(std::uint64_t id, const std::shared_ptr<Call>& call, Outcome outcome) {
    loop_.Post([this, alive = std::weak_ptr<int>(alive_), id, call,
                outcome = std::move(outcome)]() mutable {
      if (alive.lock()) {
        running_.erase(id);
        End(call, std::move(outcome));
      }
    });
  }

  void End(const std::shared_ptr<Call>& call, Outcome outcome) {
    if (call->cancelled) {
      return;
    }
    if (MayRetry(*call, outcome)) {
      Begin(call);
      return;
    }
    // Too long an answer is still arriving: nobody reads it any more.
    call->cancellation.cancel();
    if (!call->is_watch) {
      if (outcome.status.ok()) {
        call->on_response(std::move(outcome.response));
      } else {
        call->on_response(std::move(outcome.status));
      }
    } else {
      absl::Status status = std::move(outcome.status);
      if (status.ok() && !outcome.opened) {
        status = kube::StatusOf(outcome.response);
      }
      call->events.on_end(status, outcome.response.retry_after);
    }
  }

  // One more attempt, at once: a kept-alive connection that the server has closed meanwhile shows
  // only when it is used, and a token may just have been replaced. POST is not repeated: the server
  // may have done it. (PUT carries a resourceVersion.)
  bool MayRetry(Call& call, const Outcome& outcome) {
    if (absl::IsUnavailable(outcome.status) && !outcome.opened && !call.retried &&
        call.request.method != "POST" && call.request.method != "PATCH") {
      call.retried = true;
      return true;
    }
    if (outcome.status.ok() && outcome.response.code == http::status_codes::Unauthorized &&
        !call.token_renewed) {
      call.token_renewed = true;
      return token_.Refresh(loop_.Now());
    }
    return false;
  }

  EventLoop& loop_;
  const TransportLimits limits_;
  TokenSource token_;
  http::client::http_client requests_;
  http::client::http_client watches_;  // apart: set_timeout is the idle limit of all that it does
  std::uint64_t next_id_ = 0;
  std::map<std::uint64_t, Running> running_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

absl::Status CheckServer(const config::ClientConfig& config) {
  if (!web::uri::validate(config.server)) {
    return absl::InvalidArgumentError(StrCat("\"", config.server, "\" is not a URL"));
  }
  const web::uri uri(config.server);
  if ((uri.scheme() != "https" && uri.scheme() != "http") || uri.host().empty()) {
    return absl::InvalidArgumentError(
        StrCat("the API server's address \"", config.server, "\" must begin with https://"));
  }
  if (uri.host().find(':') != std::string::npos || uri.host().front() == '[') {
    return absl::UnimplementedError(
        StrCat("the API server's address ", config.server,
               " is a literal IPv6 address, which is not supported: give a DNS name"));
  }
  if (!config.tls_server_name.empty()) {
    return absl::UnimplementedError(
        "tls-server-name in a kubeconfig is not supported: give a server name that the "
        "certificate has");
  }
  return absl::OkStatus();
}

}  // namespace

void InitializeTransportThreads() {
  // What is initialized first is cleaned up last: the pool's threads have to end before OpenSSL
  // frees what they use, or the process can crash at its exit.
  OPENSSL_init_ssl(0, nullptr);
  try {
    crossplat::threadpool::initialize_with_threads(kTransportThreads);
  } catch (const std::exception&) {
    // The pool runs already: this is a further call.
    return;
  }
}

absl::StatusOr<std::unique_ptr<kube::KubeTransport>> MakeCpprestTransport(
    EventLoop& loop, const config::ClientConfig& config, const TransportLimits& limits) {
  STENTOR_RETURN_IF_ERROR(CheckServer(config));
  STENTOR_RETURN_IF_ERROR(CheckTls(config));
  try {
    return std::make_unique<CpprestTransport>(loop, config, limits);
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(error.what());
  }
}

}  // namespace stentor::io
