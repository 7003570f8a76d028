// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Builds rtnetlink messages as the kernel sends them.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/bytes.h"
#include "common/net/ip_address.h"
#include "common/net/mac_address.h"

namespace stentor::test {

using Octets = std::vector<std::byte>;

inline void Pad(Octets* bytes) {
  while (bytes->size() % 4 != 0) {
    bytes->push_back(std::byte{0});
  }
}

inline void Append(const Octets& more, Octets* out) {
  out->insert(out->end(), more.begin(), more.end());
}

inline Octets Attribute(std::uint16_t type, Bytes value) {
  ByteWriter writer;
  writer.HostU16(static_cast<std::uint16_t>(4 + value.size())).HostU16(type).Put(value);
  Octets bytes = std::move(writer).Finish();
  Pad(&bytes);
  return bytes;
}

inline Octets Number(std::uint32_t value) {
  ByteWriter writer;
  writer.HostU32(value);
  return std::move(writer).Finish();
}

/// One whole message with its header, padded.
inline Octets Message(std::uint16_t type, const Octets& body, std::uint32_t sequence = 0,
                      std::uint16_t flags = 0) {
  ByteWriter writer;
  writer.HostU32(static_cast<std::uint32_t>(16 + body.size()))
      .HostU16(type)
      .HostU16(flags)
      .HostU32(sequence)
      .HostU32(0)
      .Put(body);
  Octets bytes = std::move(writer).Finish();
  Pad(&bytes);
  return bytes;
}

struct LinkFields {
  std::uint32_t index = 2;
  std::uint32_t flags = 0x11043;  ///< up, broadcast, running, multicast, lower up
  std::string_view name = "eth0";
  std::optional<net::MacAddress> mac = net::MacAddress({0x02, 0, 0, 0, 0, 0x20});
  std::optional<std::uint32_t> master = std::nullopt;
  std::uint8_t family = 0;
  bool wireless = false;
};

inline Octets LinkBody(const LinkFields& link) {
  ByteWriter writer;
  writer.U8(link.family).U8(0).HostU16(1);
  writer.HostU32(link.index).HostU32(link.flags).HostU32(0);
  Octets bytes = std::move(writer).Finish();
  Octets name;
  for (const char c : link.name) {
    name.push_back(static_cast<std::byte>(c));
  }
  name.push_back(std::byte{0});
  Append(Attribute(3, name), &bytes);
  if (link.mac) {
    Append(Attribute(1, std::as_bytes(std::span(link.mac->octets()))), &bytes);
  }
  if (link.master) {
    Append(Attribute(10, Number(*link.master)), &bytes);
  }
  if (link.wireless) {
    Append(Attribute(11, Number(0)), &bytes);
  }
  return bytes;
}

/// RTM_NEWADDR or RTM_DELADDR for IPv4, as the kernel does it: ADDRESS, LOCAL and FLAGS.
inline Octets Ipv4AddressBody(std::uint32_t index, net::Ipv4Address local, net::Ipv4Address peer,
                              std::uint8_t prefix, std::uint32_t flags = 0x80) {
  ByteWriter writer;
  writer.U8(2).U8(prefix).U8(static_cast<std::uint8_t>(flags)).U8(0).HostU32(index);
  Octets bytes = std::move(writer).Finish();
  const auto octets = [](net::Ipv4Address address) {
    ByteWriter value;
    value.U32(address.value());
    return std::move(value).Finish();
  };
  Append(Attribute(1, octets(peer)), &bytes);
  Append(Attribute(2, octets(local)), &bytes);
  Append(Attribute(8, Number(flags)), &bytes);
  return bytes;
}

/// The same for IPv6, which has no LOCAL without a peer. `flags` go into the FLAGS attribute, and
/// `header_flags` into the octet of the header; without the attribute, as kernels before 3.14 do
/// it, `flags` go there.
inline Octets Ipv6AddressBody(std::uint32_t index, const net::Ipv6Address& address,
                              std::uint32_t flags, bool with_flags = true,
                              std::uint8_t header_flags = 0) {
  ByteWriter writer;
  writer.U8(10).U8(64);
  writer.U8(static_cast<std::uint8_t>(with_flags ? header_flags : flags)).U8(253).HostU32(index);
  Octets bytes = std::move(writer).Finish();
  Append(Attribute(1, std::as_bytes(std::span(address.octets()))), &bytes);
  if (with_flags) {
    Append(Attribute(8, Number(flags)), &bytes);
  }
  return bytes;
}

}  // namespace stentor::test
