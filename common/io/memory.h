// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>

#include "common/base/time.h"
#include "common/io/event_loop.h"

namespace stentor::io {

/// Has the C library's allocator give memory back to the kernel. To be called first in main(),
/// while there is one thread.
///
/// A list of thousands of objects, and the text that is saved of them, are large for a moment. By
/// default, glibc takes each large block that is freed for a sign that more will come, keeps
/// blocks of that size from then on, and has an arena for every few threads of the HTTP client's
/// (mallopt(3): M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_ARENA_MAX).
void GiveMemoryBack();

/// Gives back what is not needed any more: free pieces of the heap, and pages of files, most of
/// which are touched while symbols are bound and libraries set up, and not again. What is needed
/// later is mapped again, 64 KiB at a time and from the page cache as a rule: what a program needs
/// in a hurry for the first time when another node dies costs it a tenth of a millisecond more. A
/// mapping of which a page has been written stays. Any thread, any number of times. It walks the
/// heap and all mappings: milliseconds.
void ReleaseIdleMemory();

/// Does so when the start of most programs is over, and then every minute: after a burst of work
/// its connections stay open for a while, and their memory is free only when they are closed.
class MemoryKeeper {
 public:
  static constexpr Duration kFirst = std::chrono::seconds(10);
  static constexpr Duration kAgain = std::chrono::minutes(1);

  /// `loop` must outlive it.
  explicit MemoryKeeper(EventLoop& loop);

 private:
  void ReleaseAfter(Duration delay);

  Timer timer_;
};

}  // namespace stentor::io
