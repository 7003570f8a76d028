// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace stentor::kube {

/// Whether metadata.resourceVersion `version` of an object is of a later state than `than`, which
/// may be empty: no state. They are numbers that grow, in all that Kubernetes ships, though
/// formally opaque: of two that are no numbers, any other one counts as newer.
[[nodiscard]] bool IsNewer(std::string_view version, std::string_view than);

}  // namespace stentor::kube
