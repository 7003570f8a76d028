// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// `kubectl stentor what-if`: which addresses would move if a node went, or objects were applied.
/// The answer is what allocator and election say of the API's facts, and who announces now is what
/// speakers say; what only speakers know of each other (who is about to stop, say) is not in it.

#include <set>
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
    model::NodeName node_before;  ///< That announces, else the elected one; empty: none.
    model::NodeName node_after;
    std::string note;
    /// It had an address or an announcing node, and would have none, or be no load balancer of
    /// Stentor's any more.
    bool loses = false;
  };
  std::vector<Change> changes;  ///< By Service.
  std::size_t unchanged = 0;    ///< Services that are served as before.
  std::vector<std::string> notes;
  /// What could not be read, and may change the answer: without a change, this is no all-clear.
  std::vector<Resource> unknown;
  std::string error;  ///< Why there is no answer; then all else but `unknown` is empty.

  [[nodiscard]] bool AnyLoss() const;
};

/// The node, its speaker, and the pods on it are gone. Needs all slices in `snapshot`.
[[nodiscard]] WhatIfReport WhatIfNodeGone(const Snapshot& snapshot, std::string_view node);

/// What WhatIfApplied() has to know as it is in the cluster: goes into Snapshot::wanted before it
/// is read.
[[nodiscard]] std::set<Snapshot::ObjectId> ObjectsIn(const std::vector<nlohmann::json>& documents,
                                                     std::string_view name_space);

/// `documents` are applied, as `kubectl apply` does it: IPAddressPool, L2Advertisement,
/// AddressPool, Service, Node, Namespace, and Lists of them. What a document doesn't name stays as
/// it is, unless the one that was applied before named it. `name_space`: where those go that name
/// none. Needs all slices, and ObjectsIn() as they are.
[[nodiscard]] WhatIfReport WhatIfApplied(const Snapshot& snapshot,
                                         const std::vector<nlohmann::json>& documents,
                                         std::string_view name_space);

[[nodiscard]] std::string ToText(const WhatIfReport& report);
[[nodiscard]] nlohmann::ordered_json ToJson(const WhatIfReport& report);

}  // namespace stentor::cli
