// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Decides how one interface of this node answers ARP traffic for service addresses (RFC 826, RFC
/// 5227). Pure: no sockets, no clock, no logging. Bytes and facts go in, a decision comes out;
/// speaker/net/packet_io.h reads and writes the frames, Announcer counts.

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string_view>
#include <variant>

#include "common/base/bytes.h"
#include "common/net/arp.h"

namespace stentor::speaker {

/// Why a frame got no answer. Every value is a label of a metric (DropReasonName), so a value may
/// be added but not renamed.
enum class DropReason : std::uint8_t {
  kMalformed,         ///< Too short, not Ethernet/IPv4 ARP, or a sender MAC that nobody can have.
  kVlanTagged,        ///< Of another segment (net::ArpError::kVlanTagged).
  kNotRequest,        ///< An ARP reply, or an opcode that we do not serve.
  kNotForUs,          ///< Unicast to a MAC that is neither broadcast nor this interface's.
  kOwnFrame,          ///< Sent by this interface.
  kNotAnnounced,      ///< Nobody asked this node to announce the target address on this interface.
  kUnknownInterface,  ///< The interface is not, or no longer, one that answers.
};
inline constexpr std::size_t kDropReasonCount = 7;

/// The label value of `reason`, in snake_case; has static storage.
[[nodiscard]] std::string_view DropReasonName(DropReason reason) noexcept;

/// A reply, and the address that it is about.
struct ArpAnswer {
  net::Ipv4Address address;
  net::ArpFrame frame;

  friend bool operator==(const ArpAnswer&, const ArpAnswer&) = default;
};

/// The frame to send, or the reason for silence. Not a Status: silence is the common case, on a
/// path that any host on the segment can drive, so it must not allocate.
using ArpDecision = std::variant<ArpAnswer, DropReason>;

/// Answers "may this node speak for `address` on this responder's interface, now?".
class AnnouncedAddresses {
 public:
  virtual ~AnnouncedAddresses() = default;
  [[nodiscard]] virtual bool Contains(net::Ipv4Address address) const noexcept = 0;
};

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

 private:
  net::MacAddress mac_;
  const AnnouncedAddresses& announced_;
};

std::ostream& operator<<(std::ostream& out, DropReason reason);
std::ostream& operator<<(std::ostream& out, const ArpDecision& decision);

}  // namespace stentor::speaker
