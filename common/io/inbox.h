// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The way into an event loop from other threads. Internal to common/io.

#include <functional>
#include <mutex>
#include <vector>

#include "common/base/unique_fd.h"

namespace stentor::io {

/// What other threads have posted to a loop. Asio's own way in wakes the loop while it holds the
/// loop's lock: where the two threads share a processor, the loop is woken, runs, waits for the
/// lock, and the other thread has to get another turn first, on a busy node after others. Here
/// nothing is held meanwhile.
class Inbox {
 public:
  /// Throws std::system_error where the process has no descriptor left.
  Inbox();
  ~Inbox() = default;
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  /// Readable while something may be waiting: then Take(). Of eventfd(2), non-blocking.
  [[nodiscard]] int fd() const noexcept { return waiting_.Get(); }
  /// From any thread; each one's functions stay in order.
  void Put(std::function<void()> function);
  /// What is there, and nothing after Close().
  [[nodiscard]] std::vector<std::function<void()>> Take();
  /// Drops what is there, and whatever still comes.
  void Close();

 private:
  UniqueFd waiting_;
  std::mutex mutex_;
  bool closed_ = false;                           // under mutex_, as
  std::vector<std::function<void()>> functions_;  // this
};

}  // namespace stentor::io
