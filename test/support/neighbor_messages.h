// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "test/support/netlink_messages.h"

namespace stentor::test {

struct NeighborFields {
  std::uint32_t index = 2;
  std::optional<std::uint8_t> family = std::nullopt;  ///< Absent: that of the address.
  const char* address = "192.0.2.7";                  ///< Null: without.
  std::uint16_t state = 0x02;                         ///< NUD_REACHABLE
  std::uint8_t flags = 0;
  /// Absent: 02:00:00:00:00:20; empty: without.
  std::optional<Octets> mac = std::nullopt;
};

/// RTM_NEWNEIGH or RTM_DELNEIGH as the kernel does it.
inline Octets NeighborBody(const NeighborFields& neighbor) {
  const auto address = net::IpAddress::Parse(neighbor.address != nullptr ? neighbor.address : "");
  const std::uint8_t own_family = address && !address->IsIpv4() ? 10 : 2;
  ByteWriter writer;
  writer.U8(neighbor.family.value_or(own_family)).U8(0).HostU16(0);
  writer.HostU32(neighbor.index).HostU16(neighbor.state).U8(neighbor.flags).U8(1);
  Octets bytes = std::move(writer).Finish();
  if (address) {
    ByteWriter value;
    if (address->IsIpv4()) {
      value.U32(address->ipv4().value());
    } else {
      value.U64(address->high()).U64(address->low());
    }
    Append(Attribute(1, std::move(value).Finish()), &bytes);
  }
  const net::MacAddress usual({0x02, 0, 0, 0, 0, 0x20});
  const auto usual_octets = std::as_bytes(std::span(usual.octets()));
  const Octets mac = neighbor.mac.value_or(Octets(usual_octets.begin(), usual_octets.end()));
  if (!mac.empty()) {
    Append(Attribute(2, mac), &bytes);
  }
  return bytes;
}

/// NLMSG_DONE of the dump that was asked for under `sequence`.
inline Octets DumpDone(std::uint32_t sequence, std::uint32_t error = 0, std::uint16_t flags = 0) {
  return Message(3, Number(error), sequence, flags);
}

}  // namespace stentor::test
