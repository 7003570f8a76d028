// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"

namespace stentor::config {

/// All YAML documents in `text`, as users give them to kubectl, each as ParseYaml() reads it; those
/// that are empty, or only comments, are left out. At most 16 MiB and 10,000 documents. Errors are
/// InvalidArgument with the line of `text` where the document begins, and the line in it.
[[nodiscard]] absl::StatusOr<std::vector<nlohmann::json>> ParseYamlDocuments(std::string_view text);

}  // namespace stentor::config
