// SPDX-License-Identifier: Apache-2.0
#include "controller/allocator/free_list.h"

#include <algorithm>
#include <iterator>
#include <limits>

#include "common/base/check.h"

namespace stentor::controller {
namespace {

// What a pool's status can carry (int64).
constexpr std::uint64_t kMaxCapacity = std::numeric_limits<std::int64_t>::max();

bool IsBuggy(const net::IpAddress& address) noexcept {
  const std::uint64_t last_octet = address.low() & 0xffU;
  return address.IsIpv4() && (last_octet == 0 || last_octet == 255);
}

// How many of the IPv4 addresses 0.0.0.0 to `last` end in .0 or .255.
std::uint64_t BuggyUpTo(std::uint64_t last) noexcept {
  return (last >> 8U) * 2 + 1 + ((last & 0xffU) == 255 ? 1 : 0);
}

std::uint64_t BuggyIn(const net::IpRange& range) noexcept {
  if (!range.first.IsIpv4()) {
    return 0;
  }
  const std::uint64_t before = range.first.low() == 0 ? 0 : BuggyUpTo(range.first.low() - 1);
  return BuggyUpTo(range.last.low()) - before;
}

}  // namespace

bool FreeList::IsUsable(const net::IpAddress& address) const noexcept {
  return !avoid_buggy_ || !IsBuggy(address);
}

std::optional<net::IpAddress> FreeList::UsableFrom(net::IpAddress address) const {
  while (!IsUsable(address)) {  // at most twice: .255, .0
    const auto next = address.Next();
    if (!next) {
      return std::nullopt;
    }
    address = *next;
  }
  return address;
}

std::optional<net::IpAddress> FreeList::UsableDownFrom(net::IpAddress address) const {
  while (!IsUsable(address)) {
    const auto previous = address.Previous();
    if (!previous) {
      return std::nullopt;
    }
    address = *previous;
  }
  return address;
}

void FreeList::AddInterval(std::uint32_t range, std::optional<net::IpAddress> first,
                           std::optional<net::IpAddress> last) {
  first = first ? UsableFrom(*first) : std::nullopt;
  last = last ? UsableDownFrom(*last) : std::nullopt;
  if (first && last && *first <= *last) {
    intervals_.emplace(Place{range, *first}, *last);
  }
}

void FreeList::AddRange(std::uint32_t number, const net::IpRange& range) {
  AddInterval(number, range.first, range.last);
  const std::uint64_t buggy = avoid_buggy_ ? BuggyIn(range) : 0;
  const std::uint64_t size = std::min(range.Size(), kMaxCapacity) - buggy;
  capacity_ = size > kMaxCapacity - capacity_ ? kMaxCapacity : capacity_ + size;
}

std::optional<Place> FreeList::First() const {
  if (intervals_.empty()) {
    return std::nullopt;
  }
  return intervals_.begin()->first;
}

bool FreeList::Take(const Place& place) {
  auto interval = intervals_.upper_bound(place);
  if (!IsUsable(place.address) || interval == intervals_.begin()) {
    return false;
  }
  --interval;
  const Place first = interval->first;
  const net::IpAddress last = interval->second;
  if (first.range != place.range || place.address > last) {
    return false;
  }
  intervals_.erase(interval);
  if (first.address < place.address) {
    AddInterval(place.range, first.address, place.address.Previous());
  }
  if (place.address < last) {
    AddInterval(place.range, place.address.Next(), last);
  }
  return true;
}

bool FreeList::IsFree(const Place& place) const {
  const auto after = intervals_.upper_bound(place);
  if (!IsUsable(place.address) || after == intervals_.begin()) {
    return false;
  }
  const auto interval = std::prev(after);
  return interval->first.range == place.range && place.address <= interval->second;
}

void FreeList::Release(const Place& place) {
  net::IpAddress first = place.address;
  net::IpAddress last = place.address;
  // Joins the neighbours, so that a pool that is free again is one interval again.
  auto after = intervals_.upper_bound(place);
  if (after != intervals_.begin()) {
    const auto before = std::prev(after);
    const auto next = before->second.Next();
    STENTOR_CHECK(before->first.range != place.range || before->second < place.address)
        << place.address << " is released twice";
    if (before->first.range == place.range && next && UsableFrom(*next) == place.address) {
      first = before->first.address;
      intervals_.erase(before);
      after = intervals_.upper_bound(place);
    }
  }
  const auto next = place.address.Next();
  if (after != intervals_.end() && after->first.range == place.range && next &&
      UsableFrom(*next) == after->first.address) {
    last = after->second;
    intervals_.erase(after);
  }
  intervals_.emplace(Place{place.range, first}, last);
}

}  // namespace stentor::controller
