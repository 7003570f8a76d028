// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/conflict.h"

#include <ostream>

namespace stentor::speaker {

std::string_view ConflictPolicyName(ConflictPolicy policy) noexcept {
  switch (policy) {
    case ConflictPolicy::kWarn:
      return "warn";
    case ConflictPolicy::kStrict:
      return "strict";
  }
  return "unknown";
}

std::string_view ConflictKindName(ConflictKind kind) noexcept {
  switch (kind) {
    case ConflictKind::kFoundByProbe:
      return "found_by_probe";
    case ConflictKind::kClaimed:
      return "claimed";
    case ConflictKind::kWithheld:
      return "withheld";
    case ConflictKind::kReleased:
      return "released";
    case ConflictKind::kOver:
      return "over";
  }
  return "unknown";
}

net::IpAddress NobodysAddress(net::IpFamily family) {
  return family == net::IpFamily::kIpv4
             ? net::IpAddress(net::Ipv4Address::FromOctets(192, 0, 0, 8))
             : net::IpAddress::FromNumber(net::IpFamily::kIpv6, 0x0100'0000'0000'0000ULL, 1);
}

std::ostream& operator<<(std::ostream& out, ConflictPolicy policy) {
  return out << ConflictPolicyName(policy);
}

std::ostream& operator<<(std::ostream& out, ConflictKind kind) {
  return out << ConflictKindName(kind);
}

std::ostream& operator<<(std::ostream& out, const ConflictNotice& notice) {
  return out << notice.address << ' ' << notice.kind << " (" << notice.policy << ") by "
             << notice.foreign << " on " << notice.interface << " ("
             << static_cast<std::uint32_t>(notice.link) << ')';
}

}  // namespace stentor::speaker
