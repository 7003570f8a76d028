// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "speaker/membership/profile.h"

namespace stentor::speaker {

/// MetalLB's config.json for its memberlist (ConfigMap metallb-memberlist-config), as a profile.
/// Two of its keys decide how soon a dead node is noticed there: ProbeInterval (a Go duration) and
/// SuspicionMult. Who made them twice as long as MetalLB's defaults (1s, 4) gets LanProfile() twice
/// as slow; from a quarter to fifty times. IndirectChecks is the number of helpers, from 1 to 8.
/// Other keys are about a protocol that is not spoken; missing ones keep their defaults.
/// InvalidArgument where it is no JSON object, or one of the three is out of its range; the message
/// names the key.
[[nodiscard]] absl::StatusOr<Profile> ParseMemberlistConfig(std::string_view text);

}  // namespace stentor::speaker
