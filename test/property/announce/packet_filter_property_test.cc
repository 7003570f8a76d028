// SPDX-License-Identifier: Apache-2.0
#include <rapidcheck.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "common/net/arp.h"
#include "common/net/ndp.h"
#include "speaker/announce/address_ranges.h"
#include "speaker/announce/packet_filter.h"
#include "test/support/catch.h"
#include "test/support/classic_bpf.h"

namespace stentor::speaker {
namespace {

constexpr net::IfIndex kLink{3};
constexpr net::MacAddress kHost({0x02, 0, 0, 0, 0, 0x10});
constexpr test::FrameFacts kArrived{.packet_type = 1, .interface = kLink};

bool Contains(const AddressRange& range, const net::IpAddress& address) {
  return range.first <= address && address <= range.last;
}

// A word of an address; borders and small numbers more often than chance would have it.
std::uint32_t AnyWord() {
  return *rc::gen::oneOf(rc::gen::inRange<std::uint32_t>(0, 4), rc::gen::arbitrary<std::uint32_t>(),
                         rc::gen::element<std::uint32_t>(~0U, ~0U - 1, 0x20010db8));
}

net::IpAddress AnyAddress(net::IpFamily family) {
  if (family == net::IpFamily::kIpv4) {
    return net::Ipv4Address(AnyWord());
  }
  const auto half = [] { return (std::uint64_t{AnyWord()} << 32U) | AnyWord(); };
  return net::IpAddress::FromNumber(family, half(), half());
}

std::vector<net::IpAddress> AnyAddresses(net::IpFamily family) {
  std::vector<net::IpAddress> addresses;
  const auto count = *rc::gen::inRange<std::size_t>(1, 80);
  while (addresses.size() < count) {
    // Runs among them.
    std::optional<net::IpAddress> address = AnyAddress(family);
    for (int left = *rc::gen::inRange(1, 4); left > 0 && address; --left) {
      addresses.push_back(*address);
      address = address->Next();
    }
  }
  return addresses;
}

bool Accepts(const BpfProgram& program, const net::IpAddress& address) {
  if (address.IsIpv4()) {
    const auto accepts = [&program](const net::ArpPacket& packet) {
      return test::RunBpf(program, net::EncodeArp(packet), kArrived) != 0;
    };
    constexpr net::Ipv4Address kSomebody(0x09090909);
    net::ArpPacket request = net::ArpProbe(kHost, address.ipv4());
    request.sender_ip = kSomebody;
    const bool asked = accepts(request);
    net::ArpPacket claim =
        net::GratuitousArpPacket(kHost, address.ipv4(), net::GratuitousArp::kReply);
    claim.target_ip = kSomebody;
    RC_ASSERT(accepts(claim) == asked);
    return asked;
  }
  const net::NdFrame frame = net::EncodeNd(net::DadProbe(kHost, address.ipv6()));
  return test::RunBpf(program, frame.bytes(), kArrived) != 0;
}

BpfProgram Build(const std::vector<net::IpAddress>& addresses, std::size_t limit) {
  if (addresses.front().IsIpv4()) {
    std::vector<net::Ipv4Address> v4;
    for (const net::IpAddress& address : addresses) {
      v4.push_back(address.ipv4());
    }
    return BuildArpFilter(v4, kLink, limit);
  }
  std::vector<net::Ipv6Address> v6;
  for (const net::IpAddress& address : addresses) {
    v6.push_back(address.ipv6());
  }
  return BuildNdpFilter(v6, kLink, limit);
}

net::IpFamily AnyFamily() { return *rc::gen::element(net::IpFamily::kIpv4, net::IpFamily::kIpv6); }

TEST_CASE("A filter lets in its addresses and nothing else", "[filter]") {
  CHECK(rc::check([] {
    const std::vector<net::IpAddress> addresses = AnyAddresses(AnyFamily());
    const std::set<net::IpAddress> wanted(addresses.begin(), addresses.end());
    const BpfProgram program = Build(addresses, kMaxBpfInstructions);
    RC_ASSERT(test::IsValidBpf(program));
    std::vector<net::IpAddress> probes = addresses;
    for (const net::IpAddress& address : addresses) {
      probes.push_back(address.Next().value_or(address));
      probes.push_back(address.Previous().value_or(address));
    }
    probes.push_back(AnyAddress(addresses.front().family()));
    for (const net::IpAddress& probe : probes) {
      RC_ASSERT(Accepts(program, probe) == wanted.contains(probe));
    }
  }));
}

TEST_CASE("A filter that must be short misses none of its addresses", "[filter]") {
  CHECK(rc::check([] {
    const std::vector<net::IpAddress> addresses = AnyAddresses(AnyFamily());
    const auto limit = *rc::gen::inRange<std::size_t>(kMinBpfInstructions, 300);
    const BpfProgram program = Build(addresses, limit);
    RC_ASSERT(program.size() <= limit);
    RC_ASSERT(test::IsValidBpf(program));
    for (const net::IpAddress& address : addresses) {
      RC_ASSERT(Accepts(program, address));
    }
  }));
}

TEST_CASE("Covering ranges ascend, are few, and contain everything", "[filter]") {
  CHECK(rc::check([] {
    const std::vector<net::IpAddress> addresses = AnyAddresses(AnyFamily());
    const AddressRanges exact = RangesOf(addresses);
    std::size_t covered = 0;
    for (const AddressRange& range : exact) {
      RC_ASSERT(range.last.low() - range.first.low() < addresses.size());
      for (net::IpAddress at = range.first;; at = *at.Next()) {
        RC_ASSERT(std::find(addresses.begin(), addresses.end(), at) != addresses.end());
        ++covered;
        if (at == range.last) {
          break;
        }
      }
    }
    RC_ASSERT(covered == std::set<net::IpAddress>(addresses.begin(), addresses.end()).size());

    const auto count = *rc::gen::inRange<std::size_t>(1, exact.size() + 2);
    const AddressRanges ranges = Cover(exact, count);
    RC_ASSERT(ranges.size() <= std::max<std::size_t>(count, 1));
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      RC_ASSERT(ranges[i].first <= ranges[i].last);
      RC_ASSERT((i == 0 || ranges[i - 1].last < ranges[i].first));  // in that order
      // Full behind the first word that differs.
      bool differs = false;
      for (int word = 3; word >= 0 && !ranges[i].first.IsIpv4(); --word) {
        const auto part = [word](const net::IpAddress& address) {
          const std::uint64_t half = word >= 2 ? address.high() : address.low();
          return static_cast<std::uint32_t>(half >> (word % 2 * 32));
        };
        RC_ASSERT(!differs || (part(ranges[i].first) == 0 && part(ranges[i].last) == ~0U));
        differs = differs || part(ranges[i].first) != part(ranges[i].last);
      }
    }
    for (const net::IpAddress& address : addresses) {
      RC_ASSERT(std::any_of(ranges.begin(), ranges.end(), [&address](const AddressRange& range) {
        return Contains(range, address);
      }));
    }
  }));
}

}  // namespace
}  // namespace stentor::speaker
