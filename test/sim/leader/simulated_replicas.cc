// SPDX-License-Identifier: Apache-2.0
#include "test/sim/leader/simulated_replicas.h"

#include <algorithm>
#include <utility>

namespace stentor::sim {
namespace {

using controller::LeaderActions;
using controller::LeaderElector;
using controller::LeaderRequest;
using controller::Moment;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

const model::ObjectKey kLease{"metallb-system", "stentor-controller"};
constexpr std::int64_t kMillion = 1'000'000;

}  // namespace

SimulatedReplicas::SimulatedReplicas(const Settings& settings)
    : settings_(settings), random_(settings.seed), server_(kLease), replicas_(settings.count) {
  for (Replica& replica : replicas_) {
    const int limit = settings.clock_error_ppm;
    replica.clock.error_ppm = std::uniform_int_distribution<int>(-limit, limit)(random_);
    replica.clock.offset = Between(seconds(0), std::chrono::hours(10'000));
    replica.clock.wall_offset = Between(-seconds(100'000), seconds(100'000));
  }
}

void SimulatedReplicas::Start(std::size_t index) {
  Replica& replica = replicas_.at(index);
  if (replica.running) {
    return;
  }
  if (replica.elector) {
    dead_.push_back(std::exchange(replica, Replica{.clock = replica.clock, .cut = replica.cut}));
  }
  const std::string pod =
      "pod-" + std::to_string(index) + (settings_.same_pod ? "" : "-" + std::to_string(runs_));
  controller::LeaderOptions options = settings_.times;
  options.lease = kLease;
  options.identity = controller::LeaderIdentity(pod, random_());
  if (settings_.same_pod) {
    options.predecessor_prefix = controller::IdentityPrefix(pod);
  }
  replica.elector = std::make_unique<LeaderElector>(options, [this] { return Uniform(); });
  replica.running = true;
  replica.run = ++runs_;
  replica.paused_until = {};
  Give(index, replica.run, [](LeaderElector& e, const Moment& at) { return e.Poll(at); });
  if (settings_.watch) {
    SendWatchEvent(index, Delay());
  }
}

void SimulatedReplicas::StartAll() {
  for (std::size_t i = 0; i < replicas_.size(); ++i) {
    Start(i);
  }
}

void SimulatedReplicas::Kill(std::size_t index) { replicas_.at(index).running = false; }

void SimulatedReplicas::Terminate(std::size_t index) {
  Give(index, replicas_.at(index).run,
       [](LeaderElector& e, const Moment& at) { return e.Release(at); });
}

void SimulatedReplicas::Pause(std::size_t index, Duration duration) {
  replicas_.at(index).paused_until = now_ + duration;
}

void SimulatedReplicas::SetCut(std::size_t index, bool cut) {
  Replica& replica = replicas_.at(index);
  replica.cut = cut;
  if (!cut && std::exchange(replica.watch_broken, false) && settings_.watch) {
    SendWatchEvent(index, Between(Duration::zero(), seconds(2)));  // it lists again
  }
}

void SimulatedReplicas::StepWallClock(std::size_t index, Duration by) {
  replicas_.at(index).clock.wall_offset += by;
}

void SimulatedReplicas::DeleteLease() {
  server_.Delete();
  NotifyWatches();
}

void SimulatedReplicas::RunFor(Duration duration) {
  const TimePoint end = now_ + duration;
  while (Step(end)) {
  }
}

std::optional<Duration> SimulatedReplicas::RunUntil(const std::function<bool()>& condition,
                                                    Duration limit) {
  const TimePoint start = now_;
  while (!condition()) {
    if (!Step(start + limit)) {
      return condition() ? std::optional(now_ - start) : std::nullopt;
    }
  }
  return now_ - start;
}

bool SimulatedReplicas::IsRunning(std::size_t index) const { return replicas_.at(index).running; }

std::vector<std::size_t> SimulatedReplicas::Writers() const {
  std::vector<std::size_t> writers;
  for (std::size_t i = 0; i < replicas_.size(); ++i) {
    const Replica& replica = replicas_[i];
    if (replica.elector && replica.elector->MayWrite(MomentOf(replica.clock).now)) {
      writers.push_back(i);
    }
  }
  for (std::size_t i = 0; i < dead_.size() && !settings_.same_pod; ++i) {
    if (dead_[i].elector->MayWrite(MomentOf(dead_[i].clock).now)) {
      writers.push_back(replicas_.size() + i);
    }
  }
  return writers;
}

std::optional<std::size_t> SimulatedReplicas::Leader() const {
  const std::vector<std::size_t> writers = Writers();
  return writers.size() == 1 && writers[0] < replicas_.size() ? std::optional(writers[0])
                                                              : std::nullopt;
}

void SimulatedReplicas::At(TimePoint at, std::function<void()> happen) {
  events_.push({std::max(at, now_), order_++, std::move(happen)});
}

void SimulatedReplicas::Give(std::size_t index, std::uint64_t run, Input input) {
  Replica& replica = replicas_[index];
  if (!replica.running || replica.run != run) {
    return;
  }
  if (replica.paused_until > now_) {
    At(replica.paused_until,
       [this, index, run, input = std::move(input)] { Give(index, run, input); });
    return;
  }
  Carry(index, input(*replica.elector, MomentOf(replica.clock)));
}

void SimulatedReplicas::Carry(std::size_t index, LeaderActions actions) {
  for (controller::LeaderChange& change : actions.changes) {
    told_.push_back({now_, index, std::move(change)});
  }
  if (actions.request) {
    Transmit(index, *actions.request);
  }
  Replica& replica = replicas_[index];
  if (replica.elector->ReleaseComplete()) {
    replica.running = false;
  } else {
    Arm(index);
  }
}

void SimulatedReplicas::Transmit(std::size_t index, const LeaderRequest& request) {
  ++requests_;
  const std::uint64_t run = replicas_[index].run;
  const std::uint64_t ticket = request.ticket;
  if (replicas_[index].cut || server_down_ || Chance(quality_.loss)) {
    if (Chance(0.5)) {  // else nothing is heard for ever
      At(now_ + Between(Duration::zero(), seconds(6)), [this, index, run, ticket] {
        Answer(index, run, ticket, absl::UnavailableError("connection refused"));
      });
    }
    if (!Chance(quality_.late)) {  // TCP repeats for long
      return;
    }
    At(now_ + Between(Duration::zero(), seconds(30)),
       [this, index, run, request] { Serve(index, run, request); });
    return;
  }
  At(now_ + Delay(), [this, index, run, request] { Serve(index, run, request); });
}

void SimulatedReplicas::Serve(std::size_t index, std::uint64_t run, const LeaderRequest& request) {
  kube::Response response{503, "", std::nullopt};
  const bool fails = Chance(quality_.errors);
  if (fails && Chance(0.3)) {
    response = {429, "", seconds(1)};
  }
  if (!fails || (response.code == 503 && Chance(0.5))) {
    const std::uint64_t before = server_.version();
    const kube::Response served = server_.Handle(request.request);
    if (!fails) {
      response = served;
    }
    if (server_.version() != before) {
      NotifyWatches();
    }
  }
  if (Chance(quality_.loss)) {
    return;
  }
  const Duration delay = Delay() + Between(Duration::zero(), quality_.answer_lag);
  At(now_ + delay, [this, index, run, ticket = request.ticket, response] {
    if (!replicas_[index].cut) {
      Answer(index, run, ticket, response);
    }
  });
}

void SimulatedReplicas::Answer(std::size_t index, std::uint64_t run, std::uint64_t ticket,
                               const absl::StatusOr<kube::Response>& answer) {
  Give(index, run, [ticket, answer](LeaderElector& e, const Moment& at) {
    return e.OnAnswer(at, ticket, answer);
  });
}

void SimulatedReplicas::NotifyWatches() {
  for (std::size_t i = 0; i < replicas_.size() && settings_.watch; ++i) {
    SendWatchEvent(i, Delay() + Between(Duration::zero(), quality_.watch_lag));
  }
}

void SimulatedReplicas::SendWatchEvent(std::size_t index, Duration delay) {
  Replica& replica = replicas_[index];
  replica.last_event = std::max(replica.last_event, now_ + delay);
  std::optional<kube::Lease> lease;
  if (server_.lease()) {
    lease = server_.Decoded();
  }
  At(replica.last_event, [this, index, run = replica.run, lease = std::move(lease)] {
    if (replicas_[index].cut || server_down_) {
      replicas_[index].watch_broken = true;
      return;
    }
    Give(index, run, [lease](LeaderElector& e, const Moment& at) {
      return lease ? e.OnLease(at, *lease) : e.OnLeaseDeleted(at);
    });
  });
}

void SimulatedReplicas::Arm(std::size_t index) {
  Replica& replica = replicas_[index];
  const std::optional<TimePoint> due = replica.elector->NextDeadline();
  if (!due) {
    return;
  }
  const TimePoint at = TrueTime(replica.clock, *due) + Between(Duration::zero(), milliseconds(2));
  At(at, [this, index, run = replica.run, timer = ++replica.timer] {
    if (replicas_[index].timer == timer) {
      Give(index, run, [](LeaderElector& e, const Moment& m) { return e.Poll(m); });
    }
  });
}

void SimulatedReplicas::Check() {
  if (Writers().size() > 1) {
    ++violations_;
  }
}

bool SimulatedReplicas::Step(TimePoint until) {
  if (events_.empty() || events_.top().at > until) {
    now_ = until;
    return false;
  }
  const Event event = events_.top();
  events_.pop();
  now_ = event.at;
  event.happen();
  Check();
  return true;
}

Moment SimulatedReplicas::MomentOf(const Clock& clock) const {
  const Duration since = now_.time_since_epoch();
  const Duration local = since + since / kMillion * clock.error_ppm + clock.offset;
  return {TimePoint(local), WallTime(std::chrono::duration_cast<WallTime::duration>(
                                since + std::chrono::hours(500'000) + clock.wall_offset))};
}

TimePoint SimulatedReplicas::TrueTime(const Clock& clock, TimePoint local) const {
  const Duration ahead = local - MomentOf(clock).now;
  // Never early: a timer that fires before its time would fire again and again.
  return now_ + std::max(ahead * kMillion / (kMillion + clock.error_ppm), Duration::zero()) +
         microseconds(2);
}

Duration SimulatedReplicas::Delay() { return Between(quality_.min_delay, quality_.max_delay); }

Duration SimulatedReplicas::Between(Duration low, Duration high) {
  return Duration(std::uniform_int_distribution<Duration::rep>(low.count(), high.count())(random_));
}

bool SimulatedReplicas::Chance(double probability) { return Uniform() < probability; }

double SimulatedReplicas::Uniform() {
  return std::uniform_real_distribution<double>(0, 1)(random_);
}

}  // namespace stentor::sim
