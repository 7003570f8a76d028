// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/io/config_watch.h"
#include "common/io/event_loop.h"
#include "common/io/kube_client.h"
#include "common/kube/work_queue.h"
#include "common/obs/health.h"
#include "common/obs/log.h"
#include "controller/app/departed.h"
#include "controller/app/flags.h"
#include "controller/app/metrics.h"
#include "controller/reconcile/reconciler.h"

namespace stentor::controller {

/// Carries facts from the API to the reconciler, and its actions back. Lives on the event loop's
/// thread; loop, client, log and health must outlive it.
class Controller {
 public:
  Controller(Flags flags, io::EventLoop& loop, io::KubeClient& client, const obs::Logger& log,
             obs::Health& health);
  ~Controller();
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;

  /// Begins to watch. Everything after happens on the event loop.
  void Start();

  /// For one scrape.
  void Collect(obs::MetricSet& metrics) const;

 private:
  [[nodiscard]] io::WatchHandlers Handlers(const std::string& resource);
  void WatchServices();
  void WatchNamespaces();
  io::RetryPace NamespacesRefused(const absl::Status& status);
  void EnsureMemberlistSecret();
  void MemberlistSecretFailed(const absl::Status& why);

  void OnService(const nlohmann::json& object);
  void Unreadable(const absl::Status& status);
  void TakeConfig();
  void PutInForce(config::Config config);

  void ScheduleFlush();
  void Flush();
  void CarryOut();
  void SendDueWrites();
  void Send(const WriteStatus& write);
  void OnWritten(const WriteStatus& write, const absl::StatusOr<kube::Response>& response);
  void Emit(const EmitEvent& event);
  void Tell(const LogFact& fact);

  const Flags flags_;
  io::EventLoop& loop_;
  io::KubeClient& client_;
  const obs::Logger& log_;
  obs::Health& health_;
  Metrics metrics_;
  Reconciler reconciler_;
  Departed departed_;
  kube::WorkQueue writes_;
  io::Timer write_timer_;
  io::Timer secret_timer_;
  io::Timer first_pools_timer_;
  std::map<model::ServiceKey, WriteStatus> pending_;  // asked for and not yet sent
  io::ConfigWatch config_watch_;
  std::optional<config::Config> newest_config_;  // until the first pools have settled
  bool first_pools_settled_ = false;
  bool services_read_ = false;
  bool namespaces_watched_ = false;
  int namespace_refusals_ = 0;
  bool secret_refused_ = false;
  bool flush_scheduled_ = false;
  bool ready_told_ = false;
  std::vector<std::unique_ptr<io::WatchHandle>> watches_;
};

}  // namespace stentor::controller
