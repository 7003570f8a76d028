// SPDX-License-Identifier: Apache-2.0
#include "common/crypto/x509.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "common/base/check.h"
#include "common/base/strings.h"

namespace stentor::crypto {
namespace {

using std::chrono::sys_seconds;

template <auto kFree>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Free<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>>;
using X509Pointer = std::unique_ptr<X509, Free<X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Free<X509_EXTENSION_free>>;
using Integer = std::unique_ptr<BIGNUM, Free<BN_free>>;
using Names = std::unique_ptr<GENERAL_NAMES, Free<GENERAL_NAMES_free>>;
using Store = std::unique_ptr<X509_STORE, Free<X509_STORE_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, Free<X509_STORE_CTX_free>>;

void FreeBorrowed(STACK_OF(X509) * stack) { sk_X509_free(stack); }
using BorrowedStack = std::unique_ptr<STACK_OF(X509), Free<FreeBorrowed>>;

// What fails here must not be found in the thread's error queue by the TLS code that comes next.
class ErrorQueueMark {
 public:
  ErrorQueueMark() { ERR_set_mark(); }
  ~ErrorQueueMark() { ERR_pop_to_mark(); }
  ErrorQueueMark(const ErrorQueueMark&) = delete;
  ErrorQueueMark& operator=(const ErrorQueueMark&) = delete;
};

constexpr std::size_t kMaxNames = 100;
constexpr int kMaxChain = 8;
constexpr int kMinRsaBits = 2048;
constexpr int kMaxRsaBits = 4096;           // larger ones take too long
constexpr std::size_t kMaxCommonName = 64;  // RFC 5280, appendix A: ub-common-name
constexpr std::size_t kMaxDnsName = 253;

// Without one, libcrypto would ask for a password on the terminal.
int NoPassword(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*argument*/) { return 0; }

Bio Reading(std::string_view text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string Written(BIO* memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

std::string NameText(const X509_NAME* name) {
  const Bio memory(BIO_new(BIO_s_mem()));
  if (memory == nullptr || X509_NAME_print_ex(memory.get(), name, 0, XN_FLAG_RFC2253) < 0) {
    return {};
  }
  return Written(memory.get());
}

std::optional<sys_seconds> TimeOf(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) {
    return std::nullopt;
  }
  using namespace std::chrono;
  const year_month_day date(year(parts.tm_year + 1900),
                            month(static_cast<unsigned>(parts.tm_mon) + 1),
                            day(static_cast<unsigned>(parts.tm_mday)));
  return sys_days(date) + hours(parts.tm_hour) + minutes(parts.tm_min) + seconds(parts.tm_sec);
}

std::vector<std::string> DnsNames(const X509* certificate) {
  const Names names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  std::vector<std::string> out;
  const int count = names == nullptr ? 0 : sk_GENERAL_NAME_num(names.get());
  for (int i = 0; i < count && out.size() < kMaxNames; ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_DNS) {
      continue;
    }
    const auto* const data = ASN1_STRING_get0_data(name->d.dNSName);
    std::string text(data, data + ASN1_STRING_length(name->d.dNSName));
    if (std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; })) {
      out.push_back(std::move(text));
    }
  }
  return out;
}

bool IsDnsName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxDnsName &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
         });
}

}  // namespace

struct Certificate::Impl {
  X509Pointer x509;
  std::string subject;
  std::string issuer;
  std::vector<std::string> dns_names;
  sys_seconds not_before;
  sys_seconds not_after;
  bool is_ca = false;
  std::string pem;
};

struct PrivateKey::Impl {
  Key key;
};

struct X509Access {
  static X509* Handle(const Certificate& certificate) { return certificate.impl_->x509.get(); }
  static EVP_PKEY* Handle(const PrivateKey& key) { return key.impl_->key.get(); }
  static std::optional<Certificate> Wrap(X509Pointer x509);
  static PrivateKey Wrap(Key key) {
    return PrivateKey(
        std::make_shared<const PrivateKey::Impl>(PrivateKey::Impl{.key = std::move(key)}));
  }
};

std::optional<Certificate> X509Access::Wrap(X509Pointer x509) {
  const auto not_before = TimeOf(X509_get0_notBefore(x509.get()));
  const auto not_after = TimeOf(X509_get0_notAfter(x509.get()));
  const Bio memory(BIO_new(BIO_s_mem()));
  if (!not_before || !not_after || memory == nullptr ||
      PEM_write_bio_X509(memory.get(), x509.get()) != 1) {
    return std::nullopt;
  }
  auto impl = std::make_shared<Certificate::Impl>();
  impl->subject = NameText(X509_get_subject_name(x509.get()));
  impl->issuer = NameText(X509_get_issuer_name(x509.get()));
  impl->dns_names = DnsNames(x509.get());
  impl->not_before = *not_before;
  impl->not_after = *not_after;
  impl->is_ca = X509_check_ca(x509.get()) == 1;  // 1: by basicConstraints, not by older customs
  impl->pem = Written(memory.get());
  impl->x509 = std::move(x509);
  return Certificate(std::move(impl));
}

