// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The one thread of logic and sockets of a program. Asio is hidden here: other rooms use these
/// four classes.

#include <functional>
#include <memory>

#include "common/base/time.h"

namespace stentor::io {

/// All callbacks run in Run(), one after the other. Timers, watches and clients must be destroyed
/// before their loop.
class EventLoop {
 public:
  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  [[nodiscard]] TimePoint Now() const;
  [[nodiscard]] WallTime WallNow() const;

  /// Runs callbacks until Stop(); also when there is nothing to wait for.
  void Run();
  /// Makes Run() return after the callback that runs now. From any thread.
  void Stop();
  /// Runs `function` soon, on the loop's thread. The only way in from other threads. What one
  /// thread posts while the loop runs stays in order.
  void Post(std::function<void()> function);
  /// `handler` is called with the number of each SIGTERM and SIGINT, instead of their default.
  void HandleSignals(std::function<void(int signal)> handler);

 private:
  friend class HttpProbe;
  friend class HttpServer;
  friend class Timer;
  friend class WatchStream;
  friend class DescriptorWatch;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Calls back once, at a time. Destroying or disarming it prevents the call for certain.
class Timer {
 public:
  /// `loop` must outlive it.
  explicit Timer(EventLoop& loop);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  /// Replaces what was armed. A time that has passed means soon, never from within this call.
  void ArmAt(TimePoint deadline, std::function<void()> callback);
  void ArmAfter(Duration delay, std::function<void()> callback);
  /// For what is looked at now and then and need not be exact: ArmAfter, to the nearest whole
  /// second of the clock where `delay` is a second or more, so up to half a second earlier or
  /// later. What is due about the same time then wakes the program once. Two calls may be a little
  /// less than `delay` apart.
  void ArmToTheSecond(Duration delay, std::function<void()> callback);
  void Disarm();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

/// Calls back whenever a file descriptor is readable (or in error: a read then says which), level
/// triggered: what is left unread calls again. It neither owns nor closes the descriptor, which
/// must be non-blocking and stay open until the watch is destroyed.
class DescriptorWatch {
 public:
  /// `loop` must outlive it.
  DescriptorWatch(EventLoop& loop, int fd, std::function<void()> on_readable);
  ~DescriptorWatch();
  DescriptorWatch(const DescriptorWatch&) = delete;
  DescriptorWatch& operator=(const DescriptorWatch&) = delete;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace stentor::io
