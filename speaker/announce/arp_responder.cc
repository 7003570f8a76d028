// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/arp_responder.h"

#include <ostream>

namespace stentor::speaker {
namespace {

using net::ArpError;
using net::ArpPacket;
using net::MacAddress;

DropReason ReasonOf(ArpError error) noexcept {
  return error == ArpError::kVlanTagged ? DropReason::kVlanTagged : DropReason::kMalformed;
}

}  // namespace

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
  }
  return "unknown";
}

ArpDecision ArpResponder::Handle(Bytes frame) const noexcept {
  const std::variant<ArpPacket, ArpError> decoded = net::DecodeArp(frame);
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

std::ostream& operator<<(std::ostream& out, DropReason reason) {
  return out << DropReasonName(reason);
}

std::ostream& operator<<(std::ostream& out, const ArpDecision& decision) {
  if (const auto* answer = std::get_if<ArpAnswer>(&decision)) {
    return out << "answer for " << answer->address;
  }
  return out << "dropped: " << std::get<DropReason>(decision);
}

}  // namespace stentor::speaker
