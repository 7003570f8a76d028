// SPDX-License-Identifier: Apache-2.0
#include "common/net/ip_range.h"

#include <bit>
#include <charconv>
#include <limits>
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

std::string_view TrimSpaces(std::string_view text) noexcept {
  while (!text.empty() && text.front() == ' ') {
    text.remove_prefix(1);
  }
  while (!text.empty() && text.back() == ' ') {
    text.remove_suffix(1);
  }
  return text;
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
  const bool plain = !digits.empty() &&
                     absl::ascii_isdigit(static_cast<unsigned char>(digits[0])) &&
                     (digits.size() == 1 || digits[0] != '0');
  if (!address || !plain || result.ec != std::errc() ||
      result.ptr != digits.data() + digits.size() || length > Bits(address->family())) {
    return error();
  }
  return PrefixOf(*address, length);
}

absl::StatusOr<IpRange> ParseAddressItem(std::string_view text) {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) {
    auto prefix = ParsePrefix(text);
    if (!prefix.ok()) {
      return prefix.status();
    }
    return prefix->Range();
  }
  const std::string_view start_text = TrimSpaces(text.substr(0, dash));
  const std::string_view end_text = TrimSpaces(text.substr(dash + 1));
  const auto start = IpAddress::Parse(start_text);
  if (!start) {
    return absl::InvalidArgumentError(
        StrCat("invalid IP range \"", text, "\": invalid start IP \"", start_text, "\""));
  }
  const auto end = IpAddress::Parse(end_text);
  if (!end) {
    return absl::InvalidArgumentError(
        StrCat("invalid IP range \"", text, "\": invalid end IP \"", end_text, "\""));
  }
  if (start->family() != end->family()) {
    return absl::InvalidArgumentError(StrCat("invalid IP range \"", text, "\": start IP ",
                                             start_text, " and end IP ", end_text,
                                             " are of different families"));
  }
  if (*end < *start) {
    return absl::InvalidArgumentError(StrCat("invalid IP range \"", text, "\": start IP ",
                                             start_text, " is after the end IP ", end_text));
  }
  return IpRange{*start, *end};
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
