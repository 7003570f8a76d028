// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What the API server says at one moment, as far as `kubectl stentor` uses it. Objects come in one
/// by one, as JSON of any shape; what can't be read is told, and left out. That something was not
/// read is never taken for that it is not there: whoever concludes from absence asks Knows().
///
///   Snapshot snapshot("metallb-system");
///   for each resource: snapshot.Add(resource, object)...; snapshot.Done(resource)
///                      or snapshot.Refuse(resource, why)
///   snapshot.Finish();

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
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
  kWebhooks,  ///< ValidatingWebhookConfigurations.
};
inline constexpr std::size_t kResourceCount = 13;
/// Those that every question needs, but for the ConfigMap: the pods say which one it is.
inline constexpr std::array kAlways = {
    Resource::kServices, Resource::kNodes,          Resource::kNamespaces,
    Resource::kPools,    Resource::kAdvertisements, Resource::kAddressPools,
    Resource::kPods,     Resource::kStatuses,       Resource::kStates};

/// How a resource is asked for. `path` has its selectors, but no limit.
struct ResourceRequest {
  std::string path;
  bool single = false;  ///< One object, not a list.
  /// That it does not exist is no error: a kind of older or newer manifests, or one object that
  /// nobody made.
  bool may_be_absent = false;
};

/// Name for messages: "servicel2statuses.metallb.io".
[[nodiscard]] std::string_view ResourceName(Resource resource);

struct Snapshot;
/// In the namespace of `snapshot`, and the ConfigMap that its pods name. `service`: of kSlices and
/// kEvents only what is about this Service; without it all slices. kEvents need it.
[[nodiscard]] ResourceRequest RequestFor(Resource resource, const Snapshot& snapshot,
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
  std::string host;  ///< Node of whoever reports it; may be empty.
  std::string last_seen;

  friend bool operator==(const EventFact&, const EventFact&) = default;
};

/// A webhook that may refuse objects, of Stentor or of somebody else.
struct WebhookFact {
  std::string name;                ///< "CONFIGURATION: WEBHOOK"
  model::ServiceKey service;       ///< That answers it; empty: it is called by URL.
  std::vector<std::string> kinds;  ///< In the plural: "ipaddresspools"; "*" is all.
  bool fails_closed = true;        ///< failurePolicy Fail, the default.

  friend bool operator==(const WebhookFact&, const WebhookFact&) = default;
};

/// What a configuration is made of; an error where an object can't be decoded.
struct ConfigFacts {
  template <typename T>
  using Objects = std::map<model::ObjectKey, absl::StatusOr<T>>;
  Objects<model::IpAddressPoolResource> pools;
  Objects<model::L2AdvertisementResource> l2_advertisements;
  Objects<model::AddressPoolResource> address_pools;
  std::optional<absl::StatusOr<model::ConfigMapEntry>> config_map;
};

/// How much of a resource is known.
enum class Knowledge : std::uint8_t {
  kUnread,
  kKnown,    ///< All of it.
  kAbsent,   ///< There is no such kind.
  kRefused,  ///< It could not be read, or not all of it.
};

/// Plain facts, to be read by everybody once Finish() was called. A value.
struct Snapshot {
  explicit Snapshot(std::string stentor_namespace) : name_space(std::move(stentor_namespace)) {}

  /// An object of `resource`.
  void Add(Resource resource, const nlohmann::json& object);
  /// That was all of it.
  void Done(Resource resource);
  /// It can't be read; told among the problems, unless it may be absent and is.
  void Refuse(Resource resource, const absl::Status& why);
  /// Makes `config` and all that is derived; to be called again after changes.
  void Finish();

