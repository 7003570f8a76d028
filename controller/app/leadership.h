// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "common/io/context.h"
#include "common/io/lifetime.h"
#include "common/obs/metrics.h"
#include "controller/leader/leader_elector.h"

namespace stentor::controller {

/// All run on the event loop's thread, never from within a call to Leadership. Between on_started
/// and on_stopped this replica is the one that writes.
struct LeadershipHandlers {
  std::function<void()> on_started;
  std::function<void()> on_stopped;
  std::function<void()> on_other_leads;  ///< Another replica holds the Lease.
};

/// Carries the leader elector's requests to the API server, and the Lease back. Lives on the event
/// loop's thread.
class Leadership {
 public:
  Leadership(const io::Context& context, LeaderOptions options, LeadershipHandlers handlers);
  ~Leadership();
  Leadership(const Leadership&) = delete;
  Leadership& operator=(const Leadership&) = delete;

  /// Begins to ask for the Lease.
  void Start();

  /// Whether this replica may write now; to be asked right before each write.
  [[nodiscard]] bool MayWrite() const { return elector_.MayWrite(context_.loop.Now()); }
  [[nodiscard]] bool Leads() const noexcept { return elector_.Leads(); }

  /// Stops leading, gives the Lease up, and calls `done` once, soon: at the latest when the
  /// options' release_limit has passed.
  void Release(std::function<void()> done);

  void Collect(obs::MetricSet& metrics) const;

 private:
  void Poll();
  void Carry(const LeaderActions& actions);
  void Heed(const LeaderChange& change);
  void Arm();
  void WatchLease();
  [[nodiscard]] Moment Now() const;

  const io::Context context_;
  const LeaderOptions options_;
  const LeadershipHandlers handlers_;
  LeaderElector elector_;
  io::Timer timer_;
  std::function<void()> released_;
  std::unique_ptr<io::WatchHandle> watch_;
  io::Lifetime lifetime_;
};

}  // namespace stentor::controller
