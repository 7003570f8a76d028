// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <vector>

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

/// A private mapping of a file that nobody may write.
struct FileMapping {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  std::uint64_t inode = 0;

  friend bool operator==(const FileMapping&, const FileMapping&) = default;
};

/// Those of `smaps` (proc_pid_smaps(5)) of which no page has ever been written, in memory or on the
/// swap: what a page says is in the file, too.
[[nodiscard]] std::vector<FileMapping> CleanFileMappings(std::istream& smaps);

/// Gives back what is not needed any more: free pieces of the heap, and pages of files, most of
/// which are touched while symbols are bound and libraries set up, and not again. What is needed
/// later is mapped again, 64 KiB at a time and from the page cache as a rule.
class IdleMemory {
 public:
  IdleMemory();
  /// Of mappings, only those are looked at that were the same at the last call, or at the
  /// construction: what another thread is just about to load is none of them. It walks the heap and
  /// all mappings: milliseconds.
  void Release();

 private:
  std::vector<FileMapping> seen_;
};

/// Does so when the start of most programs is over, and then every minute: after a burst of work
/// its connections stay open for a while, and their memory is free only when they are closed.
class MemoryKeeper {
 public:
  static constexpr Duration kFirst = std::chrono::seconds(10);
  static constexpr Duration kAgain = std::chrono::minutes(1);

  /// `loop` must outlive it.
  explicit MemoryKeeper(EventLoop& loop, Duration first = kFirst, Duration again = kAgain);

 private:
  void ReleaseAfter(Duration delay);

  const Duration again_;
  IdleMemory memory_;
  Timer timer_;
};

}  // namespace stentor::io
