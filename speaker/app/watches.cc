// SPDX-License-Identifier: Apache-2.0

/// \file
/// The speaker's view of the API: what it watches, and where each object goes.

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/strings.h"
#include "common/io/random.h"
#include "common/kube/bodies.h"
#include "common/kube/codec.h"
#include "speaker/app/speaker.h"

namespace stentor::speaker {
namespace {

constexpr const char* kComponent = "metallb-speaker";
constexpr const char* kEverythingRead = "everything read once";  // a condition of being ready
constexpr const char* kConfiguration = "configuration";

}  // namespace

void SpeakerApp::StartWatches() {
  health_.Set(kEverythingRead, false);
  synced_[kConfiguration] = false;
  config_watch_.Start();
  WatchNodes();
  if (membership_) {
    WatchPods();
  }
  WatchSlices();
  WatchServices();
}

// What every watch has in common: it has to be read once, and trouble is told, and its end.
std::unique_ptr<io::WatchHandle> SpeakerApp::Watch(io::ResourceWatch resource,
                                                   io::WatchHandlers handlers) {
  const std::string name = resource.name;
  if (!handlers.on_synced) {
    synced_[name] = false;
    handlers.on_synced = [this, name] { Synced(name); };
  }
  if (!handlers.on_polling) {
    handlers.on_polling = [this, name] {
      log_.Log(obs::Event::kResourceRefused, io::PollingMessage(name), {{"resource", name}});
    };
  }
  handlers.on_trouble = [this, name](const absl::Status& status) {
    log_.Log(obs::Event::kApiTrouble, std::string(status.message()), {{"resource", name}});
  };
  handlers.on_recovered = [this, name] {
    log_.Log(obs::Event::kApiRecovered, name + " can be read again", {{"resource", name}});
  };
  return client_.Watch(std::move(resource), std::move(handlers));
}

void SpeakerApp::Synced(const std::string& resource) {
  const bool before = AllSynced();
  synced_[resource] = true;
  if (resource == "pods") {
    SetPeers();
  }
  if (!before && AllSynced()) {
    health_.Set(kEverythingRead, true);
    log_.Log(obs::Event::kReady, "everything has been read once");
    if (membership_) {
      Carry(membership_->SetLocalState(loop_.Now(), kYieldsNothing));
    }
  }
  ScheduleReconcile();
}

bool SpeakerApp::AllSynced() const {
  return std::ranges::all_of(synced_, [](const auto& entry) { return entry.second; });
}

void SpeakerApp::Unreadable(const absl::Status& status) {
  ++metrics_.client.update_errors;
  log_.Log(obs::Event::kObjectUnreadable, std::string(status.message()));
}

void SpeakerApp::WatchServices() {
  io::WatchHandlers handlers;
  handlers.on_upsert = [this](const nlohmann::json& object) {
    const auto service = kube::DecodeService(object, kube::Verbatim::kDrop);
    if (!service.ok()) {
      Unreadable(service.status());
      return;
    }
    ++metrics_.client.updates;
    reconciler_.UpsertService(*service);
    ScheduleReconcile();
  };
  handlers.on_delete = [this](const model::ObjectKey& key) {
    ++metrics_.client.updates;
    reconciler_.DeleteService(key);
    ScheduleReconcile();
  };
  watches_.push_back(Watch({.name = "services",
                            .path = "/api/v1/services",
                            .field_selector = "spec.type=LoadBalancer",
                            .label_selector = ""},
                           std::move(handlers)));
}

void SpeakerApp::WatchNodes() {
  io::WatchHandlers handlers;
  handlers.on_upsert = [this](const nlohmann::json& object) {
    const auto node = kube::DecodeNode(object);
    if (!node.ok()) {
      Unreadable(node.status());
      return;
    }
    nodes_.insert(node->name);
    reconciler_.UpsertNode(*node);
    ScheduleReconcile();
  };
  handlers.on_delete = [this](const model::ObjectKey& key) {
    nodes_.erase(key.name);
    reconciler_.DeleteNode(key.name);
    ScheduleReconcile();
  };
  watches_.push_back(
      Watch({.name = "nodes", .path = "/api/v1/nodes", .field_selector = "", .label_selector = ""},
            std::move(handlers)));
}

void SpeakerApp::OnConfigChange() {
  if (!synced_[kConfiguration] && config_watch_.Settled()) {
    Synced(kConfiguration);
  }
  ScheduleReconcile();
}

void SpeakerApp::TakeConfig() {
  auto config = config_watch_.Take();
  if (!config) {
    return;
  }
  ++metrics_.client.updates;
  if (!config->ok()) {
    metrics_.client.ConfigRefused();
    return;
  }
  metrics_.client.ConfigLoaded();
  reconciler_.SetConfig(**std::move(config));
}

// --- events ---

void SpeakerApp::EmitNodeAssigned(const OwnershipChange& change) {
  model::Service service;
  service.key = change.service;
  service.uid = change.uid;
  client_.Request({.method = "POST",
                   .path = kube::EventsPath(change.service.name_space),
                   .body = kube::BuildEventBody(
                       service, {.type = kube::EventType::kNormal,
                                 .reason = "nodeAssigned",
                                 .message = StrCat("announcing from node \"", flags_.node_name,
                                                   "\" with protocol \"layer2\""),
                                 .component = kComponent,
                                 .host = flags_.node_name,
                                 .time = loop_.WallNow(),
                                 .suffix = io::RandomU64()})},
                  // For people who look; where it is lost, the log has the same words.
                  [](const absl::StatusOr<kube::Response>&) {});
}

}  // namespace stentor::speaker
