// SPDX-License-Identifier: Apache-2.0
#include "common/net/ndp.h"

#include <ostream>
#include <span>

#include "common/net/ethernet.h"

namespace stentor::net {
namespace {

constexpr std::uint8_t kNextHeaderIcmpv6 = 58;
constexpr std::uint8_t kNdHopLimit = 255;
constexpr std::size_t kMinNdLength = 24;  // ICMPv6 header, reserved or flags, target
constexpr std::size_t kOptionUnit = 8;    // octets; option lengths count these
constexpr std::uint8_t kSourceLinkLayerOption = 1;
constexpr std::uint8_t kTargetLinkLayerOption = 2;
constexpr std::size_t kEthernetLength = 14;
constexpr std::size_t kIpv6Length = 40;

constexpr std::uint32_t kRouterFlag = 1U << 31U;
constexpr std::uint32_t kSolicitedFlag = 1U << 30U;
constexpr std::uint32_t kOverrideFlag = 1U << 29U;

// Headers that may stand between IPv6 and the upper layer (IANA: IPv6 Extension Header Types).
bool IsExtensionHeader(std::uint8_t next_header) noexcept {
  switch (next_header) {
    case 0:    // hop by hop
    case 43:   // routing
    case 44:   // fragment
    case 50:   // ESP
    case 51:   // authentication
    case 60:   // destination options
    case 135:  // mobility
    case 139:  // HIP
    case 140:  // Shim6
      return true;
    default:
      return false;
  }
}

bool IsMulticast(const Ipv6Address& address) noexcept { return address.octets()[0] == 0xff; }

bool IsUnspecified(const Ipv6Address& address) noexcept { return address == Ipv6Address(); }

bool IsLoopback(const Ipv6Address& address) noexcept {
  return address == Ipv6Address({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
}

bool IsSolicitedNodeGroup(const Ipv6Address& address) noexcept {
  return address == SolicitedNodeGroup(address);
}

Ipv6Address ReadIpv6(ByteReader& reader) noexcept {
  Ipv6Address::Octets octets{};
  for (std::uint8_t& octet : octets) {
    octet = reader.U8();
  }
  return Ipv6Address(octets);
}

// Adds `bytes` to an Internet checksum that is under way (RFC 1071). `bytes` has an even length,
// unless nothing follows.
std::uint32_t AddToSum(Bytes bytes, std::uint32_t sum) noexcept {
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
    sum += (std::to_integer<std::uint32_t>(bytes[i]) << 8U) |
           std::to_integer<std::uint32_t>(bytes[i + 1]);
  }
  if (bytes.size() % 2 != 0) {
    sum += std::to_integer<std::uint32_t>(bytes.back()) << 8U;
  }
  return sum;  // of 65,535 octets at most: it can't overflow
}

// The checksum of an ICMPv6 message with its pseudo header (RFC 8200, 8.1). 0 where the checksum in
// `message` is right.
std::uint16_t Checksum(const Ipv6Address& source, const Ipv6Address& destination,
                       Bytes message) noexcept {
  std::uint32_t sum = static_cast<std::uint32_t>(message.size()) + kNextHeaderIcmpv6;
  sum = AddToSum(std::as_bytes(std::span(source.octets())), sum);
  sum = AddToSum(std::as_bytes(std::span(destination.octets())), sum);
  sum = AddToSum(message, sum);
  sum = (sum & 0xffffU) + (sum >> 16U);
  sum = (sum & 0xffffU) + (sum >> 16U);
  return static_cast<std::uint16_t>(~sum & 0xffffU);
}

// What the options say. False where they break a rule. Unknown options are skipped.
bool ReadOptions(Bytes options, NdPacket* packet) noexcept {
  const std::uint8_t wanted =
      packet->kind == NdKind::kSolicitation ? kSourceLinkLayerOption : kTargetLinkLayerOption;
  while (!options.empty()) {
    ByteReader reader(options);
    const std::uint8_t type = reader.U8();
    const std::size_t length = reader.U8() * kOptionUnit;
    if (!reader.ok() || length == 0 || length > options.size()) {
      return false;
    }
    if (type == wanted) {
      if (length != kOptionUnit) {
        return false;  // not that of an Ethernet address (RFC 2464, 6)
      }
      if (!packet->link_layer_address) {  // of several the first, as Linux does it
        packet->link_layer_address = ReadMac(reader);
      }
    }
    options = options.subspan(length);
  }
  return true;
}

// The rules of RFC 4861, 7.1.1 and 7.1.2 about addresses, and those of RFC 4291, 2.5.3 and 2.7 that
// hosts check in every packet.
bool HasValidAddresses(const NdPacket& packet) noexcept {
  if (IsMulticast(packet.target) || IsMulticast(packet.ip_source) || IsLoopback(packet.ip_source) ||
      IsUnspecified(packet.ip_destination)) {
    return false;
  }
  if (packet.kind == NdKind::kAdvertisement) {
    return !(packet.solicited && IsMulticast(packet.ip_destination));
  }
  return !IsUnspecified(packet.ip_source) ||
         (IsSolicitedNodeGroup(packet.ip_destination) && !packet.link_layer_address);
}

// Decides on the message behind the IPv6 header; the addresses are in `packet` already.
std::variant<NdPacket, NdError> DecodeMessage(Bytes message, std::uint8_t hop_limit,
                                              NdPacket packet) noexcept {
  ByteReader reader(message);
  const std::uint8_t type = reader.U8();
  const std::uint8_t code = reader.U8();
  static_cast<void>(reader.U16());  // checksum
  if (!reader.ok()) {
    return NdError::kTruncated;
  }
  if (type != static_cast<std::uint8_t>(NdKind::kSolicitation) &&
      type != static_cast<std::uint8_t>(NdKind::kAdvertisement)) {
    return NdError::kNotNd;
  }
  if (hop_limit != kNdHopLimit) {
    return NdError::kHopLimit;
  }
  if (Checksum(packet.ip_source, packet.ip_destination, message) != 0) {
    return NdError::kChecksum;
  }
  if (message.size() < kMinNdLength) {
    return NdError::kTruncated;
  }
  packet.kind = static_cast<NdKind>(type);
  const std::uint32_t flags = reader.U32();
  if (packet.kind == NdKind::kAdvertisement) {
    packet.router = (flags & kRouterFlag) != 0;
    packet.solicited = (flags & kSolicitedFlag) != 0;
    packet.override_ = (flags & kOverrideFlag) != 0;
  }
  packet.target = ReadIpv6(reader);
  if (code != 0 || !ReadOptions(reader.rest(), &packet) || !HasValidAddresses(packet)) {
    return NdError::kInvalid;
  }
  return packet;
}

}  // namespace

std::variant<NdPacket, NdError> DecodeNd(Bytes frame) noexcept {
  ByteReader reader(frame);
  const EthernetHeader ethernet = ReadEthernetHeader(reader);
  if (!reader.ok()) {
    return NdError::kTruncated;
  }
  if (ethernet.vlan_tagged) {
    return NdError::kVlanTagged;
  }
  if (ethernet.ether_type != kEtherTypeIpv6) {
    return NdError::kNotIpv6;
  }
  NdPacket packet;
  packet.destination = ethernet.destination;
  packet.source = ethernet.source;
  const std::uint32_t version_and_flow = reader.U32();
  const std::size_t payload_length = reader.U16();
  const std::uint8_t next_header = reader.U8();
  const std::uint8_t hop_limit = reader.U8();
  packet.ip_source = ReadIpv6(reader);
  packet.ip_destination = ReadIpv6(reader);
  if (!reader.ok()) {
    return NdError::kTruncated;
  }
  if (version_and_flow >> 28U != 6) {
    return NdError::kNotIpv6;
  }
  if (next_header != kNextHeaderIcmpv6) {
    return IsExtensionHeader(next_header) ? NdError::kExtensionHeader : NdError::kNotNd;
  }
  const Bytes message = reader.Take(payload_length);
  if (!reader.ok()) {
    return NdError::kTruncated;
  }
  return DecodeMessage(message, hop_limit, packet);
}

NdFrame EncodeNd(const NdPacket& packet) noexcept {
  const bool advertisement = packet.kind == NdKind::kAdvertisement;
  const std::size_t length = kMinNdLength + (packet.link_layer_address ? kOptionUnit : 0);
  NdFrame frame;
  frame.size_ = kEthernetLength + kIpv6Length + length;
  const std::span<std::byte> octets = std::span(frame.octets_).first(frame.size_);
  const std::span<std::byte> message = octets.subspan(kEthernetLength + kIpv6Length);

  FrameWriter headers(octets);
  headers.Mac(packet.destination);
  headers.Mac(packet.source);
  headers.U16(kEtherTypeIpv6);
  headers.U32(6U << 28U);
  headers.U16(static_cast<std::uint16_t>(length));
  headers.U8(kNextHeaderIcmpv6);
  headers.U8(kNdHopLimit);
  headers.Ipv6(packet.ip_source);
  headers.Ipv6(packet.ip_destination);

  FrameWriter writer(message);
  writer.U8(static_cast<std::uint8_t>(packet.kind));
  writer.U8(0);   // code
  writer.U16(0);  // checksum, until all else stands
  writer.U32(!advertisement
                 ? 0U
                 : (packet.router ? kRouterFlag : 0U) | (packet.solicited ? kSolicitedFlag : 0U) |
                       (packet.override_ ? kOverrideFlag : 0U));
  writer.Ipv6(packet.target);
  if (packet.link_layer_address) {
    writer.U8(advertisement ? kTargetLinkLayerOption : kSourceLinkLayerOption);
    writer.U8(1);
    writer.Mac(*packet.link_layer_address);
  }
  FrameWriter(message.subspan(2)).U16(Checksum(packet.ip_source, packet.ip_destination, message));
  return frame;
}

Ipv6Address SolicitedNodeGroup(const Ipv6Address& target) noexcept {
  const Ipv6Address::Octets& o = target.octets();
  return Ipv6Address({0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, o[13], o[14], o[15]});
}

Ipv6Address AllNodesGroup() noexcept {
  return Ipv6Address({0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
}

MacAddress MulticastMac(const Ipv6Address& group) noexcept {
  const Ipv6Address::Octets& o = group.octets();
  return MacAddress({0x33, 0x33, o[12], o[13], o[14], o[15]});
}

NdPacket NdReplyTo(const NdPacket& solicitation, const MacAddress& mac,
                   const Ipv6Address& link_local) noexcept {
  NdPacket reply = UnsolicitedAdvertisement(mac, link_local, solicitation.target);
  if (!IsUnspecified(solicitation.ip_source)) {
    reply.ip_source = solicitation.target;
    reply.destination = solicitation.link_layer_address.value_or(solicitation.source);
    reply.ip_destination = solicitation.ip_source;
    reply.solicited = true;
  }
  return reply;
}

NdPacket UnsolicitedAdvertisement(const MacAddress& mac, const Ipv6Address& link_local,
                                  const Ipv6Address& target) noexcept {
  return {.destination = MulticastMac(AllNodesGroup()),
          .source = mac,
          .ip_source = link_local,
          .ip_destination = AllNodesGroup(),
          .kind = NdKind::kAdvertisement,
          .target = target,
          .router = false,
          .solicited = false,
          .override_ = true,
          .link_layer_address = mac};
}

NdPacket DadProbe(const MacAddress& mac, const Ipv6Address& target) noexcept {
  const Ipv6Address group = SolicitedNodeGroup(target);
  return {.destination = MulticastMac(group),
          .source = mac,
          .ip_source = {},
          .ip_destination = group,
          .kind = NdKind::kSolicitation,
          .target = target,
          .router = false,
          .solicited = false,
          .override_ = false,
          .link_layer_address = std::nullopt};
}

std::ostream& operator<<(std::ostream& out, NdKind kind) {
  return out << (kind == NdKind::kSolicitation ? "solicitation" : "advertisement");
}

std::ostream& operator<<(std::ostream& out, const NdPacket& packet) {
  out << packet.source << ' ' << packet.ip_source << " > " << packet.destination << ' '
      << packet.ip_destination << ' ' << packet.kind << " of " << packet.target
      << (packet.router ? " R" : "") << (packet.solicited ? " S" : "")
      << (packet.override_ ? " O" : "");
  if (packet.link_layer_address) {
    out << " at " << *packet.link_layer_address;
  }
  return out;
}

std::ostream& operator<<(std::ostream& out, NdError error) {
  switch (error) {
    case NdError::kTruncated:
      return out << "truncated";
    case NdError::kVlanTagged:
      return out << "VLAN-tagged";
    case NdError::kNotIpv6:
      return out << "not IPv6";
    case NdError::kExtensionHeader:
      return out << "behind an extension header";
    case NdError::kNotNd:
      return out << "no neighbour message";
    case NdError::kHopLimit:
      return out << "hop limit is not 255";
    case NdError::kChecksum:
      return out << "wrong checksum";
    case NdError::kInvalid:
      return out << "against RFC 4861";
  }
  return out << "unknown";
}

}  // namespace stentor::net