  /// Whether all of `resource` is here.
  [[nodiscard]] bool Knows(Resource resource) const;
  /// Whether the API server has no such kind.
  [[nodiscard]] bool Lacks(Resource resource) const;
  /// Without which `config` says nothing; none: it holds.
  [[nodiscard]] std::optional<Resource> ConfigGap() const;
  /// That may hold pools that `config` doesn't have; none: those are all.
  [[nodiscard]] std::optional<Resource> PoolGap() const;
  /// Without which it isn't known what the controller gives to whom.
  [[nodiscard]] std::optional<Resource> AllocationGap() const;
  /// Whether pods of Stentor's tell --lb-class.
  [[nodiscard]] bool KnowsClass() const;
  /// Why `resource` is not known, and what to do about it: "cannot read pods: forbidden; …". Empty
  /// where it is known.
  [[nodiscard]] std::string GapText(Resource resource) const;
  /// The same for KnowsClass(), and for what the controller makes of the Services that are ours.
  [[nodiscard]] std::string ClassGapText() const;
  [[nodiscard]] std::string AllocationGapText() const;

  /// Whether a Service is for this installation: of type LoadBalancer, and of its class.
  [[nodiscard]] bool IsOurs(const model::Service& service) const;
  /// Null where there is none.
  [[nodiscard]] const model::Service* Find(const model::ServiceKey& key) const;
  /// The Services that show `address`, by key: those that are ours, else all.
  [[nodiscard]] std::vector<const model::Service*> FindByAddress(
      const net::IpAddress& address) const;
  /// Whether a speaker runs on `node`.
  [[nodiscard]] bool HasSpeaker(std::string_view node) const;
  /// Whether a controller runs.
  [[nodiscard]] bool HasController() const;
  /// Labels of a namespace; null where it isn't known.
  [[nodiscard]] const model::Labels* LabelsOf(std::string_view service_namespace) const;
  /// Endpoints of all slices of `service`.
  [[nodiscard]] std::vector<model::Endpoint> EndpointsOf(const model::ServiceKey& service) const;
  /// ServiceL2Statuses of `service`, by node.
  [[nodiscard]] const std::vector<Announcer>& AnnouncersOf(const model::ServiceKey& service) const;
  /// What the running speaker on `node` says; null where it says nothing, or doesn't run: what it
  /// said before it ended stays in the API.
  [[nodiscard]] const status::ConfigurationState* StateOf(std::string_view node) const;
  /// Whether who said this runs.
  [[nodiscard]] bool IsOfRunning(const status::ConfigurationState& state) const;

  std::string name_space;
  /// --lb-class, --ignore-exclude-lb, --config and whether speakers have a membership, as the
  /// programs' pods have them.
  std::string load_balancer_class;
  bool ignore_exclude_label = false;
  std::string config_map = "config";
  bool config_map_named = false;
  bool membership = true;

  std::map<model::ServiceKey, model::Service> services;  ///< Without their texts for writers.
  std::vector<model::Node> nodes;
  std::map<std::string, model::Labels, std::less<>> namespaces;
  ConfigFacts resources;
  absl::StatusOr<config::Config> config = config::Config{};
  std::vector<Program> programs;
  std::map<model::ServiceKey, std::vector<Announcer>> announcers;
  std::vector<status::ConfigurationState> states;
  std::map<model::ServiceKey, std::vector<model::EndpointSlice>> slices;
  std::vector<EventFact> events;
  std::vector<WebhookFact> webhooks;
  /// What could not be read, and why: one line each.
  std::vector<std::string> problems;
  /// Objects that are also kept as they are, and where they are kept; for who changes them.
  using ObjectId = std::pair<Resource, model::ObjectKey>;
  std::set<ObjectId> wanted;
  std::map<ObjectId, nlohmann::json> live;

 private:
  void AddService(const nlohmann::json& object);
  void AddPod(const nlohmann::json& object);
  void AddStatus(const nlohmann::json& object);
  void AddEvent(const nlohmann::json& object);
  void AddConfigMap(const nlohmann::json& object);
  void AddNamespace(const nlohmann::json& object);
  void AddSlice(const nlohmann::json& object);
  void AddWebhooks(const nlohmann::json& object);
  [[nodiscard]] absl::StatusOr<config::Config> MakeConfig() const;

  std::array<Knowledge, kResourceCount> knowledge_{};
  std::array<std::string, kResourceCount> refusals_;  // why, where Knowledge::kRefused
  std::set<std::string, std::less<>> speaker_nodes_;  // where one runs
};

/// The addresses of a Service's status, as far as they are addresses.
[[nodiscard]] std::vector<net::IpAddress> AddressesOf(const model::Service& service);

}  // namespace stentor::cli
