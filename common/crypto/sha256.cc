// SPDX-License-Identifier: Apache-2.0
#include "common/crypto/sha256.h"

#include <openssl/evp.h>

#include <memory>

#include "common/base/check.h"

namespace stentor::crypto {
namespace {

struct DigestDeleter {
  void operator()(EVP_MD* md) const { EVP_MD_free(md); }
};
struct ContextDeleter {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

}  // namespace

Sha256Digest Sha256(Bytes message) {
  // Looking the algorithm up costs more than hashing a short message, so it is done once.
  static const std::unique_ptr<EVP_MD, DigestDeleter> kAlgorithm(
      EVP_MD_fetch(nullptr, "SHA256", nullptr));
  const std::unique_ptr<EVP_MD_CTX, ContextDeleter> context(EVP_MD_CTX_new());
  Sha256Digest digest{};
  const bool done =
      context && EVP_DigestInit_ex2(context.get(), kAlgorithm.get(), nullptr) == 1 &&
      EVP_DigestUpdate(context.get(), message.data(), message.size()) == 1 &&
      EVP_DigestFinal_ex(context.get(), reinterpret_cast<unsigned char*>(digest.data()), nullptr) ==
          1;
  STENTOR_CHECK(done) << "libcrypto has no SHA-256";
  return digest;
}

}  // namespace stentor::crypto
