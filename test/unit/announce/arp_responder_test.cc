// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/arp_responder.h"

#include <set>
#include <string>
#include <variant>
#include <vector>

#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

constexpr net::MacAddress kSelf({0x02, 0, 0, 0, 0, 0x20});
constexpr net::MacAddress kHost({0x02, 0, 0, 0, 0, 0x10});
constexpr net::MacAddress kOther({0x02, 0, 0, 0, 0, 0x30});
constexpr net::MacAddress kMulticast({0x01, 0, 0x5e, 0, 0, 1});
constexpr net::Ipv4Address kVip = net::Ipv4Address::FromOctets(192, 0, 2, 111);
constexpr net::Ipv4Address kHostIp = net::Ipv4Address::FromOctets(192, 0, 2, 1);

class FakeAnnounced final : public AnnouncedAddresses {
 public:
  [[nodiscard]] bool Contains(const net::IpAddress& address) const noexcept override {
    return address == net::IpAddress(kVip);
  }
};

// A valid request by default.
struct Frame {
  net::MacAddress dst = net::MacAddress::Broadcast();
  net::MacAddress src = kHost;
  std::uint16_t op = net::kArpRequest;
  net::MacAddress sha = kHost;
  net::Ipv4Address spa = kHostIp;
  net::Ipv4Address tpa = kVip;
  std::size_t cut = 0;  // octets off the end
  std::uint16_t ptype = 0x0800;
  std::uint16_t vlan = 0;  // tagged where not zero

  [[nodiscard]] std::vector<std::byte> Bytes() const {
    const net::ArpFrame frame = net::EncodeArp({.destination = dst,
                                                .source = src,
                                                .operation = op,
                                                .sender_mac = sha,
                                                .sender_ip = spa,
                                                .target_mac = {},
                                                .target_ip = tpa});
    std::vector<std::byte> bytes(frame.begin(), frame.end());
    bytes[16] = static_cast<std::byte>(ptype >> 8U);
    bytes[17] = static_cast<std::byte>(ptype & 0xffU);
    bytes.resize(bytes.size() - cut);
    if (vlan != 0) {
      const std::vector<std::byte> tag = {std::byte{0x81}, std::byte{0}, std::byte{0},
                                          static_cast<std::byte>(vlan)};
      bytes.insert(bytes.begin() + 12, tag.begin(), tag.end());
    }
    return bytes;
  }
};

TEST_CASE("ArpResponder answers requests for what is announced", "[arp]") {
  const FakeAnnounced announced;
  const ArpResponder responder(kSelf, announced);
  struct Case {
    const char* name;
    Frame frame;
    net::MacAddress want_to;
    net::Ipv4Address want_to_ip;
  };
  const auto c = GENERATE(values<Case>({
      {"broadcast", {}, kHost, kHostIp},
      {"unicast, as a neighbour cache probes", {.dst = kSelf}, kHost, kHostIp},
      {"probe without a sender address", {.spa = {}}, kHost, {}},
      {"relayed by another MAC", {.src = kOther}, kHost, kHostIp},
      {"announcement of another host", {.spa = kVip}, kHost, kVip},
  }));
  DYNAMIC_SECTION(c.name) {
    const ArpDecision decision = responder.Handle(c.frame.Bytes());
    const ArpAnswer* answer = std::get_if<ArpAnswer>(&decision);
    REQUIRE(answer != nullptr);
    CHECK(answer->address == kVip);
    CHECK(std::get<net::ArpPacket>(net::DecodeArp(answer->frame)) ==
          net::ArpPacket{.destination = c.want_to,
                         .source = kSelf,
                         .operation = net::kArpReply,
                         .sender_mac = kSelf,
                         .sender_ip = kVip,
                         .target_mac = c.want_to,
                         .target_ip = c.want_to_ip});
  }
}

TEST_CASE("ArpResponder drops what it must not answer", "[arp]") {
  const FakeAnnounced announced;
  const ArpResponder responder(kSelf, announced);
  struct Case {
    const char* name;
    Frame frame;
    DropReason want;
  };
  const auto c = GENERATE(values<Case>({
      {"truncated by one octet", {.cut = 1}, DropReason::kMalformed},
      {"nothing at all", {.cut = 42}, DropReason::kMalformed},
      {"IPv6 protocol type", {.ptype = 0x86dd}, DropReason::kMalformed},
      {"tagged for VLAN 7", {.vlan = 7}, DropReason::kVlanTagged},
      {"a reply", {.op = net::kArpReply}, DropReason::kNotRequest},
      {"opcode 257, not 1", {.op = 257}, DropReason::kNotRequest},
      {"unicast to another MAC", {.dst = kOther}, DropReason::kNotForUs},
      {"multicast", {.dst = kMulticast}, DropReason::kNotForUs},
      {"our own frame", {.src = kSelf, .sha = kSelf}, DropReason::kOwnFrame},
      {"our own frame, relayed", {.src = kOther, .sha = kSelf}, DropReason::kOwnFrame},
      {"sender MAC is broadcast", {.sha = net::MacAddress::Broadcast()}, DropReason::kMalformed},
      {"sender MAC is multicast", {.sha = kMulticast}, DropReason::kMalformed},
      {"sender MAC is zero", {.sha = net::MacAddress()}, DropReason::kMalformed},
      {"address not announced", {.tpa = kHostIp}, DropReason::kNotAnnounced},
  }));
  DYNAMIC_SECTION(c.name) { CHECK(responder.Handle(c.frame.Bytes()) == ArpDecision{c.want}); }
}

TEST_CASE("Every drop reason has its own label", "[arp]") {
  std::set<std::string> names;
  for (std::size_t i = 0; i < kDropReasonCount; ++i) {
    names.insert(std::string(DropReasonName(static_cast<DropReason>(i))));
  }
  CHECK(names.size() == kDropReasonCount);
  CHECK(names.count("unknown") == 0);
}

}  // namespace
}  // namespace stentor::speaker
