// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>

#include "common/base/bytes.h"

namespace stentor::crypto {

/// 32 octets; compares bytewise.
using Sha256Digest = std::array<std::byte, 32>;

/// SHA-256 (FIPS 180-4) of `message`.
[[nodiscard]] Sha256Digest Sha256(Bytes message);

}  // namespace stentor::crypto
