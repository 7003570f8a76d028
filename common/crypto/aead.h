// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Authenticated encryption with associated data: ChaCha20-Poly1305 (RFC 8439), which takes the
/// same time for all keys and data also where the processor has no AES instructions.

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/base/bytes.h"
#include "common/crypto/secret.h"

namespace stentor::crypto {

inline constexpr std::size_t kAeadTagSize = 16;

/// The caller's: must never repeat under one key.
using AeadNonce = std::array<std::byte, 12>;

/// A key, ready for use. Movable; a default one and one moved from only destroy and assign. Not
/// thread-safe.
class Aead {
 public:
  Aead() noexcept;
  explicit Aead(const Secret& key);
  Aead(Aead&& other) noexcept;
  Aead& operator=(Aead&& other) noexcept;
  ~Aead();

  /// Ciphertext and tag: kAeadTagSize octets more than `plaintext`.
  [[nodiscard]] std::vector<std::byte> Seal(const AeadNonce& nonce, Bytes associated,
                                            Bytes plaintext);

  /// Opens `sealed` into `plaintext`, which must be at least as long as `sealed`. How many octets
  /// were written; nothing, and `plaintext` zeroed, where anything was changed. Doesn't allocate.
  [[nodiscard]] std::optional<std::size_t> Open(const AeadNonce& nonce, Bytes associated,
                                                Bytes sealed, std::span<std::byte> plaintext);

 private:
  struct Context;  // of libcrypto, which wipes it
  std::unique_ptr<Context> context_;
};

}  // namespace stentor::crypto
