// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/io/context.h"
#include "common/io/lifetime.h"
#include "common/kube/work_queue.h"
#include "controller/app/departed.h"
#include "controller/app/metrics.h"
#include "controller/reconcile/reconciler.h"

namespace stentor::controller {

struct ServiceTermOptions {
  std::string load_balancer_class;
  /// Whether this replica may write now; asked right before each write.
  std::function<bool()> may_write;
  std::function<void()> on_services_read;
  /// All Services and a configuration are known; once.
  std::function<void()> on_started;
  /// Figures of the pools may have changed.
  std::function<void()> on_change;
};

/// One term of leadership: from the time at which this replica may write until it must not any
/// more. Reads all Services anew, carries what the API says of them to the reconciler, and its
/// actions back. What a term knows ends with it, so that nothing is given out by what another
/// leader has changed meanwhile. Lives on the event loop's thread.
class ServiceTerm {
 public:
  /// `metrics` must outlive it.
  ServiceTerm(const io::Context& context, ServiceTermOptions options, Metrics& metrics);
  ~ServiceTerm();
  ServiceTerm(const ServiceTerm&) = delete;
  ServiceTerm& operator=(const ServiceTerm&) = delete;

  /// Begins to watch.
  void Start();

  /// A valid configuration, to be put in force.
  void SetConfig(config::Config config);

  /// Sends no further write, and calls `done` once, soon, when those that are under way have been
  /// answered or given up.
  void Finish(std::function<void()> done);

  [[nodiscard]] const Reconciler& reconciler() const { return reconciler_; }
  [[nodiscard]] const config::Config* config() const { return config_ ? &*config_ : nullptr; }
  /// Status writes that are under way, or wait for their turn or their backoff.
  [[nodiscard]] std::size_t PendingWrites() const {
    return writes_.in_flight() + writes_.waiting();
  }

 private:
  void WatchServices();
  void WatchNamespaces();
  io::RetryPace NamespacesRefused(const absl::Status& status);
  void OnService(const nlohmann::json& object);
  void IsNoLoadBalancer(model::Service service);
  void Gone(const model::ServiceKey& key);
  void Unreadable(const absl::Status& status);

  void MaybeFinished();
  void ScheduleFlush();
  void Flush();
  void CarryOut();
  void SendDueWrites();
  void Send(const WriteStatus& write);
  void OnWritten(const WriteStatus& write, const absl::StatusOr<kube::Response>& response);
  void TellLater(const EmitEvent& event);
  void Emit(const EmitEvent& event);
  void Tell(const LogFact& fact);

  const io::Context context_;
  const ServiceTermOptions options_;
  Metrics& metrics_;
  Reconciler reconciler_;
  Departed departed_;
  kube::WorkQueue writes_;
  io::Timer write_timer_;
  std::set<model::ServiceKey> leaving_;               // left the watch, and it is not known why
  std::map<model::ServiceKey, WriteStatus> pending_;  // asked for and not yet sent
  std::set<model::ServiceKey> sent_;                  // and not answered yet
  std::map<model::ServiceKey, std::vector<EmitEvent>> events_after_;  // the write succeeded
  std::vector<LogFact> facts_;                          // to be told at the end of Flush()
  std::map<model::ServiceKey, TimePoint> without_yet_;  // no address; since when it is known
  std::optional<config::Config> config_;
  bool services_read_ = false;
  bool namespaces_watched_ = false;
  int namespace_refusals_ = 0;
  bool flush_scheduled_ = false;
  bool started_told_ = false;
  bool finishing_ = false;
  std::function<void()> finished_;
  std::vector<std::unique_ptr<io::WatchHandle>> watches_;
  io::Lifetime lifetime_;
};

}  // namespace stentor::controller
