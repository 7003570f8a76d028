// SPDX-License-Identifier: Apache-2.0
#include "controller/certs/policy.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/kube/bodies.h"

namespace stentor::controller {
namespace {

using crypto::Certificate;
using std::chrono::sys_seconds;

constexpr std::size_t kMaxCas = 4;  // in ca.crt: more than were ever replaced within an overlap
constexpr std::string_view kOrganization = "stentor";

bool Contains(std::span<const Certificate> certificates, const Certificate& wanted) {
  return std::find(certificates.begin(), certificates.end(), wanted) != certificates.end();
}

std::chrono::seconds RenewBefore(const Certificate& certificate) {
  return std::min<std::chrono::seconds>(kRenewBefore,
                                        (certificate.not_after() - certificate.not_before()) / 3);
}

std::string Ends(const Certificate& certificate) {
  using namespace std::chrono;
  // A certificate may name any year to 9999; WallTime counts nanoseconds and ends in 2262.
  constexpr sys_seconds kFirst = sys_days(1970y / January / 1);
  constexpr sys_seconds kLast = sys_days(2200y / January / 1);
  const sys_seconds end = std::clamp(certificate.not_after(), kFirst, kLast);
  return StrCat("ends at ", kube::FormatTime(WallTime(end)));
}

Renewal New(Renewal::What what, std::string reason, bool clock_doubtful = false) {
  return {.what = what, .reason = std::move(reason), .clock_doubtful = clock_doubtful};
}

std::array<std::byte, 16> Serial(const RandomOctets& random) {
  std::array<std::byte, 16> serial{};
  random(serial);
  return serial;
}

// Two CAs never have the same name, so that no verifier takes one for the other.
std::string CaName(const std::array<std::byte, 16>& serial) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string name = "stentor-webhook-ca-";
  for (std::size_t i = serial.size() - 4; i < serial.size(); ++i) {
    name += kDigits[std::to_integer<std::size_t>(serial[i] >> 4U)];
    name += kDigits[std::to_integer<std::size_t>(serial[i] & std::byte{0xf})];
  }
  return name;
}

struct Ca {
  Certificate certificate;
  crypto::PrivateKey key;
};

absl::StatusOr<Ca> NewCa(sys_seconds now, const RandomOctets& random) {
  const std::array<std::byte, 16> serial = Serial(random);
  STENTOR_ASSIGN_OR_RETURN(crypto::PrivateKey key, crypto::PrivateKey::Generate());
  STENTOR_ASSIGN_OR_RETURN(Certificate certificate,
                           crypto::MakeCa({.common_name = CaName(serial),
                                           .organization = std::string(kOrganization),
                                           .not_before = now - kBackdate,
                                           .not_after = now + kCaLifetime,
                                           .serial = serial},
                                          key));
  return Ca{.certificate = std::move(certificate), .key = std::move(key)};
}

absl::Status NewServing(const Ca& ca, const WebhookService& service, sys_seconds now,
                        const RandomOctets& random, SecretChange* change) {
  const std::string dns_name = service.DnsName();
  STENTOR_ASSIGN_OR_RETURN(const crypto::PrivateKey key, crypto::PrivateKey::Generate());
  STENTOR_ASSIGN_OR_RETURN(
      const Certificate certificate,
      crypto::MakeServing(
          {.common_name = service.name,
           .organization = std::string(kOrganization),
           .dns_names = {dns_name, dns_name + ".cluster.local"},
           .not_before = now - kBackdate,
           .not_after = std::min<sys_seconds>(now + kServingLifetime, ca.certificate.not_after()),
           .serial = Serial(random)},
          key, ca.certificate, ca.key));
  change->tls_crt = certificate.Pem();
  change->tls_key = key.Pem();
  return absl::OkStatus();
}

}  // namespace

CertificateMaterial ReadMaterial(const WebhookSecret& secret) {
  CertificateMaterial material;
  if (auto cas = crypto::ParseCertificates(secret.ca_crt); !cas.ok()) {
    material.ca_trouble = "ca.crt: " + std::string(cas.status().message());
  } else if (!cas->front().is_ca()) {
    material.ca_trouble = "ca.crt: not a CA";
  } else {
    material.cas = *std::move(cas);
    if (auto key = crypto::PrivateKey::Parse(secret.ca_key); !key.ok()) {
      material.ca_trouble = "ca.key: " + std::string(key.status().message());
    } else if (!key->IsOf(material.cas.front())) {
      material.ca_trouble = "ca.key is not the key of ca.crt";
    } else {
      material.ca_key = *std::move(key);
    }
  }
  auto chain = crypto::ParseCertificates(secret.tls_crt);
  const auto key = crypto::PrivateKey::Parse(secret.tls_key);
  if (!chain.ok()) {
    material.serving_trouble = "tls.crt: " + std::string(chain.status().message());
  } else if (!key.ok()) {
    material.serving_trouble = "tls.key: " + std::string(key.status().message());
  } else if (!key->IsOf(chain->front())) {
    material.serving_trouble = "tls.key is not the key of tls.crt";
  } else {
    material.chain = *std::move(chain);
    material.pair = {.certificate = BundleText(material.chain), .key = key->Pem()};
  }
  return material;
}

