// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// MetalLB's rules for the BGP kinds (internal/config: config.go, validation.go), in its words.
/// References to what does not exist (yet) are no errors: objects may come in any order.
/// Errors are InvalidArgument. Results don't depend on anything but the facts' names.

#include "absl/status/status.h"
#include "controller/webhook/facts.h"

namespace stentor::controller {

/// All BGPPeers, each alone and as FRR or the native implementation takes them together.
[[nodiscard]] absl::Status CheckBgpPeers(const Facts& facts);

/// All BGPAdvertisements, each alone and together with the pools and nodes that it selects. Pool
/// items that can't be read are passed over; they are the pool's errors.
[[nodiscard]] absl::Status CheckBgpAdvertisements(const Facts& facts);

[[nodiscard]] absl::Status CheckBfdProfiles(const Facts& facts);
[[nodiscard]] absl::Status CheckCommunities(const Facts& facts);

}  // namespace stentor::controller
