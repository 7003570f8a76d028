// SPDX-License-Identifier: Apache-2.0
#include "speaker/app/statuses.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/strings.h"
#include "common/io/random.h"
#include "common/io/watch_logging.h"
#include "common/kube/codec.h"

namespace stentor::speaker {
namespace {

constexpr const char* kL2Statuses = "servicel2statuses.metallb.io";
// Events about what has no namespace are kept here (core/v1 Event).
constexpr const char* kEventsOfNodes = "default";
constexpr const char* kComponent = "metallb-speaker";
// Announcing does not wait longer for what is only good to know.
constexpr Duration kPatience = std::chrono::seconds(3);

kube::EventObject AboutService(const model::ServiceKey& service, const std::string& uid) {
  return {
      .api_version = "v1", .kind = "Service", .key = service, .uid = uid, .resource_version = ""};
}

}  // namespace

Statuses::Statuses(const io::Context& context, StatusesOptions options, StatusesHandlers handlers)
    : context_(context),
      options_(std::move(options)),
      handlers_(std::move(handlers)),
      l2_statuses_({.name_space = options_.name_space, .node = options_.node}, io::RandomUniform),
      state_(context, {.state = SpeakerStateOptions(options_.name_space, options_.node)}),
      patience_(context.loop),
      timer_(context.loop) {}

Statuses::~Statuses() = default;

void Statuses::Start() {
  state_.Start();
  WatchL2Statuses();
  patience_.ArmAfter(kPatience, [this] { Settle(false); });
}

void Statuses::SetOwner(const std::string& pod_uid) {
  if (options_.pod_name.empty() || std::exchange(owned_, true)) {
    return;
  }
  const status::OwnerPod owner{.name = options_.pod_name, .uid = pod_uid};
  state_.SetOwner(owner);
  l2_statuses_.SetOwner(owner);
  Schedule();
}

void Statuses::WatchL2Statuses() {
  const auto note = [this](const std::optional<model::ServiceKey>& service) {
    if (service) {
      if (const auto known = l2_statuses_.Known(*service)) {
        handlers_.on_status(*service, *known);
      }
    }
    Schedule();
  };
  io::WatchHandlers handlers = io::LoggingHandlers(context_.log, kL2Statuses);
  handlers.on_upsert = [this, note](const nlohmann::json& object) {
    const auto service = l2_statuses_.Seen(object);
    if (service && !settled_) {
      handlers_.on_status(*service, true);  // part of the first list
    }
    note(service);
  };
  handlers.on_delete = [this, note](const model::ObjectKey& key) { note(l2_statuses_.Gone(key)); };
  handlers.on_synced = [this] {
    l2_statuses_.Synced();
    Settle(true);
    Schedule();
  };
  // Manifests before MetalLB 0.14 know no such kind.
  handlers.on_refused = [this](const absl::Status& status) {
    l2_statuses_.WatchRefused(context_.loop.Now(), status);
    Settle(false);
    Schedule();
    return io::RetryPace::kPatient;
  };
  watch_ = context_.client.Watch({.name = kL2Statuses,
                                  .path = L2StatusesPath(options_.name_space),
                                  .field_selector = "",
                                  .label_selector = ""},
                                 std::move(handlers));
}

void Statuses::Settle(bool known) {
  patience_.Disarm();
  if (!std::exchange(settled_, true)) {
    handlers_.on_settled(known);
  }
}

void Statuses::SetAnnounced(const ServiceInterfaces& announced) {
  if (l2_statuses_.SetAnnounced(announced)) {
    l2_statuses_.HoldWrites(context_.loop.Now());
  }
  Schedule();
}

void Statuses::ConfigOutcome(const absl::StatusOr<config::Config>& outcome) {
  state_.SetCondition(
      status::ReconcilerCondition(status::kConfigReconcilerValid, outcome.status()));
}

void Statuses::SetConflicts(const std::vector<ConflictFact>& conflicts) {
  SetOrRemove(kAddressConflictType, AddressConflictCondition(conflicts));
}

void Statuses::SetTraps(const std::vector<TrapFact>& traps) {
  SetOrRemove(kNodeTrapsType, NodeTrapsCondition(traps));
}

void Statuses::SetOrRemove(std::string_view type, std::optional<status::Condition> condition) {
  if (condition) {
    state_.SetCondition(*std::move(condition));
  } else {
    state_.RemoveCondition(type);
  }
}

void Statuses::Schedule() {
  if (!std::exchange(scheduled_, true)) {
    context_.loop.Post(lifetime_.Bind([this] { Poll(); }));
  }
}

void Statuses::Poll() {
  scheduled_ = false;
  status::StatusActions actions = l2_statuses_.Poll(context_.loop.Now());
  if (actions.notice) {
    io::LogStatusNotice(context_.log, *actions.notice, kL2Statuses);
  }
  for (status::StatusRequest& request : actions.requests) {
    context_.client.Request(std::move(request.request),
                            lifetime_.Bind([this, ticket = request.ticket](const auto& answer) {
                              l2_statuses_.OnAnswer(context_.loop.Now(), ticket, answer);
                              Schedule();
                            }));
  }
  if (const auto deadline = l2_statuses_.NextDeadline()) {
    timer_.ArmAt(*deadline, [this] { Schedule(); });
  } else {
    timer_.Disarm();
  }
}

void Statuses::EmitNodeAssigned(const model::ServiceKey& service, const std::string& uid) {
  Emit(AboutService(service, uid),
       NodeAssignedEvent(options_.node, context_.loop.WallNow(), io::RandomU64()));
}

void Statuses::EmitAnnounceFailed(const model::ServiceKey& service, const std::string& uid,
                                  const std::string& message) {
  Emit(AboutService(service, uid),
       AnnounceFailedEvent(options_.node, message, context_.loop.WallNow(), io::RandomU64()));
}

void Statuses::EmitAbout(const model::ServiceKey& service, const std::string& uid,
                         kube::EventType type, std::string_view reason, std::string message) {
  Emit(AboutService(service, uid), Content(type, reason, std::move(message)));
}

void Statuses::EmitAboutNode(kube::EventType type, std::string_view reason, std::string message) {
  // By convention (client-go, kubelet) a Node's event bears its name in place of the uid.
  Emit({.api_version = "v1",
        .kind = "Node",
        .key = {kEventsOfNodes, options_.node},
        .uid = options_.node,
        .resource_version = ""},
       Content(type, reason, std::move(message)));
}

kube::EventContent Statuses::Content(kube::EventType type, std::string_view reason,
                                     std::string message) const {
  return {.type = type,
          .reason = std::string(reason),
          .message = std::move(message),
          .component = kComponent,
          .host = options_.node,
          .time = context_.loop.WallNow(),
          .suffix = io::RandomU64()};
}

void Statuses::Emit(const kube::EventObject& about, const kube::EventContent& event) {
  context_.client.Request({.method = "POST",
                           .path = kube::EventsPath(about.key.name_space),
                           .body = kube::BuildEventBody(about, event),
                           .priority = kube::Priority::kBackground},
                          // For people who look; where it is lost, the log has the same words.
                          [](const absl::StatusOr<kube::Response>&) {});
}

}  // namespace stentor::speaker
