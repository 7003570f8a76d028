// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "common/base/time.h"
#include "common/io/event_loop.h"
#include "common/io/lifetime.h"

namespace stentor::io {

/// Work that brings everything up to date, and that many changes ask for: asked for again before it
/// is done, it is done once for all of them. What takes long then is not done at once after the
/// last time, so that changes that come fast leave the event loop time for all else.
class PacedTask {
 public:
  /// `task` must not destroy this object. After a run that took more than a fifth of a millisecond
  /// of processor time, `rest` times as much passes before the next begins, but no more than a
  /// tenth of a second. `loop` must outlive it.
  PacedTask(EventLoop& loop, int rest, std::function<void()> task);
  ~PacedTask() = default;
  PacedTask(const PacedTask&) = delete;
  PacedTask& operator=(const PacedTask&) = delete;

  /// Has the task run soon, never from within this call.
  void Schedule();

 private:
  void Run();

  EventLoop& loop_;
  const int rest_;
  const std::function<void()> task_;
  bool scheduled_ = false;  // or running
  bool running_ = false;
  bool again_ = false;  // asked for while it ran
  TimePoint next_;      // not before
  Timer timer_;
  Lifetime lifetime_;
};

}  // namespace stentor::io
