// SPDX-License-Identifier: Apache-2.0
#include "common/io/kube_client.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>
#include <variant>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/io/random.h"
#include "common/kube/reflector.h"

namespace stentor::io {
namespace {

constexpr obs::MetricInfo kWaiting{"stentor_k8s_client_waiting_requests", obs::MetricType::kGauge,
                                   "Requests to the API server that wait for others to end"};

// One line that tells a user what is wrong and what to do.
// kube::StatusFromHttp() begins its messages so.
bool IsAnswer(std::string_view message) { return message.starts_with("HTTP status "); }

// Come again, it says: too many requests, or a kind that is just being upgraded. It is trouble only
// where it lasts.
bool IsPassing(const absl::Status& status) {
  const std::string message(status.message());
  return absl::IsUnavailable(status) && message.starts_with("HTTP status 429");
}
constexpr int kPassingTold = 3;  // times in succession

absl::Status Explain(const absl::Status& status, const ResourceWatch& resource,
                     const std::string& server) {
  const std::string message(status.message());
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
      return absl::NotFoundError(
          StrCat("the server does not know \"", resource.name, "\": is the CRD installed?"));
    case absl::StatusCode::kPermissionDenied:
      return absl::PermissionDeniedError(
          StrCat("not allowed to read \"", resource.name, "\": ", message));
    case absl::StatusCode::kUnavailable:
      if (IsAnswer(message)) {
        return absl::UnavailableError(
            StrCat("API server ", server, " can't serve \"", resource.name, "\" now: ", message));
      }
      [[fallthrough]];
    case absl::StatusCode::kDeadlineExceeded:
      return absl::Status(status.code(),
                          StrCat("API server ", server, " is unreachable: ", message));
    default:
      return absl::Status(status.code(), StrCat("cannot read \"", resource.name, "\": ", message));
  }
}

// Drives one reflector. Held by its handle and, while a handler runs, by the stack: a handler may
// destroy the handle.
class Watcher final : public std::enable_shared_from_this<Watcher> {
 public:
  Watcher(EventLoop& loop, kube::KubeTransport& transport, std::string server,
          kube::Uniform uniform, ResourceWatch resource, WatchHandlers handlers)
      : loop_(loop),
        transport_(transport),
        server_(std::move(server)),
        resource_(std::move(resource)),
        handlers_(std::move(handlers)),
        reflector_({.path = resource_.path,
                    .field_selector = resource_.field_selector,
                    .label_selector = resource_.label_selector},
                   std::move(uniform)),
        timer_(loop) {}

  void Stop() {
    stopped_ = true;
    call_.reset();
    timer_.Disarm();
  }

  void RetryWithin(Duration delay) {
    reflector_.RetryWithin(loop_.Now(), delay);
    Advance();
  }

  void PollSoon(Duration least) {
    reflector_.PollSoon(loop_.Now(), least);
    Advance();
  }

  // Carries out what the reflector wants next.
  void Advance() {
    if (stopped_) {
      return;
    }
    const kube::ReflectorAction action = reflector_.Next(loop_.Now());
    if (const auto* page = std::get_if<kube::FetchPage>(&action)) {
      call_.reset();
      call_ = transport_.Send({.method = "GET", .path = page->path},
                              [this](const absl::StatusOr<kube::Response>& response) {
                                Take(reflector_.OnPage(loop_.Now(), response));
                              });
    } else if (const auto* watch = std::get_if<kube::OpenWatch>(&action)) {
      call_.reset();
      call_ = transport_.Watch(
          watch->path,
          {.on_open = [this] { Take(reflector_.OnWatchOpen(loop_.Now())); },
           .on_bytes =
               [this](std::string_view bytes) {
                 Take(reflector_.OnWatchBytes(loop_.Now(), bytes));
               },
           .on_end =
               [this](const absl::Status& status, std::optional<Duration> retry_after) {
                 Take(reflector_.OnWatchEnd(loop_.Now(), status, retry_after));
               }});
    }
    if (const auto deadline = reflector_.NextDeadline()) {
      timer_.ArmAt(*deadline, [this] { Advance(); });
    } else {
      timer_.Disarm();
    }
  }

