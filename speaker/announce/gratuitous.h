// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// When announcements are repeated: a run of them for each address that was taken over, or for each
/// address on a link that changed. Pure; knows neither links nor frames.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "common/base/time.h"
#include "common/net/ip_address.h"
#include "common/net/rtnetlink.h"
#include "speaker/announce/announcer_pace.h"

namespace stentor::speaker {

/// Not thread-safe.
class GratuitousSchedule {
 public:
  struct Options {
    Duration repeat_interval{};
    Duration fast_period{};       ///< Beyond it a run repeats at five times the interval.
    Duration refresh_interval{};  ///< Zero: runs end.
  };

  /// One address on one link, or on all of its links.
  using Target = std::pair<net::IpAddress, net::IfIndex>;
  static constexpr net::IfIndex kAllLinks{0};

  /// First the form that every host learns from, urgently and alone, so that of many addresses
  /// taken over at once each is told once before any is told twice.
  enum class Step : std::uint8_t { kFirst, kSecondForm, kRepeat, kRefresh };

  struct Due {
    Target target;
    Step step{};
  };

  /// `jitter` must outlive this object.
  GratuitousSchedule(const Options& options, Jitter& jitter) noexcept
      : options_(options), jitter_(jitter) {}

  /// Begins a run, or begins it anew; of two periods the one that ends later holds. A run on all
  /// links goes over into refreshing when it ends, where that is wanted.
  void Start(const Target& target, Duration period, TimePoint now);

  /// Ends all runs of `address`.
  void Stop(const net::IpAddress& address);

  /// The next task that is due, which is thereby done; urgent ones first, in order of arrival. The
  /// second kind is asked for only where no urgent one is left.
  [[nodiscard]] std::optional<Due> TakeUrgent(TimePoint now);
  [[nodiscard]] std::optional<Due> TakeDue(TimePoint now);

  /// Whether something urgent waits.
  [[nodiscard]] bool HasUrgent() const noexcept { return !urgent_.empty(); }

  /// When the next of the others is due.
  [[nodiscard]] std::optional<TimePoint> NextDue() const;

 private:
  struct Run {
    Step step = Step::kFirst;
    TimePoint started;
    Duration period{};
    TimePoint due;
  };
  using Runs = std::map<Target, Run>;

  void Advance(Runs::iterator run, TimePoint now);
  void DropStaleUrgent();

  Options options_;
  Jitter& jitter_;
  Runs runs_;
  std::deque<Target> urgent_;                       // runs at kFirst; the first one is never stale
  std::set<std::pair<TimePoint, Target>> waiting_;  // all other runs, by due time
};

}  // namespace stentor::speaker
