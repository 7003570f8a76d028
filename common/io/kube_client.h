// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The API server, as a program sees it: resources to keep up with, and requests.
///
///   io::InitializeTransportThreads();                       // first thing in main
///   auto config = io::LoadClientConfig(flags.kubeconfig);
///   auto client = io::KubeClient::Connect(loop, *config);
///   auto watch = (*client)->Watch({.name = "services", .path = "/api/v1/services",
///                                  .field_selector = "spec.type=LoadBalancer"}, {...handlers});
///   (*client)->Request({.method = "PUT", .path = path, .body = body}, [](auto response) {...});

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/config/client_config.h"
#include "common/io/cpprest_transport.h"
#include "common/io/event_loop.h"
#include "common/kube/backoff.h"
#include "common/kube/transport.h"
#include "common/model/types.h"
#include "common/obs/metrics.h"

namespace stentor::io {

/// A resource to keep up with. Selectors are not percent-encoded.
struct ResourceWatch {
  std::string name;  ///< For messages: "services", "ipaddresspools.metallb.io".
  std::string path;
  std::string field_selector;
  std::string label_selector;
};

/// How soon a resource that is refused is asked for again.
enum class RetryPace : std::uint8_t {
  kSoon,     ///< Within 10 s: nothing goes on without it.
  kPatient,  ///< Later and later, up to 5 min: a grant or a CRD may still come.
};

/// All are optional and run on the event loop's thread, never from within Watch().
struct WatchHandlers {
  /// New or changed. An object whose resourceVersion is known is not repeated.
  std::function<void(const nlohmann::json& object)> on_upsert;
  std::function<void(const model::ObjectKey& key)> on_delete;
  /// All objects are known: after the first complete list, and after each further one.
  std::function<void()> on_synced;
  /// The resource can't be read: once for each different reason, in one line fit for a user. It is
  /// retried without end.
  std::function<void(const absl::Status& status)> on_trouble;
  /// For a resource that older manifests don't grant or know: as long as it has never been read,
  /// each attempt that is refused (PermissionDenied, NotFound) comes here instead of on_trouble.
  std::function<RetryPace(const absl::Status& status)> on_refused;
  /// To list is allowed, to watch is not: from now on the list is polled, every 10 s.
  std::function<void()> on_polling;
  /// It can be read again, after on_trouble.
  std::function<void()> on_recovered;
};

/// For the log line of on_polling.
[[nodiscard]] std::string PollingMessage(const std::string& resource);

/// A watch goes on until its handle is destroyed, which a handler may do.
class WatchHandle {
 public:
  virtual ~WatchHandle() = default;
  /// A sign that the resource has changed: where it is polled, it is asked for now, at most once
  /// within `least`.
  virtual void PollSoon(Duration least) = 0;
  /// A sign that what was refused may be granted now: it is asked for again within `delay`.
  virtual void RetryWithin(Duration delay) = 0;
};

class KubeClient {
 public:
  /// Requests under way at a time: of normal priority, and of those in the background. Urgent ones
  /// have no limit, nor a queue.
  static constexpr std::size_t kMaxRequests = 64;
  static constexpr std::size_t kMaxBackground = 8;
  /// Those in the background wait at least so long, so that they don't compete with the writes and
  /// the packets that they tell of.
  static constexpr Duration kBackgroundDelay = std::chrono::milliseconds(100);
  /// Requests of one priority that may wait for their turn. Whoever makes more than that, with no
  /// bound of his own (kube::WorkQueue), is refused.
  static constexpr std::size_t kMaxWaiting = 20000;

  /// On MakeCpprestTransport. Errors: what in `config` can't be used.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<KubeClient>> Connect(
      EventLoop& loop, const config::ClientConfig& config);

  /// `loop` must outlive it; `server` is for messages ("https://192.0.2.1:6443").
  KubeClient(EventLoop& loop, std::unique_ptr<kube::KubeTransport> transport, std::string server,
             kube::Uniform uniform);
  ~KubeClient();
  KubeClient(const KubeClient&) = delete;
  KubeClient& operator=(const KubeClient&) = delete;

  /// The handle must be destroyed before the client.
  [[nodiscard]] std::unique_ptr<WatchHandle> Watch(ResourceWatch resource, WatchHandlers handlers);

  /// One attempt; who wants another asks again (kube/work_queue.h). Requests beyond the limit of
  /// their priority wait for their turn, in order: each under way has a connection of its own.
  ///
  ///   client.Request({.method = "PUT", .path = path, .body = body,
  ///                   .priority = kube::Priority::kUrgent, .time_limit = seconds(5)}, handler);
  ///
  /// Errors beside the transport's: DeadlineExceeded after the request's own time_limit;
  /// Unavailable where kMaxWaiting wait already. `handler` is called from the loop, never from
  /// within the call, and not once the client is destroyed.
  void Request(kube::Request request, kube::ResponseHandler handler);

  /// Requests that wait for their turn, of all priorities.
  [[nodiscard]] std::size_t waiting() const;
  /// The same as stentor_k8s_client_waiting_requests.
  void Collect(obs::MetricSet& metrics) const;
  [[nodiscard]] const std::string& server() const { return server_; }

 private:
  struct Waiting {
    std::uint64_t id;
    TimePoint not_before;
    kube::Request request;
    kube::ResponseHandler handler;
  };
  struct Lane {
    std::size_t limit = 0;
    std::size_t under_way = 0;
    std::deque<Waiting> waiting;
  };
  struct UnderWay {
    std::unique_ptr<kube::KubeCall> call;
    kube::ResponseHandler handler;
    kube::Priority priority;
  };

  Lane& LaneOf(kube::Priority priority) { return lanes_[static_cast<std::size_t>(priority)]; }
  void BeginNext(Lane& lane);
  void Begin(Waiting next);
  void Finish(std::uint64_t id, absl::StatusOr<kube::Response> response);
  void Expire(std::uint64_t id, kube::Priority priority, Duration limit);

  EventLoop& loop_;
  std::unique_ptr<kube::KubeTransport> transport_;
  const std::string server_;
  const kube::Uniform uniform_;
  std::uint64_t next_call_ = 0;
  std::array<Lane, 3> lanes_;  // by Priority
  Timer background_timer_;
  std::map<std::uint64_t, UnderWay> calls_;
  std::map<std::uint64_t, Timer> limits_;  // of those that have a time_limit
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace stentor::io
