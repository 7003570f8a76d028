// SPDX-License-Identifier: Apache-2.0
#include <rapidcheck.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "common/net/ip_address.h"
#include "common/net/ip_range.h"
#include "common/net/mac_address.h"
#include "test/support/catch.h"

namespace stentor::net {
namespace {

// Any address; with groups of zeros and ones, and neighbours of the family's ends, more often than
// chance would have it.
IpAddress AnyAddress(IpFamily family) {
  const auto half = rc::gen::oneOf(
      rc::gen::arbitrary<std::uint64_t>(), rc::gen::inRange<std::uint64_t>(0, 300),
      rc::gen::element<std::uint64_t>(UINT64_MAX, UINT64_MAX - 1, 0xffff00000000ffff, 1ULL << 63U));
  if (family == IpFamily::kIpv4) {
    return IpAddress::FromNumber(family, 0, *half & 0xffffffffU);
  }
  return IpAddress::FromNumber(family, *half, *half);
}

IpFamily AnyFamily() { return *rc::gen::element(IpFamily::kIpv4, IpFamily::kIpv6); }

IpRange AnyRange(IpFamily family) {
  const IpAddress a = AnyAddress(family);
  const IpAddress b = AnyAddress(family);
  return {std::min(a, b), std::max(a, b)};
}

// A few hundred addresses at most.
IpRange SmallRange(IpFamily family) {
  IpRange range{AnyAddress(family), {}};
  range.last = range.first;
  const int steps = *rc::gen::inRange(0, 300);
  for (int i = 0; i < steps; ++i) {
    range.last = range.last.Next().value_or(range.last);
  }
  return range;
}

bool IsMapped(const IpAddress& address) {
  return !address.IsIpv4() && address.high() == 0 && (address.low() >> 32U) == 0xffffU;
}

}  // namespace

TEST_CASE("What is printed is read back", "[ip_address]") {
  CHECK(rc::check([] {
    const IpAddress address = AnyAddress(AnyFamily());
    RC_PRE(!IsMapped(address));
    RC_ASSERT(IpAddress::Parse(address.ToString()) == address);
    const IpRange range = AnyRange(AnyFamily());
    RC_PRE(!IsMapped(range.first) && !IsMapped(range.last));
    const auto read = ParseAddressItem(range.ToString());
    RC_ASSERT(read.ok());
    RC_ASSERT(*read == range);
  }));
  CHECK(rc::check([](const MacAddress::Octets& octets) {
    const MacAddress mac(octets);
    RC_ASSERT(MacAddress::Parse(mac.ToString()) == mac);
  }));
}

TEST_CASE("No text makes a parser fail in any other way than saying no", "[ip_address]") {
  CHECK(rc::check([] {
    const auto text =
        *rc::gen::container<std::string>(rc::gen::elementOf(std::string("0123456789abcf.:/- x")));
    if (const auto address = IpAddress::Parse(text)) {
      RC_ASSERT(IpAddress::Parse(address->ToString()) == address);
    }
    if (const auto range = ParseAddressItem(text); range.ok()) {
      RC_ASSERT(range->first <= range->last);
      RC_ASSERT(range->first.family() == range->last.family());
    }
  }));
}

TEST_CASE("Next and Previous are inverse, and nothing lies between", "[ip_address]") {
  CHECK(rc::check([] {
    const IpAddress address = AnyAddress(AnyFamily());
    if (const auto next = address.Next()) {
      RC_ASSERT(address < *next);
      RC_ASSERT(next->Previous() == address);
      RC_ASSERT((IpRange{address, *next}.Size()) == 2U);
    } else {
      RC_ASSERT(address.low() == (address.IsIpv4() ? 0xffffffffU : UINT64_MAX));
    }
  }));
}

TEST_CASE("Overlaps and Contains say the same", "[ip_range]") {
  CHECK(rc::check([] {
    const IpFamily family = AnyFamily();
    const IpRange a = AnyRange(family);
    const IpRange b = AnyRange(family);
    const bool share = a.Contains(b.first) || a.Contains(b.last) || b.Contains(a.first);
    RC_ASSERT(a.Overlaps(b) == share);
    RC_ASSERT(b.Overlaps(a) == share);
  }));
}

TEST_CASE("Size counts the addresses of a range", "[ip_range]") {
  CHECK(rc::check([] {
    const IpRange range = SmallRange(AnyFamily());
    std::uint64_t count = 1;
    for (IpAddress address = range.first; address != range.last; address = *address.Next()) {
      ++count;
    }
    RC_ASSERT(range.Size() == count);
  }));
}

TEST_CASE("Summarize covers the range exactly, with maximal prefixes", "[ip_range]") {
  CHECK(rc::check([] {
    const IpFamily family = AnyFamily();
    const IpRange range = *rc::gen::arbitrary<bool>() ? AnyRange(family) : SmallRange(family);
    const std::vector<IpPrefix> prefixes = Summarize(range);
    RC_ASSERT(!prefixes.empty());
    RC_ASSERT(prefixes.size() <= (family == IpFamily::kIpv4 ? 64U : 256U));
    RC_ASSERT(prefixes.front().network == range.first);
    RC_ASSERT(prefixes.back().Range().last == range.last);
    for (std::size_t i = 0; i < prefixes.size(); ++i) {
      const IpPrefix& prefix = prefixes[i];
      RC_ASSERT(PrefixOf(prefix.network, prefix.length) == prefix);
      if (i > 0) {
        RC_ASSERT(prefixes[i - 1].Range().last.Next() == prefix.network);
      }
      if (prefix.length > 0) {  // one bit shorter is no part of the range, or begins earlier
        const IpPrefix wider = PrefixOf(prefix.network, prefix.length - 1);
        const bool fits = range.Contains(wider.network) && range.Contains(wider.Range().last);
        RC_ASSERT(!fits);
      }
    }
  }));
}

TEST_CASE("A prefix is read as it is printed, whatever its host bits", "[ip_range]") {
  CHECK(rc::check([] {
    const IpFamily family = AnyFamily();
    const IpAddress address = AnyAddress(family);
    RC_PRE(!IsMapped(address));
    const int length = *rc::gen::inRange(0, family == IpFamily::kIpv4 ? 33 : 129);
    const IpPrefix prefix = PrefixOf(address, length);
    RC_ASSERT(prefix.Range().Contains(address));
    const auto read = ParsePrefix(address.ToString() + "/" + std::to_string(length));
    RC_ASSERT(read.ok());
    RC_ASSERT(*read == prefix);
    RC_ASSERT(Summarize(prefix.Range()) == std::vector{prefix});
  }));
}

}  // namespace stentor::net
