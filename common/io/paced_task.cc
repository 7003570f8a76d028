// SPDX-License-Identifier: Apache-2.0
#include "common/io/paced_task.h"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace stentor::io {
namespace {

constexpr Duration kCheap = std::chrono::microseconds(200);
constexpr Duration kMostRest = std::chrono::milliseconds(100);

// Of this thread: that others had the processor meanwhile is no cost of the task.
Duration ProcessorTime() {
  timespec time{};
  (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace

PacedTask::PacedTask(EventLoop& loop, int rest, std::function<void()> task)
    : loop_(loop), rest_(rest), task_(std::move(task)), timer_(loop) {}

void PacedTask::Schedule() {
  if (std::exchange(scheduled_, true)) {
    again_ = running_;
    return;
  }
  if (loop_.Now() < next_) {
    timer_.ArmAt(next_, [this] { Run(); });
  } else {
    loop_.Post(lifetime_.Bind([this] { Run(); }));
  }
}

void PacedTask::Run() {
  running_ = true;
  const Duration begin = ProcessorTime();
  task_();
  const Duration cost = ProcessorTime() - begin;
  next_ = loop_.Now() + (cost > kCheap ? std::min(rest_ * cost, kMostRest) : Duration::zero());
  running_ = false;
  scheduled_ = false;
  if (std::exchange(again_, false)) {
    Schedule();
  }
}

}  // namespace stentor::io
