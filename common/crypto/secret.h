// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "common/base/bytes.h"

namespace stentor::crypto {

/// 32 octets of key material, wiped when they are destroyed or moved from.
class Secret {
 public:
  static constexpr std::size_t kSize = 32;

  Secret() noexcept = default;
  explicit Secret(const std::array<std::byte, kSize>& octets) noexcept : octets_(octets) {}
  Secret(const Secret&) noexcept = default;
  Secret& operator=(const Secret&) noexcept = default;
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  ~Secret();

  [[nodiscard]] Bytes bytes() const noexcept { return octets_; }

 private:
  std::array<std::byte, kSize> octets_{};
};

/// Overwrites `octets`, also where the compiler sees no use in it.
void Wipe(std::span<std::byte> octets) noexcept;

}  // namespace stentor::crypto
