// SPDX-License-Identifier: Apache-2.0
#include "common/crypto/aead.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "common/base/check.h"

namespace stentor::crypto {
namespace {

struct CipherDeleter {
  void operator()(EVP_CIPHER* cipher) const { EVP_CIPHER_free(cipher); }
};
struct ContextDeleter {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};

const unsigned char* In(Bytes octets) {
  return reinterpret_cast<const unsigned char*>(octets.data());
}
unsigned char* Out(std::span<std::byte> octets) {
  return reinterpret_cast<unsigned char*>(octets.data());
}

int Length(std::size_t size) {
  STENTOR_CHECK(size <= static_cast<std::size_t>(std::numeric_limits<int>::max()));
  return static_cast<int>(size);
}

enum Direction : std::uint8_t { kOpen = 0, kSeal = 1 };

bool Start(EVP_CIPHER_CTX* context, Direction direction, const AeadNonce& nonce, Bytes associated) {
  int written = 0;
  return EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, In(nonce), direction) == 1 &&
         EVP_CipherUpdate(context, nullptr, &written, In(associated), Length(associated.size())) ==
             1;
}

}  // namespace

// Holds the expanded key; EVP_CIPHER_CTX_free wipes it.
struct Aead::Context {
  std::unique_ptr<EVP_CIPHER_CTX, ContextDeleter> cipher{EVP_CIPHER_CTX_new()};
};

Aead::Aead() noexcept = default;
Aead::Aead(Aead&& other) noexcept = default;
Aead& Aead::operator=(Aead&& other) noexcept = default;
Aead::~Aead() = default;

Aead::Aead(const Secret& key) : context_(std::make_unique<Context>()) {
  static const std::unique_ptr<EVP_CIPHER, CipherDeleter> kAlgorithm(
      EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr));
  const bool done =
      context_->cipher && EVP_CipherInit_ex2(context_->cipher.get(), kAlgorithm.get(),
                                             In(key.bytes()), nullptr, kSeal, nullptr) == 1;
  STENTOR_CHECK(done) << "libcrypto has no ChaCha20-Poly1305";
}

std::vector<std::byte> Aead::Seal(const AeadNonce& nonce, Bytes associated, Bytes plaintext) {
  STENTOR_CHECK(context_ != nullptr);
  EVP_CIPHER_CTX* const cipher = context_->cipher.get();
  std::vector<std::byte> sealed(plaintext.size() + kAeadTagSize);
  const std::span<std::byte> tag = std::span(sealed).last(kAeadTagSize);
  int written = 0;
  const bool done =
      Start(cipher, kSeal, nonce, associated) &&
      EVP_CipherUpdate(cipher, Out(sealed), &written, In(plaintext), Length(plaintext.size())) ==
          1 &&
      EVP_CipherFinal_ex(cipher, Out(tag), &written) == 1 &&
      EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, Length(tag.size()), tag.data()) == 1;
  STENTOR_CHECK(done) << "libcrypto did not seal " << plaintext.size() << " octets";
  return sealed;
}

std::optional<std::size_t> Aead::Open(const AeadNonce& nonce, Bytes associated, Bytes sealed,
                                      std::span<std::byte> plaintext) {
  STENTOR_CHECK(context_ != nullptr);
  if (sealed.size() < kAeadTagSize) {
    return std::nullopt;
  }
  STENTOR_CHECK(plaintext.size() >= sealed.size());
  EVP_CIPHER_CTX* const cipher = context_->cipher.get();
  const Bytes ciphertext = sealed.first(sealed.size() - kAeadTagSize);
  std::array<std::byte, kAeadTagSize> tag{};
  const Bytes received_tag = sealed.last(kAeadTagSize);
  std::copy(received_tag.begin(), received_tag.end(), tag.begin());
  int written = 0;
  const bool authentic =
      Start(cipher, kOpen, nonce, associated) &&
      EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, Length(tag.size()), tag.data()) == 1 &&
      EVP_CipherUpdate(cipher, Out(plaintext), &written, In(ciphertext),
                       Length(ciphertext.size())) == 1 &&
      EVP_CipherFinal_ex(cipher, Out(plaintext.subspan(ciphertext.size())), &written) == 1;
  if (!authentic) {
    Wipe(plaintext);  // what was deciphered before the tag was checked is nobody's to read
    return std::nullopt;
  }
  return ciphertext.size();
}

}  // namespace stentor::crypto
