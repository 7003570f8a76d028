// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace stentor::io {

/// Has the C library's allocator give memory back to the kernel. To be called first in main(),
/// while there is one thread.
///
/// A list of thousands of objects, and the text that is saved of them, are large for a moment. By
/// default, glibc takes each large block that is freed for a sign that more will come, keeps
/// blocks of that size from then on, and has an arena for every few threads of the HTTP client's
/// (mallopt(3): M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_ARENA_MAX).
void GiveMemoryBack();

}  // namespace stentor::io
