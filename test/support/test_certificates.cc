// SPDX-License-Identifier: Apache-2.0
#include "test/support/test_certificates.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>

namespace stentor::test {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using Memory = std::unique_ptr<BIO, decltype(&BIO_free_all)>;

constexpr long kDay = 24L * 3600;

std::string Text(BIO* memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string Pem(X509* certificate) {
  const Memory memory(BIO_new(BIO_s_mem()), BIO_free_all);
  PEM_write_bio_X509(memory.get(), certificate);
  return Text(memory.get());
}

std::string Pem(EVP_PKEY* key) {
  const Memory memory(BIO_new(BIO_s_mem()), BIO_free_all);
  PEM_write_bio_PrivateKey(memory.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  return Text(memory.get());
}

void AddExtension(X509* certificate, X509* issuer, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str());
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

// `issuer` null: signed by itself.
Identity Make(const std::string& common_name, const std::string& alternative_name,
              const Identity* issuer) {
  static long serial = 0;
  const Key key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const Certificate certificate(X509_new(), X509_free);
  X509* const x509 = certificate.get();
  X509_set_version(x509, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x509), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(x509), -kDay);
  X509_gmtime_adj(X509_getm_notAfter(x509), kDay);
  X509_set_pubkey(x509, key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                             0);
  Certificate issuer_certificate(nullptr, X509_free);
  Key issuer_key(nullptr, EVP_PKEY_free);
  if (issuer != nullptr) {
    const Memory pem(BIO_new_mem_buf(issuer->certificate.data(), -1), BIO_free_all);
    issuer_certificate.reset(PEM_read_bio_X509(pem.get(), nullptr, nullptr, nullptr));
    const Memory key_pem(BIO_new_mem_buf(issuer->key.data(), -1), BIO_free_all);
    issuer_key.reset(PEM_read_bio_PrivateKey(key_pem.get(), nullptr, nullptr, nullptr));
  }
  X509* const signer = issuer == nullptr ? x509 : issuer_certificate.get();
  X509_set_issuer_name(x509, X509_get_subject_name(signer));
  AddExtension(x509, signer, NID_basic_constraints,
               issuer == nullptr ? "critical,CA:TRUE" : "CA:FALSE");
  // All authorities here have one name, as all of kubeadm do: by these the right one is found.
  AddExtension(x509, signer, NID_subject_key_identifier, "hash");
  if (issuer != nullptr) {
    AddExtension(x509, signer, NID_authority_key_identifier, "keyid:always");
  }
  if (!alternative_name.empty()) {
    AddExtension(x509, signer, NID_subject_alt_name, alternative_name);
  }
  X509_sign(x509, issuer == nullptr ? key.get() : issuer_key.get(), EVP_sha256());
  return {Pem(x509), Pem(key.get())};
}

}  // namespace

TestAuthority::TestAuthority() : self_(Make("test authority", "", nullptr)) {}

Identity TestAuthority::Issue(const std::string& common_name,
                              const std::string& alternative_name) const {
  return Make(common_name, alternative_name, &self_);
}

}  // namespace stentor::test
