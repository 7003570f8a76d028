// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Keys of the membership. Every pair of speakers has a key for each direction and boot of the
/// sender, derived from the shared secret (HKDF, RFC 5869):
///
///   key = Expand(Extract("stentor membership v1", secret), "channel" ‖ boot ‖ sender ‖ 0 ‖
///   recipient)
///
/// so that a counter is enough of a nonce, and a datagram recorded on its way to one speaker means
/// nothing to another.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.h"
#include "common/crypto/aead.h"
#include "common/crypto/hkdf.h"
#include "speaker/membership/datagram.h"

namespace stentor::speaker {

/// One direction between two speakers, under one boot id of the sender. Movable.
class Channel {
 public:
  Channel() = default;
  explicit Channel(const crypto::Secret& key) : aead_(key) {}

  /// Seals `plaintext`. A counter must not be used twice.
  [[nodiscard]] std::vector<std::byte> Seal(std::uint64_t counter, Bytes header, Bytes plaintext);

  /// Opens `sealed` into `plaintext`, which must be as long as `sealed`. How many octets were
  /// written, or nothing where it is not authentic.
  [[nodiscard]] std::optional<std::size_t> Open(std::uint64_t counter, Bytes header, Bytes sealed,
                                                std::span<std::byte> plaintext);

 private:
  crypto::Aead aead_;
};

/// The secrets in force, the first of which seals to everybody who holds it.
class Keyring {
 public:
  /// Empty ones and those past the second are left out.
  explicit Keyring(std::span<const std::string> secrets);

  /// False where there is no secret but the empty one.
  [[nodiscard]] bool authenticated() const noexcept { return authenticated_; }
  [[nodiscard]] KeyId sealing_key() const noexcept { return keys_.front().id; }
  /// Ids of all keys, the one that seals first; at least one.
  [[nodiscard]] std::vector<KeyId> ids() const;
  [[nodiscard]] bool Has(KeyId key) const noexcept;

  /// Precondition: Has(key).
  [[nodiscard]] Channel MakeChannel(KeyId key, BootId boot, std::string_view sender,
                                    std::string_view recipient) const;

 private:
  struct Key {
    KeyId id = 0;
    crypto::Secret master;
  };
  std::vector<Key> keys_;  // never empty
  bool authenticated_ = false;
};

/// Which counters of a sender were seen, of the last 64 (RFC 4303, 3.4.3).
class ReplayWindow {
 public:
  /// True where `counter` is new and not too old; zero never is.
  [[nodiscard]] bool IsNew(std::uint64_t counter) const noexcept;
  /// True where `counter` is above all that were marked.
  [[nodiscard]] bool IsNewest(std::uint64_t counter) const noexcept { return counter > highest_; }
  /// Marks it as seen. Only for datagrams that proved authentic.
  void Mark(std::uint64_t counter) noexcept;
  /// Takes all up to the highest that was marked for seen.
  void Close() noexcept { seen_ = ~std::uint64_t{0}; }

 private:
  std::uint64_t highest_ = 0;
  std::uint64_t seen_ = 0;  // bit n: highest_ - n
};

}  // namespace stentor::speaker
