// SPDX-License-Identifier: Apache-2.0
#include "common/net/ip_address.h"

#include <limits>
#include <ostream>

#include "common/base/strings.h"

namespace stentor::net {
namespace {

constexpr std::uint64_t kMax64 = std::numeric_limits<std::uint64_t>::max();

// One decimal octet from the front of `text`: 0 to 255, without leading zeros, as Go reads it.
std::optional<std::uint8_t> TakeDecimalOctet(std::string_view& text) noexcept {
  unsigned value = 0;
  std::size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
    value = value * 10 + static_cast<unsigned>(text[digits] - '0');
    ++digits;
    if (value > 255 || digits > 3) {
      return std::nullopt;
    }
  }
  if (digits == 0 || (digits > 1 && text[0] == '0')) {
    return std::nullopt;
  }
  text.remove_prefix(digits);
  return static_cast<std::uint8_t>(value);
}

int HexValue(char c) noexcept {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + 10;
  }
  if (c >= 'A' && c <= 'F') {
    return c - 'A' + 10;
  }
  return -1;
}

// One group of an IPv6 address: one to four hexadecimal digits.
std::optional<std::uint16_t> TakeHexGroup(std::string_view& text) noexcept {
  unsigned value = 0;
  std::size_t digits = 0;
  while (digits < text.size() && HexValue(text[digits]) >= 0) {
    if (++digits > 4) {
      return std::nullopt;
    }
    value = value * 16 + static_cast<unsigned>(HexValue(text[digits - 1]));
  }
  if (digits == 0) {
    return std::nullopt;
  }
  text.remove_prefix(digits);
  return static_cast<std::uint16_t>(value);
}

}  // namespace

std::string_view IpFamilyName(IpFamily family) noexcept {
  return family == IpFamily::kIpv4 ? "ipv4" : "ipv6";
}

std::optional<Ipv4Address> Ipv4Address::Parse(std::string_view text) noexcept {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) {
    if (i > 0) {
      if (text.empty() || text.front() != '.') {
        return std::nullopt;
      }
      text.remove_prefix(1);
    }
    const auto octet = TakeDecimalOctet(text);
    if (!octet) {
      return std::nullopt;
    }
    value = (value << 8U) | *octet;
  }
  if (!text.empty()) {
    return std::nullopt;
  }
  return Ipv4Address(value);
}

std::string Ipv4Address::ToString() const {
  return StrCat(value_ >> 24U, ".", (value_ >> 16U) & 0xffU, ".", (value_ >> 8U) & 0xffU, ".",
                value_ & 0xffU);
}

std::optional<Ipv6Address> Ipv6Address::Parse(std::string_view text) noexcept {
  Octets octets{};
  std::size_t filled = 0;               // octets written so far
  std::optional<std::size_t> ellipsis;  // where "::" stood, in octets
  if (text.substr(0, 2) == "::") {
    ellipsis = 0;
    text.remove_prefix(2);
  }
  while (!text.empty() && filled < 16) {
    const std::string_view before = text;
    const auto group = TakeHexGroup(text);
    if (!group) {
      return std::nullopt;
    }
    if (!text.empty() && text.front() == '.') {  // the last 32 bits in dotted decimal
      const auto v4 = filled <= 12 ? Ipv4Address::Parse(before) : std::nullopt;
      if (!v4) {
        return std::nullopt;
      }
      for (unsigned i = 0; i < 4; ++i) {
        octets[filled++] = static_cast<std::uint8_t>(v4->value() >> (24U - 8U * i));
      }
      text = {};
      break;
    }
    octets[filled++] = static_cast<std::uint8_t>(*group >> 8U);
    octets[filled++] = static_cast<std::uint8_t>(*group & 0xffU);
    if (text.empty()) {
      break;
    }
    if (text.front() != ':' || text.size() == 1) {
      return std::nullopt;
    }
    text.remove_prefix(1);
    if (text.front() == ':') {
      if (ellipsis) {
        return std::nullopt;
      }
      ellipsis = filled;
      text.remove_prefix(1);
    }
  }
  if (!text.empty()) {
    return std::nullopt;
  }
  if (filled < 16) {
    if (!ellipsis) {
      return std::nullopt;
    }
    const std::size_t tail = filled - *ellipsis;
    for (std::size_t i = 0; i < tail; ++i) {
      octets[15 - i] = octets[filled - 1 - i];
    }
    for (std::size_t i = *ellipsis; i < 16 - tail; ++i) {
      octets[i] = 0;
    }
  } else if (ellipsis) {
    return std::nullopt;
  }
  return Ipv6Address(octets);
}

