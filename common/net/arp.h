// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Ethernet frames that carry ARP for IPv4 (RFC 826), to and from values.

#include <array>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <variant>

#include "common/base/bytes.h"
#include "common/net/ip_address.h"
#include "common/net/mac_address.h"

namespace stentor::net {

/// Ethernet type (IEEE 802 number), as it stands in the frame.
inline constexpr std::uint16_t kEtherTypeArp = 0x0806;

/// The opcodes that matter here (RFC 826); a frame may carry any other number.
inline constexpr std::uint16_t kArpRequest = 1;
inline constexpr std::uint16_t kArpReply = 2;

/// An Ethernet frame ready to send: 14 octets of Ethernet header and 28 octets of ARP. Shorter than
/// the 60-octet minimum on purpose: the driver pads.
using ArpFrame = std::array<std::byte, 42>;

/// An ARP packet and the Ethernet addresses of the frame that carries it.
struct ArpPacket {
  MacAddress destination;       ///< Of the Ethernet header.
  MacAddress source;            ///< Of the Ethernet header; need not be the sender's.
  std::uint16_t operation = 0;  ///< Any value; see kArpRequest and kArpReply.
  MacAddress sender_mac;
  Ipv4Address sender_ip;  ///< 0.0.0.0 in a probe (RFC 5227, 1.1).
  MacAddress target_mac;
  Ipv4Address target_ip;

  friend bool operator==(const ArpPacket&, const ArpPacket&) = default;
};

/// Why bytes are no ARP packet for us.
enum class ArpError : std::uint8_t {
  kTruncated,   ///< Shorter than 42 octets (46 with a tag).
  kVlanTagged,  ///< An 802.1Q tag in band whose VLAN is not 0: it belongs to another segment.
  kNotArp,      ///< Another Ethernet type.
  kNotIpv4,     ///< Not Ethernet/IPv4 ARP: htype 1, ptype 0x0800, hlen 6, plen 4.
};

/// Reads a frame that begins at its Ethernet header. Any bytes are allowed; what follows the ARP
/// packet (padding) is ignored. A priority tag (VLAN 0) is skipped: such a frame belongs to the
/// untagged segment (IEEE 802.1Q).
[[nodiscard]] std::variant<ArpPacket, ArpError> DecodeArp(Bytes frame) noexcept;

/// The frame of `packet`, untagged.
[[nodiscard]] ArpFrame EncodeArp(const ArpPacket& packet) noexcept;

/// The answer that says "`address` is at `mac`": unicast to the request's sender hardware address.
/// Precondition: `request` is a request.
[[nodiscard]] ArpPacket ArpReplyTo(const ArpPacket& request, const MacAddress& mac,
                                   Ipv4Address address) noexcept;

/// Hosts and switches disagree about which of the two forms they learn from; both are sent.
enum class GratuitousArp : std::uint8_t { kRequest, kReply };

/// The broadcast that makes the segment point `address` at `mac` (RFC 5227, 3: an announcement).
/// Sender and target address are both `address`. The request form has no target MAC; that of the
/// reply form is the sender's own (with ff:ff:ff:ff:ff:ff Linux neighbours ignored it within one
/// second of their last update).
[[nodiscard]] ArpPacket GratuitousArpPacket(const MacAddress& mac, Ipv4Address address,
                                            GratuitousArp form) noexcept;

/// The broadcast question "does anybody have `address`?" that its future owner asks (RFC
/// 5227, 1.1): a request whose sender address is 0.0.0.0, so that it changes nobody's cache.
[[nodiscard]] ArpPacket ArpProbe(const MacAddress& mac, Ipv4Address address) noexcept;

std::ostream& operator<<(std::ostream& out, const ArpPacket& packet);
std::ostream& operator<<(std::ostream& out, ArpError error);

}  // namespace stentor::net
