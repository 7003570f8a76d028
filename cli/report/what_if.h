// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// `kubectl stentor what-if`: which addresses would move if a node went, or objects were applied.
/// The answer is what allocator and election say of the API's facts; what only speakers know of
/// each other (who leaves Services to others for a while) is not in it.

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/facts/snapshot.h"

namespace stentor::cli {

struct WhatIfReport {
  struct Change {
    model::ServiceKey service;
    std::vector<std::string> addresses_before;
    std::vector<std::string> addresses_after;
    model::NodeName node_before;  ///< Elected; empty: none.
    model::NodeName node_after;
    std::string note;
    /// It had an address or an announcing node, and would have none.
    bool loses = false;
  };
  std::vector<Change> changes;  ///< By Service.
  std::size_t unchanged = 0;    ///< Services that are served as before.
  std::vector<std::string> notes;
  std::string error;  ///< Why there is no answer; then all else is empty.

  [[nodiscard]] bool AnyLoss() const;
};

/// The node, its speaker, and the pods on it are gone. Needs all slices in `snapshot`.
[[nodiscard]] WhatIfReport WhatIfNodeGone(const Snapshot& snapshot, std::string_view node);

/// `documents` are applied: IPAddressPool, L2Advertisement, AddressPool, Service, Node, Namespace,
/// and Lists of them. Needs all slices.
[[nodiscard]] WhatIfReport WhatIfApplied(const Snapshot& snapshot,
                                         const std::vector<nlohmann::json>& documents);

[[nodiscard]] std::string ToText(const WhatIfReport& report);
[[nodiscard]] nlohmann::ordered_json ToJson(const WhatIfReport& report);

}  // namespace stentor::cli