std::string Ipv6Address::ToString() const {
  std::array<unsigned, 8> groups{};
  for (std::size_t i = 0; i < 8; ++i) {
    groups[i] = (unsigned{octets_[2 * i]} << 8U) | octets_[2 * i + 1];
  }
  // RFC 5952, 4.2: the longest run of at least two zero groups, the first of equals, becomes "::".
  std::size_t best = 8;
  std::size_t best_length = 1;
  for (std::size_t i = 0; i < 8;) {
    std::size_t j = i;
    while (j < 8 && groups[j] == 0) {
      ++j;
    }
    if (j - i > best_length) {
      best = i;
      best_length = j - i;
    }
    i = j + 1;
  }
  std::string out;
  for (std::size_t i = 0; i < 8; ++i) {
    if (i == best) {
      out += "::";
      i += best_length - 1;
      continue;
    }
    if (!out.empty() && out.back() != ':') {
      out += ':';
    }
    StrAppend(&out, absl::Hex(groups[i]));
  }
  return out;
}

IpAddress::IpAddress(const Ipv6Address& address) noexcept : family_(IpFamily::kIpv6) {
  for (std::size_t i = 0; i < 8; ++i) {
    high_ = (high_ << 8U) | address.octets()[i];
    low_ = (low_ << 8U) | address.octets()[i + 8];
  }
}

std::optional<IpAddress> IpAddress::Parse(std::string_view text) noexcept {
  if (const auto v4 = Ipv4Address::Parse(text)) {
    return IpAddress(*v4);
  }
  const auto v6 = Ipv6Address::Parse(text);
  if (!v6) {
    return std::nullopt;
  }
  const IpAddress address(*v6);
  if (address.high_ == 0 && (address.low_ >> 32U) == 0xffffU) {
    return IpAddress(Ipv4Address(static_cast<std::uint32_t>(address.low_)));
  }
  return address;
}

Ipv6Address IpAddress::ipv6() const noexcept {
  Ipv6Address::Octets octets{};
  for (unsigned i = 0; i < 8; ++i) {
    octets[i] = static_cast<std::uint8_t>(high_ >> (56U - 8U * i));
    octets[i + 8] = static_cast<std::uint8_t>(low_ >> (56U - 8U * i));
  }
  return Ipv6Address(octets);
}

std::optional<IpAddress> IpAddress::Next() const noexcept {
  const std::uint64_t last_low = IsIpv4() ? 0xffffffffU : kMax64;
  if (low_ < last_low) {
    return FromNumber(family_, high_, low_ + 1);
  }
  if (IsIpv4() || high_ == kMax64) {
    return std::nullopt;
  }
  return FromNumber(family_, high_ + 1, 0);
}

std::optional<IpAddress> IpAddress::Previous() const noexcept {
  if (low_ > 0) {
    return FromNumber(family_, high_, low_ - 1);
  }
  if (IsIpv4() || high_ == 0) {
    return std::nullopt;
  }
  return FromNumber(family_, high_ - 1, kMax64);
}

std::string IpAddress::ToString() const { return IsIpv4() ? ipv4().ToString() : ipv6().ToString(); }

std::ostream& operator<<(std::ostream& out, Ipv4Address address) {
  return out << address.ToString();
}
std::ostream& operator<<(std::ostream& out, const Ipv6Address& address) {
  return out << address.ToString();
}
std::ostream& operator<<(std::ostream& out, const IpAddress& address) {
  return out << address.ToString();
}

}  // namespace stentor::net
