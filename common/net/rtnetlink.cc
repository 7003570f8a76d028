// SPDX-License-Identifier: Apache-2.0
#include "common/net/rtnetlink.h"

#include <algorithm>
#include <array>
#include <ostream>
#include <utility>

namespace stentor::net {
namespace {

// Numbers of linux/netlink.h, linux/rtnetlink.h, linux/if_link.h and linux/if_addr.h.
constexpr std::uint16_t kMessageError = 2;
constexpr std::uint16_t kMessageDone = 3;
constexpr std::uint16_t kMessageOverrun = 4;
constexpr std::uint16_t kNewLink = 16;
constexpr std::uint16_t kDeleteLink = 17;
constexpr std::uint16_t kGetLink = 18;
constexpr std::uint16_t kNewAddress = 20;
constexpr std::uint16_t kDeleteAddress = 21;
constexpr std::uint16_t kGetAddress = 22;
constexpr std::uint16_t kNewNeighbor = 28;
constexpr std::uint16_t kDeleteNeighbor = 29;
constexpr std::uint16_t kGetNeighbor = 30;

constexpr std::uint16_t kFlagRequest = 0x01;
constexpr std::uint16_t kFlagDumpInterrupted = 0x10;
constexpr std::uint16_t kFlagDump = 0x300;  // root and match

constexpr std::uint16_t kLinkAddressAttribute = 1;
constexpr std::uint16_t kLinkName = 3;
constexpr std::uint16_t kLinkMaster = 10;
constexpr std::uint16_t kLinkWireless = 11;
constexpr std::uint16_t kLinkExtMask = 29;
constexpr std::uint32_t kExtSkipStatistics = 1U << 3U;

constexpr std::uint16_t kAddressAddress = 1;
constexpr std::uint16_t kAddressLocal = 2;
constexpr std::uint16_t kAddressFlags = 8;

constexpr std::uint16_t kNeighborAddress = 1;
constexpr std::uint16_t kNeighborMac = 2;
constexpr std::uint16_t kNeighborIncomplete = 0x01;  // states in which the MAC says nothing
constexpr std::uint16_t kNeighborFailed = 0x20;
constexpr std::uint8_t kNeighborProxy = 0x08;  // an entry of the proxy table: nobody's MAC

constexpr std::uint16_t kAttributeTypeMask = 0x3fff;  // without "nested" and "network order"

constexpr std::uint8_t kFamilyUnspecified = 0;
constexpr std::uint8_t kFamilyIpv4 = 2;
constexpr std::uint8_t kFamilyIpv6 = 10;

constexpr std::size_t kHeaderLength = 16;
constexpr std::size_t kAttributeHeaderLength = 4;
constexpr std::size_t kMaxNameLength = 15;  // IFNAMSIZ without the final zero

constexpr std::size_t Aligned(std::size_t length) noexcept {
  return (length + 3U) & ~std::size_t{3};
}

struct Attribute {
  std::uint16_t type = 0;
  Bytes value;
};

// Walks the attributes of a message; false from Next() at the end, or where a length is wrong.
class Attributes {
 public:
  explicit Attributes(Bytes bytes) noexcept : rest_(bytes) {}

  bool Next(Attribute* out) noexcept {
    if (rest_.size() < kAttributeHeaderLength) {
      return false;
    }
    ByteReader reader(rest_);
    const std::size_t length = reader.HostU16();
    const std::uint16_t type = reader.HostU16();
    if (length < kAttributeHeaderLength || length > rest_.size()) {
      malformed_ = true;
      return false;
    }
    *out = {.type = static_cast<std::uint16_t>(type & kAttributeTypeMask),
            .value = rest_.subspan(kAttributeHeaderLength, length - kAttributeHeaderLength)};
    rest_ = rest_.subspan(std::min(Aligned(length), rest_.size()));
    return true;
  }

  [[nodiscard]] bool malformed() const noexcept { return malformed_; }

