// SPDX-License-Identifier: Apache-2.0
// Any host on the segment can make us look at a frame: that must not cost memory, however short.

// Left out under AddressSanitizer, whose own operators are to see all memory.
#ifndef __SANITIZE_ADDRESS__

#include <cstdlib>
#include <new>
#include <variant>
#include <vector>

#include "speaker/announce/announcer.h"
#include "test/support/catch.h"
#include "test/unit/announce/announcer_node.h"

namespace {

std::size_t allocations = 0;

void* Count(std::size_t size) {
  ++allocations;
  if (void* const memory = std::malloc(size == 0 ? 1 : size)) {  // NOLINT
    return memory;
  }
  throw std::bad_alloc();
}

}  // namespace

// The whole test program counts. Without [[gnu::noinline]] the compiler sees free() where it
// expects delete, and warns.
[[gnu::noinline]] void* operator new(std::size_t size) { return Count(size); }
[[gnu::noinline]] void* operator new[](std::size_t size) { return Count(size); }
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }    // NOLINT
[[gnu::noinline]] void operator delete[](void* memory) noexcept { std::free(memory); }  // NOLINT
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);  // NOLINT
}
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);  // NOLINT
}

namespace stentor::speaker {
namespace {

TEST_CASE("Neither an answer nor a drop allocates", "[announcer]") {
  const net::Ipv6Address group = net::SolicitedNodeGroup(kVip6);
  const auto solicitation = [&](const net::Ipv6Address& target) {
    return Octets(net::EncodeNd({.destination = net::MulticastMac(group),
                                 .source = kHost,
                                 .ip_source = kHostLocal,
                                 .ip_destination = group,
                                 .kind = net::NdKind::kSolicitation,
                                 .target = target,
                                 .link_layer_address = kHost})
                      .bytes());
  };
  struct Case {
    const char* name;
    std::vector<std::byte> frame;
    bool want_answer;
  };
  const net::IpAddress foreign = *net::IpAddress::Parse("2001:db8::9:111");
  const auto c = GENERATE_COPY(values<Case>({
      {"ARP request", ArpRequest(kVip), true},
      {"ARP probe", Probe(kVip, kHost), true},
      {"ARP request for another address", ArpRequest(kHostIp), false},
      {"ARP reply", ArpRequest(kVip, net::kArpReply), false},
      {"our own ARP", Claim(kVip, kMac0), false},
      {"nothing", {}, false},
      {"a foreign claim, seen before", Claim(kVip2, kThief), true},
      {"a foreign NA, seen before", Claim(kVip6, kThief), false},
      {"solicitation", solicitation(kVip6), true},
      {"DAD probe", Probe(kVip6, kHost), true},
      {"solicitation for another address", solicitation(foreign.ipv6()), false},
  }));
  DYNAMIC_SECTION(c.name) {
    Node node;
    node.announcer.SetAnnounced({{kVip, {}}, {kVip2, {}}, {kVip6, {}}}, node.now);
    node.Hear(kEth0, Claim(kVip2, kThief));
    node.Hear(kEth0, Claim(kVip6, kThief));
    static_cast<void>(node.Run(20s));
    const std::size_t before = allocations;
    const bool ndp = std::holds_alternative<net::NdPacket>(net::DecodeNd(c.frame));
    bool answered = false;
    for (int i = 0; i < 100; ++i) {
      answered =
          ndp ? std::holds_alternative<NdAnswer>(node.announcer.OnNdFrame(kEth0, c.frame, node.now))
              : std::holds_alternative<ArpAnswer>(
                    node.announcer.OnArpFrame(kEth0, c.frame, node.now));
    }
    const std::size_t after = allocations;
    CHECK(answered == c.want_answer);
    // A claim may cost the defence that comes of it, once.
    CHECK(after - before <=
          (c.frame == Claim(kVip2, kThief) || c.frame == Claim(kVip6, kThief) ? 4U : 0U));
  }
}

}  // namespace
}  // namespace stentor::speaker

#endif  // __SANITIZE_ADDRESS__
