// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/drop_reason.h"

#include <ostream>

namespace stentor::speaker {

std::string_view DropReasonName(DropReason reason) noexcept {
  switch (reason) {
    case DropReason::kMalformed:
      return "malformed";
    case DropReason::kVlanTagged:
      return "vlan_tagged";
    case DropReason::kNotRequest:
      return "not_request";
    case DropReason::kNotForUs:
      return "not_for_us";
    case DropReason::kOwnFrame:
      return "own_frame";
    case DropReason::kNotAnnounced:
      return "not_announced";
    case DropReason::kUnknownInterface:
      return "unknown_interface";
    case DropReason::kBadHopLimit:
      return "bad_hop_limit";
    case DropReason::kBadChecksum:
      return "bad_checksum";
    case DropReason::kExtensionHeader:
      return "extension_header";
  }
  return "unknown";
}

std::ostream& operator<<(std::ostream& out, DropReason reason) {
  return out << DropReasonName(reason);
}

}  // namespace stentor::speaker
