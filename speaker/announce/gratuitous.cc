// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/gratuitous.h"

#include <algorithm>

namespace stentor::speaker {
namespace {

constexpr int kSlowRepeatFactor = 5;

}  // namespace

void GratuitousSchedule::Start(const Target& target, Duration period, TimePoint now) {
  const auto [found, is_new] = runs_.try_emplace(target);
  Run& run = found->second;
  const bool queued = !is_new && run.step == Step::kFirst;
  if (!is_new && !queued) {
    waiting_.erase({run.due, target});
  }
  // What is left of a longer run is still owed: a bond may change its MAC after its carrier is up.
  const Duration left = is_new ? Duration::zero() : run.started + run.period - now;
  run = {.step = Step::kFirst, .started = now, .period = std::max(left, period), .due = now};
  if (!queued) {
    urgent_.push_back(target);
  }
}

void GratuitousSchedule::Stop(const net::IpAddress& address) {
  for (auto run = runs_.lower_bound({address, kAllLinks});
       run != runs_.end() && run->first.first == address; run = runs_.erase(run)) {
    waiting_.erase({run->second.due, run->first});
  }
  // What is stale behind the first is skipped when its turn comes.
  while (!urgent_.empty() && !runs_.contains(urgent_.front())) {
    urgent_.pop_front();
  }
}

std::optional<GratuitousSchedule::Due> GratuitousSchedule::TakeUrgent(TimePoint now) {
  while (!urgent_.empty()) {
    const auto run = runs_.find(urgent_.front());
    urgent_.pop_front();
    if (run != runs_.end() && run->second.step == Step::kFirst) {
      const Due due{.target = run->first, .step = Step::kFirst};
      Advance(run, now);
      return due;
    }
  }
  return std::nullopt;
}

std::optional<GratuitousSchedule::Due> GratuitousSchedule::TakeDue(TimePoint now) {
  if (waiting_.empty() || waiting_.begin()->first > now) {
    return std::nullopt;
  }
  const auto run = runs_.find(waiting_.begin()->second);
  waiting_.erase(waiting_.begin());
  const Due due{.target = run->first, .step = run->second.step};
  Advance(run, now);
  return due;
}

std::optional<TimePoint> GratuitousSchedule::NextDue() const {
  return waiting_.empty() ? std::nullopt : std::optional(waiting_.begin()->first);
}

void GratuitousSchedule::Advance(Runs::iterator item, TimePoint now) {
  Run& run = item->second;
  const Duration elapsed = now - run.started;
  switch (run.step) {
    case Step::kFirst:
      // IPv6 has one form only.
      run.step = item->first.first.IsIpv4() ? Step::kSecondForm : Step::kRepeat;
      run.due = run.step == Step::kRepeat ? now + jitter_.Spread(options_.repeat_interval) : now;
      break;
    case Step::kSecondForm:
      run.step = Step::kRepeat;
      run.due = now + jitter_.Spread(options_.repeat_interval);
      break;
    case Step::kRepeat:
    case Step::kRefresh:
      if (elapsed < run.period) {
        run.due = now + jitter_.Spread(elapsed < options_.fast_period
                                           ? options_.repeat_interval
                                           : options_.repeat_interval * kSlowRepeatFactor);
        break;
      }
      if (options_.refresh_interval == Duration::zero() || item->first.second != kAllLinks) {
        runs_.erase(item);
        return;
      }
      run.step = Step::kRefresh;
      run.due = now + jitter_.Spread(options_.refresh_interval);
      break;
  }
  waiting_.insert({run.due, item->first});
}

}  // namespace stentor::speaker
