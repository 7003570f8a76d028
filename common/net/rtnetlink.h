// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Messages of the kernel's routing socket (netlink(7), rtnetlink(7)): links and addresses, and the
/// requests that ask for all of them. Netlink is in the byte order of the machine.

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/base/bytes.h"
#include "common/net/ip_address.h"
#include "common/net/mac_address.h"

namespace stentor::net {

/// The kernel's number of a network interface; unique within a network namespace, never 0 there.
enum class IfIndex : std::uint32_t {};

/// Flags of a link (netdevice(7)); the numbers are the kernel's.
inline constexpr std::uint32_t kLinkUp = 0x1;
inline constexpr std::uint32_t kLinkBroadcast = 0x2;
inline constexpr std::uint32_t kLinkRunning = 0x40;
inline constexpr std::uint32_t kLinkNoArp = 0x80;
inline constexpr std::uint32_t kLinkLowerUp = 0x10000;

/// Flags of an address (linux/if_addr.h).
inline constexpr std::uint32_t kAddressOptimistic = 0x04;
inline constexpr std::uint32_t kAddressDadFailed = 0x08;
inline constexpr std::uint32_t kAddressDeprecated = 0x20;
inline constexpr std::uint32_t kAddressTentative = 0x40;

enum class Existence : std::uint8_t { kPresent, kGone };

/// RTM_NEWLINK or RTM_DELLINK. A present one is complete: what is absent, the link doesn't have.
struct LinkMessage {
  Existence existence = Existence::kPresent;
  IfIndex index{};
  std::uint32_t flags = 0;
  std::string name;
  /// Absent where the link's address is not 6 octets long.
  std::optional<MacAddress> mac = std::nullopt;
  /// The bond, bridge or VRF that it is enslaved to.
  std::optional<IfIndex> master = std::nullopt;

  friend bool operator==(const LinkMessage&, const LinkMessage&) = default;
};

/// RTM_NEWADDR or RTM_DELADDR, of either family.
struct AddressMessage {
  Existence existence = Existence::kPresent;
  IfIndex index{};
  IpAddress address;  ///< The local one, also on a point-to-point link.
  int prefix_length = 0;
  std::uint32_t flags = 0;

  friend bool operator==(const AddressMessage&, const AddressMessage&) = default;
};

/// RTM_NEWNEIGH or RTM_DELNEIGH: what the kernel knows of a neighbour's MAC (ARP or NDP table).
struct NeighborMessage {
  Existence existence = Existence::kPresent;
  IfIndex index{};
  IpAddress address;
  /// Absent while it is not known (being resolved, or nobody answered), and where it is not 6
  /// octets.
  std::optional<MacAddress> mac = std::nullopt;

  friend bool operator==(const NeighborMessage&, const NeighborMessage&) = default;
};

/// The end of a dump, or the kernel's answer to a request.
struct DumpEnd {
  int error = 0;  ///< An errno value; 0 where all went well.

  friend bool operator==(const DumpEnd&, const DumpEnd&) = default;
};

/// NLMSG_OVERRUN: messages were lost, and only a new dump tells what they said.
struct Overrun {
  friend bool operator==(const Overrun&, const Overrun&) = default;
};

/// One message. Kinds that nobody asked for are left out while decoding.
struct RtnetlinkMessage {
  std::uint32_t sequence = 0;     ///< Of the request that it answers; 0 for notifications.
  bool dump_interrupted = false;  ///< NLM_F_DUMP_INTR: the dump is not of one moment; ask again.
  std::variant<LinkMessage, AddressMessage, NeighborMessage, DumpEnd, Overrun> body;

  friend bool operator==(const RtnetlinkMessage&, const RtnetlinkMessage&) = default;
};

/// What one datagram of the socket held. `malformed` tells that a length in it contradicted
/// another; the messages before that place are kept.
struct RtnetlinkDatagram {
  std::vector<RtnetlinkMessage> messages;
  bool malformed = false;
};

/// Reads one datagram. Any bytes are allowed. Left out are, besides unknown types: messages of
/// another family about a link (a bridge reports with AF_BRIDGE and RTM_DELLINK that a port left,
/// not that the link is gone), and wireless events, which carry only a part of the link.
[[nodiscard]] RtnetlinkDatagram DecodeRtnetlink(Bytes datagram);

/// The request for all links, without their statistics; the answer ends with DumpEnd.
[[nodiscard]] std::vector<std::byte> LinkDumpRequest(std::uint32_t sequence);

/// The request for all addresses of both families; the answer ends with DumpEnd.
[[nodiscard]] std::vector<std::byte> AddressDumpRequest(std::uint32_t sequence);

/// The request for the neighbour tables of both families; the answer ends with DumpEnd.
[[nodiscard]] std::vector<std::byte> NeighborDumpRequest(std::uint32_t sequence);

std::ostream& operator<<(std::ostream& out, IfIndex index);
std::ostream& operator<<(std::ostream& out, const LinkMessage& message);
std::ostream& operator<<(std::ostream& out, const AddressMessage& message);
std::ostream& operator<<(std::ostream& out, const NeighborMessage& message);

}  // namespace stentor::net
