// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// HKDF with SHA-256 (RFC 5869), in its two steps: extract once from what is shared, expand for
/// each use.

#include <span>

#include "common/base/bytes.h"
#include "common/crypto/secret.h"

namespace stentor::crypto {

/// The pseudorandom key of `input_key_material`; RFC 5869, 2.2. Both may be empty.
[[nodiscard]] Secret HkdfExtract(Bytes salt, Bytes input_key_material);

/// Fills `out` from `key` for the use that `info` names; RFC 5869, 2.3. At most 8160 octets.
void HkdfExpand(const Secret& key, Bytes info, std::span<std::byte> out);

/// Expand for a use that needs one key.
[[nodiscard]] Secret HkdfExpandKey(const Secret& key, Bytes info);

}  // namespace stentor::crypto
