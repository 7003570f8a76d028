// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Which replica of the controller leads: the one that holds a Lease. Same rules as client-go's
/// k8s.io/client-go/tools/leaderelection, so replicas and tools that know it understand each other:
///
/// * The holder renews every retry_period. One that has not succeeded for renew_deadline stops,
///   which is before lease_duration, after which others may take the Lease.
/// * How old a Lease is, each replica measures by its own monotonic clock, from when it last saw
///   the Lease change. Times of day in it are for readers only, so no clock needs to be right.
/// * All writes carry resourceVersion: of two that want the Lease, one gets it.
///
/// Stricter than client-go: the deadline counts from when the last successful renewal was *sent*;
/// a deleted Lease is not free before the one that was seen has expired; and standbys that watch
/// the Lease take a released one at once.
///
///   LeaderElector elector(options, io::RandomUniform);
///   Carry(elector.Poll({now, wall}));                       // first, and at NextDeadline()
///   Carry(elector.OnAnswer({now, wall}, ticket, response)); // of actions.request
///   Carry(elector.OnLease({now, wall}, lease));             // where the Lease is watched
///   Carry(elector.Release({now, wall}));                    // on SIGTERM; then ReleaseComplete()
///   if (elector.MayWrite(now)) { ... }                      // before each write, with a fresh now

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/kube/backoff.h"
#include "common/kube/lease.h"
#include "common/kube/transport.h"
#include "controller/leader/leader_change.h"
#include "controller/leader/leader_options.h"

namespace stentor::controller {

/// Now, by both clocks. `wall` is only written into the Lease; nothing is decided by it.
struct Moment {
  TimePoint now;
  WallTime wall;
};

/// A request to send. One is under way at most: a new one replaces the one before, whose answer is
/// of no interest any more (it may be handed in all the same).
struct LeaderRequest {
  std::uint64_t ticket = 0;  ///< For OnAnswer().
  kube::Request request;
};

/// What the caller has to do after an input: first heed the changes, then send.
struct LeaderActions {
  std::vector<LeaderChange> changes;
  std::optional<LeaderRequest> request;
};

/// Not thread-safe. Monotonic time must not go backwards.
class LeaderElector {
 public:
  /// Precondition: ValidateLeaderOptions(options).ok(). `uniform` spreads the attempts.
  LeaderElector(LeaderOptions options, kube::Uniform uniform);

  /// Does what is due. Harmless when nothing is.
  [[nodiscard]] LeaderActions Poll(const Moment& at);

  /// The answer to the request with `ticket`, or why there is none. Any bytes are allowed.
  [[nodiscard]] LeaderActions OnAnswer(const Moment& at, std::uint64_t ticket,
                                       const absl::StatusOr<kube::Response>& answer);

  /// A watch showed the Lease, or that it is gone. Stale and repeated ones do no harm. Optional:
  /// without it the Lease is asked for, and a released one is found within a few retry periods.
  [[nodiscard]] LeaderActions OnLease(const Moment& at, const kube::Lease& lease);
  [[nodiscard]] LeaderActions OnLeaseDeleted(const Moment& at);

  /// Stops leading at once and for good, and gives up the Lease where this replica holds it.
  [[nodiscard]] LeaderActions Release(const Moment& at);
  /// Nothing is left to be done; within release_limit after Release().
  [[nodiscard]] bool ReleaseComplete() const noexcept { return role_ == Role::kReleased; }

  /// When to call Poll(); nothing once ReleaseComplete().
  [[nodiscard]] std::optional<TimePoint> NextDeadline() const;

  /// Whether this replica may write at `now`: it leads, and the last renewal that succeeded was
  /// sent less than renew_deadline ago. To be asked with a fresh time right before each write: it
  /// becomes false by itself, also where the process was paused and has not been told yet.
  [[nodiscard]] bool MayWrite(TimePoint now) const noexcept;
  /// From kStarted to kStopped.
  [[nodiscard]] bool Leads() const noexcept {
    return role_ == Role::kLeader || role_ == Role::kWithoutLease;
  }

 private:
  enum class Role : std::uint8_t { kStandby, kLeader, kWithoutLease, kReleasing, kReleased };
  enum class Verb : std::uint8_t { kGet, kCreate, kUpdate, kGiveUp };
  struct Flight {
    std::uint64_t ticket = 0;
    Verb verb = Verb::kGet;
    TimePoint sent{};
  };

  // What is done
  bool Expire(const Moment& at, LeaderActions& actions);
  void Advance(const Moment& at, LeaderActions& actions);
  void Attempt(const Moment& at, LeaderActions& actions);
  void Continue(const Moment& at, LeaderActions& actions);
  void Send(const Moment& at, Verb verb, LeaderActions& actions);
  [[nodiscard]] kube::LeaseClaim Claim(const Moment& at) const;

  // What came of it
  void OnObject(const Moment& at, const Flight& flight, const std::string& body,
                LeaderActions& actions);
  void OnClaimed(const Moment& at, const Flight& flight, LeaderActions& actions);
  void Refused(const Moment& at, const absl::Status& status, LeaderActions& actions);
  void RefusedRelease(const Moment& at, const absl::Status& status, LeaderActions& actions);
  void Fail(const Moment& at, const absl::Status& status, std::optional<Duration> retry_after,
            LeaderActions& actions);
  void NoteTrouble(const absl::Status& status, LeaderActions& actions);
  void Recover(LeaderActions& actions);
  void ScheduleRetry(TimePoint now, std::optional<Duration> retry_after);

  // What is known
  void Observe(TimePoint now, const kube::Lease& lease, LeaderActions& actions);
  [[nodiscard]] bool IsOurs() const { return holder_ == options_.identity; }
  [[nodiscard]] Duration DurationOf(const kube::Lease& lease) const;
  [[nodiscard]] bool MayTake(TimePoint now) const;
  void Stop(StopReason reason, LeaderActions& actions);

  const LeaderOptions options_;
  const kube::Uniform uniform_;
  Role role_ = Role::kStandby;

  std::optional<kube::Lease> lease_;  // as last seen; nothing: not seen yet, or gone
  std::string holder_;                // its holder; of a Lease that is gone, the last one
  TimePoint expires_{};               // when another's Lease may be taken
  bool read_due_ = true;              // what is known may be wrong: GET before anything else
  bool seen_ = false;                 // the API has shown a Lease, ever

  std::optional<Flight> flight_;
  bool overtaken_ = false;  // a watch has shown the Lease since that was sent
  std::uint64_t tickets_ = 0;
  TimePoint due_{};          // of the next attempt, while nothing is in flight
  TimePoint attempted_{};    // when the last one began
  int conflicts_ = 0;        // of this attempt
  bool claim_open_ = false;  // a claim was sent, and what became of it is not known
  TimePoint may_write_till_{};
  TimePoint release_till_{};  // kReleasing

  int refusals_ = 0;  // in succession
  absl::StatusCode trouble_ = absl::StatusCode::kOk;
};

}  // namespace stentor::controller
