// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/ndp_responder.h"

#include <ostream>

namespace stentor::speaker {

DropReason DropReasonOf(net::NdError error) noexcept {
  switch (error) {
    case net::NdError::kVlanTagged:
      return DropReason::kVlanTagged;
    case net::NdError::kExtensionHeader:
      return DropReason::kExtensionHeader;
    case net::NdError::kHopLimit:
      return DropReason::kBadHopLimit;
    case net::NdError::kChecksum:
      return DropReason::kBadChecksum;
    case net::NdError::kTruncated:
    case net::NdError::kNotIpv6:
    case net::NdError::kNotNd:
    case net::NdError::kInvalid:
      break;
  }
  return DropReason::kMalformed;
}

NdDecision NdpResponder::Handle(Bytes frame) const noexcept { return Decide(net::DecodeNd(frame)); }

NdDecision NdpResponder::Decide(
    const std::variant<net::NdPacket, net::NdError>& decoded) const noexcept {
  if (const auto* error = std::get_if<net::NdError>(&decoded)) {
    return DropReasonOf(*error);
  }
  const net::NdPacket& packet = *std::get_if<net::NdPacket>(&decoded);
  if (packet.source == mac_ || packet.link_layer_address == mac_) {
    return DropReason::kOwnFrame;
  }
  // The reply goes there: a group address would make us shout at all for one.
  const net::MacAddress asker = packet.link_layer_address.value_or(packet.source);
  if (asker.IsGroup() || asker.IsZero()) {
    return DropReason::kMalformed;
  }
  if (packet.kind != net::NdKind::kSolicitation) {
    return DropReason::kNotRequest;
  }
  // Any group: a switch or an access point may have rewritten the multicast address.
  if (packet.destination != mac_ && !packet.destination.IsGroup()) {
    return DropReason::kNotForUs;
  }
  if (!announced_.Contains(packet.target)) {
    return DropReason::kNotAnnounced;
  }
  return NdAnswer{packet.target, net::EncodeNd(net::NdReplyTo(packet, mac_, link_local_))};
}

std::ostream& operator<<(std::ostream& out, const NdDecision& decision) {
  if (const auto* answer = std::get_if<NdAnswer>(&decision)) {
    return out << "answer for " << answer->address;
  }
  return out << "dropped: " << std::get<DropReason>(decision);
}

}  // namespace stentor::speaker