 private:
  Bytes rest_;
  bool malformed_ = false;
};

// What a body turned out to be: a message, nothing that matters, or nonsense.
struct Decoded {
  std::optional<std::variant<LinkMessage, AddressMessage, NeighborMessage, DumpEnd, Overrun>> body;
  bool malformed = false;
};

std::string TextOf(Bytes value) {
  std::string text;
  for (const std::byte octet : value) {
    if (octet == std::byte{0} || text.size() > kMaxNameLength) {
      break;
    }
    text.push_back(static_cast<char>(octet));
  }
  return text;
}

std::optional<MacAddress> MacOf(Bytes value) noexcept {
  MacAddress::Octets octets{};
  if (value.size() != octets.size()) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < octets.size(); ++i) {
    octets[i] = std::to_integer<std::uint8_t>(value[i]);
  }
  return MacAddress(octets);
}

std::optional<IpAddress> AddressOf(std::uint8_t family, Bytes value) noexcept {
  ByteReader reader(value);
  if (family == kFamilyIpv4 && value.size() == 4) {
    return Ipv4Address(reader.U32());
  }
  if (family == kFamilyIpv6 && value.size() == 16) {
    const std::uint64_t high = reader.U64();
    return IpAddress::FromNumber(IpFamily::kIpv6, high, reader.U64());
  }
  return std::nullopt;
}

Decoded DecodeLink(Bytes body, Existence existence) {
  ByteReader reader(body);
  const std::uint8_t family = reader.U8();
  static_cast<void>(reader.Take(3));  // padding, hardware type
  LinkMessage message;
  message.existence = existence;
  message.index = IfIndex{reader.HostU32()};
  message.flags = reader.HostU32();
  static_cast<void>(reader.HostU32());  // mask of changed flags
  if (!reader.ok() || message.index == IfIndex{0}) {
    return {.body = std::nullopt, .malformed = true};
  }
  if (family != kFamilyUnspecified) {
    return {};
  }
  bool wireless = false;
  Attributes attributes(reader.rest());
  for (Attribute attribute; attributes.Next(&attribute);) {
    ByteReader value(attribute.value);
    switch (attribute.type) {
      case kLinkAddressAttribute:
        message.mac = MacOf(attribute.value);
        break;
      case kLinkName:
        message.name = TextOf(attribute.value);
        break;
      case kLinkMaster:
        if (const std::uint32_t master = value.HostU32(); value.ok() && master != 0) {
          message.master = IfIndex{master};
        }
        break;
      case kLinkWireless:
        wireless = true;
        break;
      default:
        break;
    }
  }
  const bool nameless = message.name.empty() || message.name.size() > kMaxNameLength;
  if (attributes.malformed() || (nameless && existence == Existence::kPresent)) {
    return {.body = std::nullopt, .malformed = true};
  }
  if (wireless) {
    return {};
  }
  return {.body = std::move(message), .malformed = false};
}

Decoded DecodeAddress(Bytes body, Existence existence) {
  ByteReader reader(body);
  const std::uint8_t family = reader.U8();
  AddressMessage message;
  message.existence = existence;
  message.prefix_length = reader.U8();
  message.flags = reader.U8();
  static_cast<void>(reader.U8());  // scope
  message.index = IfIndex{reader.HostU32()};
  if (!reader.ok() || message.index == IfIndex{0}) {
    return {.body = std::nullopt, .malformed = true};
  }
  if (family != kFamilyIpv4 && family != kFamilyIpv6) {
    return {};
  }
  std::optional<IpAddress> address;
  std::optional<IpAddress> local;
  Attributes attributes(reader.rest());
  for (Attribute attribute; attributes.Next(&attribute);) {
    ByteReader value(attribute.value);
    switch (attribute.type) {
      case kAddressAddress:
        address = AddressOf(family, attribute.value);
        break;
      case kAddressLocal:
        local = AddressOf(family, attribute.value);
        break;
      case kAddressFlags:  // wider than the octet in the header
        if (const std::uint32_t flags = value.HostU32(); value.ok()) {
          message.flags = flags;
        }
        break;
      default:
        break;
    }
  }
  // On a point-to-point link ADDRESS is the peer's; IPv6 has no LOCAL without a peer.
  const std::optional<IpAddress>& own = local ? local : address;
  const int bits = family == kFamilyIpv4 ? 32 : 128;
  if (attributes.malformed() || !own || message.prefix_length > bits) {
    return {.body = std::nullopt, .malformed = true};
  }
  message.address = *own;
  return {.body = message, .malformed = false};
}

Decoded DecodeNeighbor(Bytes body, Existence existence) {
  ByteReader reader(body);
  const std::uint8_t family = reader.U8();
  static_cast<void>(reader.Take(3));  // padding
  NeighborMessage message;
  message.existence = existence;
  message.index = IfIndex{reader.HostU32()};
  const std::uint16_t state = reader.HostU16();
  const std::uint8_t flags = reader.U8();
  static_cast<void>(reader.U8());  // type of the route
  if (!reader.ok()) {
    return {.body = std::nullopt, .malformed = true};
  }
  // Bridges keep their forwarding table under AF_BRIDGE; a proxy entry may lack an interface.
  if ((family != kFamilyIpv4 && family != kFamilyIpv6) || (flags & kNeighborProxy) != 0) {
    return {};
  }
  if (message.index == IfIndex{0}) {
    return {.body = std::nullopt, .malformed = true};
  }
  std::optional<IpAddress> address;
  std::optional<MacAddress> mac;
  Attributes attributes(reader.rest());
  for (Attribute attribute; attributes.Next(&attribute);) {
    if (attribute.type == kNeighborAddress) {
      address = AddressOf(family, attribute.value);
    } else if (attribute.type == kNeighborMac) {
      mac = MacOf(attribute.value);
    }
  }
  if (attributes.malformed() || !address) {
    return {.body = std::nullopt, .malformed = true};
  }
  message.address = *address;
  if ((state & (kNeighborIncomplete | kNeighborFailed)) == 0) {
    message.mac = mac;
  }
  return {.body = message, .malformed = false};
}

// The error of NLMSG_ERROR and NLMSG_DONE: zero or a negative errno.
Decoded DecodeEnd(std::uint16_t type, Bytes body) {
  ByteReader reader(body);
  const std::uint32_t error = reader.HostU32();
  if (!reader.ok()) {
    // Old kernels end a dump without a number.
    return {.body = DumpEnd{}, .malformed = type == kMessageError};
  }
  return {.body = DumpEnd{.error = static_cast<int>(0U - error)}, .malformed = false};
}

Decoded DecodeBody(std::uint16_t type, Bytes body) {
  switch (type) {
    case kNewLink:
      return DecodeLink(body, Existence::kPresent);
    case kDeleteLink:
      return DecodeLink(body, Existence::kGone);
    case kNewAddress:
      return DecodeAddress(body, Existence::kPresent);
    case kDeleteAddress:
      return DecodeAddress(body, Existence::kGone);
    case kNewNeighbor:
      return DecodeNeighbor(body, Existence::kPresent);
    case kDeleteNeighbor:
      return DecodeNeighbor(body, Existence::kGone);
    case kMessageDone:
    case kMessageError:
      return DecodeEnd(type, body);
    case kMessageOverrun:
      return {.body = Overrun{}, .malformed = false};
    default:
      return {};
  }
}

ByteWriter RequestHeader(std::uint16_t type, std::size_t length, std::uint32_t sequence) {
  ByteWriter writer;
  writer.HostU32(static_cast<std::uint32_t>(length))
      .HostU16(type)
      .HostU16(kFlagRequest | kFlagDump)
      .HostU32(sequence)
      .HostU32(0);  // the kernel fills in our port
  return writer;
}

}  // namespace

