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
constexpr const char* kPools = "ipaddresspools.metallb.io";
constexpr Duration kSecretRetry = 10s;
// Conditions of being ready. Whether the configuration is valid is none: that is the user's affair,
// and a program that is never ready would block the roll-out that brings the remedy.
constexpr const char* kPoolsRead = "pools read";
constexpr const char* kServicesRead = "Services read";

std::string PoolsPath(const std::string& name_space) {
  return StrCat("/apis/metallb.io/v1beta1/namespaces/", name_space, "/ipaddresspools");
}

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
      secret_timer_(loop) {}

Controller::~Controller() = default;

void Controller::Start() {
  health_.Set(kPoolsRead, false);
  health_.Set(kServicesRead, false);
  WatchPools();
  WatchServices();
  EnsureMemberlistSecret();
}

void Controller::Collect(obs::MetricSet& metrics) const {
  metrics_.Collect(reconciler_.Allocator(), metrics);
}

// What every watch has in common: trouble is told once, and its end too.
io::WatchHandlers Controller::Handlers(const std::string& resource) {
  io::WatchHandlers handlers;
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

void Controller::WatchPools() {
  io::WatchHandlers handlers = Handlers(kPools);
  handlers.on_upsert = [this](const nlohmann::json& object) {
    const auto key = kube::DecodeKey(object);
    if (!key.ok()) {
      Unreadable(key.status());
      return;
    }
    auto pool = kube::DecodeIpAddressPool(object);
    const auto known = pools_.find(*key);
    if (known == pools_.end() || known->second != pool) {  // status updates change nothing here
      pools_.insert_or_assign(*key, std::move(pool));
      config_due_ = true;
      ScheduleFlush();
    }
  };
  handlers.on_delete = [this](const model::ObjectKey& key) {
    config_due_ = pools_.erase(key) > 0 || config_due_;
    ScheduleFlush();
  };
  handlers.on_synced = [this] {
    pools_synced_ = true;
    health_.Set(kPoolsRead, true);
    config_due_ = true;
    ScheduleFlush();
  };
  watches_.push_back(client_.Watch({.name = kPools, .path = PoolsPath(flags_.common.name_space)},
                                   std::move(handlers)));
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
    reconciler_.NamespacesSynced();
    ScheduleFlush();
  };
  watches_.push_back(
      client_.Watch({.name = "namespaces", .path = "/api/v1/namespaces"}, std::move(handlers)));
}

void Controller::EnsureMemberlistSecret() {
  if (flags_.memberlist_secret.empty()) {
    return;
  }
  CreateMemberlistSecret(
      client_, log_,
      {.name_space = flags_.common.name_space,
       .name = flags_.memberlist_secret,
       .deployment = flags_.deployment},
      [this] { secret_timer_.ArmAfter(kSecretRetry, [this] { EnsureMemberlistSecret(); }); });
}

void Controller::ParseConfig() {
  if (!pools_synced_ || !std::exchange(config_due_, false)) {
    return;
  }
  ++metrics_.client.updates;
  config::Resources resources;
  absl::Status unreadable;
  for (const auto& [key, pool] : pools_) {
    if (pool.ok()) {
      resources.pools.push_back(*pool);
    } else {
      unreadable.Update(pool.status());
    }
  }
  // Without the pools that can't be read, their Services would lose what they have.
  auto config =
      unreadable.ok() ? config::Parse(resources) : absl::StatusOr<config::Config>(unreadable);
  if (!config.ok()) {
    metrics_.client.ConfigRefused();
    log_.Log(obs::Event::kConfigStale, std::string(config.status().message()));
    return;
  }
  log_.Log(obs::Event::kConfigLoaded, StrCat(config->pools.size(), " address pools"));
  // Namespaces are only read where a pool asks for their labels.
  if (!namespaces_watched_ && config->SelectsByNamespaceLabels()) {
    namespaces_watched_ = true;
    WatchNamespaces();
  }
  metrics_.ConfigLoaded(*config);
  reconciler_.SetConfig(*std::move(config));
}

void Controller::ScheduleFlush() {
  if (!std::exchange(flush_scheduled_, true)) {
    loop_.Post([this] { Flush(); });
  }
}

void Controller::Flush() {
  flush_scheduled_ = false;
  ParseConfig();
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
