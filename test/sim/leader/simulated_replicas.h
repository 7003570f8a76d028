// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Replicas that elect a leader through one simulated API server, in virtual time: requests and
/// answers are delayed and lost, watches lag and break, replicas are paused, cut off, killed and
/// restarted, each with clocks of its own that run fast or slow. One seed decides everything; it is
/// printed, and STENTOR_SIM_SEED replays it.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "common/base/time.h"
#include "controller/leader/leader_elector.h"
#include "test/support/lease_server.h"
#include "test/support/run_seed.h"

namespace stentor::sim {

struct ApiQuality {
  Duration min_delay = std::chrono::milliseconds(1);  ///< Of one way.
  Duration max_delay = std::chrono::milliseconds(20);
  double loss = 0;        ///< Of a request, and again of its answer.
  double late = 0;        ///< Share of the lost requests that arrive after all, up to 30 s later.
  double errors = 0;      ///< 429 or 503 instead of service; half of the 503 after service.
  Duration answer_lag{};  ///< Answers come up to so much later.
  Duration watch_lag{};   ///< Events of a watch come up to so much later.
};

struct Settings {
  std::size_t count = 3;
  std::uint64_t seed = 0;
  controller::LeaderOptions times;  ///< Lease and identities are filled in.
  bool watch = true;                ///< Replicas watch the Lease.
  bool same_pod = false;            ///< A restart is one of the container: the pod stays.
  int clock_error_ppm = 10'000;     ///< Clocks run up to so much too fast or too slow.
};

/// What a replica told.
struct Told {
  TimePoint at{};
  std::size_t replica = 0;
  controller::LeaderChange change;
};

class SimulatedReplicas {
 public:
  /// All stopped.
  explicit SimulatedReplicas(const Settings& settings);

  void Start(std::size_t replica);
  void StartAll();
  /// SIGKILL. What it sent is still under way.
  void Kill(std::size_t replica);
  /// SIGTERM: it ends once its release is complete.
  void Terminate(std::size_t replica);
  /// Gets no time for so long; answers and timers wait.
  void Pause(std::size_t replica, Duration duration);
  void SetCut(std::size_t replica, bool cut);
  void SetServerDown(bool down) { server_down_ = down; }
  void SetQuality(const ApiQuality& quality) { quality_ = quality; }
  void StepWallClock(std::size_t replica, Duration by);
  void DeleteLease();

  void RunFor(Duration duration);
  /// Until `condition` holds, at most `limit`; the time that it took, or nothing.
  [[nodiscard]] std::optional<Duration> RunUntil(const std::function<bool()>& condition,
                                                 Duration limit);

  [[nodiscard]] bool IsRunning(std::size_t replica) const;
  /// The replicas that may write now, by their own clocks: paused and killed ones too, as if they
  /// still lived.
  [[nodiscard]] std::vector<std::size_t> Writers() const;
  /// The only writer; nothing where there is none or more.
  [[nodiscard]] std::optional<std::size_t> Leader() const;
  /// How often there was more than one.
  [[nodiscard]] std::size_t violations() const { return violations_; }
  [[nodiscard]] const std::vector<Told>& told() const { return told_; }
  [[nodiscard]] std::size_t requests() const { return requests_; }
  [[nodiscard]] TimePoint now() const { return now_; }
  [[nodiscard]] std::size_t size() const { return replicas_.size(); }
  [[nodiscard]] const test::LeaseServer& server() const { return server_; }
  [[nodiscard]] std::mt19937_64& random() { return random_; }

 private:
  struct Clock {
    std::int64_t error_ppm = 0;
    Duration offset{};
    Duration wall_offset{};
  };
  struct Replica {
    std::unique_ptr<controller::LeaderElector> elector;
    Clock clock;
    bool running = false;
    bool cut = false;
    bool watch_broken = false;
    TimePoint paused_until{};
    TimePoint last_event{};  // of the watch: they keep their order
    std::uint64_t run = 0;
    std::uint64_t timer = 0;
  };
  struct Event {
    TimePoint at{};
    std::uint64_t order = 0;
    std::function<void()> happen;
    friend bool operator>(const Event& a, const Event& b) {
      return std::tie(a.at, a.order) > std::tie(b.at, b.order);
    }
  };
  using Input = std::function<controller::LeaderActions(controller::LeaderElector&,
                                                        const controller::Moment&)>;

  void At(TimePoint at, std::function<void()> happen);
  /// Gives `input` to this run of the replica: now, or when its pause ends.
  void Give(std::size_t replica, std::uint64_t run, Input input);
  void Carry(std::size_t replica, controller::LeaderActions actions);
  void Transmit(std::size_t replica, const controller::LeaderRequest& request);
  void Serve(std::size_t replica, std::uint64_t run, const controller::LeaderRequest& request);
  void Answer(std::size_t replica, std::uint64_t run, std::uint64_t ticket,
              const absl::StatusOr<kube::Response>& answer);
  void NotifyWatches();
  void SendWatchEvent(std::size_t replica, Duration delay);
  void Arm(std::size_t replica);
  void Check();
  [[nodiscard]] bool Step(TimePoint until);
  [[nodiscard]] controller::Moment MomentOf(const Clock& clock) const;
  [[nodiscard]] TimePoint TrueTime(const Clock& clock, TimePoint local) const;
  [[nodiscard]] Duration Delay();
  [[nodiscard]] Duration Between(Duration low, Duration high);
  [[nodiscard]] bool Chance(double probability);
  [[nodiscard]] double Uniform();

  const Settings settings_;
  std::mt19937_64 random_;
  ApiQuality quality_;
  test::LeaseServer server_;
  bool server_down_ = false;
  TimePoint now_{std::chrono::hours(1)};
  std::vector<Replica> replicas_;
  std::vector<Replica> dead_;  // killed runs, to see what they would have believed
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::uint64_t order_ = 0;
  std::uint64_t runs_ = 0;
  std::size_t requests_ = 0;
  std::size_t violations_ = 0;
  std::vector<Told> told_;
};

}  // namespace stentor::sim
