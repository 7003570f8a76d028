// SPDX-License-Identifier: Apache-2.0
#include "common/io/config_watch.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/strings.h"
#include "common/config/legacy.h"
#include "common/io/watch_logging.h"
#include "common/kube/codec.h"

namespace stentor::io {
namespace {

using config::Source;
using nlohmann::json;

constexpr std::array<const char*, config::kSourceCount> kNames = {
    "ipaddresspools.metallb.io", "l2advertisements.metallb.io", "addresspools.metallb.io",
    "configmaps"};

// Rights come together, if not at the same moment.
constexpr Duration kOthersAfter = std::chrono::seconds(1);

const char* NameOf(Source source) { return kNames[static_cast<std::size_t>(source)]; }

ResourceWatch Resource(Source source, const std::string& name_space, const char* plural) {
  return {.name = NameOf(source),
          .path = StrCat("/apis/metallb.io/v1beta1/namespaces/", name_space, "/", plural),
          .field_selector = "",
          .label_selector = ""};
}

// For one log line: whether a pool that says "bgp", say, has been told of before.
bool IsNew(const std::optional<config::Config>& before, const std::string& remark) {
  return !before || std::ranges::find(before->remarks, remark) == before->remarks.end();
}

}  // namespace

ConfigWatch::ConfigWatch(KubeClient& client, const obs::Logger& log, ConfigWatchOptions options,
                         ConfigWatchHandlers handlers)
    : client_(client),
      log_(log),
      options_(std::move(options)),
      handlers_(std::move(handlers)),
      sources_({.config_map = {options_.name_space, options_.config_map},
                .config_map_named = options_.config_map_named,
                .with_advertisements = options_.with_advertisements,
                .leave_out_unreadable = options_.leave_out_unreadable}) {}

ConfigWatch::~ConfigWatch() = default;

void ConfigWatch::Start() {
  Watch(Source::kPools, Resource(Source::kPools, options_.name_space, "ipaddresspools"),
        kube::DecodeIpAddressPool, &config::Sources::SetPool);
  if (options_.with_advertisements) {
    Watch(Source::kAdvertisements,
          Resource(Source::kAdvertisements, options_.name_space, "l2advertisements"),
          kube::DecodeL2Advertisement, &config::Sources::SetAdvertisement);
  }
  Watch(Source::kAddressPools, Resource(Source::kAddressPools, options_.name_space, "addresspools"),
        kube::DecodeAddressPool, &config::Sources::SetAddressPool);
  if (options_.config_map.empty()) {
    sources_.Synced(Source::kConfigMap);
    return;
  }
  Watch(
      Source::kConfigMap,
      {.name = NameOf(Source::kConfigMap),
       .path = StrCat("/api/v1/namespaces/", options_.name_space, "/configmaps"),
       // A rule that grants this one name is enough.
       .field_selector = StrCat("metadata.name=", options_.config_map),
       .label_selector = ""},
      [](const json& object) { return kube::DecodeConfigMapEntry(object, config::kLegacyEntry); },
      &config::Sources::SetConfigMap);
}

template <typename Decode, typename Set>
void ConfigWatch::Watch(Source source, ResourceWatch resource, Decode decode, Set set) {
  const std::string name = resource.name;
  std::string& refusal = refusals_[static_cast<std::size_t>(source)];
  WatchHandlers handlers = LoggingHandlers(log_, name);
  handlers.on_upsert = [this, source, decode, set](const json& object) {
    const auto key = kube::DecodeKey(object);
    if (source == Source::kPools && handlers_.on_pool) {
      handlers_.on_pool(object);
    }
    auto decoded = decode(object);
    if (!decoded.ok()) {
      log_.Log(obs::Event::kObjectUnreadable, std::string(decoded.status().message()),
               {{"resource", NameOf(source)}});
      handlers_.on_unreadable();
    }
    if (!key.ok()) {
      return;
    }
    if (handlers_.on_object) {
      const auto known = decoded.ok() ? std::optional<ConfigObject>(*decoded) : std::nullopt;
      handlers_.on_object(source, *key, known ? &*known : nullptr);
    }
    (sources_.*set)(*key, std::move(decoded));
    handlers_.on_change();
  };
  handlers.on_delete = [this, source](const model::ObjectKey& key) {
    if (source == Source::kPools && handlers_.on_pool_gone) {
      handlers_.on_pool_gone(key);
    }
    if (handlers_.on_object_gone) {
      handlers_.on_object_gone(source, key);
    }
    Forget(source, key);
  };
  handlers.on_synced = [this, source, name, &refusal] {
    if (!refusal.empty()) {
      for (const auto& watch : watches_) {
        watch->RetryWithin(kOthersAfter);  // rights come together
      }
    }
    refusal.clear();
    if (handlers_.on_source_synced) {
      handlers_.on_source_synced(source);
    }
    sources_.Synced(source);
    if (told_.erase(source) > 0) {
      log_.Log(obs::Event::kApiRecovered, name + " can be read now", {{"resource", name}});
    }
    Report();
    handlers_.on_change();
  };
  handlers.on_refused = [this, source, &refusal](const absl::Status& status) {
    refusal = std::string(status.message());
    if (handlers_.on_source_refused) {
      handlers_.on_source_refused(source);
    }
    sources_.Refused(source);
    Report();
    handlers_.on_change();
    // While the answer to all of it is outstanding, any of them may be what it takes.
    return sources_.Settled() && !sources_.Misses(source) ? RetryPace::kPatient : RetryPace::kSoon;
  };
  watches_.push_back(client_.Watch(std::move(resource), std::move(handlers)));
}

void ConfigWatch::Seed(Source source, const std::vector<ConfigObject>& objects) {
  for (const ConfigObject& object : objects) {
    Put(object);
  }
  sources_.Synced(source);
  handlers_.on_change();
}

void ConfigWatch::Put(const ConfigObject& object) {
  if (const auto* pool = std::get_if<model::IpAddressPoolResource>(&object)) {
    sources_.SetPool(pool->key, *pool);
  } else if (const auto* advertisement = std::get_if<model::L2AdvertisementResource>(&object)) {
    sources_.SetAdvertisement(advertisement->key, *advertisement);
  } else if (const auto* older = std::get_if<model::AddressPoolResource>(&object)) {
    sources_.SetAddressPool(older->key, *older);
  } else if (const auto* entry = std::get_if<model::ConfigMapEntry>(&object)) {
    sources_.SetConfigMap(entry->key, *entry);
  }
}

void ConfigWatch::Forget(Source source, const model::ObjectKey& key) {
  sources_.Delete(source, key);
  handlers_.on_change();
}

// What a refusal means is known once all sources have answered.
void ConfigWatch::Report() {
  if (sources_.readiness() == config::Readiness::kWaiting) {
    return;
  }
  for (std::size_t i = 0; i < config::kSourceCount; ++i) {
    const auto source = static_cast<Source>(i);
    const bool missed = sources_.Misses(source);
    if (refusals_[i].empty() || told_.contains(source) || !(missed || sources_.Settled())) {
      continue;
    }
    told_.insert(source);
    if (missed) {
      log_.Log(obs::Event::kApiTrouble,
               StrCat(refusals_[i], source == Source::kPools ? WithoutPools() : ""),
               {{"resource", kNames[i]}});
    } else {
      log_.Log(obs::Event::kResourceRefused,
               StrCat(refusals_[i], "; it counts as empty until it can be read"),
               {{"resource", kNames[i]}});
    }
  }
}

std::string ConfigWatch::WithoutPools() const {
  return StrCat("; nor does the ConfigMap ", options_.name_space, "/", options_.config_map,
                " define pools: addresses stay as they are until pools can be read");
}

std::optional<absl::StatusOr<config::Config>> ConfigWatch::Take() {
  auto config = sources_.Take();
  if (!config) {
    return std::nullopt;
  }
  if (config->ok()) {
    Tell(**config);
  } else if (const std::string error(config->status().message()); error != told_error_) {
    told_error_ = error;
    log_.Log(obs::Event::kConfigStale, error);
  }
  return config;
}

void ConfigWatch::Tell(const config::Config& config) {
  if (!told_config_ || told_config_->pools != config.pools || !told_error_.empty()) {
    log_.Log(obs::Event::kConfigLoaded, StrCat(config.pools.size(), " address pools"));
  }
  for (const std::string& remark : config.remarks) {
    if (IsNew(told_config_, remark)) {
      log_.Log(obs::Event::kConfigRemark, remark);
    }
  }
  told_config_ = config;
  told_error_.clear();
}

}  // namespace stentor::io
