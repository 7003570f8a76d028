// SPDX-License-Identifier: Apache-2.0

/// \file
/// The webhooks' certificates as anybody may have written them: JSON of the Secret and of the
/// objects that get the CA bundle; otherwise PEM, or (where it begins like DER) what PEM would
/// hold. What can be read must come out again the same, and a Secret that is found wanting must be
/// good once it was renewed as it asked for.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/strings/escaping.h"
#include "common/base/strings.h"
#include "common/crypto/x509.h"
#include "common/kube/codec.h"
#include "controller/certs/objects.h"
#include "controller/certs/policy.h"
#include "test/fuzz/demand.h"

namespace {

using namespace stentor;
using test::Demand;

constexpr std::chrono::sys_seconds kNow =
    std::chrono::sys_days(std::chrono::year(2026) / std::chrono::November / 21);
const controller::WebhookService kService{.name = "metallb-webhook-service",
                                          .name_space = "metallb-system"};

void ReadPem(std::string_view text) {
  (void)crypto::PrivateKey::Parse(text);
  const auto certificates = crypto::ParseCertificates(text);
  if (!certificates.ok()) {
    return;
  }
  const auto again = crypto::ParseCertificates(controller::BundleText(*certificates));
  // Printed anew it may be longer than what is read: lines are wrapped.
  Demand(!again.ok() || *again == *certificates);
  (void)controller::CheckServing(*certificates, *certificates, kService, kNow);
  (void)controller::TrustedCas(*certificates, kNow);
}

void ReadDer(std::string_view der) {
  std::string base64;
  absl::Base64Escape(AbslView(der), &base64);
  std::string lines;
  for (std::size_t at = 0; at < base64.size(); at += 64) {
    StrAppend(&lines, base64.substr(at, 64), "\n");
  }
  for (const char* type : {"CERTIFICATE", "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"}) {
    ReadPem(StrCat("-----BEGIN ", type, "-----\n", lines, "-----END ", type, "-----\n"));
  }
}

void ReadSecret(const controller::WebhookSecret& secret) {
  const controller::CertificateMaterial material = controller::ReadMaterial(secret);
  const controller::Renewal renewal = controller::JudgeMaterial(material, kService, kNow);
  (void)controller::CheckExternal({.certificate = secret.tls_crt, .key = secret.tls_key}, kService,
                                  kNow);
  if (renewal.what == controller::Renewal::What::kNothing) {
    return;
  }
  const auto change = controller::Issue(renewal.what, material, {}, kService, kNow,
                                        [](std::span<std::byte> /*out*/) {});
  if (!change.ok()) {
    return;
  }
  controller::WebhookSecret renewed = secret;
  renewed.ca_crt = change->ca_crt.value_or(secret.ca_crt);
  renewed.ca_key = change->ca_key.value_or(secret.ca_key);
  renewed.tls_crt = change->tls_crt;
  renewed.tls_key = change->tls_key;
  const auto second =
      controller::JudgeMaterial(controller::ReadMaterial(renewed), kService, kNow).what;
  // A foreign CA may forbid what it signs (name constraints); one of our own never does.
  Demand(second == controller::Renewal::What::kNothing ||
         renewal.what == controller::Renewal::What::kServing);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (text.starts_with('0')) {  // 0x30: a SEQUENCE
    ReadDer(text);
    return 0;
  }
  if (!text.starts_with('{')) {
    ReadPem(text);
    return 0;
  }
  const auto json = kube::ParseJson(text);
  if (!json.ok()) {
    return 0;
  }
  if (const auto secret = controller::DecodeWebhookSecret(*json); secret.ok()) {
    ReadSecret(*secret);
  }
  for (const auto kind :
       {controller::TargetKind::kValidatingWebhooks, controller::TargetKind::kConversion}) {
    const auto target = controller::DecodeTarget(kind, *json);
    if (target.ok() && !target->places.empty()) {
      const auto request = controller::InjectRequest({.kind = kind, .name = "x"}, *target, "pem");
      Demand(kube::ParseJson(request.body).ok());
      ReadPem(target->places.front().bundle);
    }
  }
  return 0;
}
