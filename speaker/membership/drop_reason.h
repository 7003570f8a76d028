// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace stentor::speaker {

/// Why a datagram changed nothing. Every value is a metric label (DropReasonName).
enum class MembershipDrop : std::uint8_t {
  kTruncated,        ///< Shorter than it says, or longer than any datagram of ours.
  kBadMagic,         ///< Not a datagram of ours, for instance one of MetalLB's memberlist.
  kBadVersion,       ///< A version of the format that we don't speak.
  kUnknownSender,    ///< Names a node that the API doesn't list as a speaker's.
  kOwnName,          ///< Names this node as its sender.
  kWrongSource,      ///< Comes from an address that isn't the named node's (only without a secret).
  kWrongKey,         ///< Sealed under a secret that we don't have.
  kNotAuthentic,     ///< Forged, damaged, or meant for another recipient.
  kReplay,           ///< Seen before, or too far behind what was seen.
  kUnconfirmedBoot,  ///< Authentic, but its boot id has not answered a fresh challenge (yet).
  kMalformed,        ///< Authentic, but its content can't be read.
};

inline constexpr std::size_t kMembershipDropCount = 11;
inline constexpr std::array<MembershipDrop, kMembershipDropCount> kAllMembershipDrops = {
    MembershipDrop::kTruncated,       MembershipDrop::kBadMagic,     MembershipDrop::kBadVersion,
    MembershipDrop::kUnknownSender,   MembershipDrop::kOwnName,      MembershipDrop::kWrongSource,
    MembershipDrop::kWrongKey,        MembershipDrop::kNotAuthentic, MembershipDrop::kReplay,
    MembershipDrop::kUnconfirmedBoot, MembershipDrop::kMalformed};

/// The label value of `reason`, in snake_case; has static storage.
[[nodiscard]] std::string_view MembershipDropName(MembershipDrop reason) noexcept;

}  // namespace stentor::speaker
