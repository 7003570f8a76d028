// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>

#include "common/base/time.h"

namespace stentor::io {

/// Has the C library's allocator give memory back to the kernel. To be called first in main(),
/// while there is one thread.
///
/// A list of thousands of objects, and the text that is saved of them, are large for a moment. By
/// default, glibc takes each large block that is freed for a sign that more will come, keeps
/// blocks of that size from then on, and has an arena for every few threads of the HTTP client's
/// (mallopt(3): M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_ARENA_MAX).
void GiveMemoryBack();

/// When most programs have read everything, and connected to all they need: so long after their
/// start. One that waits for the API server longer keeps what it needs for that.
inline constexpr Duration kStartIsOver = std::chrono::seconds(10);

/// Gives back what only the start has needed: free pieces of the heap, and pages of files, most of
/// which are touched while symbols are bound and libraries set up, and not again. What is needed
/// later is mapped again, as a rule from the page cache. The program's own code stays, part of
/// which is needed in a hurry for the first time when another node dies, and so does every mapping
/// of which a page has been written. Any thread, any number of times. It walks the heap and all
/// mappings: milliseconds.
void ReleaseStartupMemory();

}  // namespace stentor::io
