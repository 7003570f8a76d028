// SPDX-License-Identifier: Apache-2.0
#include "common/crypto/secret.h"

#include <openssl/crypto.h>

namespace stentor::crypto {

Secret::Secret(Secret&& other) noexcept : octets_(other.octets_) { Wipe(other.octets_); }

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    octets_ = other.octets_;
    Wipe(other.octets_);
  }
  return *this;
}

Secret::~Secret() { Wipe(octets_); }

void Wipe(std::span<std::byte> octets) noexcept { OPENSSL_cleanse(octets.data(), octets.size()); }

}  // namespace stentor::crypto
