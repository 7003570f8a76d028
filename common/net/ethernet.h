// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What the codecs of frames (arp.cc, ndp.cc) share: the Ethernet header, and writing into a buffer
/// that is large enough.

#include <cstddef>
#include <cstdint>
#include <span>

#include "common/base/bytes.h"
#include "common/net/ip_address.h"
#include "common/net/mac_address.h"

namespace stentor::net {

/// An Ethernet header, as read from a frame; its priority tag, where it has one, is skipped.
struct EthernetHeader {
  MacAddress destination;
  MacAddress source;
  std::uint16_t ether_type = 0;
  bool vlan_tagged = false;  ///< For a VLAN other than 0.
};

[[nodiscard]] inline MacAddress ReadMac(ByteReader& reader) noexcept {
  MacAddress::Octets octets{};
  for (std::uint8_t& octet : octets) {
    octet = reader.U8();
  }
  return MacAddress(octets);
}

/// Reads the header from the front of `reader`, which is not ok() where the frame is too short.
[[nodiscard]] inline EthernetHeader ReadEthernetHeader(ByteReader& reader) noexcept {
  constexpr std::uint16_t kVlanTag = 0x8100;
  constexpr std::uint16_t kVlanIdMask = 0x0fff;
  EthernetHeader header;
  header.destination = ReadMac(reader);
  header.source = ReadMac(reader);
  header.ether_type = reader.U16();
  if (header.ether_type == kVlanTag) {
    header.vlan_tagged = (reader.U16() & kVlanIdMask) != 0;
    header.ether_type = reader.U16();
  }
  return header;
}

/// Fills `frame` from the front, in network order. The caller sees to it that there is room.
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
  void U32(std::uint32_t value) noexcept {
    U16(static_cast<std::uint16_t>(value >> 16U));
    U16(static_cast<std::uint16_t>(value & 0xffffU));
  }
  void Mac(const MacAddress& mac) noexcept {
    for (const std::uint8_t octet : mac.octets()) {
      U8(octet);
    }
  }
  void Ipv4(Ipv4Address address) noexcept { U32(address.value()); }
  void Ipv6(const Ipv6Address& address) noexcept {
    for (const std::uint8_t octet : address.octets()) {
      U8(octet);
    }
  }

  /// How many octets of the buffer are not written yet.
  [[nodiscard]] std::size_t left() const noexcept { return rest_.size(); }

 private:
  std::span<std::byte> rest_;
};

}  // namespace stentor::net
