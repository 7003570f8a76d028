// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/io/config_watch.h"
#include "common/io/context.h"
#include "common/io/lifetime.h"
#include "common/obs/client_metrics.h"
#include "speaker/app/state_store.h"
#include "speaker/membership/membership.h"
#include "speaker/reconcile/reconciler.h"
#include "speaker/state/seeds.h"

namespace stentor::speaker {

struct FactsOptions {
  model::NodeName node;  ///< This one.
  std::string name_space;
  std::string config_map;
  bool config_map_named = false;
  std::string speaker_labels;  ///< Label selector of the speakers' pods; empty: not looked at.
  std::string pod_name;        ///< Of this speaker; may be empty.
};

struct FactsHandlers {
  std::function<void()> on_change;     ///< The reconciler has something to do.
  std::function<void()> on_known;      ///< Known() or FromSavedState() is not what it was.
  std::function<void()> on_addresses;  ///< NodeAddresses() is not what it was.
  std::function<void(const std::vector<PeerAddress>&)> on_peers;
  std::function<void(const std::string& uid)> on_own_pod;
  /// What became of the last change of the configuration. An OK one is in force already.
  std::function<void(const absl::StatusOr<config::Config>&)> on_config;
};

/// What the speaker knows of the API's objects: it watches them, gives them to the reconciler, and
/// keeps them for the next start. While the API server does not answer after a start, what was kept
/// takes its place, resource by resource. Lives on the event loop's thread.
class Facts {
 public:
  /// `store` may be null; all that is referred to must outlive this object.
  Facts(const io::Context& context, FactsOptions options, FactsHandlers handlers,
        Reconciler& reconciler, StateStore* store, obs::ClientMetrics& metrics);
  ~Facts();
  Facts(const Facts&) = delete;
  Facts& operator=(const Facts&) = delete;

  void Start();

  /// Puts a changed configuration in force, and asks for slices that are missing. To be called
  /// before the elections.
  void BringUpToDate();

  /// Everything has been read once, from the API or from the saved state.
  [[nodiscard]] bool Known() const;
  /// Part of it is from the saved state.
  [[nodiscard]] bool FromSavedState() const { return used_ && seeds_.AnyRests(); }
  /// A configuration is in force.
  [[nodiscard]] bool Configured() const { return configured_; }

  /// A speaker is heard that is not on the list: it may have come since.
  void LookForPods();
  [[nodiscard]] const std::set<net::IpAddress>& NodeAddresses() const { return node_addresses_; }
  /// Of this node; nothing before it was seen.
  [[nodiscard]] const std::optional<model::Labels>& OwnLabels() const { return own_labels_; }

 private:
  enum class Read : std::uint8_t { kNot, kSaved, kRead };

  // facts.cc: resources, their order, and the saved state
  template <typename Object>
  void Watch(Resource resource, io::ResourceWatch what,
             absl::StatusOr<Object> (*decode)(const nlohmann::json&));
  [[nodiscard]] io::WatchHandlers LoggingHandlers(const std::string& name);
  void Forget(Resource resource, const model::ObjectKey& key);
  void SetRead(Resource resource, Read read);
  void OnSynced(Resource resource);
  void OnTrouble();
  void Unreadable(const absl::Status& status);
  [[nodiscard]] io::ConfigWatchHandlers ConfigHandlers();
  void ConfigChanged();
  void UseSavedState();
  template <typename Object>
  void Seed(Resource resource, const std::vector<Object>& objects);
  void SeedConfig(config::Source source, const std::vector<io::ConfigObject>& objects);

  // facts_objects.cc: what each object is for
  void Put(const model::Service& service);
  void Put(const model::EndpointSlice& slice);
  void Put(const model::Node& node);
  void Put(const model::Pod& pod);
  void Remove(Resource resource, const model::ObjectKey& key);
  void TellPeers();
  void TellAddresses();

  // endpoints.cc: where Services have endpoints
  void WatchSlices();
  void WatchEndpoints();
  void TakeSlice(const model::EndpointSlice& slice);
  void DropEndpoints();
  void ListSlices(const model::ServiceKey& service);
  void OnSlices(const model::ServiceKey& service, bool as_endpoints,
                const absl::StatusOr<kube::Response>& response);

  const io::Context context_;
  const FactsOptions options_;
  const FactsHandlers handlers_;
  Reconciler& reconciler_;
  StateStore* const store_;
  obs::ClientMetrics& metrics_;

  io::ConfigWatch config_watch_;
  bool configured_ = false;
  std::map<Resource, Read> read_;  // those that have to be; kPools: all of the configuration
  bool complete_ = false;          // all of it by the API
  std::map<model::ObjectKey, model::Pod> pods_;
  std::map<model::NodeName, std::vector<net::IpAddress>> addresses_by_node_;
  std::set<net::IpAddress> node_addresses_;
  std::optional<model::Labels> own_labels_;

  std::optional<SavedState> saved_;  // until it is used, or not needed any more
  Seeds seeds_;
  bool used_ = false;  // the saved state
  io::Timer patience_;

  std::unique_ptr<io::WatchHandle> pods_watch_;
  std::unique_ptr<io::WatchHandle> slices_watch_;
  std::unique_ptr<io::WatchHandle> endpoints_watch_;  // only where slices are refused
  std::set<model::ObjectKey> endpoints_;              // what it brought
  std::map<model::ServiceKey, io::Timer> list_again_;
  std::vector<std::unique_ptr<io::WatchHandle>> watches_;
  io::Lifetime lifetime_;
};

}  // namespace stentor::speaker
