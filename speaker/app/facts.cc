// SPDX-License-Identifier: Apache-2.0
#include "speaker/app/facts.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>

#include "common/base/strings.h"
#include "common/io/watch_logging.h"
#include "common/kube/bodies.h"
#include "common/kube/codec.h"

namespace stentor::speaker {
namespace {

using namespace std::chrono_literals;

// An API server that has said nothing for so long after the start, not even that it is away.
constexpr Duration kPatience = 3s;

struct ConfigSource {
  config::Source source;
  Resource resource;
};
constexpr std::array<ConfigSource, config::kSourceCount> kConfigSources = {{
    {config::Source::kPools, Resource::kPools},
    {config::Source::kAdvertisements, Resource::kAdvertisements},
    {config::Source::kAddressPools, Resource::kAddressPools},
    {config::Source::kConfigMap, Resource::kConfigMap},
}};

Resource ResourceOf(config::Source source) {
  return std::ranges::find(kConfigSources, source, &ConfigSource::source)->resource;
}

template <typename Object>
model::ObjectKey KeyOf(const Object& object) {
  return object.key;
}
template <>
model::ObjectKey KeyOf(const model::Node& node) {
  return {"", node.name};
}

absl::StatusOr<model::Service> DecodeService(const nlohmann::json& object) {
  return kube::DecodeService(object, kube::Verbatim::kDrop);
}

template <typename Object>
std::vector<io::ConfigObject> ConfigObjects(const std::vector<Object>& objects) {
  return {objects.begin(), objects.end()};
}

}  // namespace

Facts::Facts(const io::Context& context, FactsOptions options, FactsHandlers handlers,
             Reconciler& reconciler, StateStore* store, obs::ClientMetrics& metrics)
    : context_(context),
      options_(std::move(options)),
      handlers_(std::move(handlers)),
      reconciler_(reconciler),
      store_(store),
      metrics_(metrics),
      config_watch_(context.client, context.log,
                    {.name_space = options_.name_space,
                     .config_map = options_.config_map,
                     .config_map_named = options_.config_map_named,
                     .leave_out_unreadable = true},
                    ConfigHandlers()),
      patience_(context.loop) {}

Facts::~Facts() = default;

void Facts::Start() {
  for (const Resource resource : {Resource::kServices, Resource::kSlices, Resource::kNodes,
                                  Resource::kPods, Resource::kPools}) {
    if (resource != Resource::kPods || !options_.speaker_labels.empty()) {
      read_[resource] = Read::kNot;
    }
  }
  if (store_ != nullptr) {
    saved_ = store_->Load();
    seeds_ = saved_ ? Seeds(*saved_) : Seeds();  // from now on: what the API tells counts more
    patience_.ArmAfter(kPatience, [this] { UseSavedState(); });
  }
  config_watch_.Start();
  Watch<model::Node>(Resource::kNodes, {.name = "nodes", .path = "/api/v1/nodes"},
                     kube::DecodeNode);
  if (read_.contains(Resource::kPods)) {
    Watch<model::Pod>(Resource::kPods,
                      {.name = "pods",
                       .path = StrCat("/api/v1/namespaces/", options_.name_space, "/pods"),
                       .label_selector = options_.speaker_labels},
                      kube::DecodePod);
  }
  // The slices follow once it is known whose are needed.
  Watch<model::Service>(
      Resource::kServices,
      {.name = "services", .path = "/api/v1/services", .field_selector = "spec.type=LoadBalancer"},
      DecodeService);
}

template <typename Object>
void Facts::Watch(Resource resource, io::ResourceWatch what,
                  absl::StatusOr<Object> (*decode)(const nlohmann::json&)) {
  io::WatchHandlers handlers = LoggingHandlers(what.name);
  handlers.on_upsert = [this, resource, decode](const nlohmann::json& json) {
    if (const auto key = kube::DecodeKey(json); key.ok()) {
      seeds_.Confirm(resource, *key);
    }
    const absl::StatusOr<Object> object = decode(json);
    if (!object.ok()) {
      Unreadable(object.status());
      return;
    }
    ++metrics_.updates;
    if constexpr (!std::is_same_v<Object, model::Service>) {  // those follow the reconciler
      if (store_ != nullptr) {
        store_->Upsert(*object);
      }
    }
    Put(*object);
    handlers_.on_change();
  };
  handlers.on_delete = [this, resource](const model::ObjectKey& key) {
    ++metrics_.updates;
    seeds_.Confirm(resource, key);
    Forget(resource, key);
  };
  handlers.on_synced = [this, resource] { OnSynced(resource); };
  if (resource == Resource::kPods) {
    handlers.on_polling = [this] {
      context_.log.Log(obs::Event::kResourceRefused,
                       "not allowed to watch \"pods\": they are listed every 10 s, and where a "
                       "speaker is heard that is not known yet",
                       {{"resource", "pods"}});
    };
    pods_watch_ = context_.client.Watch(std::move(what), std::move(handlers));
    return;
  }
  watches_.push_back(context_.client.Watch(std::move(what), std::move(handlers)));
}

io::WatchHandlers Facts::LoggingHandlers(const std::string& name) {
  io::WatchHandlers handlers = io::LoggingHandlers(context_.log, name);
  handlers.on_trouble = [this, log = handlers.on_trouble](const absl::Status& status) {
    log(status);
    if (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)) {
      UseSavedState();
    }
  };
  return handlers;
}

void Facts::Unreadable(const absl::Status& status) {
  ++metrics_.update_errors;
  context_.log.Log(obs::Event::kObjectUnreadable, std::string(status.message()));
}

