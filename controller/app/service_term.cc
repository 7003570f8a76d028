// SPDX-License-Identifier: Apache-2.0
#include "controller/app/service_term.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "absl/strings/str_join.h"
#include "common/base/strings.h"
#include "common/io/random.h"
#include "common/io/watch_logging.h"
#include "common/kube/bodies.h"
#include "common/kube/codec.h"

namespace stentor::controller {
namespace {

constexpr const char* kComponent = "metallb-controller";
// Fewer than the client sends at a time, so that a write hardly ever waits there.
constexpr std::size_t kMaxWrites = 48;
// A write that waits, or is sent once more, is given up before anybody else can hold the Lease: it
// expires five seconds after this replica may not write any more.
constexpr Duration kWriteLimit = std::chrono::milliseconds(4500);
// After so many refusals, some seconds, namespaces count as unreadable rather than as not read yet.
constexpr int kNamespaceRefusals = 4;

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

ServiceTerm::ServiceTerm(const io::Context& context, ServiceTermOptions options, Metrics& metrics)
    : context_(context),
      options_(std::move(options)),
      metrics_(metrics),
      reconciler_({.load_balancer_class = options_.load_balancer_class}),
      departed_(context.loop, context.client,
                {.found = [this](model::Service service) { IsNoLoadBalancer(std::move(service)); },
                 .gone = [this](const model::ServiceKey& key) { Gone(key); }}),
      writes_({.max_in_flight = kMaxWrites}, io::RandomUniform),
      write_timer_(context.loop) {}

ServiceTerm::~ServiceTerm() = default;

void ServiceTerm::Start() { WatchServices(); }

void ServiceTerm::SetConfig(config::Config config) {
  // Namespaces are only read where a pool asks for their labels.
  if (!namespaces_watched_ && config.SelectsByNamespaceLabels()) {
    namespaces_watched_ = true;
    WatchNamespaces();
  }
  config_ = config;
  reconciler_.SetConfig(std::move(config));
  ScheduleFlush();
}

// --- what the API says ---

void ServiceTerm::Unreadable(const absl::Status& status) {
  ++metrics_.client.update_errors;
  context_.log.Log(obs::Event::kObjectUnreadable, std::string(status.message()));
}

void ServiceTerm::WatchServices() {
  io::WatchHandlers handlers = io::LoggingHandlers(context_.log, "services");
  handlers.on_upsert = [this](const nlohmann::json& object) { OnService(object); };
  handlers.on_delete = [this](const model::ObjectKey& key) {
    ++metrics_.client.updates;
    leaving_.insert(key);
    departed_.LookAt(key);
  };
  handlers.on_synced = [this] {
    services_read_ = true;
    options_.on_services_read();
    reconciler_.ServicesSynced();
    departed_.FindOnce();
    ScheduleFlush();
  };
  watches_.push_back(context_.client.Watch(
      {.name = "services", .path = "/api/v1/services", .field_selector = "spec.type=LoadBalancer"},
      std::move(handlers)));
}

void ServiceTerm::OnService(const nlohmann::json& object) {
  ++metrics_.client.updates;
  auto service = kube::DecodeService(object, kube::Verbatim::kKeep);
  if (!service.ok()) {
    Unreadable(service.status());
    return;
  }
  if (service->ingress_ips.empty()) {
    without_yet_.try_emplace(service->key, context_.loop.Now());
  }
  leaving_.erase(service->key);
  reconciler_.UpsertService(*std::move(service));
  ScheduleFlush();
}

// One that left the watch may still show its address; until that is known, nobody else gets it.
void ServiceTerm::IsNoLoadBalancer(model::Service service) {
  leaving_.erase(service.key);
  without_yet_.erase(service.key);
  reconciler_.UpsertService(std::move(service));
  ScheduleFlush();
}

void ServiceTerm::Gone(const model::ServiceKey& key) {
  if (leaving_.erase(key) == 0) {
    return;  // it was made anew meanwhile
  }
  without_yet_.erase(key);
  events_after_.erase(key);
  reconciler_.DeleteService(key);
  ScheduleFlush();
}

void ServiceTerm::WatchNamespaces() {
  io::WatchHandlers handlers = io::LoggingHandlers(context_.log, "namespaces");
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
      context_.log.Log(obs::Event::kApiRecovered, "namespaces can be read now",
                       {{"resource", "namespaces"}});
    }
    reconciler_.NamespacesSynced();
    ScheduleFlush();
  };
  handlers.on_refused = [this](const absl::Status& status) { return NamespacesRefused(status); };
  watches_.push_back(context_.client.Watch({.name = "namespaces", .path = "/api/v1/namespaces"},
                                           std::move(handlers)));
}

