// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What has to be done, by key: each key once, with its own backoff after failures. The one place
/// that retries writes. Pure.
///
///   queue.Add(key, now);
///   for (const ObjectKey& key : queue.Take(now)) { ... send ... }   // whenever something changed,
///   queue.Succeeded(key, now);                                     // and at NextDeadline()
///   queue.Failed(key, now, response.retry_after);

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "common/base/time.h"
#include "common/kube/backoff.h"
#include "common/model/types.h"

namespace stentor::kube {

struct WorkQueueOptions {
  std::size_t max_in_flight = 64;
  BackoffOptions backoff{std::chrono::milliseconds(50), std::chrono::seconds(30)};
};

/// Not thread-safe. Order: by the time at which a key became due, then by the order of Add().
class WorkQueue {
 public:
  WorkQueue(WorkQueueOptions options, Uniform uniform);

  /// `key` has to be done: at once, or after its backoff where it has failed before. While it is in
  /// flight it is remembered, and is due again afterwards.
  void Add(const model::ObjectKey& key, TimePoint now);
  /// The keys that are due, at most as many as may be in flight; they are in flight now.
  [[nodiscard]] std::vector<model::ObjectKey> Take(TimePoint now);
  /// Ends the flight of `key` and forgets its failures.
  void Succeeded(const model::ObjectKey& key, TimePoint now);
  /// Ends the flight of `key`, which is due again after RetryDelay().
  void Failed(const model::ObjectKey& key, TimePoint now,
              std::optional<Duration> retry_after = std::nullopt);

  /// When to call Take() next; nothing where nothing waits or too much is in flight.
  [[nodiscard]] std::optional<TimePoint> NextDeadline() const;

  [[nodiscard]] std::size_t in_flight() const { return in_flight_; }
  [[nodiscard]] std::size_t waiting() const { return due_.size(); }

 private:
  enum class State : std::uint8_t { kIdle, kWaiting, kInFlight, kInFlightDirty };
  using Due = std::pair<std::pair<TimePoint, std::uint64_t>, model::ObjectKey>;
  struct Entry {
    State state = State::kIdle;
    int failures = 0;
    std::pair<TimePoint, std::uint64_t> due;  // meaningful while kWaiting
  };

  void Schedule(const model::ObjectKey& key, Entry& entry, TimePoint at);

  const WorkQueueOptions options_;
  const Uniform uniform_;
  std::map<model::ObjectKey, Entry> entries_;  // without those that are idle and have not failed
  std::set<Due> due_;
  std::uint64_t sequence_ = 0;
  std::size_t in_flight_ = 0;
};

}  // namespace stentor::kube
