// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "common/io/config_watch.h"
#include "common/io/context.h"
#include "common/io/lifetime.h"
#include "common/obs/health.h"
#include "common/obs/metrics.h"
#include "controller/app/flags.h"
#include "controller/app/leadership.h"
#include "controller/app/metrics.h"
#include "controller/app/service_term.h"
#include "controller/app/statuses.h"
#include "controller/app/webhooks.h"

namespace stentor::controller {

/// The program: the configuration, which every replica follows; the webhooks, which every replica
/// serves; and a term of work on Services, for as long as this replica leads. Lives on the event
/// loop's thread; loop, client, log and health must outlive it.
class Controller {
 public:
  Controller(Flags flags, io::EventLoop& loop, io::KubeClient& client, const obs::Logger& log,
             obs::Health& health);
  ~Controller();
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;

  /// Begins. Everything after happens on the event loop. Errors: what in the flags can't be used.
  [[nodiscard]] absl::Status Start();

  /// Stops to write, gives the Lease up, and calls `done` once, soon.
  void Stop(std::function<void()> done);

  /// For one scrape.
  void Collect(obs::MetricSet& metrics) const;

 private:
  [[nodiscard]] LeaderOptions MakeLeaderOptions() const;
  [[nodiscard]] bool MayWrite() const;
  void LeadingStarted();
  void StandBy();
  void LeadingEnded();

  void EnsureMemberlistSecret();
  void MemberlistSecretFailed(const absl::Status& why);

  void WatchConfig();
  void ScheduleConfig();
  void TakeConfig();
  void PutInForce(config::Config config);
  void UpdateUsage();

  const Flags flags_;
  const io::Context context_;
  obs::Health& health_;
  Metrics metrics_;
  Statuses statuses_;
  Leadership leadership_;
  std::unique_ptr<io::ConfigWatch> config_watch_;
  std::optional<config::Config> newest_config_;  // until the first pools have settled
  bool first_pools_settled_ = false;
  bool config_scheduled_ = false;
  bool secret_refused_ = false;
  bool ready_told_ = false;
  io::Timer secret_timer_;
  io::Timer first_pools_timer_;
  std::optional<TimePoint> first_pools_seen_;
  io::Timer stop_timer_;
  std::unique_ptr<Webhooks> webhooks_;
  std::unique_ptr<ServiceTerm> term_;  // while this replica leads
  io::Lifetime lifetime_;
};

}  // namespace stentor::controller