namespace {

// Ed25519 has its digest built in.
const EVP_MD* DigestFor(EVP_PKEY* key) {
  return EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? nullptr : EVP_sha256();
}

bool AddName(X509_NAME* name, int field, const std::string& text) {
  return X509_NAME_add_entry_by_NID(name, field, MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(text.data()),
                                    static_cast<int>(text.size()), -1, 0) == 1;
}

bool AddExtension(X509* certificate, X509* issuer, int id, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, id, value));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool AddDnsNames(X509* certificate, const std::vector<std::string>& dns_names) {
  const Names names(sk_GENERAL_NAME_new_null());
  for (const std::string& dns_name : dns_names) {
    GENERAL_NAME* const name = GENERAL_NAME_new();
    ASN1_IA5STRING* const text = ASN1_IA5STRING_new();
    STENTOR_CHECK(name != nullptr && text != nullptr) << "out of memory";
    STENTOR_CHECK(ASN1_STRING_set(text, dns_name.data(), static_cast<int>(dns_name.size())) == 1);
    GENERAL_NAME_set0_value(name, GEN_DNS, text);
    STENTOR_CHECK(sk_GENERAL_NAME_push(names.get(), name) > 0);
  }
  return X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, 0) == 1;
}

bool SetSerial(X509* certificate, std::array<std::byte, 16> octets) {
  octets[0] = (octets[0] & std::byte{0x3f}) | std::byte{0x40};
  const Integer number(BN_bin2bn(reinterpret_cast<const unsigned char*>(octets.data()),
                                 static_cast<int>(octets.size()), nullptr));
  return number != nullptr &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool SetSubject(X509* certificate, const CertificateProfile& profile) {
  X509_NAME* const subject = X509_get_subject_name(certificate);
  return (profile.organization.empty() ||
          AddName(subject, NID_organizationName, profile.organization)) &&
         AddName(subject, NID_commonName, profile.common_name);
}

bool SetTimes(X509* certificate, const CertificateProfile& profile) {
  return ASN1_TIME_set(X509_getm_notBefore(certificate),
                       profile.not_before.time_since_epoch().count()) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(certificate),
                       profile.not_after.time_since_epoch().count()) != nullptr;
}

// All but issuer, extensions and signature.
X509Pointer Begin(const CertificateProfile& profile, const PrivateKey& key) {
  X509Pointer x509(X509_new());
  const bool done = x509 != nullptr && X509_set_version(x509.get(), X509_VERSION_3) == 1 &&
                    SetSerial(x509.get(), profile.serial) && SetTimes(x509.get(), profile) &&
                    SetSubject(x509.get(), profile) &&
                    X509_set_pubkey(x509.get(), X509Access::Handle(key)) == 1;
  return done ? std::move(x509) : nullptr;
}

absl::StatusOr<Certificate> Sign(X509Pointer x509, const PrivateKey& signer) {
  EVP_PKEY* const key = X509Access::Handle(signer);
  if (X509_sign(x509.get(), key, DigestFor(key)) <= 0) {
    return absl::InternalError("libcrypto did not sign a certificate");
  }
  std::optional<Certificate> made = X509Access::Wrap(std::move(x509));
  if (!made) {
    return absl::InternalError("libcrypto made a certificate that it can't read");
  }
  return *std::move(made);
}

absl::Status CheckProfile(const CertificateProfile& profile) {
  if (profile.common_name.empty() || profile.common_name.size() > kMaxCommonName ||
      profile.organization.size() > kMaxCommonName) {
    return absl::InvalidArgumentError("a certificate's names have at most 64 octets");
  }
  using namespace std::chrono;
  constexpr sys_seconds kFirst = sys_days(1950y / January / 1);  // of what RFC 5280 can write
  constexpr sys_seconds kEnd = sys_days(10000y / January / 1);
  if (profile.not_before > profile.not_after || profile.not_before < kFirst ||
      profile.not_after >= kEnd) {
    return absl::InvalidArgumentError(
        "a certificate begins in 1950 at the earliest, ends in 9999 "
        "at the latest, and not before it begins");
  }
  for (const std::string& name : profile.dns_names) {
    if (!IsDnsName(name)) {
      return absl::InvalidArgumentError(StrCat("\"", name, "\" is no DNS name"));
    }
  }
  return absl::OkStatus();
}

absl::Status NotMade() {
  return absl::InvalidArgumentError("libcrypto can't put these names or times into a certificate");
}

