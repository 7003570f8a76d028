// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Whether the node's service proxy, which takes packets for service addresses to pods, does its
/// work. Pure: answers to probes go in; when to probe, and what to make of it, comes out.
///
///   if (health.TakeProbe(now)) {
///     probe.Get(target, health.options().time_limit, [&](auto answer) {
///       if (health.OnAnswer(loop.Now(), JudgeProxyAnswer(answer))) ...  // the state changed
///     });
///   }
///   ... arm a timer for health.NextDeadline()
///   membership.SetLocalState(now, health.Yields() ? kYieldProxyUnhealthy : kYieldsNothing);
///
/// kube-proxy serves /healthz on port 10256 of all addresses, on 127.0.0.1 in some distributions.
/// It answers 503 when rules have been due for over a minute and could not be written; and, by
/// default since Kubernetes 1.30 (KEP-3836), when the node is about to be deleted: it has a
/// deletionTimestamp, or the taint ToBeDeletedByClusterAutoscaler. The body then says so
/// ("nodeEligible": false), while /livez tells of the rules only. Stentor asks /healthz: from a
/// node that is about to be deleted addresses have to move anyway, and better before it is gone.
/// An ordinary drain (cordon and eviction) changes nothing here.
///
/// A proxy that doesn't answer says nothing about the rules: they are in the kernel, and stay while
/// kube-proxy restarts, as on each of its updates. So that is put up with for longer than an answer
/// of 503, which comes after a minute of patience within kube-proxy itself.

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "common/base/time.h"

namespace stentor::speaker {

/// What a probe told.
enum class ProxyAnswer : std::uint8_t {
  kHealthy,      ///< 2xx.
  kUnhealthy,    ///< Any other code.
  kNodeLeaving,  ///< 503, and the body says that it is for the node's sake.
  kRefused,      ///< Nobody listens.
  kSilent,       ///< No answer in time, or none that is HTTP.
};
[[nodiscard]] std::string_view ProxyAnswerName(ProxyAnswer answer) noexcept;

/// For an HTTP answer; any bytes are allowed.
[[nodiscard]] ProxyAnswer JudgeProxyAnswer(int code, std::string_view body);
/// For a probe without one: NotFound is kRefused, as io::HttpProbe has it; all others kSilent.
[[nodiscard]] ProxyAnswer JudgeProxyFailure(const absl::Status& status);

enum class ProxyState : std::uint8_t {
  kOff,         ///< Nobody is asked.
  kAbsent,      ///< Never healthy so far: there is none, or it serves no health.
  kHealthy,     ///< Or in trouble for less than the limits.
  kUnhealthy,   ///< Was healthy, and says that it is not.
  kGone,        ///< Was healthy, and does not answer.
  kNodeLeaving  ///< Healthy, but the node is about to be deleted.
};
[[nodiscard]] std::string_view ProxyStateName(ProxyState state) noexcept;

struct ProxyHealthOptions {
  bool enabled = true;
  Duration interval = std::chrono::seconds(2);          ///< Between probes while all is well.
  Duration trouble_interval = std::chrono::seconds(1);  ///< While it isn't.
  Duration absent_interval = std::chrono::seconds(10);  ///< As long as none was found.
  Duration time_limit = std::chrono::seconds(1);        ///< For the caller: of one probe.
  /// So many failures in succession make it unhealthy, if the first is at least so long ago.
  int failures = 3;
  Duration unhealthy_after = std::chrono::seconds(3);  ///< Where the last answer was a bad one.
  Duration gone_after = std::chrono::seconds(15);      ///< Where there was none.
  int recoveries = 2;  ///< So many good answers in succession make it healthy again.
};

/// Not thread-safe. Time must not go backwards. One probe is under way at most.
class ProxyHealth {
 public:
  explicit ProxyHealth(ProxyHealthOptions options) : options_(options) {}

  /// Whether a probe is to be started now; if so, it counts as started, and OnAnswer() must follow.
  [[nodiscard]] bool TakeProbe(TimePoint now);
  /// True where state() changed. An answer that nobody asked for is ignored.
  [[nodiscard]] bool OnAnswer(TimePoint now, ProxyAnswer answer);
  /// When TakeProbe() will be true; none while a probe is under way, or for ever.
  [[nodiscard]] std::optional<TimePoint> NextDeadline() const;

  [[nodiscard]] ProxyState state() const noexcept { return state_; }
  /// Whether this node should leave its addresses to others.
  [[nodiscard]] bool Yields() const noexcept {
    return state_ == ProxyState::kUnhealthy || state_ == ProxyState::kGone ||
           state_ == ProxyState::kNodeLeaving;
  }
  [[nodiscard]] const ProxyHealthOptions& options() const noexcept { return options_; }

 private:
  [[nodiscard]] ProxyState StateAfterFailure(TimePoint now, ProxyAnswer answer) const;

  const ProxyHealthOptions options_;
  ProxyState state_ = options_.enabled ? ProxyState::kAbsent : ProxyState::kOff;
  bool under_way_ = false;
  TimePoint due_{};
  int failures_ = 0;  // in succession
  TimePoint failing_since_{};
  int recoveries_ = 0;  // in succession
};

}  // namespace stentor::speaker
