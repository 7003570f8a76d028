// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// IP addresses as values. Text forms: RFC 1123 dotted decimal without leading zeros for IPv4, RFC
/// 5952 for IPv6 (printing; any RFC 4291 form is read). No zones, no ports, no name resolution.

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace stentor::net {

enum class IpFamily : std::uint8_t { kIpv4, kIpv6 };

/// "ipv4" or "ipv6", as MetalLB writes them in messages.
[[nodiscard]] std::string_view IpFamilyName(IpFamily family) noexcept;

/// Value: the address as a number in host order, 192.0.2.1 is 0xC0000201.
class Ipv4Address {
 public:
  constexpr Ipv4Address() noexcept = default;
  constexpr explicit Ipv4Address(std::uint32_t value) noexcept : value_(value) {}
  [[nodiscard]] static constexpr Ipv4Address FromOctets(std::uint8_t a, std::uint8_t b,
                                                        std::uint8_t c, std::uint8_t d) noexcept {
    return Ipv4Address((std::uint32_t{a} << 24U) | (std::uint32_t{b} << 16U) |
                       (std::uint32_t{c} << 8U) | d);
  }
  [[nodiscard]] static std::optional<Ipv4Address> Parse(std::string_view text) noexcept;

  [[nodiscard]] constexpr std::uint32_t value() const noexcept { return value_; }
  [[nodiscard]] constexpr bool IsUnspecified() const noexcept { return value_ == 0; }
  [[nodiscard]] std::string ToString() const;

  friend constexpr auto operator<=>(Ipv4Address, Ipv4Address) noexcept = default;
  template <typename H>
  friend H AbslHashValue(H h, Ipv4Address a) {
    return H::combine(std::move(h), a.value_);
  }

 private:
  std::uint32_t value_ = 0;
};

/// Value: 16 octets in network order.
class Ipv6Address {
 public:
  using Octets = std::array<std::uint8_t, 16>;
  constexpr Ipv6Address() noexcept = default;
  constexpr explicit Ipv6Address(const Octets& octets) noexcept : octets_(octets) {}
  [[nodiscard]] static std::optional<Ipv6Address> Parse(std::string_view text) noexcept;

  [[nodiscard]] constexpr const Octets& octets() const noexcept { return octets_; }
  /// fe80::/10 (RFC 4291, 2.5.6).
  [[nodiscard]] constexpr bool IsLinkLocal() const noexcept {
    return octets_[0] == 0xfe && (octets_[1] & 0xc0U) == 0x80;
  }
  [[nodiscard]] std::string ToString() const;

  friend constexpr auto operator<=>(const Ipv6Address&, const Ipv6Address&) noexcept = default;
  template <typename H>
  friend H AbslHashValue(H h, const Ipv6Address& a) {
    return H::combine(std::move(h), a.octets_);
  }

 private:
  Octets octets_{};
};

/// An address of either family. All IPv4 addresses sort before all IPv6 addresses. An IPv4-mapped
/// IPv6 address (::ffff:a.b.c.d) is read as the IPv4 address, as Go's net.ParseIP makes MetalLB do.
class IpAddress {
 public:
  constexpr IpAddress() noexcept = default;          ///< 0.0.0.0
  constexpr IpAddress(Ipv4Address address) noexcept  // NOLINT(google-explicit-constructor)
      : family_(IpFamily::kIpv4), low_(address.value()) {}
  IpAddress(const Ipv6Address& address) noexcept;  // NOLINT(google-explicit-constructor)
  [[nodiscard]] static std::optional<IpAddress> Parse(std::string_view text) noexcept;

  /// From the address as a number; for IPv4 `high` is zero and `low` below 2^32.
  [[nodiscard]] static constexpr IpAddress FromNumber(IpFamily family, std::uint64_t high,
                                                      std::uint64_t low) noexcept {
    IpAddress a;
    a.family_ = family;
    a.high_ = high;
    a.low_ = low;
    return a;
  }

  [[nodiscard]] constexpr IpFamily family() const noexcept { return family_; }
  [[nodiscard]] constexpr bool IsIpv4() const noexcept { return family_ == IpFamily::kIpv4; }
  [[nodiscard]] constexpr std::uint64_t high() const noexcept { return high_; }
  [[nodiscard]] constexpr std::uint64_t low() const noexcept { return low_; }
  /// Precondition: IsIpv4().
  [[nodiscard]] constexpr Ipv4Address ipv4() const noexcept {
    return Ipv4Address(static_cast<std::uint32_t>(low_));
  }
  /// Precondition: !IsIpv4().
  [[nodiscard]] Ipv6Address ipv6() const noexcept;

  /// The neighbours in the family's order; nothing past the family's last or first address.
  [[nodiscard]] std::optional<IpAddress> Next() const noexcept;
  [[nodiscard]] std::optional<IpAddress> Previous() const noexcept;

  [[nodiscard]] std::string ToString() const;

  friend constexpr auto operator<=>(const IpAddress&, const IpAddress&) noexcept = default;
  template <typename H>
  friend H AbslHashValue(H h, const IpAddress& a) {
    return H::combine(std::move(h), a.family_, a.high_, a.low_);
  }

 private:
  IpFamily family_ = IpFamily::kIpv4;  // order matters: comparison is by member
  std::uint64_t high_ = 0;
  std::uint64_t low_ = 0;
};

std::ostream& operator<<(std::ostream& out, Ipv4Address address);
std::ostream& operator<<(std::ostream& out, const Ipv6Address& address);
std::ostream& operator<<(std::ostream& out, const IpAddress& address);

}  // namespace stentor::net
