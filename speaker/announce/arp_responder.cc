// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/arp_responder.h"

#include <ostream>

namespace stentor::speaker {
namespace {

using net::ArpError;
using net::ArpPacket;

DropReason ReasonOf(ArpError error) noexcept {
  return error == ArpError::kVlanTagged ? DropReason::kVlanTagged : DropReason::kMalformed;
}

}  // namespace

ArpDecision ArpResponder::Handle(Bytes frame) const noexcept {
  return Decide(net::DecodeArp(frame));
}

ArpDecision ArpResponder::Decide(const std::variant<ArpPacket, ArpError>& decoded) const noexcept {
  if (const auto* error = std::get_if<ArpError>(&decoded)) {
    return ReasonOf(*error);
  }
  const ArpPacket& packet = *std::get_if<ArpPacket>(&decoded);
  if (packet.source == mac_ || packet.sender_mac == mac_) {
    return DropReason::kOwnFrame;
  }
  // The reply goes to the sender's MAC: a group address there would make us shout at all for one.
  if (packet.sender_mac.IsGroup() || packet.sender_mac.IsZero()) {
    return DropReason::kMalformed;
  }
  if (packet.operation != net::kArpRequest) {
    return DropReason::kNotRequest;
  }
  if (!packet.destination.IsBroadcast() && packet.destination != mac_) {
    return DropReason::kNotForUs;
  }
  if (!announced_.Contains(packet.target_ip)) {
    return DropReason::kNotAnnounced;
  }
  return ArpAnswer{packet.target_ip,
                   net::EncodeArp(net::ArpReplyTo(packet, mac_, packet.target_ip))};
}

std::ostream& operator<<(std::ostream& out, const ArpDecision& decision) {
  if (const auto* answer = std::get_if<ArpAnswer>(&decision)) {
    return out << "answer for " << answer->address;
  }
  return out << "dropped: " << std::get<DropReason>(decision);
}

}  // namespace stentor::speaker
