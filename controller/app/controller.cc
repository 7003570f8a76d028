// SPDX-License-Identifier: Apache-2.0
#include "controller/app/controller.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/io/random.h"
#include "controller/app/memberlist_secret.h"

namespace stentor::controller {
namespace {

using namespace std::chrono_literals;

constexpr const char* kLease = "stentor-controller";
constexpr Duration kWritesEnd = 2s;
constexpr Duration kReviewsEnd = 3s;  // endpoints reach all nodes
constexpr Duration kSecretRetry = 10s;
constexpr Duration kRefusedSecretRetry = 5min;
// Pools that are applied together come one after the other; so long after the last one they are all
// there.
constexpr Duration kFirstPoolsSettle = 3s;
constexpr Duration kFirstPoolsSettleAtMost = 15s;
// Conditions of being ready. Whether the configuration is valid is none: that is the user's affair,
// and a program that is never ready would block the roll-out that brings the remedy. Nor is whether
// this replica leads: the others are ready to.
constexpr const char* kPoolsRead = "pools read";
constexpr const char* kServicesRead = "Services read, or another replica leads";

}  // namespace

Controller::Controller(Flags flags, io::EventLoop& loop, io::KubeClient& client,
                       const obs::Logger& log, obs::Health& health)
    : flags_(std::move(flags)),
      context_{loop, client, log},
      health_(health),
      statuses_(context_, {.name_space = flags_.common.name_space,
                           .pod_name = flags_.common.pod_name,
                           .may_write = [this] { return MayWrite(); }}),
      leadership_(context_, MakeLeaderOptions(),
                  {.on_started = [this] { LeadingStarted(); },
                   .on_stopped = [this] { LeadingEnded(); },
                   .on_other_leads = [this] { StandBy(); }}),
      secret_timer_(loop),
      first_pools_timer_(loop),
      stop_timer_(loop) {}

Controller::~Controller() = default;

// Without its pod's name, this replica is told from others by the random part alone.
LeaderOptions Controller::MakeLeaderOptions() const {
  const std::string& pod = flags_.common.pod_name;
  return {.lease = {flags_.common.name_space, kLease},
          .identity = LeaderIdentity(pod.empty() ? "unnamed" : pod, io::RandomU64()),
          .predecessor_prefix = pod.empty() ? "" : IdentityPrefix(pod)};
}

absl::Status Controller::Start() {
  if (flags_.webhook_mode != WebhookMode::kDisabled) {
    webhooks_ = std::make_unique<Webhooks>(context_, flags_.webhooks, health_);
    STENTOR_RETURN_IF_ERROR(webhooks_->Start());
  }
  if (flags_.webhook_mode == WebhookMode::kOnly) {
    return absl::OkStatus();
  }
  health_.Set(kPoolsRead, false);
  health_.Set(kServicesRead, false);
  leadership_.Start();  // the configuration is read once it is known who leads
  EnsureMemberlistSecret();
  return absl::OkStatus();
}

// First the writes that are under way, so that none comes after another replica has read what
// there is; then the Lease; and the webhooks as long as the API server may still send reviews here.
void Controller::Stop(std::function<void()> done) {
  const bool are_called = webhooks_ && webhooks_->AreCalled();
  if (webhooks_) {
    webhooks_->StopBeingReady();
  }
  const auto leave = [this, are_called, done = std::move(done)] {
    stop_timer_.ArmAfter(are_called ? kReviewsEnd : Duration::zero(), done);
  };
  if (flags_.webhook_mode == WebhookMode::kOnly) {
    leave();
    return;
  }
  if (!term_) {
    leadership_.Release(leave);
    return;
  }
  // Whatever comes first: the end of the writes, or of the patience.
  const auto released = std::make_shared<bool>(false);
  const auto release = lifetime_.Bind([this, leave, released] {
    if (!std::exchange(*released, true)) {
      leadership_.Release(leave);
    }
  });
  stop_timer_.ArmAfter(kWritesEnd, release);
  term_->Finish(release);
}

void Controller::Collect(obs::MetricSet& metrics) const {
  metrics_.Collect(metrics);
  leadership_.Collect(metrics);
  if (webhooks_) {
    webhooks_->Collect(metrics);
  }
  if (term_ && term_->config() != nullptr) {
    Metrics::Collect(*term_->config(), term_->reconciler().Allocator(), term_->PendingWrites(),
                     metrics);
  }
}

// --- leading ---

bool Controller::MayWrite() const { return leadership_.MayWrite(); }

void Controller::LeadingStarted() {
  term_ = std::make_unique<ServiceTerm>(
      context_,
      ServiceTermOptions{.load_balancer_class = flags_.common.load_balancer_class,
                         .may_write = [this] { return MayWrite(); },
                         .on_services_read = [this] { health_.Set(kServicesRead, true); },
                         .on_started =
                             [this] {
                               if (!std::exchange(ready_told_, true)) {
                                 context_.log.Log(obs::Event::kReady,
                                                  "pools and Services have been read");
                               }
                             },
                         .on_change = [this] { UpdateUsage(); }},
      metrics_);
  term_->Start();
  // It may have been followed, but a watch can be behind for any time: as with Services, only what
  // is read now is believed.
  WatchConfig();
  statuses_.SetLeading(true);
}

void Controller::StandBy() {
  health_.Set(kServicesRead, true);
  if (!config_watch_) {
    WatchConfig();
  }
}

void Controller::LeadingEnded() {
  first_pools_timer_.Disarm();
  statuses_.SetLeading(false);
  term_.reset();
}

// --- the speakers' Secret ---

void Controller::EnsureMemberlistSecret() {
  if (flags_.memberlist_secret.empty()) {
    return;
  }
  CreateMemberlistSecret(
      context_.client, context_.log,
      {.name_space = flags_.common.name_space,
       .name = flags_.memberlist_secret,
       .deployment = flags_.deployment},
      lifetime_.Bind([this](const absl::Status& why) { MemberlistSecretFailed(why); }));
}

void Controller::MemberlistSecretFailed(const absl::Status& why) {
  const bool refused = absl::IsPermissionDenied(why);
  if (!refused) {
    context_.log.Log(obs::Event::kWriteFailed, std::string(why.message()));
  } else if (!std::exchange(secret_refused_, true)) {
    context_.log.Log(
        obs::Event::kResourceRefused,
        StrCat(std::string(why.message()),
               "; if it does not exist, create it, or speakers don't seal their datagrams"),
        {{"resource", "secrets"}});
  }
  secret_timer_.ArmAfter(refused ? kRefusedSecretRetry : kSecretRetry,
                         [this] { EnsureMemberlistSecret(); });
}

// --- configuration ---

void Controller::WatchConfig() {
  config_watch_ = std::make_unique<io::ConfigWatch>(
      context_.client, context_.log,
      io::ConfigWatchOptions{.name_space = flags_.common.name_space,
                             .config_map = flags_.common.config_map,
                             .config_map_named = flags_.common.config_map_named,
                             .with_advertisements = false},
      io::ConfigWatchHandlers{
          .on_change = [this] { ScheduleConfig(); },
          .on_unreadable = [this] { ++metrics_.client.update_errors; },
          .on_pool = [this](const nlohmann::json& pool) { statuses_.PoolSeen(pool); },
          .on_pool_gone = [this](const model::ObjectKey& pool) { statuses_.PoolGone(pool); }});
  config_watch_->Start();
}

void Controller::ScheduleConfig() {
  if (!std::exchange(config_scheduled_, true)) {
    context_.loop.Post(lifetime_.Bind([this] { TakeConfig(); }));
  }
}

void Controller::TakeConfig() {
  config_scheduled_ = false;
  health_.Set(kPoolsRead, config_watch_->Settled());
  auto config = config_watch_->Take();
  if (!config) {
    return;
  }
  ++metrics_.client.updates;
  statuses_.ConfigOutcome(*config);
  if (!config->ok()) {
    metrics_.client.ConfigRefused();
    return;
  }
  metrics_.client.ConfigLoaded();
  PutInForce(**std::move(config));
}

// Pools that are applied together, or come to a cluster that is restored or changes over to us,
// come one after the other: whoever has an address of one that is not there yet keeps it meanwhile.
void Controller::PutInForce(config::Config config) {
  if (!term_) {
    return;
  }
  if (first_pools_settled_ || (config.pools.empty() && !newest_config_)) {
    term_->SetConfig(std::move(config));
    return;
  }
  const TimePoint now = context_.loop.Now();
  first_pools_seen_ = first_pools_seen_.value_or(now);
  newest_config_ = config;
  // However long they go on to change.
  first_pools_timer_.ArmAt(
      std::min(now + kFirstPoolsSettle, *first_pools_seen_ + kFirstPoolsSettleAtMost), [this] {
        first_pools_settled_ = true;
        term_->SetConfig(*std::exchange(newest_config_, std::nullopt));
      });
  if (!config.pools.empty()) {  // or it waits for those that follow
    config.pools_may_be_missing = true;
    term_->SetConfig(std::move(config));
  }
}

void Controller::UpdateUsage() {
  if (term_ && term_->config() != nullptr && term_->reconciler().Started()) {
    statuses_.SetUsage(*term_->config(), term_->reconciler().Allocator());
  }
}

}  // namespace stentor::controller
