// SPDX-License-Identifier: Apache-2.0
#include "common/io/random.h"

#include <sys/random.h>

#include <cerrno>
#include <cstring>

#include "common/base/check.h"

namespace stentor::io {

void FillRandom(std::span<std::byte> out) {
  while (!out.empty()) {
    const ssize_t count = getrandom(out.data(), out.size(), 0);
    STENTOR_CHECK(count >= 0 || errno == EINTR) << "getrandom failed with errno " << errno;
    out = out.subspan(count > 0 ? static_cast<std::size_t>(count) : 0);
  }
}

std::uint64_t RandomU64() {
  std::uint64_t value = 0;
  FillRandom(std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

double RandomUniform() {
  constexpr double kScale = 1.0 / static_cast<double>(std::uint64_t{1} << 53U);
  return static_cast<double>(RandomU64() >> 11U) * kScale;  // 53 bits: all that a double holds
}

}  // namespace stentor::io