 private:
  void Take(kube::ReflectorOutput output) {
    const auto self = shared_from_this();
    for (kube::Delta& delta : output.deltas) {
      if (stopped_) {
        return;
      }
      if (const auto* upsert = std::get_if<kube::Upsert>(&delta)) {
        Call(handlers_.on_upsert, upsert->object);
      } else {
        Call(handlers_.on_delete, std::get<kube::Delete>(delta).key);
      }
    }
    if (output.list_complete) {
      ever_read_ = true;
      Call(handlers_.on_synced);
    }
    Report(output);
    Advance();
  }

  void Report(const kube::ReflectorOutput& output) {
    if (output.polling) {
      Call(handlers_.on_polling);
    }
    if (output.trouble && !ever_read_ && !stopped_ && handlers_.on_refused &&
        (absl::IsPermissionDenied(*output.trouble) || absl::IsNotFound(*output.trouble))) {
      trouble_.reset();  // of the connection, if any: this is an answer
      if (handlers_.on_refused(Explain(*output.trouble, resource_, server_)) ==
          RetryPace::kPatient) {
        reflector_.Postpone(loop_.Now());
      }
    } else if (output.trouble && IsPassing(*output.trouble) && ++passing_ < kPassingTold) {
      // An API server that upgrades a kind sends away who reads it for a moment.
    } else if (output.trouble) {
      const absl::Status explained = Explain(*output.trouble, resource_, server_);
      if (!trouble_ || *trouble_ != explained) {
        trouble_ = explained;
        Call(handlers_.on_trouble, explained);
      }
    } else if (output.healthy) {
      passing_ = 0;
      if (!trouble_) {
        return;
      }
      trouble_.reset();
      Call(handlers_.on_recovered);
    }
  }

  template <typename Handler, typename... Args>
  void Call(const Handler& handler, const Args&... args) {
    if (!stopped_ && handler) {
      handler(args...);
    }
  }

