// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Which speaker holds on to which address ("Owners that stay", docs/architecture.md). A room of
/// its own: the membership carries claims from speaker to speaker, the election weighs them, and
/// neither needs the other.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/net/ip_address.h"

namespace stentor::speaker {

/// The first 8 octets of the SHA-256 of an address's text.
using AddressKey = std::uint64_t;
[[nodiscard]] AddressKey AddressKeyOf(const net::IpAddress& address);

/// "I announce the Service with this first address, and stay." Among claims of several speakers the
/// highest epoch is the best.
struct Claim {
  AddressKey address = 0;
  std::uint32_t epoch = 0;

  friend auto operator<=>(const Claim&, const Claim&) = default;
};

/// Sorted by address, each once.
using Claims = std::vector<Claim>;

/// What one speaker can tell: of more, those with the lowest keys are told and the rest are none.
inline constexpr std::size_t kMaxClaims = 20'000;

/// 0 for none; otherwise never 0; equal for equal claims.
[[nodiscard]] std::uint64_t DigestOf(const Claims& claims);

/// The epoch of the claim of `address`, by binary search; 0 where there is none.
[[nodiscard]] std::uint32_t EpochOf(const Claims& claims, AddressKey address);

/// What makes `after` of `before`: its claims that are new or have another epoch, and with an epoch
/// of 0 those that are gone. Sorted by address.
[[nodiscard]] Claims Difference(const Claims& before, const Claims& after);

/// `before` with such changes; what an epoch of 0 takes away need not be there. Both sorted.
[[nodiscard]] Claims Changed(const Claims& before, const Claims& changes);

}  // namespace stentor::speaker
