// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Kind ConfigurationState of group metallb.io: what one program instance thinks of its
/// configuration. Read back from the API, and as bodies of writes.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "common/model/types.h"

namespace stentor::status {

/// A condition as the API server has it; any text.
struct SeenCondition {
  std::string type;
  std::string status;
  std::string reason;
  std::string message;
  std::string last_transition_time;
  nlohmann::json verbatim;  ///< All of it.
};

/// An object as the API server has it.
struct ConfigurationState {
  model::ObjectKey key;
  std::string uid;
  std::string resource_version;  ///< Never empty.
  model::Labels labels;
  nlohmann::json owners = nlohmann::json::array();  ///< metadata.ownerReferences, objects only.
  std::string result;
  std::string error_summary;
  std::vector<SeenCondition> conditions;

  /// The condition of a type; null where there is none.
  [[nodiscard]] const SeenCondition* Find(std::string_view type) const;
};

/// Reads what can be read: a field of a wrong type counts as absent, so that it is written anew.
/// InvalidArgument only where there is no name or no resourceVersion.
[[nodiscard]] absl::StatusOr<ConfigurationState> DecodeConfigurationState(
    const nlohmann::json& json);

/// `/apis/metallb.io/v1beta1/namespaces/NS/configurationstates`, and the path of one in it.
[[nodiscard]] std::string ConfigurationStatesPath(std::string_view name_space);
[[nodiscard]] std::string ConfigurationStatePath(const model::ObjectKey& key);

}  // namespace stentor::status