// Manifests of MetalLB before 0.13.10 don't grant them; nor do those versions know the selectors
// that need them.
io::RetryPace ServiceTerm::NamespacesRefused(const absl::Status& status) {
  // One role grants Services and namespaces: who may not read the former yet, may soon read both.
  if (!services_read_ || ++namespace_refusals_ < kNamespaceRefusals) {
    return io::RetryPace::kSoon;
  }
  if (namespace_refusals_ == kNamespaceRefusals) {
    context_.log.Log(
        obs::Event::kResourceRefused,
        StrCat(std::string(status.message()),
               "; without their labels, no namespace matches the namespaceSelectors of pools"),
        {{"resource", "namespaces"}});
    reconciler_.NamespacesSynced();
    ScheduleFlush();
  }
  return io::RetryPace::kPatient;
}

// --- what is to be done ---

void ServiceTerm::Finish(std::function<void()> done) {
  finishing_ = true;
  finished_ = std::move(done);
  MaybeFinished();
}

void ServiceTerm::MaybeFinished() {
  if (finished_ && sent_.empty()) {
    context_.loop.Post(std::exchange(finished_, nullptr));
  }
}

void ServiceTerm::ScheduleFlush() {
  if (!std::exchange(flush_scheduled_, true)) {
    context_.loop.Post(lifetime_.Bind([this] { Flush(); }));
  }
}

void ServiceTerm::Flush() {
  flush_scheduled_ = false;
  CarryOut();
  SendDueWrites();
  // Somebody waits for an address, nobody for a line of the log.
  for (const LogFact& fact : std::exchange(facts_, {})) {
    Tell(fact);
  }
  if (reconciler_.Started() && !std::exchange(started_told_, true)) {
    options_.on_started();
  }
  options_.on_change();
}

void ServiceTerm::CarryOut() {
  const std::vector<Action> actions = reconciler_.TakeActions();
  for (const Action& action : actions) {
    if (const auto* write = std::get_if<WriteStatus>(&action)) {
      pending_.insert_or_assign(write->service->key, *write);
      writes_.Add(write->service->key, context_.loop.Now());
    }
  }
  for (const Action& action : actions) {
    if (const auto* event = std::get_if<EmitEvent>(&action)) {
      TellLater(*event);
    } else if (const auto* fact = std::get_if<LogFact>(&action)) {
      facts_.push_back(*fact);  // told once the writes are on their way
    }
  }
}

// An event that comes with a write comes after it: it then tells of what is true, and is in
// nobody's way.
void ServiceTerm::TellLater(const EmitEvent& event) {
  const model::ServiceKey& key = event.service->key;
  if (pending_.contains(key) || sent_.contains(key)) {
    events_after_[key].push_back(event);
  } else {
    Emit(event);
  }
}

