// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What is a good certificate for the webhooks, when it has to be renewed, and how a new one is
/// made. Lifetimes are MetalLB's (cert-controller 0.15, pkg/rotator): CA ten years, serving one,
/// each from an hour ago; renewed when 90 days are left.
///
/// Taking over. What MetalLB left is used until it needs renewal, and its RSA CA then signs our
/// next serving certificate. The other way round, cert-controller can't read a CA key on an
/// elliptic curve (it parses PKCS #1 only) and would end; but first it looks for its CA's own name
/// among the CA's DNS names. Our CA has none, so it takes ours for invalid, makes new ones, and
/// goes on.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/crypto/x509.h"
#include "controller/certs/objects.h"

namespace stentor::controller {

inline constexpr std::chrono::days kCaLifetime{3650};
inline constexpr std::chrono::days kServingLifetime{365};
/// What was made by others may live shorter: then renewed in the last third of its life.
inline constexpr std::chrono::days kRenewBefore{90};
inline constexpr std::chrono::hours kBackdate{1};  ///< Clocks of a cluster differ.
/// How long a CA that was replaced before its time (lost or damaged Secret) is trusted further, so
/// that no replica that still serves by it is refused. One that was renewed in time is trusted to
/// its end: the certificates that it signed don't outlive it.
inline constexpr std::chrono::hours kOverlap{1};

/// Fills the span with random octets.
using RandomOctets = std::function<void(std::span<std::byte> out)>;

/// The webhooks' Service, as the API server calls it: SERVICE.NAMESPACE.svc.
struct WebhookService {
  std::string name;
  std::string name_space;

  [[nodiscard]] std::string DnsName() const { return name + "." + name_space + ".svc"; }
};

/// The Secret's content, parsed.
struct CertificateMaterial {
  std::vector<crypto::Certificate> cas;      ///< Empty where ca.crt is no use.
  std::optional<crypto::PrivateKey> ca_key;  ///< Present where it is the first one's.
  std::string ca_trouble;                    ///< Why no certificate can be signed; or empty.
  std::vector<crypto::Certificate> chain;    ///< Empty where tls.crt and tls.key are no use.
  crypto::PemPair pair;                      ///< The chain in clean PEM, and its key.
  std::string serving_trouble;               ///< Why `chain` is empty; or empty.
};

/// Any text will do. No part of a key is in what it says.
[[nodiscard]] CertificateMaterial ReadMaterial(const WebhookSecret& secret);

/// What is to be made new, and why.
struct Renewal {
  enum class What : std::uint8_t { kNothing, kServing, kAll };
  What what = What::kNothing;
  std::string reason;
  /// Something begins later than now: a clock is wrong, perhaps our own.
  bool clock_doubtful = false;
};
[[nodiscard]] Renewal JudgeMaterial(const CertificateMaterial& material,
                                    const WebhookService& service, std::chrono::sys_seconds now);

/// Those of `cas` (ca.crt, the signing one first) that belong into the bundle at `now`, each once.
[[nodiscard]] std::vector<crypto::Certificate> TrustedCas(std::span<const crypto::Certificate> cas,
                                                          std::chrono::sys_seconds now);

/// Whether the API server takes `chain` for the webhooks' Service, given the bundle `trusted`.
[[nodiscard]] absl::Status CheckServing(std::span<const crypto::Certificate> chain,
                                        std::span<const crypto::Certificate> trusted,
                                        const WebhookService& service,
                                        std::chrono::sys_seconds now);

/// Makes what `renewal` asks for (not kNothing). A new CA keeps those of `material` that are still
/// trusted, and of `carried`, behind it in ca.crt. Errors: Internal, InvalidArgument (a Service
/// whose name is no DNS name).
[[nodiscard]] absl::StatusOr<SecretChange> Issue(Renewal::What what,
                                                 const CertificateMaterial& material,
                                                 std::span<const crypto::Certificate> carried,
                                                 const WebhookService& service,
                                                 std::chrono::sys_seconds now,
                                                 const RandomOctets& random);

/// All of them as PEM, in this order; nothing but certificates.
[[nodiscard]] std::string BundleText(std::span<const crypto::Certificate> certificates);

/// For certificates that somebody else brings (--disable-cert-rotation, --cert-dir): whether they
/// are a pair, valid at `now`, and carry the Service's DNS name. Who signed them is not known here.
/// FailedPrecondition says what is wrong.
[[nodiscard]] absl::Status CheckExternal(const crypto::PemPair& pair, const WebhookService& service,
                                         std::chrono::sys_seconds now);

}  // namespace stentor::controller
