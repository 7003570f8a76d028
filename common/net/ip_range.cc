// SPDX-License-Identifier: Apache-2.0
#include "common/net/ip_range.h"

#include <bit>
#include <charconv>
#include <limits>
#include <optional>
#include <ostream>

#include "absl/strings/ascii.h"
#include "common/base/strings.h"

namespace stentor::net {
namespace {

constexpr std::uint64_t kMax64 = std::numeric_limits<std::uint64_t>::max();

int Bits(IpFamily family) noexcept { return family == IpFamily::kIpv4 ? 32 : 128; }

// A mask of the lowest `count` of 64 bits; any count.
std::uint64_t LowMask(int count) noexcept {
  if (count <= 0) {
    return 0;
  }
  return count >= 64 ? kMax64 : (std::uint64_t{1} << static_cast<unsigned>(count)) - 1;
}

// The last address of the prefix of `length` bits that begins at `first`.
IpAddress LastOf(const IpAddress& first, int length) noexcept {
  const int host_bits = Bits(first.family()) - length;
  return IpAddress::FromNumber(first.family(), first.high() | LowMask(host_bits - 64),
                               first.low() | LowMask(host_bits));
}

// How many of the lowest bits of the address are zero.
int TrailingZeros(const IpAddress& address) noexcept {
  if (address.low() != 0) {
    return std::countr_zero(address.low());
  }
  if (address.IsIpv4()) {
    return 32;
  }
  return 64 + std::countr_zero(address.high());
}

// What Go's unicode.IsSpace takes for a space, in UTF-8: MetalLB trims that.
constexpr std::string_view kSpaces[] = {
    " ",
    "\t",
    "\n",
    "\v",
    "\f",
    "\r",
    "\xc2\x85",
    "\xc2\xa0",
    "\xe1\x9a\x80",
    "\xe2\x80\x80",
    "\xe2\x80\x81",
    "\xe2\x80\x82",
    "\xe2\x80\x83",
    "\xe2\x80\x84",
    "\xe2\x80\x85",
    "\xe2\x80\x86",
    "\xe2\x80\x87",
    "\xe2\x80\x88",
    "\xe2\x80\x89",
    "\xe2\x80\x8a",
    "\xe2\x80\xa8",
    "\xe2\x80\xa9",
    "\xe2\x80\xaf",
    "\xe2\x81\x9f",
    "\xe3\x80\x80",
};

std::string_view TrimSpaces(std::string_view text) noexcept {
  for (bool trimmed = true; trimmed;) {
    trimmed = false;
    for (const std::string_view space : kSpaces) {
      if (text.substr(0, space.size()) == space) {
        text.remove_prefix(space.size());
        trimmed = true;
      } else if (text.size() >= space.size() && text.substr(text.size() - space.size()) == space) {
        text.remove_suffix(space.size());
        trimmed = true;
      }
    }
  }
  return text;
}

// Both ends of "start-end", as far as they are addresses.
struct Ends {
  std::string_view start_text;
  std::string_view end_text;
  std::optional<IpAddress> start;
  std::optional<IpAddress> end;
};

Ends EndsOf(std::string_view text) noexcept {
  const std::size_t dash = text.find('-');
  Ends ends;
  if (dash != std::string_view::npos) {
    ends.start_text = TrimSpaces(text.substr(0, dash));
    ends.end_text = TrimSpaces(text.substr(dash + 1));
    ends.start = IpAddress::Parse(ends.start_text);
    ends.end = IpAddress::Parse(ends.end_text);
  }
  return ends;
}

// As an IPv6 address; one of IPv4, or mapped, is ::ffff:a.b.c.d.
IpAddress Mapped(const IpAddress& address) noexcept {
  return address.IsIpv4() ? IpAddress::FromNumber(IpFamily::kIpv6, 0,
                                                  (std::uint64_t{0xffff} << 32U) | address.low())
                          : address;
}

}  // namespace

std::uint64_t IpRange::Size() const noexcept {
  const std::uint64_t low = last.low() - first.low();
  const std::uint64_t borrow = last.low() < first.low() ? 1 : 0;
  const std::uint64_t high = last.high() - first.high() - borrow;
  return high != 0 || low == kMax64 ? kMax64 : low + 1;
}

std::string IpRange::ToString() const { return StrCat(first.ToString(), "-", last.ToString()); }

IpRange IpPrefix::Range() const noexcept { return {network, LastOf(network, length)}; }

std::string IpPrefix::ToString() const { return StrCat(network.ToString(), "/", length); }

IpPrefix PrefixOf(const IpAddress& address, int length) noexcept {
  const int host_bits = Bits(address.family()) - length;
  return {IpAddress::FromNumber(address.family(), address.high() & ~LowMask(host_bits - 64),
                                address.low() & ~LowMask(host_bits)),
          length};
}

absl::StatusOr<IpPrefix> ParsePrefix(std::string_view text) {
  const auto error = [text] {
    return absl::InvalidArgumentError(StrCat("invalid CIDR \"", text, "\""));
  };
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) {
    return error();
  }
  const auto address = IpAddress::Parse(text.substr(0, slash));
  const std::string_view digits = text.substr(slash + 1);
  int length = -1;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  const bool plain = !digits.empty() && absl::ascii_isdigit(static_cast<unsigned char>(digits[0]));
  // The length of ::ffff:192.0.2.0/120 counts from the beginning of the IPv6 address.
  const bool mapped = address && address->IsIpv4() && text.find(':') < slash;
  if (!address || !plain || result.ec != std::errc() ||
      result.ptr != digits.data() + digits.size() ||
      length > (mapped ? 128 : Bits(address->family()))) {
    return error();
  }
  if (mapped) {
    return length >= 96 ? PrefixOf(*address, length - 96) : PrefixOf(Mapped(*address), length);
  }
  return PrefixOf(*address, length);
}

