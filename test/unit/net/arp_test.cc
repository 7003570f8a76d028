// SPDX-License-Identifier: Apache-2.0
#include "common/net/arp.h"

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "test/support/catch.h"

namespace stentor::net {
namespace {

constexpr MacAddress kHost({0x02, 0, 0, 0, 0, 0x10});
constexpr MacAddress kNode({0x02, 0, 0, 0, 0, 0x20});
constexpr Ipv4Address kHostIp = Ipv4Address::FromOctets(192, 0, 2, 1);
constexpr Ipv4Address kVip = Ipv4Address::FromOctets(192, 0, 2, 111);

const ArpPacket kRequestPacket{.destination = MacAddress::Broadcast(),
                               .source = kHost,
                               .operation = kArpRequest,
                               .sender_mac = kHost,
                               .sender_ip = kHostIp,
                               .target_mac = {},
                               .target_ip = kVip};

std::vector<std::byte> FromHex(std::string_view text) {
  std::string digits;
  std::copy_if(text.begin(), text.end(), std::back_inserter(digits),
               [](char c) { return c != ' '; });
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes.push_back(static_cast<std::byte>(std::stoul(digits.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

// Written down from RFC 826 and not with EncodeArp(), which could be wrong in the same way.
constexpr std::string_view kEthernet = "ffffffffffff 020000000010 ";
constexpr std::string_view kArp =
    "0001 0800 06 04 0001 020000000010 c0000201 000000000000 c000026f";

std::string Hex(std::string_view a, std::string_view b, std::string_view c) {
  std::string text(a);
  text += b;
  text += c;
  return text;
}

TEST_CASE("DecodeArp reads a request", "[arp]") {
  CHECK(std::get<ArpPacket>(DecodeArp(FromHex(Hex(kEthernet, "0806", kArp)))) == kRequestPacket);
}

TEST_CASE("DecodeArp ignores padding", "[arp]") {
  std::vector<std::byte> frame = FromHex(Hex(kEthernet, "0806", kArp));
  frame.resize(60, std::byte{0xaa});
  CHECK(std::get<ArpPacket>(DecodeArp(frame)) == kRequestPacket);
}

TEST_CASE("DecodeArp skips a priority tag, which names no VLAN", "[arp]") {
  CHECK(std::get<ArpPacket>(DecodeArp(FromHex(Hex(kEthernet, "8100 e000 0806", kArp)))) ==
        kRequestPacket);
}

TEST_CASE("DecodeArp refuses what is not Ethernet/IPv4 ARP of this segment", "[arp]") {
  struct Case {
    const char* name;
    std::string frame;
    ArpError want;
  };
  const auto c = GENERATE(values<Case>({
      {"nothing", "", ArpError::kTruncated},
      {"half an Ethernet header", "ffffffffffff 0200", ArpError::kTruncated},
      {"only an Ethernet header", Hex(kEthernet, "0806", ""), ArpError::kTruncated},
      {"one octet too short", Hex(kEthernet, "0806", kArp.substr(0, kArp.size() - 2)),
       ArpError::kTruncated},
      {"tag cut in the middle", Hex(kEthernet, "8100 00", ""), ArpError::kTruncated},
      {"VLAN 5", Hex(kEthernet, "8100 0005 0806", kArp), ArpError::kVlanTagged},
      {"two tags", Hex(kEthernet, "8100 0000 8100 0005 0806", kArp), ArpError::kNotArp},
      {"IPv4", Hex(kEthernet, "0800", kArp), ArpError::kNotArp},
      {"hardware type 6", Hex(kEthernet, "0806", "0006") + std::string(kArp.substr(4)),
       ArpError::kNotIpv4},
      {"protocol type IPv6", Hex(kEthernet, "0806", "0001 86dd") + std::string(kArp.substr(9)),
       ArpError::kNotIpv4},
      {"hardware addresses of 8",
       Hex(kEthernet, "0806", "0001 0800 08") + std::string(kArp.substr(12)), ArpError::kNotIpv4},
      {"protocol addresses of 16",
       Hex(kEthernet, "0806", "0001 0800 06 10") + std::string(kArp.substr(15)),
       ArpError::kNotIpv4},
  }));
  DYNAMIC_SECTION(c.name) { CHECK(std::get<ArpError>(DecodeArp(FromHex(c.frame))) == c.want); }
}

TEST_CASE("EncodeArp writes what RFC 826 says", "[arp]") {
  const ArpFrame frame = EncodeArp(kRequestPacket);
  const std::vector<std::byte> want = FromHex(Hex(kEthernet, "0806", kArp));
  CHECK(std::vector<std::byte>(frame.begin(), frame.end()) == want);
}

TEST_CASE("ArpReplyTo answers the sender in the packet, not the sender of the frame", "[arp]") {
  ArpPacket request = kRequestPacket;
  request.source = MacAddress({0x02, 0, 0, 0, 0, 0x99});  // a bridge that rewrites
  const ArpPacket want{.destination = kHost,
                       .source = kNode,
                       .operation = kArpReply,
                       .sender_mac = kNode,
                       .sender_ip = kVip,
                       .target_mac = kHost,
                       .target_ip = kHostIp};
  CHECK(ArpReplyTo(request, kNode, kVip) == want);
}

TEST_CASE("Gratuitous ARP is a broadcast about the sender's own address", "[arp]") {
  const ArpPacket request = GratuitousArpPacket(kNode, kVip, GratuitousArp::kRequest);
  CHECK(request == ArpPacket{.destination = MacAddress::Broadcast(),
                             .source = kNode,
                             .operation = kArpRequest,
                             .sender_mac = kNode,
                             .sender_ip = kVip,
                             .target_mac = {},
                             .target_ip = kVip});
  ArpPacket reply = request;
  reply.operation = kArpReply;
  reply.target_mac = kNode;  // not ff:ff:ff:ff:ff:ff
  CHECK(GratuitousArpPacket(kNode, kVip, GratuitousArp::kReply) == reply);
}

TEST_CASE("A probe asks without a sender address, so that nobody learns from it", "[arp]") {
  CHECK(ArpProbe(kNode, kVip) == ArpPacket{.destination = MacAddress::Broadcast(),
                                           .source = kNode,
                                           .operation = kArpRequest,
                                           .sender_mac = kNode,
                                           .sender_ip = {},
                                           .target_mac = {},
                                           .target_ip = kVip});
}

}  // namespace
}  // namespace stentor::net
