// SPDX-License-Identifier: Apache-2.0
// The part of Announcer that hears what others send.

#include <algorithm>
#include <variant>

#include "speaker/announce/announcer.h"

namespace stentor::speaker {
namespace {

// The announcements as one link's responder sees them.
class OnLink final : public AnnouncedAddresses {
 public:
  OnLink(const Announcer& announcer, IfIndex link) noexcept : announcer_(announcer), link_(link) {}
  [[nodiscard]] bool Contains(const net::IpAddress& address) const noexcept override {
    return announcer_.Contains(address, link_);
  }

 private:
  const Announcer& announcer_;
  IfIndex link_;
};

bool CanBeHost(const net::MacAddress& mac) { return !mac.IsGroup() && !mac.IsZero(); }

}  // namespace

ArpDecision Announcer::OnArpFrame(IfIndex index, Bytes frame, TimePoint now) {
  latest_ = std::max(latest_, now);
  const Link* const link = links_.Find(index);
  if (link == nullptr || !link->can_answer) {
    return CountDrop(net::IpFamily::kIpv4, DropReason::kUnknownInterface);
  }
  // First what it means for us: the claim that makes an address withheld is not answered any more.
  const std::variant<net::ArpPacket, net::ArpError> decoded = net::DecodeArp(frame);
  if (const auto* const packet = std::get_if<net::ArpPacket>(&decoded)) {
    NoteClaims(*link, *packet, now);
  }
  const OnLink announced(*this, index);
  const ArpDecision decision = ArpResponder(link->mac, announced).Decide(decoded);
  if (const auto* const reason = std::get_if<DropReason>(&decision)) {
    CountDrop(net::IpFamily::kIpv4, *reason);
  } else {
    CountRequest(std::get_if<ArpAnswer>(&decision)->address);
  }
  return decision;
}

NdDecision Announcer::OnNdFrame(IfIndex index, Bytes frame, TimePoint now) {
  latest_ = std::max(latest_, now);
  const Link* const link = links_.Find(index);
  if (link == nullptr || !link->can_answer || !link->link_local) {
    return CountDrop(net::IpFamily::kIpv6, DropReason::kUnknownInterface);
  }
  const std::variant<net::NdPacket, net::NdError> decoded = net::DecodeNd(frame);
  if (const auto* const packet = std::get_if<net::NdPacket>(&decoded)) {
    NoteClaims(*link, *packet, now);
  }
  const OnLink announced(*this, index);
  const NdDecision decision = NdpResponder(link->mac, *link->link_local, announced).Decide(decoded);
  if (const auto* const reason = std::get_if<DropReason>(&decision)) {
    CountDrop(net::IpFamily::kIpv6, *reason);
  } else {
    CountRequest(std::get_if<NdAnswer>(&decision)->address);
  }
  return decision;
}

// None of this node's own links is foreign, whichever it is: a switch may loop our frames back, and
// bonds, bridges and macvlans have MACs of their own. There may be hundreds of them.
void Announcer::LearnOwnMacs() {
  own_macs_.clear();
  for (const auto& [index, link] : links_.all()) {
    own_macs_.insert(link.mac);
  }
}

bool Announcer::IsForeign(const net::MacAddress& mac) const {
  return !known_macs_.contains(mac) && !own_macs_.contains(mac);
}

// RFC 5227, 2.1.1 and 2.4.
void Announcer::NoteClaims(const Link& link, const net::ArpPacket& packet, TimePoint now) {
  const bool to_us = packet.destination == link.mac;
  if (!CanBeHost(packet.sender_mac) || (!to_us && !packet.destination.IsBroadcast())) {
    return;
  }
  if (packet.sender_ip.IsUnspecified()) {
    if (packet.operation == net::kArpRequest) {
      NoteClaim(packet.target_ip, link, packet.sender_mac, ClaimForm::kProbe, now);
    }
    return;
  }
  // The answer to a probe of ours is sent to us alone, for 0.0.0.0.
  const bool answer =
      packet.operation == net::kArpReply && (to_us || packet.target_ip.IsUnspecified());
  NoteClaim(packet.sender_ip, link, packet.sender_mac,
            answer ? ClaimForm::kAnswer : ClaimForm::kClaim, now);
}

// RFC 4862, 5.4.3 and 5.4.4.
void Announcer::NoteClaims(const Link& link, const net::NdPacket& packet, TimePoint now) {
  if (packet.destination != link.mac && !packet.destination.IsGroup()) {
    return;
  }
  const net::MacAddress mac = packet.kind == net::NdKind::kAdvertisement
                                  ? packet.link_layer_address.value_or(packet.source)
                                  : packet.source;
  if (!CanBeHost(mac)) {
    return;
  }
  if (packet.kind == net::NdKind::kSolicitation) {
    if (packet.ip_source == net::Ipv6Address()) {
      NoteClaim(packet.target, link, mac, ClaimForm::kProbe, now);
    }
    return;
  }
  // The answer to a probe looks like an unsolicited advertisement; but a proxy doesn't override
  // (RFC 4861, 7.2.8).
  const bool answer = packet.solicited || !packet.override_;
  NoteClaim(packet.target, link, mac, answer ? ClaimForm::kAnswer : ClaimForm::kMaybeAnswer, now);
}

void Announcer::NoteClaim(const net::IpAddress& address, const Link& link,
                          const net::MacAddress& mac, ClaimForm form, TimePoint now) {
  const ConflictGuard::Segment segment{link.index, address.family()};
  const auto entry = entries_.find(address);
  if (entry == entries_.end()) {
    if (form != ClaimForm::kProbe && guard_.ControlActive(segment) &&
        address == NobodysAddress(address.family()) && IsForeign(mac)) {
      guard_.OnControlAnswer(segment, mac, now);
    }
    return;
  }
  if (!Allows(*entry->second.scope, link, address.family()) || own_macs_.contains(mac)) {
    return;
  }
  if (known_macs_.contains(mac)) {
    if (form != ClaimForm::kProbe) {
      NotePeerClaim(entry, link.index, mac, now);
    }
    return;
  }
  if (entry->second.leaving) {
    return;  // its successor will see to it
  }
  guard_.OnClaim(address, entry->second.policy, link.index, mac, form, now);
  ApplyGuard(now);
}

void Announcer::CountRequest(const net::IpAddress& address) {
  AddressCounters& counters = entries_.find(address)->second.counters;
  ++counters.requests_received;
  ++counters.responses_sent;
}

DropReason Announcer::CountDrop(net::IpFamily family, DropReason reason) {
  ++drops_[static_cast<std::size_t>(family)][static_cast<std::size_t>(reason)];
  return reason;
}

}  // namespace stentor::speaker