bool IsRangeOfBothFamilies(std::string_view text) noexcept {
  const Ends ends = EndsOf(text);
  return ends.start && ends.end && ends.start->family() != ends.end->family() &&
         Mapped(*ends.start) < Mapped(*ends.end);
}

absl::StatusOr<IpRange> ParseAddressItem(std::string_view text) {
  if (text.find('-') == std::string_view::npos) {
    auto prefix = ParsePrefix(text);
    if (!prefix.ok()) {
      return prefix.status();
    }
    return prefix->Range();
  }
  const Ends ends = EndsOf(text);
  if (!ends.start) {
    return absl::InvalidArgumentError(
        StrCat("invalid IP range \"", text, "\": invalid start IP \"", ends.start_text, "\""));
  }
  if (!ends.end) {
    return absl::InvalidArgumentError(
        StrCat("invalid IP range \"", text, "\": invalid end IP \"", ends.end_text, "\""));
  }
  if (Mapped(*ends.end) < Mapped(*ends.start)) {
    return absl::InvalidArgumentError(StrCat("invalid IP range \"", text, "\": start IP \"",
                                             ends.start->ToString(), "\" is after the end IP \"",
                                             ends.end->ToString(), "\""));
  }
  if (ends.start->family() != ends.end->family()) {
    return absl::InvalidArgumentError(StrCat("invalid IP range \"", text, "\": start IP \"",
                                             ends.start->ToString(), "\" and end IP \"",
                                             ends.end->ToString(), "\" are of different families"));
  }
  return IpRange{*ends.start, *ends.end};
}

std::vector<IpPrefix> Summarize(const IpRange& range) {
  std::vector<IpPrefix> out;
  const int bits = Bits(range.first.family());
  IpAddress next = range.first;
  while (true) {
    // The widest prefix that begins here and does not end past the range.
    int length = bits - TrailingZeros(next);
    while (LastOf(next, length) > range.last) {
      ++length;
    }
    out.push_back({next, length});
    const auto after = LastOf(next, length).Next();
    if (!after || *after > range.last) {
      return out;
    }
    next = *after;
  }
}

std::ostream& operator<<(std::ostream& out, const IpRange& range) {
  return out << range.ToString();
}
std::ostream& operator<<(std::ostream& out, const IpPrefix& prefix) {
  return out << prefix.ToString();
}

}  // namespace stentor::net
