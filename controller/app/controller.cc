// SPDX-License-Identifier: Apache-2.0
#include "controller/app/controller.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "absl/strings/str_join.h"
#include "common/base/strings.h"
#include "common/io/random.h"
#include "common/kube/bodies.h"
#include "common/kube/codec.h"
#include "controller/app/memberlist_secret.h"

namespace stentor::controller {
namespace {

using namespace std::chrono_literals;

constexpr const char* kComponent = "metallb-controller";
constexpr Duration kSecretRetry = 10s;
// Pools that are applied together come one after the other; so long after the last one they are all
// there.
constexpr Duration kFirstPoolsSettle = 3s;
constexpr Duration kRefusedSecretRetry = 5min;
// After so many refusals, some seconds, namespaces count as unreadable rather than as not read yet.
constexpr int kNamespaceRefusals = 4;
// Conditions of being ready. Whether the configuration is valid is none: that is the user's affair,
// and a program that is never ready would block the roll-out that brings the remedy.
constexpr const char* kPoolsRead = "pools read";
constexpr const char* kServicesRead = "Services read";

obs::Event EventOf(FactKind kind) {
  switch (kind) {
    case FactKind::kAllocated:
      return obs::Event::kAllocated;
    case FactKind::kReleased:
      return obs::Event::kReleased;
    case FactKind::kAllocationFailed:
      return obs::Event::kAllocationFailed;
  }
  return obs::Event::kAllocationFailed;
}

}  // namespace

Controller::Controller(Flags flags, io::EventLoop& loop, io::KubeClient& client,
                       const obs::Logger& log, obs::Health& health)
    : flags_(std::move(flags)),
      loop_(loop),
      client_(client),
      log_(log),
      health_(health),
      reconciler_({.load_balancer_class = flags_.common.load_balancer_class}),
      departed_(loop, client,
                [this](model::Service service) {
                  reconciler_.UpsertService(std::move(service));
                  ScheduleFlush();
                }),
      writes_({}, io::RandomUniform),
      write_timer_(loop),
      secret_timer_(loop),
      first_pools_timer_(loop),
      config_watch_(client, log,
                    {.name_space = flags_.common.name_space,
                     .config_map = flags_.common.config_map,
                     .config_map_named = flags_.common.config_map_named,
                     .with_advertisements = false},
                    {.on_change = [this] { ScheduleFlush(); },
                     .on_unreadable = [this] { ++metrics_.client.update_errors; }}) {}

Controller::~Controller() = default;

void Controller::Start() {
  health_.Set(kPoolsRead, false);
  health_.Set(kServicesRead, false);
  config_watch_.Start();
  WatchServices();
  EnsureMemberlistSecret();
}

void Controller::Collect(obs::MetricSet& metrics) const {
  metrics_.Collect(reconciler_.Allocator(), metrics);
}

// What every watch has in common: trouble is told once, and its end too.
io::WatchHandlers Controller::Handlers(const std::string& resource) {
  io::WatchHandlers handlers;
  handlers.on_polling = [this, resource] {
    log_.Log(obs::Event::kResourceRefused, io::PollingMessage(resource), {{"resource", resource}});
  };
  handlers.on_trouble = [this, resource](const absl::Status& status) {
    log_.Log(obs::Event::kApiTrouble, std::string(status.message()), {{"resource", resource}});
  };
  handlers.on_recovered = [this, resource] {
    log_.Log(obs::Event::kApiRecovered, resource + " can be read again", {{"resource", resource}});
  };
  return handlers;
}

void Controller::Unreadable(const absl::Status& status) {
  ++metrics_.client.update_errors;
  log_.Log(obs::Event::kObjectUnreadable, std::string(status.message()));
}

void Controller::WatchServices() {
  io::WatchHandlers handlers = Handlers("services");
  handlers.on_upsert = [this](const nlohmann::json& object) { OnService(object); };
  handlers.on_delete = [this](const model::ObjectKey& key) {
    ++metrics_.client.updates;
    reconciler_.DeleteService(key);
    departed_.LookAt(key);
    ScheduleFlush();
  };
  handlers.on_synced = [this] {
    health_.Set(kServicesRead, true);
    services_read_ = true;
    reconciler_.ServicesSynced();
    departed_.FindOnce();
    ScheduleFlush();
  };
  watches_.push_back(client_.Watch(
      {.name = "services", .path = "/api/v1/services", .field_selector = "spec.type=LoadBalancer"},
      std::move(handlers)));
}

void Controller::OnService(const nlohmann::json& object) {
  ++metrics_.client.updates;
  auto service = kube::DecodeService(object, kube::Verbatim::kKeep);
  if (!service.ok()) {
    Unreadable(service.status());
    return;
  }
  reconciler_.UpsertService(*std::move(service));
  ScheduleFlush();
}

void Controller::WatchNamespaces() {
  io::WatchHandlers handlers = Handlers("namespaces");
  handlers.on_upsert = [this](const nlohmann::json& object) {
    const auto key = kube::DecodeKey(object);
    auto labels = kube::DecodeLabels(object);
    if (!key.ok() || !labels.ok()) {
      Unreadable(key.ok() ? labels.status() : key.status());
      return;
    }
    reconciler_.UpsertNamespace(key->name, *std::move(labels));
    ScheduleFlush();
  };
  handlers.on_delete = [this](const model::ObjectKey& key) {
    reconciler_.DeleteNamespace(key.name);
    ScheduleFlush();
  };
  handlers.on_synced = [this] {
    if (namespace_refusals_ >= kNamespaceRefusals) {
      log_.Log(obs::Event::kApiRecovered, "namespaces can be read now",
               {{"resource", "namespaces"}});
    }
    reconciler_.NamespacesSynced();
    ScheduleFlush();
  };
  handlers.on_refused = [this](const absl::Status& status) { return NamespacesRefused(status); };
  watches_.push_back(
      client_.Watch({.name = "namespaces", .path = "/api/v1/namespaces"}, std::move(handlers)));
}

// Manifests of MetalLB before 0.13.10 don't grant them; nor do those versions know the selectors
// that need them.
io::RetryPace Controller::NamespacesRefused(const absl::Status& status) {
  // One role grants Services and namespaces: who may not read the former yet, may soon read both.
  if (!services_read_ || ++namespace_refusals_ < kNamespaceRefusals) {
    return io::RetryPace::kSoon;
  }
  if (namespace_refusals_ == kNamespaceRefusals) {
    log_.Log(obs::Event::kResourceRefused,
             StrCat(std::string(status.message()),
                    "; without their labels, no namespace matches the namespaceSelectors of pools"),
             {{"resource", "namespaces"}});
    reconciler_.NamespacesSynced();
    ScheduleFlush();
  }
  return io::RetryPace::kPatient;
}

void Controller::EnsureMemberlistSecret() {
  if (flags_.memberlist_secret.empty()) {
    return;
  }
  CreateMemberlistSecret(client_, log_,
                         {.name_space = flags_.common.name_space,
                          .name = flags_.memberlist_secret,
                          .deployment = flags_.deployment},
                         [this](const absl::Status& why) { MemberlistSecretFailed(why); });
}

void Controller::MemberlistSecretFailed(const absl::Status& why) {
  const bool refused = absl::IsPermissionDenied(why);
  if (!refused) {
    log_.Log(obs::Event::kWriteFailed, std::string(why.message()));
  } else if (!std::exchange(secret_refused_, true)) {
    log_.Log(obs::Event::kResourceRefused,
             StrCat(std::string(why.message()),
                    "; if it does not exist, create it, or speakers don't seal their datagrams"),
             {{"resource", "secrets"}});
  }
  secret_timer_.ArmAfter(refused ? kRefusedSecretRetry : kSecretRetry,
                         [this] { EnsureMemberlistSecret(); });
}

void Controller::TakeConfig() {
  health_.Set(kPoolsRead, config_watch_.Settled());
  auto config = config_watch_.Take();
  if (!config) {
    return;
  }
  ++metrics_.client.updates;
  if (!config->ok()) {
    metrics_.client.ConfigRefused();
    return;
  }
  // Namespaces are only read where a pool asks for their labels.
  if (!namespaces_watched_ && (*config)->SelectsByNamespaceLabels()) {
    namespaces_watched_ = true;
    WatchNamespaces();
  }
  metrics_.ConfigLoaded(**config);
  PutInForce(**std::move(config));
}

// Pools that are applied together, or come to a cluster that is restored or changes over to us,
// come one after the other: whoever has an address of one that is not there yet keeps it meanwhile.
void Controller::PutInForce(config::Config config) {
  if (first_pools_settled_ || (config.pools.empty() && !newest_config_)) {
    reconciler_.SetConfig(std::move(config));
    return;
  }
  newest_config_ = config;
  first_pools_timer_.ArmAfter(kFirstPoolsSettle, [this] {
    first_pools_settled_ = true;
    reconciler_.SetConfig(*std::exchange(newest_config_, std::nullopt));
    ScheduleFlush();
  });
  if (!config.pools.empty()) {  // or it waits for those that follow
    config.pools_may_be_missing = true;
    reconciler_.SetConfig(std::move(config));
  }
}

void Controller::ScheduleFlush() {
  if (!std::exchange(flush_scheduled_, true)) {
    loop_.Post([this] { Flush(); });
  }
}

void Controller::Flush() {
  flush_scheduled_ = false;
  TakeConfig();
  CarryOut();
  SendDueWrites();
  if (reconciler_.Started() && !std::exchange(ready_told_, true)) {
    log_.Log(obs::Event::kReady, "pools and Services have been read");
  }
}

void Controller::CarryOut() {
  for (const Action& action : reconciler_.TakeActions()) {
    if (const auto* write = std::get_if<WriteStatus>(&action)) {
      pending_.insert_or_assign(write->service->key, *write);
      writes_.Add(write->service->key, loop_.Now());
    } else if (const auto* event = std::get_if<EmitEvent>(&action)) {
      Emit(*event);
    } else {
      Tell(std::get<LogFact>(action));
    }
  }
}

void Controller::SendDueWrites() {
  for (const model::ServiceKey& key : writes_.Take(loop_.Now())) {
    if (!pending_.contains(key)) {  // it failed before: what is to be written now?
      reconciler_.Retry(key);
      CarryOut();
    }
    const auto write = pending_.find(key);
    if (write == pending_.end()) {
      writes_.Succeeded(key, loop_.Now());
      continue;
    }
    Send(write->second);
    pending_.erase(write);
  }
  if (const auto deadline = writes_.NextDeadline()) {
    write_timer_.ArmAt(*deadline, [this] { Flush(); });
  } else {
    write_timer_.Disarm();
  }
}

void Controller::Send(const WriteStatus& write) {
  const model::Service& service = *write.service;
  const kube::AnnotationChange annotation{.key = std::string(kAllocatedFromAnnotation),
                                          .value = write.pool};
  client_.Request(
      {.method = "PUT",
       .path = kube::ServiceStatusPath(service.key),
       .body = kube::BuildServiceStatusBody(service, write.ingress_ips, std::span(&annotation, 1))},
      [this, write](const absl::StatusOr<kube::Response>& response) {
        OnWritten(write, response);
      });
}

void Controller::OnWritten(const WriteStatus& write,
                           const absl::StatusOr<kube::Response>& response) {
  const model::ServiceKey& key = write.service->key;
  const absl::Status status = response.ok() ? kube::StatusOf(*response) : response.status();
  if (status.ok()) {
    const auto object = kube::ParseJson(response->body);
    auto updated = object.ok() ? kube::DecodeService(*object, kube::Verbatim::kKeep)
                               : absl::StatusOr<model::Service>(object.status());
    log_.Log(obs::Event::kStatusWritten, "status written",
             {{"service", key.ToString()}, {"address", absl::StrJoin(write.ingress_ips, ",")}});
    reconciler_.OnWriteDone(write.id, key,
                            updated.ok() ? std::optional(*std::move(updated)) : std::nullopt);
    writes_.Succeeded(key, loop_.Now());
  } else if (absl::IsAborted(status) || absl::IsNotFound(status)) {
    // Somebody else wrote first, or it is gone: the watch brings what is true now.
    reconciler_.OnWriteFailed(write.id, key, WriteFailure::kConflict);
    if (!write.service->IsLoadBalancer()) {
      departed_.LookAt(key);  // the watch does not bring it
    }
    writes_.Succeeded(key, loop_.Now());
  } else {
    ++metrics_.client.update_errors;
    log_.Log(obs::Event::kWriteFailed, std::string(status.message()),
             {{"service", key.ToString()}});
    reconciler_.OnWriteFailed(write.id, key, WriteFailure::kRetry);
    writes_.Failed(key, loop_.Now(), response.ok() ? response->retry_after : std::nullopt);
  }
  ScheduleFlush();
}

void Controller::Emit(const EmitEvent& event) {
  const model::Service& service = *event.service;
  // An event is for people who look; where it is lost, the log has the same words.
  client_.Request({.method = "POST",
                   .path = kube::EventsPath(service.key.name_space),
                   .body = kube::BuildEventBody(service, {.type = event.type == EventType::kWarning
                                                                      ? kube::EventType::kWarning
                                                                      : kube::EventType::kNormal,
                                                          .reason = event.reason,
                                                          .message = event.message,
                                                          .component = kComponent,
                                                          .host = "",
                                                          .time = loop_.WallNow(),
                                                          .suffix = io::RandomU64()})},
                  [](const absl::StatusOr<kube::Response>&) {});
}

void Controller::Tell(const LogFact& fact) {
  log_.Log(EventOf(fact.kind), fact.message,
           {{"service", fact.service.ToString()},
            {"address", absl::StrJoin(fact.addresses, ",")},
            {"pool", fact.pool}});
}

}  // namespace stentor::controller
