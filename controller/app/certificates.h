// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/crypto/x509.h"
#include "common/io/context.h"
#include "common/io/lifetime.h"
#include "controller/certs/webhook_certificates.h"

namespace stentor::controller {

/// Carries what WebhookCertificates asks for to the API server, and what that shows back: the
/// Secret, the ValidatingWebhookConfiguration and the CustomResourceDefinition that is converted by
/// a webhook. Lives on the event loop's thread.
class Certificates {
 public:
  struct Handlers {
    std::function<void(const crypto::PemPair& pair)> serve;  ///< For new connections, from now on.
    std::function<void()> on_change;                         ///< Of what Ready() says, perhaps.
  };

  /// `secret` is in the namespace of `service`.
  Certificates(const io::Context& context, const std::string& secret, WebhookService service,
               Handlers handlers);
  ~Certificates();
  Certificates(const Certificates&) = delete;
  Certificates& operator=(const Certificates&) = delete;

  void Start();

  /// Whether the API server has been told of webhooks, and so calls them; nothing: not known yet.
  [[nodiscard]] std::optional<bool> Wanted() const;
  /// OK while it can verify what is served; else what is missing.
  [[nodiscard]] absl::Status Ready() const;

 private:
  enum class Called : std::uint8_t { kUnknown, kNo, kYes };

  void WatchSecret();
  void WatchTarget(std::size_t target);
  void Seen(std::size_t target, std::optional<TargetObject> object);
  void Poll();
  void Carry(CertificateActions actions);

  const io::Context context_;
  const model::ObjectKey secret_;
  const std::vector<BundleTarget> targets_;
  const Handlers handlers_;
  WebhookCertificates certificates_;
  std::vector<Called> called_;  // whether the API server calls by this target
  bool secret_seen_ = false;
  bool refusal_told_ = false;
  io::Timer timer_;
  std::vector<std::unique_ptr<io::WatchHandle>> watches_;
  io::Lifetime lifetime_;
};

}  // namespace stentor::controller
