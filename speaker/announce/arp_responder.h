// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Decides how one interface of this node answers ARP traffic for service addresses (RFC 826, RFC
/// 5227). Pure: no sockets, no clock, no logging. Bytes and facts go in, a decision comes out;
/// speaker/net/packet_io.h reads and writes the frames, Announcer counts.

#include <iosfwd>
#include <variant>

#include "common/base/bytes.h"
#include "common/net/arp.h"
#include "speaker/announce/drop_reason.h"

namespace stentor::speaker {

/// A reply, and the address that it is about.
struct ArpAnswer {
  net::Ipv4Address address;
  net::ArpFrame frame;

  friend bool operator==(const ArpAnswer&, const ArpAnswer&) = default;
};

/// The frame to send, or the reason for silence. Not a Status: silence is the common case, on a
/// path that any host on the segment can drive, so it must not allocate.
using ArpDecision = std::variant<ArpAnswer, DropReason>;

/// ARP for one interface; cheap to make for one frame. Not thread-safe.
class ArpResponder {
 public:
  /// `mac` is put into replies. `announced` must outlive the responder.
  ArpResponder(const net::MacAddress& mac, const AnnouncedAddresses& announced) noexcept
      : mac_(mac), announced_(announced) {}

  /// Decides on one received frame, which begins at its Ethernet header. Any bytes are allowed:
  /// this is the trust boundary, and test/fuzz/arp_responder_fuzz.cc feeds it raw input. Broadcast
  /// and unicast requests are answered, and probes (sender 0.0.0.0); the reply goes to the
  /// request's sender hardware address, not to its Ethernet source.
  [[nodiscard]] ArpDecision Handle(Bytes frame) const noexcept;

  /// The same for a frame that the caller has decoded already.
  [[nodiscard]] ArpDecision Decide(
      const std::variant<net::ArpPacket, net::ArpError>& decoded) const noexcept;

 private:
  net::MacAddress mac_;
  const AnnouncedAddresses& announced_;
};

std::ostream& operator<<(std::ostream& out, const ArpDecision& decision);

}  // namespace stentor::speaker
