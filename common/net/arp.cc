// SPDX-License-Identifier: Apache-2.0
#include "common/net/arp.h"

#include <ostream>

#include "common/net/ethernet.h"

namespace stentor::net {
namespace {

constexpr std::uint16_t kHardwareEthernet = 1;
constexpr std::uint16_t kProtocolIpv4 = 0x0800;

}  // namespace

std::variant<ArpPacket, ArpError> DecodeArp(Bytes frame) noexcept {
  ByteReader reader(frame);
  const EthernetHeader ethernet = ReadEthernetHeader(reader);
  if (!reader.ok()) {
    return ArpError::kTruncated;
  }
  if (ethernet.vlan_tagged) {
    return ArpError::kVlanTagged;
  }
  if (ethernet.ether_type != kEtherTypeArp) {
    return ArpError::kNotArp;
  }
  ArpPacket packet;
  packet.destination = ethernet.destination;
  packet.source = ethernet.source;
  const std::uint16_t hardware_type = reader.U16();
  const std::uint16_t protocol_type = reader.U16();
  const std::uint8_t hardware_length = reader.U8();
  const std::uint8_t protocol_length = reader.U8();
  packet.operation = reader.U16();
  packet.sender_mac = ReadMac(reader);
  packet.sender_ip = Ipv4Address(reader.U32());
  packet.target_mac = ReadMac(reader);
  packet.target_ip = Ipv4Address(reader.U32());
  if (!reader.ok()) {
    return ArpError::kTruncated;
  }
  if (hardware_type != kHardwareEthernet || protocol_type != kProtocolIpv4 ||
      hardware_length != 6 || protocol_length != 4) {
    return ArpError::kNotIpv4;
  }
  return packet;
}

ArpFrame EncodeArp(const ArpPacket& packet) noexcept {
  ArpFrame frame{};
  FrameWriter writer(frame);
  writer.Mac(packet.destination);
  writer.Mac(packet.source);
  writer.U16(kEtherTypeArp);
  writer.U16(kHardwareEthernet);
  writer.U16(kProtocolIpv4);
  writer.U8(6);
  writer.U8(4);
  writer.U16(packet.operation);
  writer.Mac(packet.sender_mac);
  writer.Ipv4(packet.sender_ip);
  writer.Mac(packet.target_mac);
  writer.Ipv4(packet.target_ip);
  return frame;
}

ArpPacket ArpReplyTo(const ArpPacket& request, const MacAddress& mac,
                     Ipv4Address address) noexcept {
  return {.destination = request.sender_mac,
          .source = mac,
          .operation = kArpReply,
          .sender_mac = mac,
          .sender_ip = address,
          .target_mac = request.sender_mac,
          .target_ip = request.sender_ip};
}

ArpPacket GratuitousArpPacket(const MacAddress& mac, Ipv4Address address,
                              GratuitousArp form) noexcept {
  const bool reply = form == GratuitousArp::kReply;
  return {.destination = MacAddress::Broadcast(),
          .source = mac,
          .operation = reply ? kArpReply : kArpRequest,
          .sender_mac = mac,
          .sender_ip = address,
          .target_mac = reply ? mac : MacAddress(),
          .target_ip = address};
}

ArpPacket ArpProbe(const MacAddress& mac, Ipv4Address address) noexcept {
  return {.destination = MacAddress::Broadcast(),
          .source = mac,
          .operation = kArpRequest,
          .sender_mac = mac,
          .sender_ip = {},
          .target_mac = {},
          .target_ip = address};
}

std::ostream& operator<<(std::ostream& out, const ArpPacket& packet) {
  return out << packet.source << " > " << packet.destination << " op " << packet.operation
             << ", sender " << packet.sender_mac << ' ' << packet.sender_ip << ", target "
             << packet.target_mac << ' ' << packet.target_ip;
}

std::ostream& operator<<(std::ostream& out, ArpError error) {
  switch (error) {
    case ArpError::kTruncated:
      return out << "truncated";
    case ArpError::kVlanTagged:
      return out << "VLAN-tagged";
    case ArpError::kNotArp:
      return out << "not ARP";
    case ArpError::kNotIpv4:
      return out << "not Ethernet/IPv4 ARP";
  }
  return out << "unknown";
}

}  // namespace stentor::net