void ServiceTerm::SendDueWrites() {
  if (finishing_) {
    return;
  }
  for (const model::ServiceKey& key : writes_.Take(context_.loop.Now())) {
    if (!pending_.contains(key)) {  // it failed before: what is to be written now?
      reconciler_.Retry(key);
      CarryOut();
    }
    const auto write = pending_.find(key);
    if (write == pending_.end()) {
      writes_.Succeeded(key, context_.loop.Now());
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

void ServiceTerm::Send(const WriteStatus& write) {
  const model::Service& service = *write.service;
  sent_.insert(service.key);
  if (!options_.may_write()) {  // the end of this term is on its way, or a renewal is
    context_.loop.Post(lifetime_.Bind(
        [this, write] { OnWritten(write, absl::UnavailableError("this replica may not write")); }));
    return;
  }
  const kube::AnnotationChange annotation{.key = std::string(kAllocatedFromAnnotation),
                                          .value = write.pool};
  const kube::ConditionChange condition{.type = std::string(model::kAddressAllocated),
                                        .value = write.condition,
                                        .now = context_.loop.WallNow()};
  context_.client.Request(
      {.method = "PUT",
       .path = kube::ServiceStatusPath(service.key),
       .body = kube::BuildServiceStatusBody(service, write.ingress_ips, std::span(&annotation, 1),
                                            std::span(&condition, 1)),
       .time_limit = kWriteLimit},
      lifetime_.Bind([this, write](const absl::StatusOr<kube::Response>& response) {
        OnWritten(write, response);
      }));
}

void ServiceTerm::OnWritten(const WriteStatus& write,
                            const absl::StatusOr<kube::Response>& response) {
  const model::ServiceKey& key = write.service->key;
  const TimePoint now = context_.loop.Now();
  sent_.erase(key);
  const absl::Status status = kube::StatusOf(response);
  if (status.ok()) {
    const auto object = kube::ParseApiJson(response->body);
    auto updated = object.ok() ? kube::DecodeService(*object, kube::Verbatim::kKeep)
                               : absl::StatusOr<model::Service>(object.status());
    context_.log.Log(
        obs::Event::kStatusWritten, "status written",
        {{"service", key.ToString()}, {"address", absl::StrJoin(write.ingress_ips, ",")}});
    if (write.ingress_ips.empty()) {
      without_yet_.try_emplace(key, now);
    } else if (const auto since = without_yet_.extract(key)) {
      metrics_.AddressWritten(now - since.mapped());
    }
    reconciler_.OnWriteDone(write.id, key,
                            updated.ok() ? std::optional(*std::move(updated)) : std::nullopt);
    writes_.Succeeded(key, now);
    if (const auto events = events_after_.extract(key)) {
      std::ranges::for_each(events.mapped(), [this](const EmitEvent& event) { Emit(event); });
    }
  } else if (absl::IsAborted(status) || absl::IsNotFound(status)) {
    // Somebody else wrote first, or it is gone: the watch brings what is true now.
    metrics_.WriteRepeated();
    reconciler_.OnWriteFailed(write.id, key, WriteFailure::kConflict);
    if (!write.service->IsLoadBalancer()) {
      departed_.LookAt(key);  // the watch does not bring it
    }
    writes_.Succeeded(key, now);
  } else {
    ++metrics_.client.update_errors;
    metrics_.WriteRepeated();
    context_.log.Log(obs::Event::kWriteFailed, std::string(status.message()),
                     {{"service", key.ToString()}});
    reconciler_.OnWriteFailed(write.id, key, WriteFailure::kRetry);
    writes_.Failed(key, now, response.ok() ? response->retry_after : std::nullopt);
  }
  MaybeFinished();
  ScheduleFlush();
}

void ServiceTerm::Emit(const EmitEvent& event) {
  if (!options_.may_write()) {
    return;
  }
  const model::Service& service = *event.service;
  // An event is for people who look; where it is lost, the log has the same words.
  context_.client.Request(
      {.method = "POST",
       .path = kube::EventsPath(service.key.name_space),
       .body = kube::BuildEventBody(
           service, {.type = event.type == EventType::kWarning ? kube::EventType::kWarning
                                                               : kube::EventType::kNormal,
                     .reason = event.reason,
                     .message = event.message,
                     .component = kComponent,
                     .host = "",
                     .time = context_.loop.WallNow(),
                     .suffix = io::RandomU64()}),
       .priority = kube::Priority::kBackground},
      [](const absl::StatusOr<kube::Response>&) {});
}

void ServiceTerm::Tell(const LogFact& fact) {
  context_.log.Log(EventOf(fact.kind), fact.message,
                   {{"service", fact.service.ToString()},
                    {"address", absl::StrJoin(fact.addresses, ",")},
                    {"pool", fact.pool}});
}

}  // namespace stentor::controller