  EventLoop& loop_;
  kube::KubeTransport& transport_;
  const std::string server_;
  const ResourceWatch resource_;
  const WatchHandlers handlers_;
  kube::Reflector reflector_;
  Timer timer_;
  std::unique_ptr<kube::KubeCall> call_;
  std::optional<absl::Status> trouble_;
  int passing_ = 0;  // answers in succession that ask to come again
  bool ever_read_ = false;
  bool stopped_ = false;
};

class Handle final : public WatchHandle {
 public:
  explicit Handle(std::shared_ptr<Watcher> watcher) : watcher_(std::move(watcher)) {}
  ~Handle() override { watcher_->Stop(); }
  void PollSoon(Duration least) override { watcher_->PollSoon(least); }
  void RetryWithin(Duration delay) override { watcher_->RetryWithin(delay); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

 private:
  std::shared_ptr<Watcher> watcher_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<KubeClient>> KubeClient::Connect(
    EventLoop& loop, const config::ClientConfig& config) {
  STENTOR_ASSIGN_OR_RETURN(std::unique_ptr<kube::KubeTransport> transport,
                           MakeCpprestTransport(loop, config));
  return std::make_unique<KubeClient>(loop, std::move(transport), config.server, RandomUniform);
}

KubeClient::KubeClient(EventLoop& loop, std::unique_ptr<kube::KubeTransport> transport,
                       std::string server, kube::Uniform uniform)
    : loop_(loop),
      transport_(std::move(transport)),
      server_(std::move(server)),
      uniform_(std::move(uniform)),
      background_timer_(loop) {
  LaneOf(kube::Priority::kUrgent).limit = std::numeric_limits<std::size_t>::max();
  LaneOf(kube::Priority::kNormal).limit = kMaxRequests;
  LaneOf(kube::Priority::kBackground).limit = kMaxBackground;
}

KubeClient::~KubeClient() = default;

std::unique_ptr<WatchHandle> KubeClient::Watch(ResourceWatch resource, WatchHandlers handlers) {
  auto watcher = std::make_shared<Watcher>(loop_, *transport_, server_, uniform_,
                                           std::move(resource), std::move(handlers));
  watcher->Advance();
  return std::make_unique<Handle>(std::move(watcher));
}

void KubeClient::Request(kube::Request request, kube::ResponseHandler handler) {
  const std::uint64_t id = next_call_++;
  Lane& lane = LaneOf(request.priority);
  const bool background = request.priority == kube::Priority::kBackground;
  if ((background || lane.under_way >= lane.limit) && lane.waiting.size() >= kMaxWaiting) {
    loop_.Post([alive = std::weak_ptr<int>(alive_), handler = std::move(handler)] {
      if (alive.lock()) {
        handler(absl::UnavailableError("too many requests wait for their turn"));
      }
    });
    return;
  }
  if (request.time_limit) {
    limits_.try_emplace(id, loop_).first->second.ArmAfter(
        *request.time_limit, [this, id, priority = request.priority, limit = *request.time_limit] {
          Expire(id, priority, limit);
        });
  }
  lane.waiting.push_back(
      {.id = id,
       .not_before = background ? loop_.Now() + kBackgroundDelay : TimePoint::min(),
       .request = std::move(request),
       .handler = std::move(handler)});
  if (lane.waiting.size() == 1) {  // else the one before it is waited for
    BeginNext(lane);
  }
}

void KubeClient::BeginNext(Lane& lane) {
  while (!lane.waiting.empty() && lane.under_way < lane.limit) {
    const TimePoint not_before = lane.waiting.front().not_before;
    if (not_before > loop_.Now()) {
      background_timer_.ArmAt(not_before, [this, &lane] { BeginNext(lane); });
      return;
    }
    Waiting turn = std::move(lane.waiting.front());
    lane.waiting.pop_front();
    Begin(std::move(turn));
  }
}

void KubeClient::Begin(Waiting next) {
  const std::uint64_t id = next.id;
  const kube::Priority priority = next.request.priority;
  ++LaneOf(priority).under_way;
  UnderWay& entry = calls_[id];
  entry.handler = std::move(next.handler);
  entry.priority = priority;
  entry.call = transport_->Send(
      std::move(next.request),
      [this, id](absl::StatusOr<kube::Response> response) { Finish(id, std::move(response)); });
}

// The next in its lane takes its place before the handler runs, which may destroy the client.
void KubeClient::Finish(std::uint64_t id, absl::StatusOr<kube::Response> response) {
  UnderWay done = std::move(calls_.extract(id).mapped());
  done.call.reset();
  limits_.erase(id);
  Lane& lane = LaneOf(done.priority);
  --lane.under_way;
  BeginNext(lane);
  done.handler(std::move(response));
}

void KubeClient::Expire(std::uint64_t id, kube::Priority priority, Duration limit) {
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(limit).count();
  const absl::Status status =
      absl::DeadlineExceededError(StrCat("no answer within ", milliseconds, " ms"));
  if (calls_.contains(id)) {
    Finish(id, status);
    return;
  }
  std::deque<Waiting>& waiting = LaneOf(priority).waiting;
  const auto it = std::find_if(waiting.begin(), waiting.end(),
                               [id](const Waiting& one) { return one.id == id; });
  STENTOR_CHECK(it != waiting.end()) << "a request with a time limit is lost";
  const kube::ResponseHandler handler = std::move(it->handler);
  waiting.erase(it);
  limits_.erase(id);
  handler(status);
}

std::size_t KubeClient::waiting() const {
  std::size_t count = 0;
  for (const Lane& lane : lanes_) {
    count += lane.waiting.size();
  }
  return count;
}

void KubeClient::Collect(obs::MetricSet& metrics) const {
  metrics.Set(kWaiting, static_cast<std::uint64_t>(waiting()));
}

std::string PollingMessage(const std::string& resource) {
  return StrCat("not allowed to watch \"", resource, "\": it is listed every 10 s instead");
}

}  // namespace stentor::io
