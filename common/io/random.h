// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace stentor::io {

/// Fills `out` from the operating system's generator, fit for keys. Aborts where there is none.
void FillRandom(std::span<std::byte> out);

template <std::size_t N>
[[nodiscard]] std::array<std::byte, N> RandomArray() {
  std::array<std::byte, N> out;
  FillRandom(out);
  return out;
}

[[nodiscard]] std::uint64_t RandomU64();

/// From 0 (included) to 1 (excluded); a kube::Uniform.
[[nodiscard]] double RandomUniform();

}  // namespace stentor::io
