// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// X.509 certificates (RFC 5280) for TLS servers: made, parsed from PEM, verified. libcrypto does
/// all of it and is hidden here. Times and serial numbers come in as arguments; texts from outside
/// are bounded and never trusted; no error text repeats what it was given.
///
/// Two things do not come in as arguments: libcrypto draws a new key (PrivateKey::Generate) and the
/// nonce of each ECDSA signature from its own generator. It can't be told to do otherwise (3.0 has
/// no RFC 6979), and a key derived by hand would be cryptography of our own. So keys and signatures
/// differ from run to run; names, times, serials and extensions do not, and nothing else depends on
/// the keys' octets.

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace stentor::crypto {

/// What a TLS server needs: its certificate, with those between it and the root after it, and its
/// key; both PEM.
struct PemPair {
  std::string certificate;
  std::string key;

  friend bool operator==(const PemPair&, const PemPair&) = default;
};

inline constexpr std::size_t kMaxPemOctets = std::size_t{64} << 10U;
inline constexpr std::size_t kMaxCertificates = 16;  ///< Of one PEM text.

/// A certificate that was parsed or made. Immutable; copies share it.
class Certificate {
 public:
  /// Names as RFC 2253 has them, all but printable ASCII escaped.
  [[nodiscard]] const std::string& subject() const;
  [[nodiscard]] const std::string& issuer() const;
  /// DNS names of subjectAltName; those with other than printable ASCII are left out.
  [[nodiscard]] const std::vector<std::string>& dns_names() const;
  [[nodiscard]] std::chrono::sys_seconds not_before() const;
  [[nodiscard]] std::chrono::sys_seconds not_after() const;  ///< Its last valid second.
  /// Whether it may sign certificates (basicConstraints CA, and keyUsage where there is one).
  [[nodiscard]] bool is_ca() const;
  [[nodiscard]] const std::string& Pem() const;

  /// The same certificate, octet by octet.
  friend bool operator==(const Certificate& a, const Certificate& b) { return a.Pem() == b.Pem(); }

 private:
  friend struct X509Access;
  struct Impl;
  explicit Certificate(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

/// A private key; copies share it. libcrypto wipes it with the last of them; the texts that Pem()
/// gives are the caller's.
class PrivateKey {
 public:
  /// A new one on P-256. Errors: Internal.
  [[nodiscard]] static absl::StatusOr<PrivateKey> Generate();
  /// The first key in a PEM text (PKCS #8, PKCS #1 or SEC 1): RSA of 2,048 to 4,096 bits, elliptic
  /// curves, Ed25519; not encrypted. Errors: InvalidArgument.
  [[nodiscard]] static absl::StatusOr<PrivateKey> Parse(std::string_view pem);

  /// PKCS #8.
  [[nodiscard]] std::string Pem() const;
  /// Whether `certificate` verifies what this key signs; tried by signing.
  [[nodiscard]] bool IsOf(const Certificate& certificate) const;

 private:
  friend struct X509Access;
  struct Impl;
  explicit PrivateKey(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

/// What a new certificate says.
struct CertificateProfile {
  std::string common_name;   ///< 1 to 64 octets.
  std::string organization;  ///< At most 64 octets; empty: left out.
  std::vector<std::string> dns_names;
  std::chrono::sys_seconds not_before;
  std::chrono::sys_seconds not_after;
  /// Random. Its first two bits are replaced, so that it is positive and of 16 octets.
  std::array<std::byte, 16> serial{};
};

/// A CA that signs itself: CA:TRUE with path length 0, keyCertSign, subject key identifier; no DNS
/// names. Errors: InvalidArgument where `profile` can't be put into a certificate.
[[nodiscard]] absl::StatusOr<Certificate> MakeCa(const CertificateProfile& profile,
                                                 const PrivateKey& key);

/// A server's certificate for `key`, signed by `ca`: CA:FALSE, serverAuth, the DNS names of
/// `profile` (at least one), authority key identifier. Errors: InvalidArgument; FailedPrecondition
/// where `ca` may not sign or `ca_key` is not its key.
[[nodiscard]] absl::StatusOr<Certificate> MakeServing(const CertificateProfile& profile,
                                                      const PrivateKey& key, const Certificate& ca,
                                                      const PrivateKey& ca_key);

/// The same, signed by itself: nobody can verify it.
[[nodiscard]] absl::StatusOr<Certificate> MakeSelfSignedServing(const CertificateProfile& profile,
                                                                const PrivateKey& key);

/// All certificates of a PEM text of at most kMaxPemOctets, 1 to kMaxCertificates of them; what
/// stands between them, and blocks of other types, are skipped. Errors: InvalidArgument.
[[nodiscard]] absl::StatusOr<std::vector<Certificate>> ParseCertificates(std::string_view pem);

/// Whether a TLS client that trusts `roots` and nothing else takes `chain` (the server's first) for
/// `dns_name` at `at`, as Go's crypto/x509 does: any of `roots` is an anchor, also one that another
/// has signed; the subject's common name doesn't count. FailedPrecondition says why not.
[[nodiscard]] absl::Status VerifyServing(std::span<const Certificate> chain,
                                         std::span<const Certificate> roots,
                                         const std::string& dns_name, std::chrono::sys_seconds at);

}  // namespace stentor::crypto
