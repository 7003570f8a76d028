// SPDX-License-Identifier: Apache-2.0
#include "common/net/mac_address.h"

#include <charconv>
#include <ostream>

#include "common/base/strings.h"

namespace stentor::net {

std::optional<MacAddress> MacAddress::Parse(std::string_view text) noexcept {
  if (text.size() != 17) {
    return std::nullopt;
  }
  Octets octets{};
  for (std::size_t i = 0; i < octets.size(); ++i) {
    const char* const first = text.data() + 3 * i;
    if (i > 0 && first[-1] != ':') {
      return std::nullopt;
    }
    const auto result = std::from_chars(first, first + 2, octets[i], 16);
    if (result.ec != std::errc() || result.ptr != first + 2) {
      return std::nullopt;
    }
  }
  return MacAddress(octets);
}

std::string MacAddress::ToString() const {
  std::string out;
  for (const std::uint8_t octet : octets_) {
    StrAppend(&out, out.empty() ? "" : ":", absl::Hex(octet, absl::kZeroPad2));
  }
  return out;
}

std::ostream& operator<<(std::ostream& out, const MacAddress& address) {
  return out << address.ToString();
}

}  // namespace stentor::net
