// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"

namespace stentor::io {

/// The content of the file `path`. NotFound where there is none, PermissionDenied, or
/// FailedPrecondition (also where it is longer than `max_bytes`); the message names the file. What
/// it returns is the only copy, so that who reads a key can wipe it.
[[nodiscard]] absl::StatusOr<std::string> ReadFile(const std::string& path, std::size_t max_bytes);

}  // namespace stentor::io
