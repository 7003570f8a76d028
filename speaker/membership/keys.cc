// SPDX-License-Identifier: Apache-2.0
#include "speaker/membership/keys.h"

#include <algorithm>
#include <array>

#include "common/base/check.h"

namespace stentor::speaker {
namespace {

constexpr std::string_view kSalt = "stentor membership v1";
constexpr std::uint64_t kWindowSize = 64;
constexpr std::size_t kMaxKeys = 2;  // the one in force, and the one before or after it

crypto::AeadNonce NonceOf(std::uint64_t counter) {
  crypto::AeadNonce nonce{};
  for (std::size_t i = 0; i < 8; ++i) {
    nonce[nonce.size() - 1 - i] = static_cast<std::byte>((counter >> (8U * i)) & 0xffU);
  }
  return nonce;
}

}  // namespace

std::vector<std::byte> Channel::Seal(std::uint64_t counter, Bytes header, Bytes plaintext) {
  return aead_.Seal(NonceOf(counter), header, plaintext);
}

std::optional<std::size_t> Channel::Open(std::uint64_t counter, Bytes header, Bytes sealed,
                                         std::span<std::byte> plaintext) {
  return aead_.Open(NonceOf(counter), header, sealed, plaintext);
}

Keyring::Keyring(std::span<const std::string> secrets) {
  for (const std::string& secret : secrets) {
    if (secret.empty()) {
      continue;
    }
    authenticated_ = true;
    if (keys_.size() == kMaxKeys) {
      break;
    }
    crypto::Secret master = crypto::HkdfExtract(AsBytes(kSalt), AsBytes(secret));
    keys_.push_back({.id = 0, .master = std::move(master)});
  }
  if (keys_.empty()) {
    keys_.push_back({.id = 0, .master = crypto::HkdfExtract(AsBytes(kSalt), {})});
  }
  for (Key& key : keys_) {
    std::array<std::byte, 4> id{};
    crypto::HkdfExpand(key.master, AsBytes("key id"), id);
    key.id = ByteReader(id).U32();
  }
}

std::vector<KeyId> Keyring::ids() const {
  std::vector<KeyId> ids;
  ids.reserve(keys_.size());
  for (const Key& key : keys_) {
    ids.push_back(key.id);
  }
  return ids;
}

bool Keyring::Has(KeyId key) const noexcept {
  return std::any_of(keys_.begin(), keys_.end(), [key](const Key& k) { return k.id == key; });
}

Channel Keyring::MakeChannel(KeyId key, BootId boot, std::string_view sender,
                             std::string_view recipient) const {
  const auto it =
      std::find_if(keys_.begin(), keys_.end(), [key](const Key& k) { return k.id == key; });
  STENTOR_CHECK(it != keys_.end());
  ByteWriter info;
  info.Put(AsBytes("channel")).U64(boot).Put(AsBytes(sender)).U8(0).Put(AsBytes(recipient));
  return Channel(crypto::HkdfExpandKey(it->master, info.buffer()));
}

bool ReplayWindow::IsNew(std::uint64_t counter) const noexcept {
  if (counter == 0) {
    return false;
  }
  if (counter > highest_) {
    return true;
  }
  const std::uint64_t age = highest_ - counter;
  return age < kWindowSize && ((seen_ >> age) & 1U) == 0;
}

void ReplayWindow::Mark(std::uint64_t counter) noexcept {
  if (counter > highest_) {
    const std::uint64_t ahead = counter - highest_;
    seen_ = ahead < kWindowSize ? seen_ << ahead : 0;
    highest_ = counter;
  }
  const std::uint64_t age = highest_ - counter;
  if (age < kWindowSize) {
    seen_ |= std::uint64_t{1} << age;
  }
}

}  // namespace stentor::speaker