// `issuer` null: signed by itself.
absl::StatusOr<Certificate> Serving(const CertificateProfile& profile, const PrivateKey& key,
                                    X509* issuer, const PrivateKey& signer) {
  if (const absl::Status status = CheckProfile(profile); !status.ok()) {
    return status;
  }
  if (profile.dns_names.empty()) {
    return absl::InvalidArgumentError("a server's certificate needs a DNS name");
  }
  X509Pointer x509 = Begin(profile, key);
  if (x509 == nullptr) {
    return NotMade();
  }
  X509* const from = issuer != nullptr ? issuer : x509.get();
  if (X509_set_issuer_name(x509.get(), X509_get_subject_name(from)) != 1 ||
      !AddExtension(x509.get(), from, NID_basic_constraints, "critical,CA:FALSE") ||
      !AddExtension(x509.get(), from, NID_key_usage, "critical,digitalSignature") ||
      !AddExtension(x509.get(), from, NID_ext_key_usage, "serverAuth") ||
      !AddDnsNames(x509.get(), profile.dns_names) ||
      !AddExtension(x509.get(), from, NID_subject_key_identifier, "hash")) {
    return NotMade();
  }
  if (issuer != nullptr && X509_get0_subject_key_id(issuer) != nullptr &&
      !AddExtension(x509.get(), from, NID_authority_key_identifier, "keyid:always")) {
    return NotMade();
  }
  return Sign(std::move(x509), signer);
}

}  // namespace

const std::string& Certificate::subject() const { return impl_->subject; }
const std::string& Certificate::issuer() const { return impl_->issuer; }
const std::vector<std::string>& Certificate::dns_names() const { return impl_->dns_names; }
sys_seconds Certificate::not_before() const { return impl_->not_before; }
sys_seconds Certificate::not_after() const { return impl_->not_after; }
bool Certificate::is_ca() const { return impl_->is_ca; }
const std::string& Certificate::Pem() const { return impl_->pem; }

absl::StatusOr<PrivateKey> PrivateKey::Generate() {
  const ErrorQueueMark mark;
  Key key(EVP_EC_gen("P-256"));
  if (key == nullptr) {
    return absl::InternalError("libcrypto made no key");
  }
  return X509Access::Wrap(std::move(key));
}

absl::StatusOr<PrivateKey> PrivateKey::Parse(std::string_view pem) {
  const ErrorQueueMark mark;
  if (pem.size() > kMaxPemOctets) {
    return absl::InvalidArgumentError("a private key of more than 64 KiB");
  }
  const Bio text = Reading(pem);
  Key key(text == nullptr ? nullptr
                          : PEM_read_bio_PrivateKey(text.get(), nullptr, NoPassword, nullptr));
  if (key == nullptr) {
    return absl::InvalidArgumentError("no private key in PEM form, or an encrypted one");
  }
  const int type = EVP_PKEY_get_base_id(key.get());
  const int bits = EVP_PKEY_get_bits(key.get());
  const bool usable = (type == EVP_PKEY_RSA && bits >= kMinRsaBits && bits <= kMaxRsaBits) ||
                      type == EVP_PKEY_EC || type == EVP_PKEY_ED25519;
  if (!usable) {
    return absl::InvalidArgumentError(
        "a private key other than RSA of 2048 to 4096 bits, elliptic curve or Ed25519");
  }
  return X509Access::Wrap(std::move(key));
}

std::string PrivateKey::Pem() const {
  const ErrorQueueMark mark;
  const Bio memory(BIO_new(BIO_s_secmem()));
  const bool done =
      memory != nullptr && PEM_write_bio_PKCS8PrivateKey(memory.get(), impl_->key.get(), nullptr,
                                                         nullptr, 0, nullptr, nullptr) == 1;
  STENTOR_CHECK(done) << "libcrypto did not print a key that it holds";
  return Written(memory.get());
}

bool PrivateKey::IsOf(const Certificate& certificate) const {
  const ErrorQueueMark mark;
  EVP_PKEY* const own = impl_->key.get();
  EVP_PKEY* const its = X509_get0_pubkey(X509Access::Handle(certificate));
  if (its == nullptr || EVP_PKEY_eq(own, its) != 1) {
    return false;  // but a key's public half may be anything: so it has to sign
  }
  constexpr std::array<unsigned char, 16> kMessage{};
  std::vector<unsigned char> signature(static_cast<std::size_t>(EVP_PKEY_get_size(own)));
  std::size_t size = signature.size();
  const DigestContext signing(EVP_MD_CTX_new());
  const DigestContext verifying(EVP_MD_CTX_new());
  return EVP_DigestSignInit(signing.get(), nullptr, DigestFor(own), nullptr, own) == 1 &&
         EVP_DigestSign(signing.get(), signature.data(), &size, kMessage.data(), kMessage.size()) ==
             1 &&
         EVP_DigestVerifyInit(verifying.get(), nullptr, DigestFor(its), nullptr, its) == 1 &&
         EVP_DigestVerify(verifying.get(), signature.data(), size, kMessage.data(),
                          kMessage.size()) == 1;
}

