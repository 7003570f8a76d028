// SPDX-License-Identifier: Apache-2.0
#include "controller/app/controller.h"

#include <algorithm>
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

std::string ServicePath(const model::ServiceKey& key) {
  return StrCat("/api/v1/namespaces/", key.name_space, "/services/", key.name);
}

std::string PoolsPath(const std::string& name_space) {
  return StrCat("/apis/metallb.io/v1beta1/namespaces/", name_space, "/ipaddresspools");
}

bool HasOurAnnotation(const nlohmann::json& object) {
  static const nlohmann::json::json_pointer kAnnotations("/metadata/annotations");
  return object.contains(kAnnotations) && object[kAnnotations].is_object() &&
         object[kAnnotations].contains(std::string(kAllocatedFromAnnotation));
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
                       const obs::Logger& log)
    : flags_(std::move(flags)),
      loop_(loop),
      client_(client),
      log_(log),
      reconciler_({.load_balancer_class = flags_.common.load_balancer_class}),
      writes_({}, io::RandomUniform),
      write_timer_(loop),
      secret_timer_(loop) {}

Controller::~Controller() = default;

void Controller::Start() {
  WatchPools();
  WatchServices();
  EnsureMemberlistSecret();
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
  log_.Log(obs::Event::kObjectUnreadable, std::string(status.message()));
}

void Controller::WatchServices() {
  io::WatchHandlers handlers = Handlers("services");
  handlers.on_upsert = [this](const nlohmann::json& object) { OnService(object); };
  handlers.on_delete = [this](const model::ObjectKey& key) {
    reconciler_.DeleteService(key);
    LookAtDeparted(key);
    ScheduleFlush();
  };
  handlers.on_synced = [this] {
    reconciler_.ServicesSynced();
    FindDeparted();
    ScheduleFlush();
  };
  watches_.push_back(client_.Watch(
      {.name = "services", .path = "/api/v1/services", .field_selector = "spec.type=LoadBalancer"},
      std::move(handlers)));
}

void Controller::OnService(const nlohmann::json& object) {
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
    auto pool = kube::DecodeIpAddressPool(object);
    if (!pool.ok()) {
      Unreadable(pool.status());
      return;
    }
    model::IpAddressPoolResource& known = pools_[pool->key];
    if (known != *pool) {  // status updates change nothing here
      known = *std::move(pool);
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
  config::Resources resources;
  for (const auto& [key, pool] : pools_) {
    resources.pools.push_back(pool);
  }
  auto config = config::Parse(resources);
  if (!config.ok()) {
    log_.Log(obs::Event::kConfigStale, std::string(config.status().message()));
    return;
  }
  log_.Log(obs::Event::kConfigLoaded, StrCat(config->pools.size(), " address pools"));
  // Namespaces are only read where a pool asks for their labels.
  if (!namespaces_watched_ && std::ranges::any_of(config->pools, [](const config::Pool& pool) {
        return pool.service_allocation && !pool.service_allocation->namespace_selectors.empty();
      })) {
    namespaces_watched_ = true;
    WatchNamespaces();
  }
  reconciler_.SetConfig(*std::move(config));
}

// The watch shows load balancers only: what left it was deleted, or has another type now and may
// keep an address in its status, which has to be cleared.
void Controller::LookAtDeparted(const model::ServiceKey& key) {
  client_.Request({.path = ServicePath(key)},
                  [this](const absl::StatusOr<kube::Response>& response) {
                    if (!response.ok() || response->code != 200) {
                      return;  // 404: it is gone; anything else shows at the next start
                    }
                    const auto object = kube::ParseJson(response->body);
                    auto service = object.ok() ? kube::DecodeService(*object, kube::Verbatim::kKeep)
                                               : absl::StatusOr<model::Service>(object.status());
                    if (service.ok() && !service->IsLoadBalancer()) {
                      reconciler_.UpsertService(*std::move(service));
                      ScheduleFlush();
                    }
                  });
}

// The same for what changed its type while nobody watched: our annotation gives it away. Only the
// metadata of the other Services is listed, once.
void Controller::FindDeparted() {
  if (std::exchange(departed_sought_, true)) {
    return;
  }
  client_.Request({.path = "/api/v1/services?fieldSelector=spec.type%21%3DLoadBalancer",
                   .accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"},
                  [this](const absl::StatusOr<kube::Response>& response) {
                    if (!response.ok() || response->code != 200) {
                      departed_sought_ = false;  // the next complete list asks again
                      return;
                    }
                    const auto list = kube::ParseJson(response->body);
                    if (!list.ok() || !list->contains("items")) {
                      return;
                    }
                    for (const nlohmann::json& item : (*list)["items"]) {
                      const auto key = kube::DecodeKey(item);
                      if (key.ok() && HasOurAnnotation(item)) {
                        LookAtDeparted(*key);
                      }
                    }
                  });
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
    writes_.Succeeded(key, loop_.Now());
  } else {
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
