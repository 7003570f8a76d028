// SPDX-License-Identifier: Apache-2.0
#include "common/kube/url.h"

namespace stentor::kube {

std::string PercentEncode(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                            (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    if (unreserved) {
      out.push_back(c);
    } else {
      out.push_back('%');
      out.push_back(kDigits[octet >> 4U]);
      out.push_back(kDigits[octet & 0xfU]);
    }
  }
  return out;
}

}  // namespace stentor::kube