void Facts::Forget(Resource resource, const model::ObjectKey& key) {
  const bool kept = resource != Resource::kServices && resource != Resource::kSlices;
  if (store_ != nullptr && kept) {  // the others follow the reconciler
    store_->Delete(resource, key);
  }
  Remove(resource, key);
  handlers_.on_change();
}

void Facts::OnSynced(Resource resource) {
  for (const model::ObjectKey& key : seeds_.Synced(resource)) {
    Forget(resource, key);
  }
  SetRead(resource, Read::kRead);
}

void Facts::SetRead(Resource resource, Read read) {
  const bool first = read_.at(resource) != Read::kRead && read == Read::kRead;
  read_.at(resource) = read;
  if (first && resource == Resource::kServices) {
    WatchSlices();
  }
  if (resource == Resource::kPods) {
    TellPeers();
  } else if (resource == Resource::kNodes) {
    TellAddresses();
  }
  const bool complete =
      std::ranges::all_of(read_, [](const auto& entry) { return entry.second == Read::kRead; });
  if (complete && !std::exchange(complete_, true)) {
    patience_.Disarm();
    saved_.reset();
    if (store_ != nullptr) {
      store_->Complete();
    }
  }
  handlers_.on_known();
  handlers_.on_change();
}

bool Facts::Known() const {
  return !read_.empty() &&
         std::ranges::all_of(read_, [](const auto& entry) { return entry.second != Read::kNot; });
}

// --- the configuration ---

io::ConfigWatchHandlers Facts::ConfigHandlers() {
  return {
      .on_change = [this] { ConfigChanged(); },
      .on_unreadable = [this] { ++metrics_.update_errors; },
      .on_object =
          [this](config::Source source, const model::ObjectKey& key,
                 const io::ConfigObject* object) {
            seeds_.Confirm(ResourceOf(source), key);
            if (store_ != nullptr && object != nullptr) {
              std::visit([this](const auto& known) { store_->Upsert(known); }, *object);
            }
          },
      .on_object_gone =
          [this](config::Source source, const model::ObjectKey& key) {
            seeds_.Confirm(ResourceOf(source), key);
            if (store_ != nullptr) {
              store_->Delete(ResourceOf(source), key);
            }
          },
      .on_source_synced =
          [this](config::Source source) {
            for (const auto& key : seeds_.Synced(ResourceOf(source))) {
              if (store_ != nullptr) {
                store_->Delete(ResourceOf(source), key);
              }
              config_watch_.Forget(source, key);
            }
          },
      // What was read once stays known, also across a restart; but the API server is not away.
      .on_source_refused = [this](config::Source source) { seeds_.Settle(ResourceOf(source)); }};
}

void Facts::ConfigChanged() {
  if (config_watch_.Settled()) {
    const bool rests = used_ && std::ranges::any_of(kConfigSources, [this](const auto& one) {
                         return seeds_.Rests(one.resource);
                       });
    const Read read = rests ? Read::kSaved : Read::kRead;
    if (read_.at(Resource::kPools) != read) {
      SetRead(Resource::kPools, read);
    }
  }
  handlers_.on_change();
}

void Facts::BringUpToDate() {
  if (auto config = config_watch_.Take()) {
    ++metrics_.updates;
    if (config->ok()) {
      metrics_.ConfigLoaded();
      configured_ = true;
      reconciler_.SetConfig(**config);
    } else {
      metrics_.ConfigRefused();
    }
    handlers_.on_config(*config);
  }
  for (const model::ServiceKey& service : reconciler_.TakeSlicesToList()) {
    ListSlices(service);
  }
  if (reconciler_.TakeChanged() && store_ != nullptr) {
    store_->NoteSourcesChanged();
  }
}

// --- the saved state ---

void Facts::UseSavedState() {
  if (!saved_ || Known()) {
    return;
  }
  const SavedState state = *std::move(saved_);
  saved_.reset();
  context_.log.Log(
      obs::Event::kStateUsed,
      StrCat("the API server does not answer: announcing by what it said until ",
             kube::FormatTime(state.saved)),
      {{"saved", kube::FormatTime(state.saved)}, {"services", StrCat(state.services.size())}});
  used_ = true;
  Seed(Resource::kNodes, state.nodes);
  Seed(Resource::kPods, state.pods);
  Seed(Resource::kServices, state.services);
  Seed(Resource::kSlices, state.slices);
  SeedConfig(config::Source::kPools, ConfigObjects(state.pools));
  SeedConfig(config::Source::kAdvertisements, ConfigObjects(state.advertisements));
  SeedConfig(config::Source::kAddressPools, ConfigObjects(state.address_pools));
  SeedConfig(config::Source::kConfigMap, state.config_map
                                             ? std::vector<io::ConfigObject>{*state.config_map}
                                             : std::vector<io::ConfigObject>());
}

template <typename Object>
void Facts::Seed(Resource resource, const std::vector<Object>& objects) {
  const auto read = read_.find(resource);
  if (read == read_.end() || read->second != Read::kNot) {
    return;  // not needed, or the API has told already
  }
  for (const Object& object : objects) {
    if (seeds_.Holds(resource, KeyOf(object))) {
      Put(object);
    }
  }
  SetRead(resource, Read::kSaved);
}

void Facts::SeedConfig(config::Source source, const std::vector<io::ConfigObject>& objects) {
  // Also where there is nothing: that is what the source had.
  const Resource resource = ResourceOf(source);
  std::vector<io::ConfigObject> unheard;
  for (const io::ConfigObject& object : objects) {
    const auto key = std::visit([](const auto& known) { return KeyOf(known); }, object);
    if (seeds_.Holds(resource, key)) {
      unheard.push_back(object);
    }
  }
  config_watch_.Seed(source, unheard);
}

}  // namespace stentor::speaker
