// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/address_ranges.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <utility>

namespace stentor::speaker {
namespace {

using net::IpAddress;

constexpr std::uint64_t kLastWord = 0xffffffffU;

// What lies between two ranges, as a number of 128 bits.
using Gap = std::pair<std::uint64_t, std::uint64_t>;

Gap GapBetween(const AddressRange& below, const AddressRange& above) noexcept {
  const std::uint64_t borrow = above.first.low() < below.last.low() ? 1 : 0;
  return {above.first.high() - below.last.high() - borrow, above.first.low() - below.last.low()};
}

// The smallest range of AddressRange's kind that contains `range`.
AddressRange Widened(const AddressRange& range) noexcept {
  const auto& [first, last] = range;
  if (first.IsIpv4()) {
    return range;
  }
  std::uint64_t high = 0;  // masks of the bits behind the first word that differs
  std::uint64_t low = 0;
  if (const std::uint64_t differ = first.high() ^ last.high(); differ != 0) {
    high = differ > kLastWord ? kLastWord : 0;
    low = ~std::uint64_t{0};
  } else if ((first.low() ^ last.low()) > kLastWord) {
    low = kLastWord;
  }
  return {.first = IpAddress::FromNumber(first.family(), first.high() & ~high, first.low() & ~low),
          .last = IpAddress::FromNumber(last.family(), last.high() | high, last.low() | low)};
}

bool AreNeighbours(const IpAddress& below, const IpAddress& above) noexcept {
  return below.high() == above.high() && above.low() - below.low() == 1 &&
         (above.low() & kLastWord) != 0;
}

// Appends `range`, widened, to `*ranges`, whose last ones it may then overlap.
void Append(AddressRange range, AddressRanges* ranges) {
  range = Widened(range);
  while (!ranges->empty() && ranges->back().last >= range.first) {
    range = Widened({.first = std::min(ranges->back().first, range.first),
                     .last = std::max(ranges->back().last, range.last)});
    ranges->pop_back();
  }
  ranges->push_back(range);
}

}  // namespace

AddressRanges RangesOf(std::vector<net::IpAddress> addresses) {
  std::sort(addresses.begin(), addresses.end());
  AddressRanges ranges;
  for (const IpAddress& address : addresses) {
    if (!ranges.empty() && address <= ranges.back().last) {
      continue;
    }
    if (!ranges.empty() && AreNeighbours(ranges.back().last, address)) {
      ranges.back().last = address;
    } else {
      ranges.push_back({.first = address, .last = address});
    }
  }
  return ranges;
}

AddressRanges Cover(const AddressRanges& ranges, std::size_t count) {
  if (ranges.size() <= count) {
    return ranges;
  }
  std::vector<std::pair<Gap, std::size_t>> gaps;  // the gap in front of the range of that number
  for (std::size_t i = 1; i < ranges.size(); ++i) {
    gaps.emplace_back(GapBetween(ranges[i - 1], ranges[i]), i);
  }
  const auto closed_end =
      std::next(gaps.begin(), static_cast<std::ptrdiff_t>(ranges.size() - count));
  std::nth_element(gaps.begin(), closed_end, gaps.end());
  std::vector<bool> closed(ranges.size(), false);
  std::for_each(gaps.begin(), closed_end,
                [&closed](const auto& gap) { closed[gap.second] = true; });

  AddressRanges out;
  for (std::size_t i = 0; i < ranges.size();) {
    AddressRange joined = ranges[i];
    for (++i; i < ranges.size() && closed[i]; ++i) {
      joined.last = ranges[i].last;
    }
    Append(joined, &out);
  }
  return out;
}

}  // namespace stentor::speaker
