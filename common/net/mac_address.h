// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>

namespace stentor::net {

/// A 48-bit Ethernet address, in the order of transmission.
class MacAddress {
 public:
  using Octets = std::array<std::uint8_t, 6>;
  constexpr MacAddress() noexcept = default;
  constexpr explicit MacAddress(const Octets& octets) noexcept : octets_(octets) {}
  [[nodiscard]] static constexpr MacAddress Broadcast() noexcept {
    return MacAddress({0xff, 0xff, 0xff, 0xff, 0xff, 0xff});
  }
  /// Six pairs of hexadecimal digits between colons.
  [[nodiscard]] static std::optional<MacAddress> Parse(std::string_view text) noexcept;

  [[nodiscard]] constexpr const Octets& octets() const noexcept { return octets_; }
  [[nodiscard]] constexpr bool IsBroadcast() const noexcept { return *this == Broadcast(); }
  /// Group addresses: multicast and broadcast (IEEE 802, I/G bit).
  [[nodiscard]] constexpr bool IsGroup() const noexcept { return (octets_[0] & 1U) != 0; }
  [[nodiscard]] constexpr bool IsZero() const noexcept { return octets_ == Octets{}; }
  [[nodiscard]] std::string ToString() const;

  friend constexpr auto operator<=>(const MacAddress&, const MacAddress&) noexcept = default;

 private:
  Octets octets_{};
};

std::ostream& operator<<(std::ostream& out, const MacAddress& address);

}  // namespace stentor::net
