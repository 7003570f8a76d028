// SPDX-License-Identifier: Apache-2.0
#include "common/io/cpprest_transport.h"

#include <cpprest/http_client.h>
#include <openssl/ssl.h>
#include <pplx/threadpool.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/io/api_server_url.h"
#include "common/io/tcp_liveness.h"
#include "common/io/tls_client.h"
#include "common/io/token_source.h"
#include "common/io/watch_stream.h"

namespace stentor::io {
namespace {

namespace http = web::http;
using kube::KubeCall;
using kube::Response;

// Not more: see Cancel().
constexpr int kTransportThreads = 1;
// An answer that somebody stopped waiting for after this long puts the connections in doubt.
constexpr Duration kDoubtful = std::chrono::seconds(1);

// One call. What the loop's thread touches and what cpprestsdk's thread touches are apart: the
// latter only reads constants, owns `Incoming`, and posts.
struct Call {
  kube::Request request;
  kube::ResponseHandler on_response;  // of a request
  kube::WatchEvents events;           // of a watch
  bool is_watch = false;

  TimePoint began;    // this attempt
  std::string token;  // of this attempt
  std::uint64_t pool = 0;
  bool cancelled = false;
  bool ended = false;
  bool repeated = false;                // after a broken connection
  bool renewed = false;                 // after a 401
  std::unique_ptr<WatchStream> stream;  // of a watch, this attempt
  pplx::cancellation_token_source cancellation;

  // On the loop's thread, since what the handlers have captured may be anything: the last owner of
  // the call is often cpprestsdk.
  void DropHandlers() {
    on_response = nullptr;
    events = {};
  }
};

// The answer as it arrives, on cpprestsdk's thread; its steps run one after the other.
struct Incoming {
  concurrency::streams::streambuf<std::uint8_t> body;
  Response response;
  std::uint8_t first_octet = 0;
  pplx::task_completion_event<absl::Status> end;
  std::size_t max_body_bytes = 0;
};

struct Outcome {
  absl::Status status;  // of the connection
  Response response;
  bool opened = false;  // a watch that got its 200
  bool unsent = false;  // the server can't have read the request to its end
};

// With what it most often means, where `status` says how far a connection came (the words are
// cpprestsdk's, and WatchStream's).
absl::Status Explained(const absl::Status& status) {
  const std::string what(status.message());
  if (!absl::IsUnavailable(status)) {
    return status;
  }
  if (what.find("SSL handshake") != std::string::npos) {
    return absl::UnavailableError(
        StrCat(what,
               ": its certificate is not of the configured authority, or not for this name, or it "
               "refuses ours"));
  }
  if (what.find("HTTP status line") != std::string::npos) {
    return absl::UnavailableError(
        StrCat(what, ": it closed the connection (does it want a client certificate?)"));
  }
  return status;
}

void SetFailure(Outcome& outcome, const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const http::http_exception& error) {
    const std::string what = error.what();
    outcome.unsent = what.find("Failed to write request") != std::string::npos ||
                     what.find("Failed to connect") != std::string::npos;
    outcome.status = error.error_code().value() == ETIMEDOUT
                         ? absl::DeadlineExceededError(StrCat("no answer in time (", what, ")"))
                         : Explained(absl::UnavailableError(what));
  } catch (const std::exception& error) {
    outcome.status = absl::UnavailableError(error.what());
  } catch (...) {
    outcome.status = absl::UnavailableError("the request failed");
  }
}

std::optional<Duration> RetryAfter(const http::http_headers& headers) {
  const auto it = headers.find("Retry-After");
  return it == headers.end() ? std::nullopt : kube::ParseRetryAfter(it->second);
}

// For destructors: cpprestsdk rethrows there what a task ended with, which nobody waits for now.
template <typename Function>
void Quietly(Function function) noexcept {
  try {
    function();
  } catch (...) {
    return;
  }
}

// On cpprestsdk's one thread, soon: it closes the call's socket from within, and a socket that is
// closed while another thread reads from it or writes to it takes the program with it.
void Cancel(const std::shared_ptr<Call>& call) {
  crossplat::threadpool::shared_instance().service().post(
      [call] { Quietly([&call] { call->cancellation.cancel(); }); });
}

class CpprestTransport;

class CallHandle final : public KubeCall {
 public:
  CallHandle(CpprestTransport& transport, std::shared_ptr<Call> call)
      : transport_(transport), call_(std::move(call)) {}
  ~CallHandle() override;
  CallHandle(const CallHandle&) = delete;
  CallHandle& operator=(const CallHandle&) = delete;

