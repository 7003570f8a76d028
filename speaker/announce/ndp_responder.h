// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Decides how one interface of this node answers neighbour solicitations for service addresses
/// (RFC 4861, 4862). Pure, as arp_responder.h is.

#include <iosfwd>
#include <variant>

#include "common/base/bytes.h"
#include "common/net/ndp.h"
#include "speaker/announce/drop_reason.h"

namespace stentor::speaker {

/// An advertisement, and the address that it is about.
struct NdAnswer {
  net::Ipv6Address address;
  net::NdFrame frame;

  friend bool operator==(const NdAnswer&, const NdAnswer&) = default;
};

/// The frame to send, or the reason for silence; does not allocate (see ArpDecision).
using NdDecision = std::variant<NdAnswer, DropReason>;

/// NDP for one interface; cheap to make for one frame. Not thread-safe.
class NdpResponder {
 public:
  /// `mac` is put into replies, which come from `link_local`, a usable address of the interface.
  /// `announced` must outlive the responder.
  NdpResponder(const net::MacAddress& mac, const net::Ipv6Address& link_local,
               const AnnouncedAddresses& announced) noexcept
      : mac_(mac), link_local_(link_local), announced_(announced) {}

  /// Decides on one received frame, which begins at its Ethernet header. Any bytes are allowed:
  /// this is the trust boundary, and test/fuzz/ndp_fuzz.cc feeds it raw input. Answered are
  /// solicitations to a group and to us alone, with and without the source link-layer address
  /// option, and the probes of duplicate address detection (the answer to those goes to all nodes).
  [[nodiscard]] NdDecision Handle(Bytes frame) const noexcept;

  /// The same for a frame that the caller has decoded already.
  [[nodiscard]] NdDecision Decide(
      const std::variant<net::NdPacket, net::NdError>& decoded) const noexcept;

 private:
  net::MacAddress mac_;
  net::Ipv6Address link_local_;
  const AnnouncedAddresses& announced_;
};

/// The reason under which a frame that can't be decoded is counted.
[[nodiscard]] DropReason DropReasonOf(net::NdError error) noexcept;

std::ostream& operator<<(std::ostream& out, const NdDecision& decision);

}  // namespace stentor::speaker
