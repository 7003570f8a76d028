// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Ethernet frames that carry the neighbour solicitations and advertisements of IPv6 (RFC 4861), to
/// and from values.

#include <array>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <variant>

#include "common/base/bytes.h"
#include "common/net/ip_address.h"
#include "common/net/mac_address.h"

namespace stentor::net {

/// Ethernet type (IEEE 802 number), as it stands in the frame.
inline constexpr std::uint16_t kEtherTypeIpv6 = 0x86dd;

/// The ICMPv6 types that matter here.
enum class NdKind : std::uint8_t { kSolicitation = 135, kAdvertisement = 136 };

/// A neighbour message and the Ethernet addresses of the frame that carries it.
struct NdPacket {
  MacAddress destination;  ///< Of the Ethernet header.
  MacAddress source;       ///< Of the Ethernet header.
  Ipv6Address ip_source;   ///< "::" in a probe of duplicate address detection (RFC 4862, 5.4.2).
  Ipv6Address ip_destination;
  NdKind kind = NdKind::kSolicitation;
  Ipv6Address target;
  bool router = false;  ///< The three flags are those of an advertisement.
  bool solicited = false;
  bool override_ = false;
  /// The *source* link-layer address option of a solicitation, the *target* one of an
  /// advertisement. Any value: nobody has checked that it is one that a host can have.
  std::optional<MacAddress> link_layer_address = std::nullopt;

  friend bool operator==(const NdPacket&, const NdPacket&) = default;
};

/// Why bytes are no neighbour message for us.
enum class NdError : std::uint8_t {
  kTruncated,        ///< Shorter than its headers say, or than any such message.
  kVlanTagged,       ///< An 802.1Q tag in band whose VLAN is not 0: it belongs to another segment.
  kNotIpv6,          ///< Another Ethernet type, or another version of IP.
  kExtensionHeader,  ///< Between the IPv6 header and ICMPv6: nobody needs one here, and fragments
                     ///< are forbidden (RFC 6980).
  kNotNd,            ///< Another protocol, or another type of ICMPv6.
  kHopLimit,         ///< Not 255: it may come from beyond a router.
  kChecksum,
  kInvalid,  ///< Against another rule of RFC 4861, 7.1.1 or 7.1.2.
};

/// Reads a frame that begins at its Ethernet header. Any bytes are allowed; what follows the IPv6
/// payload (padding, trailers) is ignored. A priority tag (VLAN 0) is skipped, as in DecodeArp().
/// What comes back without an error obeys all rules of RFC 4861, 7.1.1 (solicitation) or 7.1.2
/// (advertisement), and has no source address that nobody can have (multicast, loopback).
[[nodiscard]] std::variant<NdPacket, NdError> DecodeNd(Bytes frame) noexcept;

/// An Ethernet frame ready to send: 14 octets of Ethernet header, 40 of IPv6, 24 of ICMPv6, and 8
/// of the link-layer address option where there is one.
class NdFrame {
 public:
  static constexpr std::size_t kCapacity = 86;

  /// Valid as long as the frame lives.
  [[nodiscard]] Bytes bytes() const noexcept { return Bytes(octets_).first(size_); }

  friend bool operator==(const NdFrame&, const NdFrame&) = default;

 private:
  friend NdFrame EncodeNd(const NdPacket& packet) noexcept;

  std::array<std::byte, kCapacity> octets_{};
  std::size_t size_ = 0;
};

/// The frame of `packet`, untagged, with hop limit 255 and the checksum. Does not allocate.
[[nodiscard]] NdFrame EncodeNd(const NdPacket& packet) noexcept;

/// The group to which solicitations for `target` are sent: ff02::1:ffXX:XXXX (RFC 4291, 2.7.1).
[[nodiscard]] Ipv6Address SolicitedNodeGroup(const Ipv6Address& target) noexcept;

/// ff02::1, which every host is a member of.
[[nodiscard]] Ipv6Address AllNodesGroup() noexcept;

/// The Ethernet address of an IPv6 group: 33:33 and its last four octets (RFC 2464, 7).
[[nodiscard]] MacAddress MulticastMac(const Ipv6Address& group) noexcept;

/// The answer that says "`solicitation.target` is at `mac`" (RFC 4861, 7.2.4): Override, because
/// the address is our own, and always with the target link-layer address. It goes to whoever asked,
/// at the MAC of its option or else of its frame, with Solicited; to a probe ("::" has no
/// neighbour) it goes to all nodes, without. It comes from the address itself, as a kernel's own
/// answers do (some clients, Debian's ndisc6 among them, take no other); to all nodes from
/// `link_local`.
/// Precondition: `solicitation` is a solicitation.
[[nodiscard]] NdPacket NdReplyTo(const NdPacket& solicitation, const MacAddress& mac,
                                 const Ipv6Address& link_local) noexcept;

/// The multicast to all nodes that makes the segment point `target` at `mac` (RFC 4861, 7.2.6).
[[nodiscard]] NdPacket UnsolicitedAdvertisement(const MacAddress& mac,
                                                const Ipv6Address& link_local,
                                                const Ipv6Address& target) noexcept;

/// The question "does anybody have `target`?" that its future owner asks (RFC 4862, 5.4.2).
[[nodiscard]] NdPacket DadProbe(const MacAddress& mac, const Ipv6Address& target) noexcept;

std::ostream& operator<<(std::ostream& out, NdKind kind);
std::ostream& operator<<(std::ostream& out, const NdPacket& packet);
std::ostream& operator<<(std::ostream& out, NdError error);

}  // namespace stentor::net
