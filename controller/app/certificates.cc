// SPDX-License-Identifier: Apache-2.0
#include "controller/app/certificates.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/strings.h"
#include "common/io/key_wiper.h"
#include "common/io/random.h"
#include "common/io/watch_logging.h"
#include "common/kube/codec.h"

namespace stentor::controller {
namespace {

using namespace std::chrono_literals;

// MetalLB's names.
constexpr const char* kWebhookConfiguration = "metallb-webhook-configuration";
constexpr const char* kConvertedDefinition = "bgppeers.metallb.io";
constexpr Duration kTimeLimit = 10s;

std::vector<BundleTarget> Targets() {
  return {{.kind = TargetKind::kValidatingWebhooks, .name = kWebhookConfiguration},
          {.kind = TargetKind::kConversion, .name = kConvertedDefinition}};
}

// Its resource, as messages and paths have it.
std::string ResourceOf(TargetKind kind) {
  return kind == TargetKind::kConversion
             ? "customresourcedefinitions.apiextensions.k8s.io"
             : "validatingwebhookconfigurations.admissionregistration.k8s.io";
}

}  // namespace

Certificates::Certificates(const io::Context& context, const std::string& secret,
                           WebhookService service, Handlers handlers)
    : context_(context),
      secret_{service.name_space, secret},
      targets_(Targets()),
      handlers_(std::move(handlers)),
      certificates_({.secret = secret_, .service = std::move(service), .targets = targets_},
                    io::FillRandom),
      called_(targets_.size(), Called::kUnknown),
      timer_(context.loop) {}

Certificates::~Certificates() = default;

void Certificates::Start() {
  WatchSecret();
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    WatchTarget(i);
  }
}

std::optional<bool> Certificates::Wanted() const {
  if (std::ranges::find(called_, Called::kYes) != called_.end()) {
    return true;
  }
  const bool known = std::ranges::find(called_, Called::kUnknown) == called_.end();
  return known ? std::optional(false) : std::nullopt;
}

absl::Status Certificates::Ready() const { return certificates_.Ready(context_.loop.WallNow()); }

void Certificates::WatchSecret() {
  io::WatchHandlers handlers = io::LoggingHandlers(context_.log, "secrets");
  handlers.on_upsert = [this](const nlohmann::json& object) {
    const auto key = kube::DecodeKey(object);
    if (!key.ok() || *key != secret_) {
      return;
    }
    secret_seen_ = true;
    if (const auto secret = DecodeWebhookSecret(object); secret.ok()) {
      certificates_.SecretSeen(*secret);
      Poll();
    }
  };
  handlers.on_delete = [this](const model::ObjectKey& key) {
    if (key == secret_) {
      secret_seen_ = false;
      certificates_.SecretSeen(std::nullopt);
      Poll();
    }
  };
  handlers.on_synced = [this] {
    if (!secret_seen_) {
      certificates_.SecretSeen(std::nullopt);
      Poll();
    }
  };
  handlers.on_refused = [this](const absl::Status& status) {
    if (!std::exchange(refusal_told_, true)) {
      context_.log.Log(
          obs::Event::kResourceRefused,
          StrCat(std::string(status.message()), "; without it the webhooks can't be served"),
          {{"resource", "secrets"}});
    }
    return io::RetryPace::kPatient;
  };
  watches_.push_back(
      context_.client.Watch({.name = "secrets",
                             .path = StrCat("/api/v1/namespaces/", secret_.name_space, "/secrets"),
                             .field_selector = "metadata.name=" + secret_.name},
                            std::move(handlers)));
}

void Certificates::WatchTarget(std::size_t target) {
  const BundleTarget& its = targets_[target];
  const std::string resource = ResourceOf(its.kind);
  io::WatchHandlers handlers = io::LoggingHandlers(context_.log, resource);
  handlers.on_upsert = [this, target](const nlohmann::json& object) {
    const auto key = kube::DecodeKey(object);
    if (!key.ok() || key->name != targets_[target].name) {
      return;
    }
    auto decoded = DecodeTarget(targets_[target].kind, object);
    Seen(target, decoded.ok() ? std::optional(*std::move(decoded)) : std::nullopt);
  };
  handlers.on_delete = [this, target](const model::ObjectKey& key) {
    if (key.name == targets_[target].name) {
      Seen(target, std::nullopt);
    }
  };
  handlers.on_synced = [this, target] {
    if (called_[target] == Called::kUnknown) {
      Seen(target, std::nullopt);
    }
  };
  // Manifests without webhooks don't grant it.
  handlers.on_refused = [this, target](const absl::Status&) {
    Seen(target, std::nullopt);
    return io::RetryPace::kPatient;
  };
  std::string path = TargetPath(its);
  path.resize(path.rfind('/'));
  watches_.push_back(context_.client.Watch(
      {.name = resource, .path = std::move(path), .field_selector = "metadata.name=" + its.name},
      std::move(handlers)));
}

void Certificates::Seen(std::size_t target, std::optional<TargetObject> object) {
  called_[target] = object && !object->places.empty() ? Called::kYes : Called::kNo;
  certificates_.TargetSeen(target, std::move(object), context_.loop.Now());
  Poll();
}

void Certificates::Poll() {
  Carry(certificates_.Poll(context_.loop.Now(), context_.loop.WallNow()));
  if (const auto deadline = certificates_.NextDeadline()) {
    timer_.ArmAt(*deadline, [this] { Poll(); });
  } else {
    timer_.Disarm();
  }
  handlers_.on_change();
}

void Certificates::Carry(CertificateActions actions) {
  if (actions.serve) {
    const io::KeyWiper wiper(actions.serve->pair.key);
    handlers_.serve(actions.serve->pair);
  }
  if (actions.write_secret) {
    kube::Request& request = actions.write_secret->request;
    request.time_limit = kTimeLimit;
    context_.client.Request(
        std::move(request), lifetime_.Bind([this, reason = actions.write_secret->reason](
                                               const absl::StatusOr<kube::Response>& response) {
          const absl::Status status = kube::StatusOf(response);
          if (status.ok()) {
            context_.log.Log(obs::Event::kWebhookCertificateMade, reason,
                             {{"secret", secret_.ToString()}});
          } else if (!absl::IsAborted(status) && !absl::IsAlreadyExists(status)) {
            context_.log.Log(obs::Event::kWriteFailed, std::string(status.message()),
                             {{"secret", secret_.ToString()}});
          }
          certificates_.SecretWritten(status, context_.loop.Now());
          Poll();
        }));
  }
  for (CertificateActions::Injection& injection : actions.inject) {
    injection.request.time_limit = kTimeLimit;
    context_.client.Request(
        std::move(injection.request),
        lifetime_.Bind([this, target = injection.target,
                        reason = injection.reason](const absl::StatusOr<kube::Response>& response) {
          const absl::Status status = kube::StatusOf(response);
          const std::string& name = targets_[target].name;
          if (status.ok()) {
            context_.log.Log(obs::Event::kWebhookBundleInjected, reason, {{"object", name}});
          } else if (!absl::IsAborted(status)) {
            context_.log.Log(obs::Event::kWriteFailed, std::string(status.message()),
                             {{"object", name}});
          }
          certificates_.Injected(target, status, context_.loop.Now());
          Poll();
        }));
  }
}

}  // namespace stentor::controller
