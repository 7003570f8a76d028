// SPDX-License-Identifier: Apache-2.0
#include "common/base/strings.h"

namespace stentor {

std::string CutText(std::string text, std::size_t max_octets) {
  if (text.size() > max_octets) {
    while (max_octets > 0 && (static_cast<unsigned char>(text[max_octets]) & 0xc0U) == 0x80U) {
      --max_octets;
    }
    text.resize(max_octets);
  }
  return text;
}

}  // namespace stentor