 private:
  CpprestTransport& transport_;
  std::shared_ptr<Call> call_;
};

class CpprestTransport final : public kube::KubeTransport {
 public:
  CpprestTransport(EventLoop& loop, const config::ClientConfig& config, ApiServerUrl server,
                   TlsSource tls, const TransportLimits& limits)
      : loop_(loop),
        limits_(limits),
        server_(std::move(server)),
        verifies_(!config.insecure_skip_tls_verify),
        token_(config.token, config.token_file, limits.credential_age),
        tls_(std::move(tls)),
        tls_read_(loop.Now()) {
    RenewPool();
  }

  // Waits for cpprestsdk's thread, which posts to the loop; cancelled, its tasks end at once. What
  // they have posted finds the transport gone by `alive_`.
  ~CpprestTransport() override {
    alive_.reset();
    for (auto& [id, running] : running_) {
      running.call->cancelled = true;
      running.call->DropHandlers();
      Cancel(running.call);
      ending_.push_back(std::move(running.task));
    }
    for (const pplx::task<void>& task : ending_) {
      Quietly([&task] { task.wait(); });
    }
  }
  CpprestTransport(const CpprestTransport&) = delete;
  CpprestTransport& operator=(const CpprestTransport&) = delete;

  std::unique_ptr<KubeCall> Send(kube::Request request, kube::ResponseHandler handler) override {
    auto call = std::make_shared<Call>();
    call->request = std::move(request);
    call->on_response = std::move(handler);
    Begin(call);
    return std::make_unique<CallHandle>(*this, std::move(call));
  }

  std::unique_ptr<KubeCall> Watch(std::string path, kube::WatchEvents events) override {
    auto call = std::make_shared<Call>();
    call->request.path = std::move(path);
    call->events = std::move(events);
    call->is_watch = true;
    Begin(call);
    return std::make_unique<CallHandle>(*this, std::move(call));
  }

  // The caller does not want it any more.
  void Abandon(const std::shared_ptr<Call>& call) {
    call->cancelled = true;
    if (call->is_watch) {
      call->stream.reset();
    } else {
      Cancel(call);
    }
    loop_.Post([call] { call->DropHandlers(); });  // one of them may be who abandons
    if (!call->is_watch && call->pool == pool_number_ && loop_.Now() - call->began >= kDoubtful) {
      RenewPool();
    }
  }

 private:
  struct Running {
    std::shared_ptr<Call> call;
    pplx::task<void> task;
  };

  http::client::http_client_config Options() const {
    http::client::http_client_config options;
    options.set_timeout(
        std::chrono::duration_cast<std::chrono::microseconds>(limits_.request_idle));
    options.set_validate_certificates(verifies_);
    options.set_max_redirects(0);           // a redirect could carry the token elsewhere
    options.set_tlsext_sni_enabled(false);  // TlsSettings sends the name
    options.set_ssl_context_callback(
        [settings = tls_.current()](boost::asio::ssl::context& context) {
          TlsSettings::Apply(settings, context.native_handle());
        });
    return options;
  }

  // Kept-alive connections are not used again: they may be dead, or speak for who we were.
  // What is under way goes on.
  void RenewPool() {
    ++pool_number_;
    pool_.emplace(server_.base, Options());
  }

  void RefreshTls() {
    tls_read_ = loop_.Now();
    if (server_.is_tls && tls_.Refresh()) {
      RenewPool();
    }
  }

  // One attempt. On the loop's thread.
  void Begin(const std::shared_ptr<Call>& call) {
    const std::uint64_t id = next_id_++;
    call->began = loop_.Now();
    if (call->began - tls_read_ >= limits_.credential_age) {
      RefreshTls();
    }
    call->pool = pool_number_;
    if (call->is_watch) {
      BeginWatch(id, call);
      return;
    }
    const absl::StatusOr<http::http_request> request = Build(*call);
    if (!request.ok()) {
      PostOutcome(id, call, {.status = request.status(), .response = {}});
      return;
    }
    auto incoming = std::make_shared<Incoming>();
    incoming->max_body_bytes = limits_.max_body_bytes;
    // Each step runs on the thread of cpprestsdk; `this` is used for its loop alone, and outlives
    // them. No step waits for another.
    pplx::task<void> task;
    try {
      task = pool_->request(*request, call->cancellation.get_token())
                 .then([this, incoming](const http::http_response& response) {
                   return Receive(incoming, response);
                 })
                 .then([this, id, call, incoming](const pplx::task<absl::Status>& received) {
                   Outcome outcome;
                   try {
                     outcome.status = received.get();
                     outcome.response = std::move(incoming->response);
                   } catch (...) {
                     SetFailure(outcome, std::current_exception());
                   }
                   PostOutcome(id, call, std::move(outcome));
                 });
    } catch (...) {
      Outcome outcome;
      SetFailure(outcome, std::current_exception());
      PostOutcome(id, call, std::move(outcome));
      return;
    }
    running_.emplace(id, Running{call, std::move(task)});
  }

