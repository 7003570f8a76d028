// SPDX-License-Identifier: Apache-2.0
#include "controller/leader/leader_elector.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "common/base/check.h"
#include "common/kube/codec.h"
#include "common/kube/resource_version.h"

namespace stentor::controller {
namespace {

using std::chrono::seconds;

// Rereads after a conflict in one attempt; whoever still loses then waits for the next one.
constexpr int kMaxConflicts = 3;
// A refusal is believed when it comes twice: a server that is just starting may not know its roles.
constexpr int kRefusalsBelieved = 2;
constexpr Duration kRefusalCheck = seconds(1);  // an API server that starts knows no roles yet
constexpr Duration kMaxRefusedWait = seconds(300);
constexpr kube::JsonLimits kLimits{.max_bytes = std::size_t{4} << 20U};  // etcd takes 1.5 MiB

}  // namespace

LeaderElector::LeaderElector(LeaderOptions options, kube::Uniform uniform)
    : options_(std::move(options)), uniform_(std::move(uniform)) {
  const absl::Status valid = ValidateLeaderOptions(options_);
  STENTOR_CHECK(valid.ok()) << valid.ToString();
}

LeaderActions LeaderElector::Poll(const Moment& at) {
  LeaderActions actions;
  Advance(at, actions);
  return actions;
}

LeaderActions LeaderElector::OnAnswer(const Moment& at, std::uint64_t ticket,
                                      const absl::StatusOr<kube::Response>& answer) {
  LeaderActions actions;
  if (!flight_ || flight_->ticket != ticket) {
    Advance(at, actions);
    return actions;
  }
  const Flight flight = *flight_;
  flight_.reset();
  if (Expire(at, actions)) {  // an answer that waited too long does not make up for it: ask anew
    read_due_ = true;
    due_ = at.now;
    Advance(at, actions);
    return actions;
  }
  const absl::Status status = kube::StatusOf(answer);
  const int code = answer.ok() ? answer->code : 0;
  if (code != 0 && !status.ok() && flight.verb != Verb::kGet && code < 500) {
    claim_open_ = false;  // the server says that it did not take it
  }
  if (status.ok()) {
    OnObject(at, flight, answer->body, actions);
  } else if (code == 404 && flight.verb == Verb::kGet) {
    // Unless a watch has shown one meanwhile, it is gone. Its holder stays known until that one has
    // expired, as if it had been renewed just now.
    if (lease_ && !overtaken_) {
      expires_ = at.now + DurationOf(*lease_);
      lease_.reset();
    }
    read_due_ = false;
    claim_open_ = false;
    Continue(at, actions);
  } else if (code == 409 || (code == 404 && flight.verb != Verb::kCreate)) {
    refusals_ = 0;
    read_due_ = true;
    if (++conflicts_ <= kMaxConflicts) {
      Continue(at, actions);
    } else {
      ScheduleRetry(at.now, std::nullopt);
    }
  } else if ((code == 403 || code == 404) && !seen_ && role_ != Role::kReleasing) {
    Refused(at, status, actions);
  } else if (code == 403 && role_ == Role::kReleasing) {
    RefusedRelease(at, status, actions);
  } else {
    Fail(at, status, answer.ok() ? answer->retry_after : std::nullopt, actions);
  }
  Advance(at, actions);
  return actions;
}

LeaderActions LeaderElector::OnLease(const Moment& at, const kube::Lease& lease) {
  LeaderActions actions;
  // Without a value: nothing is known of which is newer.
  const auto order = lease_
                         ? kube::CompareVersions(lease.resource_version, lease_->resource_version)
                         : std::strong_ordering::greater;
  const bool foreign = lease.holder != options_.identity;
  if (role_ == Role::kReleasing || role_ == Role::kReleased || (order && *order <= 0) ||
      (role_ == Role::kLeader && !foreign)) {
    // Nothing new. A leader learns the versions of its own writes from their answers.
  } else if (role_ == Role::kLeader && !order) {
    read_due_ = true;  // from before its time, or from after: the API knows
    due_ = at.now;
  } else {
    Observe(at.now, lease, actions);
    overtaken_ = true;
    if (role_ == Role::kLeader) {
      Stop(StopReason::kTaken, actions);
    }
    if (!flight_) {
      read_due_ = false;
      if (role_ == Role::kWithoutLease || MayTake(at.now)) {
        due_ = at.now;
      } else if (trouble_ == absl::StatusCode::kOk) {  // else requests are worth a try
        ScheduleRetry(at.now, std::nullopt);
      }
    }
  }
  Advance(at, actions);
  return actions;
}

LeaderActions LeaderElector::OnLeaseDeleted(const Moment& at) {
  LeaderActions actions;
  read_due_ = true;
  if (role_ == Role::kLeader || role_ == Role::kStandby) {
    due_ = at.now;
  }
  Advance(at, actions);
  return actions;
}

LeaderActions LeaderElector::Release(const Moment& at) {
  LeaderActions actions;
  if (role_ == Role::kReleasing || role_ == Role::kReleased) {
    return actions;
  }
  const bool held = role_ == Role::kLeader;
  if (Leads()) {
    Stop(StopReason::kReleased, actions);
  }
  role_ = Role::kReleasing;
  refusals_ = 0;
  release_till_ = at.now + options_.release_limit;
  // A renewal that is still under way may come before or after: either way the Lease is given up,
  // at once or after a conflict. A first claim has to be waited for, or it could take a Lease that
  // nobody renews.
  const bool claiming = flight_ && flight_->verb != Verb::kGet;
  if (held || !claiming) {
    flight_.reset();
    read_due_ = read_due_ && (claim_open_ || IsOurs());
    Attempt(at, actions);
  }
  Advance(at, actions);
  return actions;
}

std::optional<TimePoint> LeaderElector::NextDeadline() const {
  if (role_ == Role::kReleased) {
    return std::nullopt;
  }
  TimePoint next = flight_ ? flight_->sent + options_.request_timeout : due_;
  if (role_ == Role::kLeader) {
    next = std::min(next, may_write_till_);
  } else if (role_ == Role::kReleasing) {
    next = std::min(next, release_till_);
  }
  return next;
}

bool LeaderElector::MayWrite(TimePoint now) const noexcept {
  return role_ == Role::kWithoutLease || (role_ == Role::kLeader && now < may_write_till_);
}

bool LeaderElector::Expire(const Moment& at, LeaderActions& actions) {
  if (role_ != Role::kLeader || at.now < may_write_till_) {
    return false;
  }
  Stop(StopReason::kNotRenewed, actions);
  return true;
}

void LeaderElector::Advance(const Moment& at, LeaderActions& actions) {
  Expire(at, actions);
  if (role_ == Role::kReleasing && at.now >= release_till_) {
    flight_.reset();
    role_ = Role::kReleased;
  }
  if (role_ == Role::kReleased) {
    return;
  }
  if (flight_ && at.now >= flight_->sent + options_.request_timeout) {
    flight_.reset();
    Fail(at, absl::DeadlineExceededError("no answer from the API server about the Lease"),
         std::nullopt, actions);
  }
  if (!flight_ && at.now >= due_) {
    Attempt(at, actions);
  }
}

void LeaderElector::Attempt(const Moment& at, LeaderActions& actions) {
  attempted_ = at.now;
  conflicts_ = 0;
  if (role_ == Role::kStandby && !MayTake(at.now)) {
    read_due_ = true;
  }
  Continue(at, actions);
}

void LeaderElector::Continue(const Moment& at, LeaderActions& actions) {
  if (read_due_) {
    Send(at, Verb::kGet, actions);
  } else if (role_ == Role::kReleasing) {
    if (lease_ && IsOurs()) {
      Send(at, Verb::kGiveUp, actions);
    } else {
      role_ = Role::kReleased;
    }
  } else {
    if ((role_ == Role::kLeader && !IsOurs()) ||
        (role_ == Role::kWithoutLease && !MayTake(at.now))) {
      Stop(StopReason::kTaken, actions);
    }
    if (MayTake(at.now)) {
      Send(at, lease_ ? Verb::kUpdate : Verb::kCreate, actions);
    } else {
      ScheduleRetry(at.now, std::nullopt);
    }
  }
}

void LeaderElector::Send(const Moment& at, Verb verb, LeaderActions& actions) {
  overtaken_ = false;
  flight_ = Flight{.ticket = ++tickets_, .verb = verb, .sent = at.now};
  kube::Request request;
  request.path = kube::LeasePath(options_.lease);
  switch (verb) {
    case Verb::kGet:
      break;
    case Verb::kCreate:
      request.method = "POST";
      request.path = kube::LeasesPath(options_.lease.name_space);
      request.body = kube::BuildNewLeaseBody(options_.lease, Claim(at));
      break;
    case Verb::kUpdate:
      request.method = "PUT";
      request.body = kube::BuildLeaseBody(*lease_, Claim(at));
      break;
    case Verb::kGiveUp:
      request.method = "PUT";
      request.body =
          kube::BuildLeaseBody(*lease_, {.holder = "",
                                         .duration_seconds = 1,  // the least that the API takes
                                         .renewed = at.wall,
                                         .acquired = at.wall,
                                         .transitions = lease_->transitions});
      break;
  }
  claim_open_ = claim_open_ || verb == Verb::kCreate || verb == Verb::kUpdate;
  actions.request = LeaderRequest{.ticket = tickets_, .request = std::move(request)};
}

kube::LeaseClaim LeaderElector::Claim(const Moment& at) const {
  kube::LeaseClaim claim{.holder = options_.identity,
                         .duration_seconds = static_cast<std::int32_t>(
                             std::chrono::duration_cast<seconds>(options_.lease_duration).count()),
                         .renewed = at.wall,
                         .acquired = at.wall,
                         .transitions = 0};
  if (lease_) {
    claim.transitions = lease_->transitions;
    if (lease_->holder == options_.identity) {
      claim.acquired.reset();
    } else if (claim.transitions < std::numeric_limits<std::int32_t>::max()) {
      ++claim.transitions;
    }
  }
  return claim;
}

void LeaderElector::OnObject(const Moment& at, const Flight& flight, const std::string& body,
                             LeaderActions& actions) {
  const absl::StatusOr<nlohmann::json> json = kube::ParseApiJson(body, kLimits);
  const absl::StatusOr<kube::Lease> lease =
      json.ok() ? kube::DecodeLease(*json) : absl::StatusOr<kube::Lease>(json.status());
  if (!lease.ok()) {
    Fail(at, lease.status(), std::nullopt, actions);
    return;
  }
  refusals_ = 0;
  // A watch may have told more while the answer was on its way.
  const auto order = lease_
                         ? kube::CompareVersions(lease->resource_version, lease_->resource_version)
                         : std::strong_ordering::greater;
  const bool outdated = overtaken_ && order && *order < 0;
  if (outdated && flight.verb != Verb::kGiveUp) {
    Recover(actions);
    read_due_ = false;
    claim_open_ = claim_open_ && flight.verb == Verb::kGet;
    Continue(at, actions);
  } else if (flight.verb == Verb::kGiveUp) {
    Observe(at.now, *lease, actions);
    role_ = Role::kReleased;
  } else if (flight.verb == Verb::kGet || lease->holder == options_.identity) {
    Observe(at.now, *lease, actions);
    Recover(actions);
    read_due_ = false;
    claim_open_ = false;
    if (flight.verb == Verb::kGet) {
      Continue(at, actions);
    } else {
      OnClaimed(at, flight, actions);
    }
  } else {
    Fail(at, absl::DataLossError("the API server stored another holder than was sent"),
         std::nullopt, actions);
  }
}

void LeaderElector::OnClaimed(const Moment& at, const Flight& flight, LeaderActions& actions) {
  if (role_ == Role::kReleasing) {
    Continue(at, actions);
    return;
  }
  may_write_till_ = flight.sent + options_.renew_deadline;
  if (at.now >= may_write_till_) {
    due_ = at.now;  // too late to build on; Advance() stops a leader and asks again
    return;
  }
  if (role_ == Role::kWithoutLease) {
    role_ = Role::kLeader;
    actions.changes.push_back({.kind = LeaderChangeKind::kWithLease});
  } else if (role_ == Role::kStandby) {
    role_ = Role::kLeader;
    actions.changes.push_back({.kind = LeaderChangeKind::kStarted});
  }
  due_ = flight.sent + options_.retry_period;
}

void LeaderElector::Refused(const Moment& at, const absl::Status& status, LeaderActions& actions) {
  read_due_ = true;
  ++refusals_;
  if (role_ == Role::kStandby && refusals_ < kRefusalsBelieved) {
    due_ = at.now + kRefusalCheck;
    return;
  }
  if (role_ == Role::kStandby) {
    role_ = Role::kWithoutLease;
    refusals_ = 1;
    actions.changes.push_back({.kind = LeaderChangeKind::kStarted});
    actions.changes.push_back({.kind = LeaderChangeKind::kWithoutLease, .status = status});
  }
  due_ = at.now +
         kube::Backoff({options_.retry_period, std::max(kMaxRefusedWait, options_.retry_period)},
                       refusals_, uniform_);
}

// An uninstallation takes our rights while we stop: nobody is left who would wait for the Lease.
void LeaderElector::RefusedRelease(const Moment& at, const absl::Status& status,
                                   LeaderActions& actions) {
  NoteTrouble(status, actions);
  due_ = at.now + kRefusalCheck;
  if (++refusals_ >= kRefusalsBelieved) {
    role_ = Role::kReleased;
  }
}

void LeaderElector::Fail(const Moment& at, const absl::Status& status,
                         std::optional<Duration> retry_after, LeaderActions& actions) {
  refusals_ = 0;
  NoteTrouble(status, actions);
  ScheduleRetry(at.now, retry_after);
}

// What is known may be wrong now; a release that has nothing to give up is over.
void LeaderElector::NoteTrouble(const absl::Status& status, LeaderActions& actions) {
  read_due_ = true;
  if (trouble_ != status.code()) {
    trouble_ = status.code();
    actions.changes.push_back({.kind = LeaderChangeKind::kTrouble, .status = status});
  }
  if (role_ == Role::kReleasing && !claim_open_ && !IsOurs()) {
    role_ = Role::kReleased;  // there is nothing to give up
  }
}

void LeaderElector::Recover(LeaderActions& actions) {
  if (trouble_ != absl::StatusCode::kOk) {
    trouble_ = absl::StatusCode::kOk;
    actions.changes.push_back({.kind = LeaderChangeKind::kRecovered});
  }
}

void LeaderElector::ScheduleRetry(TimePoint now, std::optional<Duration> retry_after) {
  const Duration jitter = std::chrono::duration_cast<Duration>(options_.retry_period *
                                                               options_.jitter_factor * uniform_());
  const Duration longest =
      std::chrono::duration_cast<Duration>(options_.retry_period * (1 + options_.jitter_factor));
  switch (role_) {
    case Role::kLeader:
      due_ = std::max(now, attempted_ + options_.retry_period);
      break;
    case Role::kReleasing:
      due_ = now + options_.retry_period / 10;
      break;
    default:
      due_ = now + options_.retry_period + jitter;
      // When another's Lease expires, once.
      if (!holder_.empty() && !IsOurs() && expires_ > now) {
        due_ = std::min(due_, expires_);
      }
  }
  if (retry_after) {  // a long one would cost the Lease
    due_ = std::max(due_, now + std::min(*retry_after, longest));
  }
}

void LeaderElector::Observe(TimePoint now, const kube::Lease& lease, LeaderActions& actions) {
  seen_ = true;
  // Any change counts, not only renewTime: writers whose clock stands still renew too.
  if (!lease_ || lease_->resource_version != lease.resource_version) {
    expires_ = now + DurationOf(lease);
  }
  lease_ = lease;
  if (lease.holder != holder_) {
    holder_ = lease.holder;
    actions.changes.push_back({.kind = LeaderChangeKind::kNewHolder, .holder = holder_});
  }
}

Duration LeaderElector::DurationOf(const kube::Lease& lease) const {
  return lease.duration > Duration::zero() ? lease.duration : options_.lease_duration;
}

bool LeaderElector::MayTake(TimePoint now) const {
  return holder_.empty() || IsOurs() || now >= expires_ ||
         (!options_.predecessor_prefix.empty() &&
          holder_.compare(0, options_.predecessor_prefix.size(), options_.predecessor_prefix) == 0);
}

void LeaderElector::Stop(StopReason reason, LeaderActions& actions) {
  role_ = Role::kStandby;
  actions.changes.push_back({.kind = LeaderChangeKind::kStopped, .reason = reason});
}

}  // namespace stentor::controller
