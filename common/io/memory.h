// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <optional>
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

/// When idle memory is to be given back: after the start; when work that made much of it resident
/// is over, such as a connection with its handshake; and now and then, since memory that is free
/// among what is not shows in no figure. Pure.
class ReleasePolicy {
 public:
  struct Limits {
    Duration first = std::chrono::seconds(10);  ///< The start of most programs is over by then.
    Duration latest = std::chrono::minutes(1);  ///< Between two times.
    std::uint64_t growth = std::uint64_t{1} << 20U;  ///< Octets that are worth it before that.
  };
  ReleasePolicy(TimePoint start, const Limits& limits)
      : limits_(limits), due_(start + limits.first) {}

  /// To be asked every few seconds, with the octets that are resident: what is the same as the last
  /// time has come to rest.
  [[nodiscard]] bool IsDue(TimePoint now, std::uint64_t resident);
  /// It has been done.
  void NoteReleased(TimePoint now);

 private:
  const Limits limits_;
  TimePoint due_;
  bool released_ = false;              // at some time
  std::optional<std::uint64_t> used_;  // resident when it first rested since: what is in use
  std::uint64_t former_ = 0;           // at the last question
};

/// Gives idle memory back by this policy.
class MemoryKeeper {
 public:
  static constexpr Duration kLook = std::chrono::seconds(5);

  /// `loop` must outlive it.
  explicit MemoryKeeper(EventLoop& loop, const ReleasePolicy::Limits& limits = {},
                        Duration look = kLook);

 private:
  void Look();

  EventLoop& loop_;
  const Duration look_;
  ReleasePolicy policy_;
  IdleMemory memory_;
  Timer timer_;
};

}  // namespace stentor::io
