// SPDX-License-Identifier: Apache-2.0

/// \file
/// The speaker's view of the API: what it watches, and where each object goes.

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/strings.h"
#include "common/config/config.h"
#include "common/io/random.h"
#include "common/kube/bodies.h"
#include "common/kube/codec.h"
#include "speaker/app/speaker.h"

namespace stentor::speaker {
namespace {

constexpr const char* kComponent = "metallb-speaker";
constexpr const char* kEverythingRead = "everything read once";  // a condition of being ready
constexpr const char* kPools = "ipaddresspools.metallb.io";
constexpr const char* kAdvertisements = "l2advertisements.metallb.io";
// Headless Services have no address; their slices are the many that nobody needs here.
constexpr const char* kSlicesWanted = "!service.kubernetes.io/headless";

std::string GroupPath(const std::string& name_space, const char* resource) {
  return StrCat("/apis/metallb.io/v1beta1/namespaces/", name_space, "/", resource);
}

}  // namespace

void SpeakerApp::StartWatches() {
  health_.Set(kEverythingRead, false);
  WatchPools();
  WatchAdvertisements();
  WatchNodes();
  if (membership_) {
    WatchPods();
  }
  WatchSlices();
  WatchServices();
}

void SpeakerApp::Add(io::ResourceWatch resource, io::WatchHandlers handlers) {
  const std::string name = resource.name;
  synced_[name] = false;
  handlers.on_synced = [this, name] { Synced(name); };
  handlers.on_trouble = [this, name](const absl::Status& status) {
    log_.Log(obs::Event::kApiTrouble, std::string(status.message()), {{"resource", name}});
  };
  handlers.on_recovered = [this, name] {
    log_.Log(obs::Event::kApiRecovered, name + " can be read again", {{"resource", name}});
  };
  watches_.push_back(client_.Watch(std::move(resource), std::move(handlers)));
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
  Add({.name = "services",
       .path = "/api/v1/services",
       .field_selector = "spec.type=LoadBalancer",
       .label_selector = ""},
      std::move(handlers));
}

void SpeakerApp::WatchSlices() {
  io::WatchHandlers handlers;
  handlers.on_upsert = [this](const nlohmann::json& object) {
    const auto slice = kube::DecodeEndpointSlice(object);
    if (!slice.ok()) {
      Unreadable(slice.status());
      return;
    }
    reconciler_.UpsertSlice(*slice);
    ScheduleReconcile();
  };
  handlers.on_delete = [this](const model::ObjectKey& key) {
    reconciler_.DeleteSlice(key);
    ScheduleReconcile();
  };
  Add({.name = "endpointslices",
       .path = "/apis/discovery.k8s.io/v1/endpointslices",
       .field_selector = "",
       .label_selector = kSlicesWanted},
      std::move(handlers));
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
  Add({.name = "nodes", .path = "/api/v1/nodes", .field_selector = "", .label_selector = ""},
      std::move(handlers));
}

void SpeakerApp::WatchPools() {
  io::WatchHandlers handlers;
  handlers.on_upsert = [this](const nlohmann::json& object) {
    auto pool = kube::DecodeIpAddressPool(object);
    if (!pool.ok()) {
      Unreadable(pool.status());
      return;
    }
    model::IpAddressPoolResource& known = pools_[pool->key];
    if (known != *pool) {  // a pool's status changes with each allocation; that is nothing new here
      known = *std::move(pool);
      ConfigChanged();
    }
  };
  handlers.on_delete = [this](const model::ObjectKey& key) {
    pools_.erase(key);
    ConfigChanged();
  };
  Add({.name = kPools,
       .path = GroupPath(flags_.common.name_space, "ipaddresspools"),
       .field_selector = "",
       .label_selector = ""},
      std::move(handlers));
}

void SpeakerApp::WatchAdvertisements() {
  io::WatchHandlers handlers;
  handlers.on_upsert = [this](const nlohmann::json& object) {
    auto advertisement = kube::DecodeL2Advertisement(object);
    if (!advertisement.ok()) {
      Unreadable(advertisement.status());
      return;
    }
    advertisements_.insert_or_assign(advertisement->key, *std::move(advertisement));
    ConfigChanged();
  };
  handlers.on_delete = [this](const model::ObjectKey& key) {
    advertisements_.erase(key);
    ConfigChanged();
  };
  Add({.name = kAdvertisements,
       .path = GroupPath(flags_.common.name_space, "l2advertisements"),
       .field_selector = "",
       .label_selector = ""},
      std::move(handlers));
}

void SpeakerApp::ConfigChanged() {
  config_due_ = true;
  ScheduleReconcile();
}

// Only complete sets are parsed: half a list would withdraw what the other half announces.
void SpeakerApp::ParseConfig() {
  if (!config_due_ || !synced_[kPools] || !synced_[kAdvertisements]) {
    return;
  }
  config_due_ = false;
  ++metrics_.client.updates;
  config::Resources resources;
  for (const auto& [key, pool] : pools_) {
    resources.pools.push_back(pool);
  }
  for (const auto& [key, advertisement] : advertisements_) {
    resources.l2_advertisements.push_back(advertisement);
  }
  auto config = config::Parse(resources);
  if (!config.ok()) {
    metrics_.client.ConfigRefused();
    log_.Log(obs::Event::kConfigStale, std::string(config.status().message()));
    return;
  }
  log_.Log(obs::Event::kConfigLoaded,
           StrCat(resources.pools.size(), " address pools, ", resources.l2_advertisements.size(),
                  " layer 2 advertisements"));
  metrics_.client.ConfigLoaded();
  reconciler_.SetConfig(*std::move(config));
}

// --- other speakers ---

void SpeakerApp::WatchPods() {
  io::WatchHandlers handlers;
  handlers.on_upsert = [this](const nlohmann::json& object) {
    const auto pod = kube::DecodePod(object);
    if (!pod.ok()) {
      Unreadable(pod.status());
      return;
    }
    pods_.insert_or_assign(pod->key, *pod);
    SetPeers();
  };
  handlers.on_delete = [this](const model::ObjectKey& key) {
    pods_.erase(key);
    SetPeers();
  };
  Add({.name = "pods",
       .path = StrCat("/api/v1/namespaces/", flags_.common.name_space, "/pods"),
       .field_selector = "",
       .label_selector = flags_.member_labels},
      std::move(handlers));
}

void SpeakerApp::SetPeers() {
  if (!synced_["pods"]) {
    return;
  }
  std::map<std::string, PeerAddress> by_node;
  for (const auto& [key, pod] : pods_) {
    const auto address = net::IpAddress::Parse(pod.pod_ip);
    const bool over = pod.phase == "Succeeded" || pod.phase == "Failed";
    if (!address || pod.node.empty() || over) {
      continue;
    }
    PeerAddress& peer = by_node[pod.node];
    peer.node = pod.node;
    if (std::ranges::find(peer.addresses, *address) == peer.addresses.end()) {
      peer.addresses.push_back(*address);
    }
  }
  std::vector<PeerAddress> peers;
  for (auto& [node, peer] : by_node) {
    peers.push_back(std::move(peer));
  }
  Carry(membership_->SetPeers(loop_.Now(), peers));
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
