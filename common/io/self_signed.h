// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace stentor::io {

/// A certificate and its key, both PEM.
struct PemPair {
  std::string certificate;
  std::string key;
};

/// A new P-256 key and a certificate for `common_name` (also its DNS name) that it signs itself,
/// valid for ten years: nobody can verify it, and it lives as long as the process. Errors:
/// Internal.
[[nodiscard]] absl::StatusOr<PemPair> MakeSelfSigned(const std::string& common_name);

}  // namespace stentor::io