RtnetlinkDatagram DecodeRtnetlink(Bytes datagram) {
  RtnetlinkDatagram out;
  Bytes rest = datagram;
  while (!rest.empty()) {
    ByteReader reader(rest);
    const std::size_t length = reader.HostU32();
    const std::uint16_t type = reader.HostU16();
    const std::uint16_t flags = reader.HostU16();
    const std::uint32_t sequence = reader.HostU32();
    static_cast<void>(reader.HostU32());  // port
    if (!reader.ok() || length < kHeaderLength || length > rest.size()) {
      out.malformed = true;
      break;
    }
    Decoded decoded = DecodeBody(type, rest.subspan(kHeaderLength, length - kHeaderLength));
    if (decoded.malformed) {
      out.malformed = true;
      break;
    }
    if (decoded.body) {
      out.messages.push_back({.sequence = sequence,
                              .dump_interrupted = (flags & kFlagDumpInterrupted) != 0,
                              .body = *std::move(decoded.body)});
    }
    rest = rest.subspan(std::min(Aligned(length), rest.size()));
  }
  return out;
}

std::vector<std::byte> LinkDumpRequest(std::uint32_t sequence) {
  ByteWriter writer = RequestHeader(kGetLink, kHeaderLength + 16 + 8, sequence);
  writer.U8(kFamilyUnspecified).U8(0).HostU16(0);  // ifinfomsg: family, padding, type,
  writer.HostU32(0).HostU32(0).HostU32(0);         // index, flags, change
  writer.HostU16(8).HostU16(kLinkExtMask).HostU32(kExtSkipStatistics);
  return std::move(writer).Finish();
}

std::vector<std::byte> AddressDumpRequest(std::uint32_t sequence) {
  ByteWriter writer = RequestHeader(kGetAddress, kHeaderLength + 8, sequence);
  writer.U8(kFamilyUnspecified).U8(0).U8(0).U8(0);  // ifaddrmsg: family, prefix, flags, scope,
  writer.HostU32(0);                                // index
  return std::move(writer).Finish();
}

std::vector<std::byte> NeighborDumpRequest(std::uint32_t sequence) {
  ByteWriter writer = RequestHeader(kGetNeighbor, kHeaderLength + 12, sequence);
  writer.U8(kFamilyUnspecified).U8(0).HostU16(0);  // ndmsg: family, padding,
  writer.HostU32(0).HostU16(0).U8(0).U8(0);        // index, state, flags, type
  return std::move(writer).Finish();
}

std::ostream& operator<<(std::ostream& out, IfIndex index) {
  return out << '#' << static_cast<std::uint32_t>(index);
}

std::ostream& operator<<(std::ostream& out, const LinkMessage& message) {
  out << (message.existence == Existence::kPresent ? "link " : "no link ") << message.index << ' '
      << message.name << " flags " << message.flags;
  if (message.mac) {
    out << " mac " << *message.mac;
  }
  if (message.master) {
    out << " master " << *message.master;
  }
  return out;
}

std::ostream& operator<<(std::ostream& out, const AddressMessage& message) {
  return out << (message.existence == Existence::kPresent ? "address " : "no address ")
             << message.address << '/' << message.prefix_length << " on " << message.index
             << " flags " << message.flags;
}

std::ostream& operator<<(std::ostream& out, const NeighborMessage& message) {
  out << (message.existence == Existence::kPresent ? "neighbour " : "no neighbour ")
      << message.address << " on " << message.index;
  if (message.mac) {
    out << " mac " << *message.mac;
  }
  return out;
}

}  // namespace stentor::net
