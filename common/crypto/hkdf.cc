// SPDX-License-Identifier: Apache-2.0
#include "common/crypto/hkdf.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <array>
#include <memory>

#include "common/base/check.h"

namespace stentor::crypto {
namespace {

struct KdfDeleter {
  void operator()(EVP_KDF* kdf) const { EVP_KDF_free(kdf); }
};
struct ContextDeleter {
  void operator()(EVP_KDF_CTX* context) const { EVP_KDF_CTX_free(context); }
};

// libcrypto's parameters are not const, but it only reads these.
OSSL_PARAM Octets(const char* name, Bytes octets) {
  return OSSL_PARAM_construct_octet_string(
      name, const_cast<std::byte*>(octets.data()),  // NOLINT(cppcoreguidelines-pro-type-const-cast)
      octets.size());
}

void Derive(int mode, const char* second_name, Bytes second, Bytes key, std::span<std::byte> out) {
  static const std::unique_ptr<EVP_KDF, KdfDeleter> kAlgorithm(
      EVP_KDF_fetch(nullptr, "HKDF", nullptr));
  const std::unique_ptr<EVP_KDF_CTX, ContextDeleter> context(EVP_KDF_CTX_new(kAlgorithm.get()));
  std::array<char, 7> digest = {'S', 'H', 'A', '2', '5', '6', '\0'};
  // An empty salt or info is left out: OpenSSL 3.0 refuses a parameter without octets.
  const std::array<OSSL_PARAM, 5> parameters = {
      OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0),
      Octets(OSSL_KDF_PARAM_KEY, key),
      second.empty() ? OSSL_PARAM_construct_end() : Octets(second_name, second),
      OSSL_PARAM_construct_end()};
  const bool done =
      context && EVP_KDF_derive(context.get(), reinterpret_cast<unsigned char*>(out.data()),
                                out.size(), parameters.data()) == 1;
  STENTOR_CHECK(done) << "libcrypto's HKDF refused " << out.size() << " octets";
}

}  // namespace

Secret HkdfExtract(Bytes salt, Bytes input_key_material) {
  // libcrypto wants a pointer also where there is nothing to point at.
  static constexpr std::byte kNothing{};
  const Bytes key = input_key_material.empty() ? Bytes(&kNothing, 0) : input_key_material;
  std::array<std::byte, Secret::kSize> out{};
  Derive(EVP_KDF_HKDF_MODE_EXTRACT_ONLY, OSSL_KDF_PARAM_SALT, salt, key, out);
  Secret secret(out);
  Wipe(out);
  return secret;
}

void HkdfExpand(const Secret& key, Bytes info, std::span<std::byte> out) {
  Derive(EVP_KDF_HKDF_MODE_EXPAND_ONLY, OSSL_KDF_PARAM_INFO, info, key.bytes(), out);
}

Secret HkdfExpandKey(const Secret& key, Bytes info) {
  std::array<std::byte, Secret::kSize> out{};
  HkdfExpand(key, info, out);
  Secret secret(out);
  Wipe(out);
  return secret;
}

}  // namespace stentor::crypto