  void BeginWatch(std::uint64_t id, const std::shared_ptr<Call>& call) {
    if (const absl::Status status = OpenStream(call); !status.ok()) {
      PostOutcome(id, call, {.status = status, .response = {}});
    }
  }

  absl::Status OpenStream(const std::shared_ptr<Call>& call) {
    STENTOR_ASSIGN_OR_RETURN(call->token, token_.Get(loop_.Now()));
    STENTOR_ASSIGN_OR_RETURN(std::shared_ptr<const WatchTls> tls, CurrentWatchTls());
    // The call owns its stream, which calls nobody once it is gone.
    Call& owner = *call;
    try {
      owner.stream = std::make_unique<WatchStream>(
          loop_, std::move(tls),
          WatchRequest{.host = server_.host,
                       .port = server_.port,
                       .host_header = server_.host_header,
                       .path = server_.path + owner.request.path,
                       .accept = owner.request.accept,
                       .token = owner.token},
          WatchTimes{.idle = limits_.watch_idle, .dead_after = limits_.dead_after},
          WatchStreamHandlers{
              .on_open =
                  [&owner] {
                    if (owner.events.on_open) {
                      owner.events.on_open();
                    }
                  },
              .on_bytes = [&owner](std::string_view bytes) { owner.events.on_bytes(bytes); },
              .on_end =
                  [this, weak = std::weak_ptr(call)](WatchOutcome outcome) {
                    if (const auto held = weak.lock()) {
                      End(held, {.status = Explained(outcome.status),
                                 .response = std::move(outcome.response),
                                 .opened = outcome.opened});
                    }
                  }});
    } catch (const std::exception& error) {
      return absl::InvalidArgumentError(error.what());
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::shared_ptr<const WatchTls>> CurrentWatchTls() {
    if (server_.is_tls && watch_tls_of_ != tls_.current()) {
      STENTOR_ASSIGN_OR_RETURN(watch_tls_, WatchTls::Make(tls_.current(), verifies_));
      watch_tls_of_ = tls_.current();
    }
    return watch_tls_;
  }

  absl::StatusOr<http::http_request> Build(Call& call) {
    STENTOR_ASSIGN_OR_RETURN(call.token, token_.Get(loop_.Now()));
    const kube::Request& request = call.request;
    try {
      http::http_request message(request.method);
      message.set_request_uri(request.path);
      http::http_headers& headers = message.headers();
      headers.add("Host", server_.host_header);
      headers.add("Accept", request.accept);
      headers.add("User-Agent", "stentor");
      if (!call.token.empty()) {
        headers.add("Authorization", "Bearer " + call.token);
      }
      if (!request.body.empty()) {
        message.set_body(request.body, request.content_type);
      }
      return message;
    } catch (const std::exception& error) {
      return absl::InvalidArgumentError(error.what());
    }
  }

  pplx::task<absl::Status> Receive(const std::shared_ptr<Incoming>& incoming,
                                   const http::http_response& response) {
    incoming->body = response.body().streambuf();
    incoming->response.code = response.status_code();
    incoming->response.retry_after = RetryAfter(response.headers());
    pplx::task<absl::Status> received(incoming->end);
    Pump(incoming);
    return received;
  }

  // Reads until the end, which `incoming->end` tells. A step doesn't return the next one's task:
  // each would stay until the last one is done.
  static void Pump(const std::shared_ptr<Incoming>& incoming) {
    incoming->body.getn(&incoming->first_octet, 1)
        .then([incoming](const pplx::task<std::size_t>& read) {
          try {
            const std::optional<absl::Status> end = Take(*incoming, read.get());
            if (end) {
              incoming->end.set(*end);
            } else {
              Pump(incoming);
            }
          } catch (...) {
            incoming->end.set_exception(std::current_exception());
          }
        });
  }

  // What has arrived. Asked for was one octet, since more would wait for as many; all that is there
  // is taken. Nothing as long as more may come.
  static std::optional<absl::Status> Take(Incoming& incoming, std::size_t count) {
    if (count == 0) {
      return absl::OkStatus();
    }
    std::string bytes(1, static_cast<char>(incoming.first_octet));
    std::uint8_t* more = nullptr;
    std::size_t available = 0;
    while (incoming.body.acquire(more, available) && more != nullptr && available > 0) {
      bytes.append(reinterpret_cast<const char*>(more), available);
      incoming.body.release(more, available);
    }
    absl::Status status = Keep(incoming, bytes);
    return status.ok() ? std::nullopt : std::optional(std::move(status));
  }

  static absl::Status Keep(Incoming& incoming, const std::string& bytes) {
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
        Retire(id);
        End(call, std::move(outcome));
      }
    });
  }

