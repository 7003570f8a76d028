// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The way into an event loop from other threads. Internal to common/io.

#include <functional>
#include <mutex>
#include <vector>

#include "common/io/asio.h"

namespace stentor::io {

/// What other threads have posted to the loop of a context, in their order. Asio's own way in wakes
/// the loop while it holds the loop's lock: where the two threads share a processor, the loop is
/// woken, runs, waits for the lock, and the other thread has to get another turn first. On a busy
/// node that is a millisecond, for each thing that a watch tells. Here nothing is held meanwhile.
class Inbox {
 public:
  /// Of `context`, which must outlive it. Throws boost::system::system_error where the process has
  /// no descriptor left, like the context itself.
  explicit Inbox(boost::asio::io_context& context);
  ~Inbox();
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  /// `function` runs in a turn of the loop of its own. From any thread.
  void Put(std::function<void()> function);

 private:
  void Await();
  [[nodiscard]] std::vector<std::function<void()>> Take();

  boost::asio::io_context& context_;
  boost::asio::posix::stream_descriptor waiting_;  // eventfd(2): readable while there is something
  std::mutex mutex_;
  std::vector<std::function<void()>> functions_;  // under mutex_
};

}  // namespace stentor::io
