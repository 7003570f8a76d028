// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// A small cluster as the API shows it: three nodes with speakers, a pool of three addresses, one
/// Service that has one of them and is announced. Tests break it.

#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/facts/snapshot.h"
#include "common/base/strings.h"

namespace stentor::cli {

inline constexpr const char* kNamespace = "metallb-system";

inline nlohmann::json Meta(const std::string& name_space, const std::string& name) {
  return {
      {"namespace", name_space}, {"name", name}, {"uid", "u-" + name}, {"resourceVersion", "1"}};
}

inline nlohmann::json MakeService(const std::string& name, const std::string& address) {
  nlohmann::json service{{"metadata", Meta("default", name)},
                         {"spec",
                          {{"type", "LoadBalancer"},
                           {"clusterIPs", {"10.0.0.1"}},
                           {"ipFamilies", {"IPv4"}},
                           {"selector", {{"app", name}}},
                           {"ports", {{{"port", 80}, {"protocol", "TCP"}}}}}}};
  if (!address.empty()) {
    service["status"]["loadBalancer"]["ingress"] = {{{"ip", address}}};
  }
  return service;
}

inline nlohmann::json MakePod(const std::string& component, const std::string& node) {
  return {{"metadata",
           {{"namespace", kNamespace},
            {"name", StrCat(component, "-", node)},
            {"labels", {{"app", "metallb"}, {"component", component}}}}},
          {"spec",
           {{"nodeName", node},
            {"containers",
             {{{"args", {"--port=7472"}},
               {"env",
                {{{"name", "METALLB_ML_BIND_ADDR"},
                  {"valueFrom", {{"fieldRef", {{"fieldPath", "status.podIP"}}}}}},
                 {{"name", "METALLB_ML_LABELS"}, {"value", "component=speaker"}}}}}}}}},
          {"status",
           {{"phase", "Running"}, {"conditions", {{{"type", "Ready"}, {"status", "True"}}}}}}};
}

inline nlohmann::json MakeState(const std::string& name, const std::string& condition) {
  return {
      {"metadata", Meta(kNamespace, name)},
      {"status",
       {{"result", "Valid"},
        {"conditions", {{{"type", condition}, {"status", "True"}, {"reason", "Reconciled"}}}}}}};
}

inline nlohmann::json MakeSlice(const std::string& service, std::vector<std::string> nodes) {
  nlohmann::json slice{{"metadata", Meta("default", StrCat(service, "-1"))},
                       {"endpoints", nlohmann::json::array()}};
  slice["metadata"]["labels"] = {{"kubernetes.io/service-name", service}};
  for (const std::string& node : nodes) {
    slice["endpoints"].push_back({{"nodeName", node}, {"conditions", {{"ready", true}}}});
  }
  return slice;
}

inline nlohmann::json MakeL2Status(const std::string& service, const std::string& node) {
  nlohmann::json status{
      {"metadata", Meta(kNamespace, StrCat("l2-", service, node))},
      {"status", {{"node", node}, {"serviceName", service}, {"serviceNamespace", "default"}}}};
  status["metadata"]["creationTimestamp"] = "2026-01-02T03:04:05Z";
  return status;
}

struct Cluster {
  Cluster() {
    for (const char* node : {"node-1", "node-2", "node-3"}) {
      nodes.push_back({{"metadata", {{"name", node}, {"labels", {{"name", node}}}}},
                       {"status", {{"conditions", {{{"type", "Ready"}, {"status", "True"}}}}}}});
      pods.push_back(MakePod("speaker", node));
      states.push_back(MakeState(StrCat("speaker-", node), "configReconcilerValid"));
    }
    pods.push_back(MakePod("controller", "node-3"));
    states.push_back(MakeState("controller", "poolReconcilerValid"));
    pools.push_back({{"metadata", Meta(kNamespace, "web")},
                     {"spec", {{"addresses", {"192.0.2.10-192.0.2.12"}}}}});
    advertisements.push_back(
        {{"metadata", Meta(kNamespace, "l2")}, {"spec", {{"ipAddressPools", {"web"}}}}});
    services.push_back(MakeService("web", "192.0.2.10"));
    slices.push_back({{"metadata", Meta("default", "web-1")},
                      {"endpoints",
                       {{{"nodeName", "node-1"}, {"conditions", {{"ready", true}}}},
                        {{"nodeName", "node-2"}, {"conditions", {{"ready", true}}}}}}});
    slices[0]["metadata"]["labels"] = {{"kubernetes.io/service-name", "web"}};
    namespaces.push_back({{"metadata", {{"name", "default"}, {"labels", {{"team", "a"}}}}}});
    statuses.push_back(MakeL2Status("web", kElected));
  }

  [[nodiscard]] Snapshot Read() const {
    Snapshot snapshot(kNamespace);
    snapshot.wanted = wanted;
    const auto add = [&](Resource resource, const std::vector<nlohmann::json>& objects) {
      if (refused.contains(resource)) {
        return snapshot.Refuse(resource, absl::PermissionDeniedError("forbidden"));
      }
      if (absent.contains(resource)) {
        return snapshot.Refuse(resource, absl::NotFoundError("no such kind"));
      }
      for (const nlohmann::json& object : objects) {
        snapshot.Add(resource, object);
      }
      snapshot.Done(resource);
    };
    add(Resource::kPods, pods);
    add(Resource::kConfigMap, config_maps);
    add(Resource::kWebhooks, webhooks);
    add(Resource::kAddressPools, address_pools);
    add(Resource::kServices, services);
    add(Resource::kNodes, nodes);
    add(Resource::kNamespaces, namespaces);
    add(Resource::kPools, pools);
    add(Resource::kAdvertisements, advertisements);
    add(Resource::kStatuses, statuses);
    add(Resource::kStates, states);
    add(Resource::kSlices, slices);
    add(Resource::kEvents, events);
    snapshot.Finish();
    return snapshot;
  }

  /// MetalLB's election for 192.0.2.10 among node-1, node-2 and node-3.
  static constexpr const char* kElected = "node-1";

  std::vector<nlohmann::json> services;
  std::vector<nlohmann::json> nodes;
  std::vector<nlohmann::json> namespaces;
  std::vector<nlohmann::json> pools;
  std::vector<nlohmann::json> advertisements;
  std::vector<nlohmann::json> pods;
  std::vector<nlohmann::json> statuses;
  std::vector<nlohmann::json> states;
  std::vector<nlohmann::json> slices;
  std::vector<nlohmann::json> events;
  std::vector<nlohmann::json> address_pools;
  std::vector<nlohmann::json> config_maps;
  std::vector<nlohmann::json> webhooks;
  std::set<Resource> refused;  ///< Answered 403.
  std::set<Resource> absent;   ///< Answered 404.
  std::set<Snapshot::ObjectId> wanted;
};

/// The Service has no address.
inline void TakeAddress(Cluster& c) {
  c.services[0]["status"] = nlohmann::json::object();
  c.statuses.clear();
}

/// A speaker says that others claim an address.
inline void AddConflict(nlohmann::json& state, const char* message) {
  state["status"]["conditions"].push_back({{"type", "stentor.io/AddressConflict"},
                                           {"status", "True"},
                                           {"reason", "AnnouncedNevertheless"},
                                           {"message", message}});
}

}  // namespace stentor::cli
