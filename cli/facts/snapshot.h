// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What the API server says at one moment, as far as `kubectl stentor` uses it. Objects come in one
/// by one, as JSON of any shape; what can't be read is told, and left out.
///
///   Snapshot snapshot("metallb-system");
///   for each resource: snapshot.Add(resource, object) or snapshot.Refuse(resource, why)
///   snapshot.Finish();

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/config/config.h"
#include "common/model/objects.h"
#include "common/status/configuration_state.h"

namespace stentor::cli {

/// What is read from the API server.
enum class Resource : std::uint8_t {
  kServices,
  kNodes,
  kNamespaces,
  kPools,
  kAdvertisements,
  kAddressPools,
  kConfigMap,
  kPods,  ///< Of Stentor's namespace.
  kStatuses,
  kStates,
  kSlices,
  kEvents,
};
/// Those that every question needs.
inline constexpr std::array kAlways = {
    Resource::kServices,       Resource::kNodes,        Resource::kNamespaces, Resource::kPools,
    Resource::kAdvertisements, Resource::kAddressPools, Resource::kConfigMap,  Resource::kPods,
    Resource::kStatuses,       Resource::kStates};

/// How a resource is asked for. `path` has its selectors, but no limit.
struct ResourceRequest {
  std::string path;
  bool single = false;  ///< One object, not a list.
  /// That it does not exist is no news: an older or a newer kind, or one that nobody made.
  bool may_be_absent = false;
};

/// Name for messages: "servicel2statuses.metallb.io".
[[nodiscard]] std::string_view ResourceName(Resource resource);

/// `name_space` is Stentor's. `service`: of kSlices and kEvents only what is about this Service;
/// without it all slices. kEvents need it.
[[nodiscard]] ResourceRequest RequestFor(Resource resource, std::string_view name_space,
                                         const std::optional<model::ServiceKey>& service);

enum class Role : std::uint8_t { kController, kSpeaker };
[[nodiscard]] std::string_view RoleName(Role role);

/// A pod of Stentor's.
struct Program {
  Role role = Role::kSpeaker;
  std::string name;
  model::NodeName node;
  std::string phase;
  bool runs = false;  ///< Running, ready as far as it says, and not being deleted.

  friend bool operator==(const Program&, const Program&) = default;
};

/// A ServiceL2Status.
struct Announcer {
  model::ServiceKey service;
  model::NodeName node;
  std::vector<std::string> interfaces;  ///< None: all.
  std::string since;                    ///< RFC 3339, as the API server writes it; may be empty.

  friend bool operator==(const Announcer&, const Announcer&) = default;
};

/// A core/v1 Event.
struct EventFact {
  model::ObjectKey about;
  std::string reason;
  std::string message;
  std::string last_seen;

  friend bool operator==(const EventFact&, const EventFact&) = default;
};

/// Plain facts, to be read by everybody once Finish() was called. A value.
struct Snapshot {
  explicit Snapshot(std::string stentor_namespace) : name_space(std::move(stentor_namespace)) {}

  /// An object of `resource`.
  void Add(Resource resource, const nlohmann::json& object);
  /// It can't be read; told among the problems, unless it may be absent and is.
  void Refuse(Resource resource, const absl::Status& why);
  /// Makes `config`; to be called again after changes to `resources`.
  void Finish();

  /// Whether a Service is for this installation: of type LoadBalancer, and of its class.
  [[nodiscard]] bool IsOurs(const model::Service& service) const;
  /// Null where there is none.
  [[nodiscard]] const model::Service* Find(const model::ServiceKey& key) const;
  /// The first Service, by key, that shows `address`, of those that are ours, else of all; null
  /// where there is none.
  [[nodiscard]] const model::Service* FindByAddress(const net::IpAddress& address) const;
  /// Whether a speaker runs on `node`.
  [[nodiscard]] bool HasSpeaker(std::string_view node) const;
  /// Labels of a namespace; null where it isn't known.
  [[nodiscard]] const model::Labels* LabelsOf(std::string_view service_namespace) const;
  /// Endpoints of all slices of `service`.
  [[nodiscard]] std::vector<model::Endpoint> EndpointsOf(const model::ServiceKey& service) const;
  /// ServiceL2Statuses of `service`, by node.
  [[nodiscard]] std::vector<Announcer> AnnouncersOf(const model::ServiceKey& service) const;
  /// What the speaker on `node` says; null where it says nothing.
  [[nodiscard]] const status::ConfigurationState* StateOf(std::string_view node) const;
  [[nodiscard]] bool WasRefused(Resource resource) const;

  std::string name_space;
  /// --lb-class and --ignore-exclude-lb, as the programs' pods have them.
  std::string load_balancer_class;
  bool ignore_exclude_label = false;

  std::map<model::ServiceKey, model::Service> services;
  std::vector<model::Node> nodes;
  std::map<std::string, model::Labels, std::less<>> namespaces;
  config::Resources resources;
  absl::StatusOr<config::Config> config = config::Config{};
  std::vector<Program> programs;
  std::vector<Announcer> announcers;
  std::vector<status::ConfigurationState> states;
  std::vector<model::EndpointSlice> slices;
  std::vector<EventFact> events;
  /// What could not be read, and why: one line each.
  std::vector<std::string> problems;
  std::vector<Resource> refused;

 private:
  void AddPod(const nlohmann::json& object);
  void AddStatus(const nlohmann::json& object);
  void AddEvent(const nlohmann::json& object);
  void AddConfigMap(const nlohmann::json& object);
  void AddNamespace(const nlohmann::json& object);
};

/// Spec of the addresses of a Service: those of its status that are addresses.
[[nodiscard]] std::vector<net::IpAddress> AddressesOf(const model::Service& service);

}  // namespace stentor::cli
