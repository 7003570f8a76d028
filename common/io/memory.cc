// SPDX-License-Identifier: Apache-2.0
#include "common/io/memory.h"

#include <malloc.h>

namespace stentor::io {
namespace {

constexpr int kLargeBlock = 128 * 1024;

}  // namespace

void GiveMemoryBack() {
  // To set a threshold also keeps it from growing.
  mallopt(M_MMAP_THRESHOLD, kLargeBlock);
  mallopt(M_TRIM_THRESHOLD, kLargeBlock);
  mallopt(M_ARENA_MAX, 1);
}

}  // namespace stentor::io
