// SPDX-License-Identifier: Apache-2.0
#include "speaker/membership/drop_reason.h"

namespace stentor::speaker {

std::string_view MembershipDropName(MembershipDrop reason) noexcept {
  switch (reason) {
    case MembershipDrop::kTruncated:
      return "truncated";
    case MembershipDrop::kBadMagic:
      return "bad_magic";
    case MembershipDrop::kBadVersion:
      return "bad_version";
    case MembershipDrop::kUnknownSender:
      return "unknown_sender";
    case MembershipDrop::kOwnName:
      return "own_name";
    case MembershipDrop::kWrongSource:
      return "wrong_source";
    case MembershipDrop::kWrongKey:
      return "wrong_key";
    case MembershipDrop::kNotAuthentic:
      return "not_authentic";
    case MembershipDrop::kReplay:
      return "replay";
    case MembershipDrop::kUnconfirmedBoot:
      return "unconfirmed_boot";
    case MembershipDrop::kMalformed:
      return "malformed";
  }
  return "unknown";
}

}  // namespace stentor::speaker
