// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <optional>

#include "absl/container/btree_map.h"
#include "common/net/ip_range.h"

namespace stentor::controller {

/// A place in a pool: which of its ranges, and the address. Places sort as addresses are given out.
struct Place {
  std::uint32_t range = 0;
  net::IpAddress address;

  friend auto operator<=>(const Place&, const Place&) = default;
};

/// The free addresses of one pool and family, as intervals: a pool of any size that is mostly free,
/// or mostly taken, costs next to nothing. All operations are O(log intervals).
class FreeList {
 public:
  /// With `avoid_buggy`, IPv4 addresses that end in .0 or .255 are not part of the list.
  explicit FreeList(bool avoid_buggy) : avoid_buggy_(avoid_buggy) {}

  /// Adds a whole range, all of it free. Ranges are numbered in the order of preference.
  void AddRange(std::uint32_t number, const net::IpRange& range);

  /// The first free address, nothing where all are taken.
  [[nodiscard]] std::optional<Place> First() const;

  /// Takes `place`; false where it is not free.
  bool Take(const Place& place);

  /// Gives back what Take() took.
  void Release(const Place& place);

  [[nodiscard]] bool IsFree(const Place& place) const;

  /// Usable addresses of all ranges, free or not; saturates at 2^63-1.
  [[nodiscard]] std::uint64_t Capacity() const noexcept { return capacity_; }

  /// Whether `address` may be given out at all.
  [[nodiscard]] bool IsUsable(const net::IpAddress& address) const noexcept;

 private:
  using Intervals = absl::btree_map<Place, net::IpAddress>;  // first → last

  // The nearest usable address from `address` on, in either direction; nothing past the family.
  [[nodiscard]] std::optional<net::IpAddress> UsableFrom(net::IpAddress address) const;
  [[nodiscard]] std::optional<net::IpAddress> UsableDownFrom(net::IpAddress address) const;
  void AddInterval(std::uint32_t range, std::optional<net::IpAddress> first,
                   std::optional<net::IpAddress> last);

  // Both ends of an interval are usable; those between that are not are never given out because
  // an interval is only cut at its ends or at an address that was asked for.
  Intervals intervals_;
  std::uint64_t capacity_ = 0;
  bool avoid_buggy_ = false;
};

}  // namespace stentor::controller
