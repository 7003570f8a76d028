// SPDX-License-Identifier: Apache-2.0
#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "common/net/arp.h"
#include "common/net/ndp.h"
#include "test/support/catch.h"

namespace stentor::net {
namespace {

MacAddress AnyMac() {
  MacAddress::Octets octets{};
  for (std::uint8_t& octet : octets) {
    octet = *rc::gen::arbitrary<std::uint8_t>();
  }
  return MacAddress(octets);
}

Ipv4Address AnyIpv4() { return Ipv4Address(*rc::gen::arbitrary<std::uint32_t>()); }

// Never a group, never loopback.
Ipv6Address AnyUnicast() {
  const auto low = *rc::gen::arbitrary<std::uint64_t>();
  const auto high = *rc::gen::element<std::uint64_t>(0x20010db800000000, 0xfe80000000000000, 1);
  return IpAddress::FromNumber(IpFamily::kIpv6, high, low).ipv6();
}

// One that obeys RFC 4861, 7.1.1 or 7.1.2.
NdPacket AnyNdPacket() {
  NdPacket packet;
  packet.destination = AnyMac();
  packet.source = AnyMac();
  packet.target = AnyUnicast();
  packet.ip_source = AnyUnicast();
  const bool to_group = *rc::gen::arbitrary<bool>();
  packet.ip_destination =
      to_group ? *rc::gen::element(SolicitedNodeGroup(packet.target), AllNodesGroup())
               : AnyUnicast();
  packet.kind = *rc::gen::element(NdKind::kSolicitation, NdKind::kAdvertisement);
  if (*rc::gen::arbitrary<bool>()) {
    packet.link_layer_address = AnyMac();
  }
  if (packet.kind == NdKind::kAdvertisement) {
    packet.router = *rc::gen::arbitrary<bool>();
    packet.override_ = *rc::gen::arbitrary<bool>();
    packet.solicited = !to_group && *rc::gen::arbitrary<bool>();
  } else if (*rc::gen::inRange(0, 4) == 0) {
    packet = DadProbe(packet.source, packet.target);
  }
  return packet;
}

TEST_CASE("A neighbour message survives its frame", "[ndp]") {
  CHECK(rc::check([] {
    const NdPacket packet = AnyNdPacket();
    const NdFrame frame = EncodeNd(packet);
    const auto decoded = DecodeNd(frame.bytes());
    RC_ASSERT(std::holds_alternative<NdPacket>(decoded));
    RC_ASSERT(std::get<NdPacket>(decoded) == packet);
  }));
}

TEST_CASE("What is answered to a solicitation is a valid advertisement", "[ndp]") {
  CHECK(rc::check([] {
    NdPacket solicitation = AnyNdPacket();
    RC_PRE(solicitation.kind == NdKind::kSolicitation);
    const MacAddress mac = AnyMac();
    const NdPacket reply = NdReplyTo(solicitation, mac, AnyUnicast());
    RC_ASSERT(std::get<NdPacket>(DecodeNd(EncodeNd(reply).bytes())) == reply);
    RC_ASSERT(reply.target == solicitation.target);
    RC_ASSERT(reply.link_layer_address == mac);
    RC_ASSERT(reply.solicited == (solicitation.ip_source != Ipv6Address()));
  }));
}

TEST_CASE("A frame with an octet changed behind the Ethernet header is never misread as the same",
          "[ndp]") {
  CHECK(rc::check([] {
    const NdPacket packet = AnyNdPacket();
    const NdFrame encoded = EncodeNd(packet);
    std::vector<std::byte> frame(encoded.bytes().begin(), encoded.bytes().end());
    const auto at = *rc::gen::inRange<std::size_t>(22, frame.size());  // from the IPv6 source on
    const auto change = *rc::gen::inRange<int>(1, 256);
    frame[at] ^= static_cast<std::byte>(change);
    // One changed octet can't keep an Internet checksum right.
    RC_ASSERT(std::holds_alternative<NdError>(DecodeNd(frame)));
  }));
}

TEST_CASE("Padding changes nothing, and cutting is noticed", "[ndp]") {
  CHECK(rc::check([] {
    const NdPacket packet = AnyNdPacket();
    const NdFrame encoded = EncodeNd(packet);
    std::vector<std::byte> frame(encoded.bytes().begin(), encoded.bytes().end());
    const auto length = *rc::gen::inRange<std::size_t>(0, 2 * frame.size());
    const bool whole = length >= frame.size();
    frame.resize(length, std::byte{*rc::gen::arbitrary<std::uint8_t>()});
    const auto decoded = DecodeNd(frame);
    RC_ASSERT(std::holds_alternative<NdPacket>(decoded) == whole);
    if (whole) {
      RC_ASSERT(std::get<NdPacket>(decoded) == packet);
    }
  }));
}

TEST_CASE("An ARP packet survives its frame", "[arp]") {
  CHECK(rc::check([] {
    const ArpPacket packet{.destination = AnyMac(),
                           .source = AnyMac(),
                           .operation = *rc::gen::arbitrary<std::uint16_t>(),
                           .sender_mac = AnyMac(),
                           .sender_ip = AnyIpv4(),
                           .target_mac = AnyMac(),
                           .target_ip = AnyIpv4()};
    RC_ASSERT(std::get<ArpPacket>(DecodeArp(EncodeArp(packet))) == packet);
  }));
}

}  // namespace
}  // namespace stentor::net
