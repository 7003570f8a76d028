// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Keeps up with everything that a configuration is made of, and makes it. What the rules are says
/// common/config/sources.h; here are the watches and the log.

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "common/config/config.h"
#include "common/config/sources.h"
#include "common/io/kube_client.h"
#include "common/obs/log.h"

namespace stentor::io {

/// An object of any of the sources.
using ConfigObject = std::variant<model::IpAddressPoolResource, model::L2AdvertisementResource,
                                  model::AddressPoolResource, model::ConfigMapEntry>;

struct ConfigWatchOptions {
  std::string name_space;         ///< Of all that is watched.
  std::string config_map;         ///< --config; empty: none is looked at.
  bool config_map_named = false;  ///< As in config::Sources::Options, and so the others.
  bool with_advertisements = true;
  bool leave_out_unreadable = false;
};

/// All are called on the event loop's thread.
struct ConfigWatchHandlers {
  std::function<void()> on_change;      ///< Take() may have something; Settled() may have changed.
  std::function<void()> on_unreadable;  ///< An object could not be decoded; it has been logged.
  /// IPAddressPools as they come and go, for who keeps their status; optional.
  std::function<void(const nlohmann::json& object)> on_pool = {};
  std::function<void(const model::ObjectKey& key)> on_pool_gone = {};
  /// For who keeps all of it; optional. The API server tells of an object (none: it can't be
  /// decoded), that it is gone, and that all objects of a source are known.
  std::function<void(config::Source, const model::ObjectKey& key, const ConfigObject* object)>
      on_object = {};
  std::function<void(config::Source, const model::ObjectKey& key)> on_object_gone = {};
  std::function<void(config::Source)> on_source_synced = {};
  /// Or that it is refused: the API server answers, and will not tell of the source.
  std::function<void(config::Source)> on_source_refused = {};
};

/// Lives on the event loop's thread; `client` and `log` must outlive it.
class ConfigWatch {
 public:
  ConfigWatch(KubeClient& client, const obs::Logger& log, ConfigWatchOptions options,
              ConfigWatchHandlers handlers);
  ~ConfigWatch();
  ConfigWatch(const ConfigWatch&) = delete;
  ConfigWatch& operator=(const ConfigWatch&) = delete;

  void Start();

  /// Where something changed: the configuration to put in force, or why there is none (what was in
  /// force before stays). It has been logged.
  [[nodiscard]] std::optional<absl::StatusOr<config::Config>> Take();

  /// What was known of a source before this start, as long as the API server has not told of it:
  /// counts as if it had. Who calls it calls Forget() for what the API server then doesn't have
  /// (from on_source_synced).
  void Seed(config::Source source, const std::vector<ConfigObject>& objects);
  void Forget(config::Source source, const model::ObjectKey& key);

  /// Everything that can be read has been, and it is enough to work with.
  [[nodiscard]] bool Settled() const { return sources_.Settled(); }

 private:
  template <typename Decode, typename Set>
  void Watch(config::Source source, ResourceWatch resource, Decode decode, Set set);
  void Put(const ConfigObject& object);
  void Report();
  [[nodiscard]] std::string WithoutPools() const;
  void Tell(const config::Config& config);

  KubeClient& client_;
  const obs::Logger& log_;
  const ConfigWatchOptions options_;
  const ConfigWatchHandlers handlers_;
  config::Sources sources_;
  std::array<std::string, config::kSourceCount> refusals_;  // why; empty: it is not refused
  std::set<config::Source> told_;
  std::optional<config::Config> told_config_;
  std::string told_error_;  // empty: the last one was valid
  std::vector<std::unique_ptr<WatchHandle>> watches_;
};

}  // namespace stentor::io
