// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <optional>
#include <string_view>

namespace stentor::kube {

/// Which of two metadata.resourceVersions, of one object or of two of a kind, is of the later
/// state. They are numbers that grow, in all that Kubernetes ships, though formally opaque: of two
/// that differ and are not both numbers, nothing is known.
[[nodiscard]] std::optional<std::strong_ordering> CompareVersions(std::string_view a,
                                                                  std::string_view b);

/// Whether `version` is of a later state than `than`, which may be empty: no state. Where nothing
/// is known, any other one counts as newer.
[[nodiscard]] bool IsNewer(std::string_view version, std::string_view than);

}  // namespace stentor::kube
