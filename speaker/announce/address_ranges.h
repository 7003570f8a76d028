// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Sets of addresses as ranges that a packet filter can test cheaply, word by word.

#include <cstddef>
#include <vector>

#include "common/net/ip_address.h"

namespace stentor::speaker {

/// Inclusive, of one family. Behind the first 32-bit word in which `first` and `last` differ, the
/// range is full: the words of `first` are zero there, and those of `last` all ones.
struct AddressRange {
  net::IpAddress first;
  net::IpAddress last;

  friend bool operator==(const AddressRange&, const AddressRange&) = default;
};

/// Ascending, disjoint.
using AddressRanges = std::vector<AddressRange>;

/// Exactly `addresses`, which are of one family, in any order, with repetitions. Neighbours that
/// differ in the last word only share a range.
[[nodiscard]] AddressRanges RangesOf(std::vector<net::IpAddress> addresses);

/// At most `count` (1 or more) ranges that contain all of `ranges`: those with the smallest gaps
/// between them are joined, and what is joined is widened to what AddressRange promises.
[[nodiscard]] AddressRanges Cover(const AddressRanges& ranges, std::size_t count);

}  // namespace stentor::speaker
