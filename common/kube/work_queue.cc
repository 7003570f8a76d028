// SPDX-License-Identifier: Apache-2.0
#include "common/kube/work_queue.h"

#include "common/base/check.h"

namespace stentor::kube {

WorkQueue::WorkQueue(WorkQueueOptions options, Uniform uniform)
    : options_(options), uniform_(std::move(uniform)) {}

void WorkQueue::Schedule(const model::ObjectKey& key, Entry& entry, TimePoint at) {
  entry.state = State::kWaiting;
  entry.due = {at, ++sequence_};
  due_.emplace(entry.due, key);
}

void WorkQueue::Add(const model::ObjectKey& key, TimePoint now) {
  Entry& entry = entries_[key];
  switch (entry.state) {
    case State::kIdle:
      Schedule(key, entry, now);
      break;
    case State::kInFlight:
      entry.state = State::kInFlightDirty;
      break;
    case State::kWaiting:
    case State::kInFlightDirty:
      break;
  }
}

std::vector<model::ObjectKey> WorkQueue::Take(TimePoint now) {
  std::vector<model::ObjectKey> taken;
  while (!due_.empty() && in_flight_ < options_.max_in_flight && due_.begin()->first.first <= now) {
    model::ObjectKey key = due_.begin()->second;
    due_.erase(due_.begin());
    entries_[key].state = State::kInFlight;
    ++in_flight_;
    taken.push_back(std::move(key));
  }
  return taken;
}

void WorkQueue::Succeeded(const model::ObjectKey& key, TimePoint now) {
  const auto it = entries_.find(key);
  STENTOR_CHECK(it != entries_.end() && in_flight_ > 0) << key.ToString() << " is not in flight";
  --in_flight_;
  it->second.failures = 0;
  if (it->second.state == State::kInFlightDirty) {
    Schedule(key, it->second, now);
  } else {
    entries_.erase(it);
  }
}

void WorkQueue::Failed(const model::ObjectKey& key, TimePoint now,
                       std::optional<Duration> retry_after) {
  const auto it = entries_.find(key);
  STENTOR_CHECK(it != entries_.end() && in_flight_ > 0) << key.ToString() << " is not in flight";
  --in_flight_;
  ++it->second.failures;
  Schedule(key, it->second,
           now + RetryDelay(options_.backoff, it->second.failures, retry_after, uniform_));
}

std::optional<TimePoint> WorkQueue::NextDeadline() const {
  if (due_.empty() || in_flight_ >= options_.max_in_flight) {
    return std::nullopt;
  }
  return due_.begin()->first.first;
}

}  // namespace stentor::kube
