// SPDX-License-Identifier: Apache-2.0
#include "common/net/arp.h"

#include <algorithm>
#include <ostream>
#include <span>

namespace stentor::net {
namespace {

constexpr std::uint16_t kHardwareEthernet = 1;
constexpr std::uint16_t kProtocolIpv4 = 0x0800;
constexpr std::uint16_t kVlanIdMask = 0x0fff;

MacAddress ReadMac(ByteReader& reader) noexcept {
  MacAddress::Octets octets{};
  for (std::uint8_t& octet : octets) {
    octet = reader.U8();
  }
  return MacAddress(octets);
}

// Fills a frame from the front; the frame is large enough for all that EncodeArp() puts into it.
class FrameWriter {
 public:
  explicit FrameWriter(std::span<std::byte> frame) noexcept : rest_(frame) {}

  void U8(std::uint8_t value) noexcept {
    rest_.front() = std::byte{value};
    rest_ = rest_.subspan(1);
  }
  void U16(std::uint16_t value) noexcept {
    U8(static_cast<std::uint8_t>(value >> 8U));
    U8(static_cast<std::uint8_t>(value & 0xffU));
  }
  void Ipv4(Ipv4Address address) noexcept {
    U16(static_cast<std::uint16_t>(address.value() >> 16U));
    U16(static_cast<std::uint16_t>(address.value() & 0xffffU));
  }
  void Mac(const MacAddress& mac) noexcept {
    for (const std::uint8_t octet : mac.octets()) {
      U8(octet);
    }
  }

 private:
  std::span<std::byte> rest_;
};

}  // namespace

std::variant<ArpPacket, ArpError> DecodeArp(Bytes frame) noexcept {
  ByteReader reader(frame);
  ArpPacket packet;
  packet.destination = ReadMac(reader);
  packet.source = ReadMac(reader);
  std::uint16_t ether_type = reader.U16();
  if (ether_type == kEtherTypeVlan) {
    const std::uint16_t tag = reader.U16();
    ether_type = reader.U16();
    if (reader.ok() && (tag & kVlanIdMask) != 0) {
      return ArpError::kVlanTagged;
    }
  }
  if (!reader.ok()) {
    return ArpError::kTruncated;
  }
  if (ether_type != kEtherTypeArp) {
    return ArpError::kNotArp;
  }
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
