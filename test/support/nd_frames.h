// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Builds frames of neighbour discovery field by field, also wrong ones: written from RFC 8200 and
/// RFC 4861 without the codec under test.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/bytes.h"
#include "common/net/ip_address.h"
#include "common/net/mac_address.h"

namespace stentor::test {

/// Octets from pairs of hexadecimal digits; blanks are skipped.
inline std::vector<std::byte> FromHex(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (c != ' ') {
      digits.push_back(c);
    }
  }
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes.push_back(static_cast<std::byte>(std::stoul(digits.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

/// By default the multicast question of a host 2001:db8::1 at 02:00:00:00:00:10 for 2001:db8::6f.
struct NdFrameFields {
  std::string_view destination_mac = "33:33:ff:00:00:6f";
  std::string_view source_mac = "02:00:00:00:00:10";
  std::string_view tag;  ///< In hexadecimal digits, in front of the Ethernet type.
  std::uint16_t ether_type = 0x86dd;
  std::uint8_t version = 6;
  std::optional<std::uint16_t> payload_length = std::nullopt;  ///< Where it is to be wrong.
  std::string_view extension;  ///< An extension header, in hexadecimal digits.
  std::uint8_t next_header = 58;
  std::uint8_t hop_limit = 255;
  std::string_view ip_source = "2001:db8::1";
  std::string_view ip_destination = "ff02::1:ff00:6f";
  std::uint8_t type = 135;
  std::uint8_t code = 0;
  std::uint16_t checksum_error = 0;  ///< Added to the right one.
  std::uint32_t flags = 0;
  std::string_view target = "2001:db8::6f";
  std::string_view options = "0101 020000000010";  ///< In hexadecimal digits.
  std::size_t cut = 0;                             ///< Octets off the end of the message.
  std::string_view trailer;                        ///< Behind the payload, in hexadecimal digits.
};

inline std::uint16_t InternetChecksum(const std::vector<std::byte>& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto octet = std::to_integer<std::uint32_t>(bytes[i]);
    sum += i % 2 == 0 ? octet * 256 : octet;
    sum = sum % 0x10000 + sum / 0x10000;
  }
  return static_cast<std::uint16_t>(0xffff - sum);
}

inline std::vector<std::byte> NdFrameOf(const NdFrameFields& f) {
  const auto put_mac = [](std::string_view text, ByteWriter* out) {
    const net::MacAddress mac = *net::MacAddress::Parse(text);
    for (const std::uint8_t octet : mac.octets()) {
      out->U8(octet);
    }
  };
  const auto put_ip = [](std::string_view text, ByteWriter* out) {
    const net::Ipv6Address address = *net::Ipv6Address::Parse(text);
    for (const std::uint8_t octet : address.octets()) {
      out->U8(octet);
    }
  };
  const auto message_of = [&](std::uint16_t checksum) {
    ByteWriter message;
    message.U8(f.type).U8(f.code).U16(checksum).U32(f.flags);
    put_ip(f.target, &message);
    message.Put(FromHex(f.options));
    std::vector<std::byte> bytes = std::move(message).Finish();
    bytes.resize(bytes.size() - f.cut);
    return bytes;
  };
  std::vector<std::byte> message = message_of(0);
  ByteWriter summed;
  put_ip(f.ip_source, &summed);
  put_ip(f.ip_destination, &summed);
  summed.U32(static_cast<std::uint32_t>(message.size())).U32(58).Put(message);
  message =
      message_of(static_cast<std::uint16_t>(InternetChecksum(summed.buffer()) + f.checksum_error));

  const std::vector<std::byte> extension = FromHex(f.extension);
  ByteWriter frame;
  put_mac(f.destination_mac, &frame);
  put_mac(f.source_mac, &frame);
  frame.Put(FromHex(f.tag)).U16(f.ether_type).U32(std::uint32_t{f.version} << 28U);
  frame.U16(
      f.payload_length.value_or(static_cast<std::uint16_t>(extension.size() + message.size())));
  frame.U8(f.next_header).U8(f.hop_limit);
  put_ip(f.ip_source, &frame);
  put_ip(f.ip_destination, &frame);
  frame.Put(extension).Put(message).Put(FromHex(f.trailer));
  return std::move(frame).Finish();
}

}  // namespace stentor::test
