// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string_view>

#include "common/net/ip_address.h"

namespace stentor::speaker {

/// Why a frame got no answer. Every value is a label of a metric (DropReasonName), so a value may
/// be added but not renamed.
enum class DropReason : std::uint8_t {
  kMalformed,         ///< Against the protocol, or a sender MAC that nobody can have.
  kVlanTagged,        ///< Of another segment (net::ArpError::kVlanTagged).
  kNotRequest,        ///< A reply, an advertisement, or an ARP opcode that we do not serve.
  kNotForUs,          ///< Unicast to a MAC that is not this interface's, or ARP by multicast.
  kOwnFrame,          ///< Sent by this interface.
  kNotAnnounced,      ///< Nobody asked this node to announce the target address on this interface.
  kUnknownInterface,  ///< The interface is not, or no longer, one that answers.
  kBadHopLimit,       ///< NDP from beyond a router, or that might be (net::NdError::kHopLimit).
  kBadChecksum,       ///< NDP that was damaged under way.
  kExtensionHeader,   ///< NDP behind an IPv6 extension header, fragments among them.
};
inline constexpr std::size_t kDropReasonCount = 10;

/// The label value of `reason`, in snake_case; has static storage.
[[nodiscard]] std::string_view DropReasonName(DropReason reason) noexcept;

/// Answers "may this node speak for `address` on this responder's interface, now?".
class AnnouncedAddresses {
 public:
  virtual ~AnnouncedAddresses() = default;
  [[nodiscard]] virtual bool Contains(const net::IpAddress& address) const noexcept = 0;
};

std::ostream& operator<<(std::ostream& out, DropReason reason);

}  // namespace stentor::speaker