  // A task that has posted its outcome may not have left EventLoop::Post() yet: it is waited for
  // before the loop can go.
  void Retire(std::uint64_t id) {
    std::erase_if(ending_, [](const pplx::task<void>& task) { return task.is_done(); });
    if (const auto it = running_.find(id); it != running_.end()) {
      ending_.push_back(std::move(it->second.task));
      running_.erase(it);
    }
  }

  void End(const std::shared_ptr<Call>& call, Outcome outcome) {
    if (call->cancelled) {
      return;
    }
    if (MayRepeat(*call, outcome)) {
      Begin(call);
      return;
    }
    if (call->is_watch) {
      call->stream.reset();
    } else {
      Cancel(call);  // too long an answer is still arriving: nobody reads it any more
    }
    call->ended = true;
    const kube::ResponseHandler on_response = std::move(call->on_response);
    const auto on_end = std::move(call->events.on_end);
    call->DropHandlers();
    if (!call->is_watch) {
      if (outcome.status.ok()) {
        on_response(std::move(outcome.response));
      } else {
        on_response(std::move(outcome.status));
      }
      return;
    }
    absl::Status status = std::move(outcome.status);
    if (status.ok() && !outcome.opened) {
      status = kube::StatusOf(outcome.response);
    }
    on_end(status, outcome.response.retry_after);
  }

  // One more attempt, at once. After a 401 where there is a newer token or client certificate; or
  // where a kept-alive connection turned out to be closed, which shows only when it is used.
  bool MayRepeat(Call& call, const Outcome& outcome) {
    if (outcome.status.ok()) {
      if (outcome.response.code != http::status_codes::Unauthorized || call.renewed) {
        return false;
      }
      call.renewed = true;
      token_.Refresh(loop_.Now());
      RefreshTls();
      const auto token = token_.Get(loop_.Now());
      return call.pool != pool_number_ || (token.ok() && *token != call.token);
    }
    if (outcome.opened) {
      return false;
    }
    bool broken = absl::IsUnavailable(outcome.status);
    if (absl::IsDeadlineExceeded(outcome.status)) {
      // Told at once, it was the kernel that had found the other end gone (tcp_liveness.h); else
      // our own patience ended. Either way the others of the pool are likely to be dead too.
      broken = loop_.Now() - call.began < kDoubtful;
      if (call.pool == pool_number_) {
        RenewPool();
      }
    } else if (broken) {
      RefreshTls();
    }
    const bool repeatable = call.request.method != "POST" && call.request.method != "PATCH";
    if (!broken || call.repeated || !(repeatable || outcome.unsent)) {
      return false;
    }
    call.repeated = true;
    return true;
  }

  EventLoop& loop_;
  const TransportLimits limits_;
  const ApiServerUrl server_;
  const bool verifies_;
  TokenSource token_;
  TlsSource tls_;
  TimePoint tls_read_;
  std::optional<http::client::http_client> pool_;
  std::uint64_t pool_number_ = 0;
  std::shared_ptr<const WatchTls> watch_tls_;        // null: none yet, or without TLS
  std::shared_ptr<const TlsSettings> watch_tls_of_;  // what it was made of
  std::uint64_t next_id_ = 0;
  std::map<std::uint64_t, Running> running_;
  std::vector<pplx::task<void>> ending_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

CallHandle::~CallHandle() {
  if (!call_->ended) {
    transport_.Abandon(call_);
  }
}

// cpprestsdk has OpenSSL read the system's authorities for each connection, before it asks for
// ours: 20 ms where there is a bundle of them. With our own authority they would be dropped anyway.
void ForgoSystemAuthorities() {
  const char* const variable = X509_get_default_cert_file_env();
  constexpr const char* kNone = "/dev/null";
  const char* const now = std::getenv(variable);  // NOLINT(concurrency-mt-unsafe)
  if (now == nullptr || std::string_view(now) != kNone) {
    (void)setenv(variable, kNone, 1);  // NOLINT(concurrency-mt-unsafe): no connection exists yet
  }
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
  try {
    STENTOR_ASSIGN_OR_RETURN(ApiServerUrl server, ParseApiServerUrl(config.server));
    STENTOR_ASSIGN_OR_RETURN(
        TlsSource tls,
        TlsSource::Make(config,
                        config.tls_server_name.empty() ? server.host : config.tls_server_name,
                        [port = server.port, dead_after = limits.dead_after] {
                          WatchAllOverTcp(port, dead_after);
                        }));
    if (server.is_tls && config.certificate_authority.IsSet()) {
      ForgoSystemAuthorities();
    }
    return std::make_unique<CpprestTransport>(loop, config, std::move(server), std::move(tls),
                                              limits);
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(error.what());
  }
}

}  // namespace stentor::io
