// SPDX-License-Identifier: Apache-2.0
#include "controller/app/webhooks.h"

#include <chrono>
#include <utility>
#include <variant>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/io/certificate_folder.h"
#include "common/io/key_wiper.h"
#include "controller/webhook/router.h"

namespace stentor::controller {
namespace {

using namespace std::chrono_literals;

constexpr const char* kCondition = "webhooks served";
// Two objects of 1.5 MiB, which is what etcd takes for one, and what is around them.
constexpr std::size_t kMaxBody = std::size_t{4} << 20U;
constexpr std::size_t kMaxAllBodies = std::size_t{16}
                                      << 20U;  // a parsed one takes several times that
constexpr std::size_t kMaxConnections = 256;
constexpr Duration kOpenAgain = 5s;
constexpr Duration kTick = 1s;
constexpr Duration kExternalTick = 5s;  // files are read

constexpr Duration kTellAfter = 5s;

io::HttpAnswer ToIo(HttpAnswer answer) {
  return {.code = answer.status,
          .content_type = std::move(answer.content_type),
          .body = std::move(answer.body)};
}

}  // namespace

Webhooks::Webhooks(const io::Context& context, WebhookSettings settings, obs::Health& health)
    : context_(context),
      settings_(std::move(settings)),
      health_(health),
      stored_(context, settings_.name_space, settings_.bgp_mode),
      open_timer_(context.loop),
      tick_timer_(context.loop) {}

Webhooks::~Webhooks() = default;

absl::Status Webhooks::Start() {
  health_.Set(kCondition, false);
  io::ServerTlsOptions tls = settings_.tls;
  tls.certificate_folder = settings_.external_certificates ? settings_.certificate_folder : "";
  STENTOR_ASSIGN_OR_RETURN(tls_, io::ServerTls::MakeEmpty(std::move(tls)));
  if (!settings_.external_certificates) {
    certificates_ = std::make_unique<Certificates>(
        context_, settings_.secret_name,
        WebhookService{.name = settings_.service_name, .name_space = settings_.name_space},
        Certificates::Handlers{.serve = [this](const crypto::PemPair& pair) { Serve(pair); },
                               .on_change = [this] { UpdateHealth(); }});
    certificates_->Start();
  }
  Open();
  Tick();
  return absl::OkStatus();
}

void Webhooks::Open() {
  io::HttpOptions options{.address = {},
                          .port = settings_.port,
                          .tls = tls_,
                          .on_certificate_trouble =
                              [this](const absl::Status& status) {
                                context_.log.Log(obs::Event::kCertificateFailed,
                                                 std::string(status.message()));
                              },
                          .limits = {.connections = kMaxConnections,
                                     .body_bytes = kMaxBody,
                                     .all_bodies_bytes = kMaxAllBodies}};
  auto server = io::HttpServer::Open(
      context_.loop, std::move(options),
      {{.path = IsWebhookPath,
        .method = io::HttpMethod::kPost,
        .handle = [this](const io::HttpRequest& request, const io::HttpReply& reply) {
          Answer(request, reply);
        }}});
  if (server.ok()) {
    server_ = *std::move(server);
    UpdateHealth();
    return;
  }
  if (!std::exchange(port_told_, true)) {
    context_.log.Log(obs::Event::kWebhookPortFailed, std::string(server.status().message()));
  }
  open_timer_.ArmAfter(kOpenAgain, [this] { Open(); });
}

void Webhooks::Answer(const io::HttpRequest& request, const io::HttpReply& reply) {
  auto read = ReadReview(request.target, request.body, kMaxBody);
  if (auto* const answer = std::get_if<HttpAnswer>(&read)) {
    reply(ToIo(std::move(*answer)));
    return;
  }
  auto review = std::make_shared<PendingReview>(std::get<PendingReview>(std::move(read)));
  stored_.Read(review->kind, [reply, review](const absl::StatusOr<Facts>& facts) {
    // Not a refusal: whether the object is stored is then for the failurePolicy to say.
    reply(facts.ok() ? ToIo(AnswerReview(*review, *facts))
                     : io::HttpAnswer{.code = 503,
                                      .body = StrCat("what is stored can't be read: ",
                                                     std::string(facts.status().message()), "\n")});
  });
}

void Webhooks::Serve(const crypto::PemPair& pair) {
  if (const absl::Status status = tls_->Use(pair); !status.ok()) {
    context_.log.Log(obs::Event::kCertificateFailed, std::string(status.message()));
  }
}

// A certificate becomes invalid by the passing of time alone.
void Webhooks::Tick() {
  UpdateHealth();
  tick_timer_.ArmToTheSecond(certificates_ ? kTick : kExternalTick, [this] { Tick(); });
}

void Webhooks::UpdateHealth() {
  const absl::Status state = Ready();
  health_.Set(kCondition, state.ok(), state.ok() ? "" : std::string(state.message()));
  Tell(state);
}

bool Webhooks::AreCalled() const {
  return !certificates_ || certificates_->Wanted().value_or(false);
}

void Webhooks::StopBeingReady() {
  tick_timer_.Disarm();
  leaving_ = true;
  if (server_ != nullptr) {
    server_->KeepNoConnections();
  }
  UpdateHealth();
}

// What is missing at a start comes one after the other, in fractions of a second.
void Webhooks::Tell(const absl::Status& state) {
  const TimePoint now = context_.loop.Now();
  if (std::string text(state.message()); text != state_ || !untold_since_) {
    state_ = std::move(text);
    untold_since_ = now;
  }
  if (untold_since_ == TimePoint::max() || (!state.ok() && now - *untold_since_ < kTellAfter)) {
    return;
  }
  untold_since_ = TimePoint::max();  // it has been told
  if (state.ok()) {
    const bool called = !certificates_ || certificates_->Wanted() == true;
    std::string text = called ? "the API server can call the webhooks"
                              : "the API server has not been told of webhooks, and calls none";
    // Nobody was told of what was missing for a moment, so it is no news that it is there again.
    if (text != told_) {
      context_.log.Log(obs::Event::kWebhooksReady, text);
      told_ = std::move(text);
    }
  } else {
    context_.log.Log(obs::Event::kWebhooksNotReady, state_);
    told_ = state_;
  }
}

void Webhooks::Collect(obs::MetricSet& metrics) const {
  if (server_ != nullptr) {
    server_->counts().Collect("webhooks", metrics);
  }
}

absl::Status Webhooks::Ready() const {
  if (leaving_) {
    return absl::FailedPreconditionError("this replica stops");
  }
  if (!server_) {
    return absl::FailedPreconditionError("the webhooks' port is not open");
  }
  if (!certificates_) {
    return ExternalReady();
  }
  const std::optional<bool> wanted = certificates_->Wanted();
  if (!wanted) {
    return absl::FailedPreconditionError("it is not known yet whether webhooks are wanted");
  }
  return *wanted ? certificates_->Ready() : absl::OkStatus();
}

// Both files are read, since they are only good as a pair; so not with every tick.
absl::Status Webhooks::ExternalReady() const {
  STENTOR_ASSIGN_OR_RETURN(crypto::PemPair pair,
                           io::CertificateFolder(settings_.certificate_folder).Read());
  const io::KeyWiper wiper(pair.key);
  return CheckExternal(pair, {.name = settings_.service_name, .name_space = settings_.name_space},
                       std::chrono::floor<std::chrono::seconds>(context_.loop.WallNow()));
}

}  // namespace stentor::controller