Renewal JudgeMaterial(const CertificateMaterial& material, const WebhookService& service,
                      sys_seconds now) {
  using enum Renewal::What;
  if (!material.ca_trouble.empty()) {
    return New(kAll, material.ca_trouble);
  }
  const Certificate& ca = material.cas.front();
  if (ca.not_before() > now) {
    return New(kAll, "the CA is not valid yet", true);
  }
  if (ca.not_after() - now < RenewBefore(ca)) {
    return New(kAll, "the CA " + Ends(ca));
  }
  if (!material.serving_trouble.empty()) {
    return New(kServing, material.serving_trouble);
  }
  const Certificate& leaf = material.chain.front();
  const absl::Status valid =
      CheckServing(material.chain, TrustedCas(material.cas, now), service, now);
  if (!valid.ok()) {
    return New(kServing, "tls.crt: " + std::string(valid.message()), leaf.not_before() > now);
  }
  const sys_seconds later = now + RenewBefore(leaf);
  if (!CheckServing(material.chain, TrustedCas(material.cas, later), service, later).ok()) {
    return New(kServing, "the serving certificate " + Ends(leaf));
  }
  return {};
}

std::vector<Certificate> TrustedCas(std::span<const Certificate> cas, sys_seconds now) {
  std::vector<Certificate> out;
  for (const Certificate& ca : cas) {
    const sys_seconds replaced = cas.front().not_before() + kBackdate;
    const bool signs = ca == cas.front();
    const bool in_time = ca.not_after() - replaced <= kRenewBefore;
    if (ca.is_ca() && ca.not_after() >= now && !Contains(out, ca) &&
        (signs || in_time || now < replaced + kOverlap)) {
      out.push_back(ca);
    }
  }
  return out;
}

absl::Status CheckServing(std::span<const Certificate> chain, std::span<const Certificate> trusted,
                          const WebhookService& service, sys_seconds now) {
  return crypto::VerifyServing(chain, trusted, service.DnsName(), now);
}

absl::StatusOr<SecretChange> Issue(Renewal::What what, const CertificateMaterial& material,
                                   std::span<const Certificate> carried,
                                   const WebhookService& service, sys_seconds now,
                                   const RandomOctets& random) {
  STENTOR_CHECK(what != Renewal::What::kNothing);
  SecretChange change;
  if (what == Renewal::What::kServing) {
    STENTOR_CHECK(material.ca_key.has_value());
    const Ca ca{.certificate = material.cas.front(), .key = *material.ca_key};
    STENTOR_RETURN_IF_ERROR(NewServing(ca, service, now, random, &change));
    return change;  // ca.key stays in the form in which it was written, which MetalLB can read
  }
  STENTOR_ASSIGN_OR_RETURN(const Ca ca, NewCa(now, random));
  STENTOR_RETURN_IF_ERROR(NewServing(ca, service, now, random, &change));
  std::vector<Certificate> cas = {ca.certificate};
  std::vector<Certificate> former = TrustedCas(material.cas, now);
  former.insert(former.end(), carried.begin(), carried.end());
  for (const Certificate& old : former) {
    if (cas.size() < kMaxCas && old.is_ca() && old.not_after() >= now && !Contains(cas, old)) {
      cas.push_back(old);
    }
  }
  change.ca_crt = BundleText(cas);
  change.ca_key = ca.key.Pem();
  return change;
}

std::string BundleText(std::span<const Certificate> certificates) {
  std::string text;
  for (const Certificate& certificate : certificates) {
    text += certificate.Pem();
  }
  return text;
}

absl::Status CheckExternal(const crypto::PemPair& pair, const WebhookService& service,
                           sys_seconds now) {
  const CertificateMaterial material =
      ReadMaterial({.tls_crt = pair.certificate, .tls_key = pair.key});
  if (material.chain.empty()) {
    return absl::FailedPreconditionError(material.serving_trouble);
  }
  // Its own anchor: all is checked but who signed it.
  const std::span<const Certificate> leaf(material.chain.data(), 1);
  return Annotate(CheckServing(leaf, leaf, service, now), "tls.crt");
}

}  // namespace stentor::controller
