// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"

namespace stentor::config {

/// The one YAML document in `text` as JSON; null for an empty text. Plain scalars become null, bool
/// or number as the YAML 1.2 core schema says, all others strings. At most 1 MiB, 64 levels and
/// 100,000 values, each use of an alias counted. InvalidArgument, with the line, where it is none.
[[nodiscard]] absl::StatusOr<nlohmann::json> ParseYaml(std::string_view text);

}  // namespace stentor::config
