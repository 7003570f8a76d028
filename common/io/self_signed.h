// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/crypto/x509.h"

namespace stentor::io {

using crypto::PemPair;

/// A new P-256 key and a certificate for `common_name` (also its DNS name) that it signs itself,
/// valid for ten years from an hour ago: nobody can verify it, and it lives as long as the process.
/// Errors: InvalidArgument where the name is none; Internal.
[[nodiscard]] absl::StatusOr<PemPair> MakeSelfSigned(const std::string& common_name);

}  // namespace stentor::io