absl::StatusOr<Certificate> MakeCa(const CertificateProfile& profile, const PrivateKey& key) {
  const ErrorQueueMark mark;
  if (const absl::Status status = CheckProfile(profile); !status.ok()) {
    return status;
  }
  X509Pointer x509 = Begin(profile, key);
  if (x509 == nullptr || X509_set_issuer_name(x509.get(), X509_get_subject_name(x509.get())) != 1 ||
      !AddExtension(x509.get(), x509.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
      !AddExtension(x509.get(), x509.get(), NID_key_usage, "critical,keyCertSign") ||
      !AddExtension(x509.get(), x509.get(), NID_subject_key_identifier, "hash")) {
    return NotMade();
  }
  return Sign(std::move(x509), key);
}

absl::StatusOr<Certificate> MakeServing(const CertificateProfile& profile, const PrivateKey& key,
                                        const Certificate& ca, const PrivateKey& ca_key) {
  const ErrorQueueMark mark;
  if (!ca.is_ca() || !ca_key.IsOf(ca)) {
    return absl::FailedPreconditionError("not a CA, or the key is not the CA's");
  }
  return Serving(profile, key, X509Access::Handle(ca), ca_key);
}

absl::StatusOr<Certificate> MakeSelfSignedServing(const CertificateProfile& profile,
                                                  const PrivateKey& key) {
  const ErrorQueueMark mark;
  return Serving(profile, key, nullptr, key);
}

absl::StatusOr<std::vector<Certificate>> ParseCertificates(std::string_view pem) {
  const ErrorQueueMark mark;
  if (pem.size() > kMaxPemOctets) {
    return absl::InvalidArgumentError("certificates of more than 64 KiB");
  }
  const Bio text = Reading(pem);
  STENTOR_CHECK(text != nullptr) << "out of memory";
  std::vector<Certificate> out;
  while (true) {
    X509Pointer x509(PEM_read_bio_X509(text.get(), nullptr, NoPassword, nullptr));
    if (x509 == nullptr) {
      const auto error = ERR_peek_last_error();
      const bool at_end =
          ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
      if (at_end && !out.empty()) {
        return out;
      }
      return absl::InvalidArgumentError(at_end ? "no certificate in PEM form"
                                               : "a certificate that can't be read");
    }
    if (out.size() == kMaxCertificates) {
      return absl::InvalidArgumentError("more than 16 certificates");
    }
    std::optional<Certificate> certificate = X509Access::Wrap(std::move(x509));
    if (!certificate) {
      return absl::InvalidArgumentError("a certificate with times that can't be read");
    }
    out.push_back(*std::move(certificate));
  }
}

absl::Status VerifyServing(std::span<const Certificate> chain, std::span<const Certificate> roots,
                           const std::string& dns_name, sys_seconds at) {
  const ErrorQueueMark mark;
  if (chain.empty()) {
    return absl::FailedPreconditionError("no certificate");
  }
  const Store store(X509_STORE_new());
  const StoreContext context(X509_STORE_CTX_new());
  const BorrowedStack between(sk_X509_new_null());
  STENTOR_CHECK(store != nullptr && context != nullptr && between != nullptr) << "out of memory";
  for (const Certificate& root : roots) {
    STENTOR_CHECK(X509_STORE_add_cert(store.get(), X509Access::Handle(root)) == 1);
  }
  for (const Certificate& certificate : chain.subspan(1)) {
    STENTOR_CHECK(sk_X509_push(between.get(), X509Access::Handle(certificate)) > 0);
  }
  STENTOR_CHECK(X509_STORE_CTX_init(context.get(), store.get(), X509Access::Handle(chain.front()),
                                    between.get()) == 1);
  X509_VERIFY_PARAM* const rules = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(rules, at.time_since_epoch().count());
  X509_VERIFY_PARAM_set_depth(rules, kMaxChain);
  X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_PARTIAL_CHAIN);
  X509_VERIFY_PARAM_set_hostflags(
      rules, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (X509_VERIFY_PARAM_set1_host(rules, dns_name.data(), dns_name.size()) != 1 ||
      X509_VERIFY_PARAM_set_purpose(rules, X509_PURPOSE_SSL_SERVER) != 1) {
    return absl::FailedPreconditionError("not a name that can be verified");
  }
  if (X509_verify_cert(context.get()) != 1) {
    return absl::FailedPreconditionError(
        X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get())));
  }
  return absl::OkStatus();
}

}  // namespace stentor::crypto
