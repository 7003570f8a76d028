// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"

namespace stentor::io {

/// One document of a file, and where it is from ("pools.yaml, document 2").
struct SourceDocument {
  std::string source;
  nlohmann::json object;
};

/// The YAML or JSON documents of files, as users name them to kubectl; `-` is standard input. At
/// most 16 MiB each. Errors are one line that names the file.
[[nodiscard]] absl::StatusOr<std::vector<SourceDocument>> ReadDocuments(
    std::span<const std::string> files);

}  // namespace stentor::io
