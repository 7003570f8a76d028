// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Inclusive ranges of addresses, and the prefixes that they are made of.

#include <compare>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/net/ip_address.h"

namespace stentor::net {

/// first <= last, both of one family.
struct IpRange {
  IpAddress first;
  IpAddress last;

  [[nodiscard]] bool Contains(const IpAddress& address) const noexcept {
    return first <= address && address <= last;
  }
  [[nodiscard]] bool Overlaps(const IpRange& other) const noexcept {
    return first <= other.last && other.first <= last;
  }
  /// Number of addresses; saturates at 2^64-1.
  [[nodiscard]] std::uint64_t Size() const noexcept;
  [[nodiscard]] std::string ToString() const;  ///< "first-last"

  friend auto operator<=>(const IpRange&, const IpRange&) noexcept = default;
};

/// A network address and the length of its prefix; host bits are zero.
struct IpPrefix {
  IpAddress network;
  int length = 0;

  [[nodiscard]] IpRange Range() const noexcept;
  [[nodiscard]] std::string ToString() const;  ///< "192.0.2.0/24"

  friend auto operator<=>(const IpPrefix&, const IpPrefix&) noexcept = default;
};

/// The prefix of `length` bits that contains `address` (host bits are cut off).
/// Precondition: 0 <= length <= 32 or 128.
[[nodiscard]] IpPrefix PrefixOf(const IpAddress& address, int length) noexcept;

/// Reads "192.0.2.0/24" as MetalLB does: host bits may be set, and are cut off; the length may have
/// leading zeros; that of an IPv4-mapped address counts 128 bits (::ffff:192.0.2.0/120 is a /24).
[[nodiscard]] absl::StatusOr<IpPrefix> ParsePrefix(std::string_view text);

/// Reads one item of IPAddressPool.spec.addresses: a prefix, or "start-end" with optional spaces
/// (those of Go's unicode.IsSpace) around both ends. Errors are InvalidArgument with MetalLB's
/// wording.
[[nodiscard]] absl::StatusOr<IpRange> ParseAddressItem(std::string_view text);

/// Whether `text` is a range from an IPv4 address to an IPv6 one, or the other way round, and not
/// backwards: MetalLB accepts it, and takes no address from it. ParseAddressItem() refuses it.
[[nodiscard]] bool IsRangeOfBothFamilies(std::string_view text) noexcept;

/// The fewest prefixes that make up `range`, ascending. At most 2 * bits of them.
[[nodiscard]] std::vector<IpPrefix> Summarize(const IpRange& range);

std::ostream& operator<<(std::ostream& out, const IpRange& range);
std::ostream& operator<<(std::ostream& out, const IpPrefix& prefix);

}  // namespace stentor::net
