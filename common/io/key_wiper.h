// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

#include "common/crypto/secret.h"

namespace stentor::io {

/// Wipes the text of a key at the end of a scope, however that is left.
class KeyWiper {
 public:
  /// `key` must outlive it, and must not have grown meanwhile: it would leave a copy behind.
  explicit KeyWiper(std::string& key) : key_(key) {}
  ~KeyWiper() { crypto::Wipe(std::as_writable_bytes(std::span(key_))); }
  KeyWiper(const KeyWiper&) = delete;
  KeyWiper& operator=(const KeyWiper&) = delete;

 private:
  std::string& key_;
};

}  // namespace stentor::io
