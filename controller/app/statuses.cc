// SPDX-License-Identifier: Apache-2.0
#include "controller/app/statuses.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/strings.h"
#include "common/io/random.h"
#include "common/kube/codec.h"
#include "common/kube/event_body.h"

namespace stentor::controller {
namespace {

constexpr Duration kPodRetry = std::chrono::seconds(5);
constexpr const char* kStates = "configurationstates.metallb.io";
constexpr const char* kPools = "ipaddresspools.metallb.io";
constexpr const char* kPeers = "bgppeers.metallb.io";
constexpr const char* kAdvertisements = "bgpadvertisements.metallb.io";

PoolFigures FiguresOf(const std::string& pool, const AddressAllocator& allocator) {
  const auto usage = [&](net::IpFamily family) -> FamilyUsage {
    const PoolUsage used = allocator.Usage(pool, family);
    return {.total = used.total, .in_use = used.in_use};
  };
  return MakePoolFigures(usage(net::IpFamily::kIpv4), usage(net::IpFamily::kIpv6));
}

// The older of the two forms that the remarks name.
status::LegacySource SourceOf(const std::vector<std::string>& remarks) {
  const bool config_map = std::ranges::any_of(remarks, [](const std::string& remark) {
    return remark.find("ConfigMap") != std::string::npos;
  });
  return config_map ? status::LegacySource::kConfigMap : status::LegacySource::kAddressPool;
}

}  // namespace

Statuses::Statuses(const Context& context, StatusesOptions options)
    : context_(context),
      options_(std::move(options)),
      state_(status::ControllerState(options_.name_space), io::RandomUniform),
      pools_({.name_space = options_.name_space}, io::RandomUniform),
      timer_(context.loop),
      pod_timer_(context.loop) {
  state_.SetActive(false);
  pools_.SetActive(false);
}

Statuses::~Statuses() = default;

void Statuses::SetLeading(bool leading) {
  leading_ = leading;
  state_.SetActive(leading);
  pools_.SetActive(leading);
  if (leading && !std::exchange(started_, true)) {
    Start();
  }
  UpdateBgp();  // what came while another one led
}

void Statuses::Start() {
  LookForPod();
  WatchState();
  const std::string group = "/apis/metallb.io/";
  const std::string name_space = "/namespaces/" + options_.name_space;
  WatchBgp(BgpKind::kPeer, StrCat(group, "v1beta2", name_space, "/bgppeers"), kPeers);
  WatchBgp(BgpKind::kAdvertisement, StrCat(group, "v1beta1", name_space, "/bgpadvertisements"),
           kAdvertisements);
}

// Without its Pod as an owner, the object stays when the controller goes.
void Statuses::LookForPod() {
  if (options_.pod_name.empty()) {
    return;
  }
  context_.client.Request(
      {.path = StrCat("/api/v1/namespaces/", options_.name_space, "/pods/", options_.pod_name),
       .accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"},
      lifetime_.Bind([this](const absl::StatusOr<kube::Response>& response) {
        const absl::Status answer = response.ok() ? kube::StatusOf(*response) : response.status();
        if (absl::IsUnavailable(answer) || absl::IsDeadlineExceeded(answer)) {
          pod_timer_.ArmAfter(kPodRetry, [this] { LookForPod(); });
        }
        if (!answer.ok()) {
          return;
        }
        const auto object = kube::ParseJson(response->body);
        const nlohmann::json::json_pointer uid("/metadata/uid");
        if (object.ok() && object->contains(uid) && (*object)[uid].is_string()) {
          state_.SetOwner({.name = options_.pod_name, .uid = (*object)[uid].get<std::string>()});
          Schedule();
        }
      }));
}

void Statuses::WatchState() {
  const model::ObjectKey key = status::ControllerState(options_.name_space).object;
  io::WatchHandlers handlers = LoggingHandlers(context_.log, kStates);
  handlers.on_upsert = [this, key](const nlohmann::json& object) {
    if (const auto its = kube::DecodeKey(object); its.ok() && *its == key) {
      state_seen_ = true;
      state_.Seen(object);
      UpdateBgp();
    }
  };
  handlers.on_delete = [this, key](const model::ObjectKey& gone) {
    if (gone == key) {
      state_.Gone();
      Schedule();
    }
  };
  handlers.on_synced = [this] {
    if (!std::exchange(state_seen_, true)) {
      state_.Gone();
      UpdateBgp();
    }
  };
  // Manifests before MetalLB 0.15 know no such kind. What is written is refused then too, and told.
  handlers.on_refused = [](const absl::Status&) { return io::RetryPace::kPatient; };
  watches_.push_back(
      context_.client.Watch({.name = kStates,
                             .path = status::ConfigurationStatesPath(options_.name_space),
                             .field_selector = "metadata.name=" + key.name},
                            std::move(handlers)));
}

void Statuses::WatchBgp(BgpKind kind, const std::string& path, const std::string& resource) {
  io::WatchHandlers handlers = LoggingHandlers(context_.log, resource);
  handlers.on_upsert = [this, kind](const nlohmann::json& object) {
    const auto key = kube::DecodeKey(object);
    const nlohmann::json::json_pointer uid("/metadata/uid");
    if (key.ok()) {
      bgp_objects_[{kind, *key}] = object.contains(uid) && object[uid].is_string()
                                       ? object[uid].get<std::string>()
                                       : std::string();
      UpdateBgp();
    }
  };
  handlers.on_delete = [this, kind](const model::ObjectKey& key) {
    bgp_objects_.erase({kind, key});
    UpdateBgp();
  };
  handlers.on_synced = [this, kind] {
    bgp_kinds_unread_.erase(kind);
    UpdateBgp();
  };
  // Whoever may not read them, or has no such kind, does without the notice.
  handlers.on_refused = [this, kind](const absl::Status&) {
    bgp_kinds_unread_.erase(kind);
    UpdateBgp();
    return io::RetryPace::kPatient;
  };
  watches_.push_back(context_.client.Watch({.name = resource, .path = path}, std::move(handlers)));
}

void Statuses::UpdateBgp() {
  Schedule();
  if (!leading_ || !bgp_kinds_unread_.empty()) {
    return;
  }
  std::vector<BgpObject> objects;
  for (const auto& [which, uid] : bgp_objects_) {
    objects.push_back({.kind = which.first, .key = which.second, .uid = uid});
  }
  const BgpTidings tidings = bgp_notice_.Update(objects, state_.Recorded(status::kBgpAnnounced));
  if (tidings.condition) {
    state_.SetCondition(*tidings.condition, context_.loop.WallNow());
  } else {
    state_.RemoveCondition(status::kBgpAnnounced);
  }
  if (tidings.event && options_.may_write()) {
    kube::ServiceEvent event = tidings.event->event;
    event.time = context_.loop.WallNow();
    event.suffix = io::RandomU64();
    context_.log.Log(obs::Event::kConfigRemark, event.message);
    context_.client.Request({.method = "POST",
                             .path = kube::EventsPath(tidings.event->about.key.name_space),
                             .body = kube::BuildEventBody(tidings.event->about, event),
                             .priority = kube::Priority::kBackground},
                            [](const absl::StatusOr<kube::Response>&) {});
  }
}

void Statuses::PoolSeen(const nlohmann::json& object) {
  pools_.PoolSeen(object);
  Schedule();
}

void Statuses::PoolGone(const model::ObjectKey& key) {
  pools_.PoolGone(key);
  Schedule();
}

void Statuses::ConfigOutcome(const absl::StatusOr<config::Config>& outcome) {
  const WallTime now = context_.loop.WallNow();
  state_.SetCondition(status::ReconcilerCondition(status::kPoolReconcilerValid, outcome.status()),
                      now);
  if (outcome.ok()) {
    if (outcome->remarks.empty()) {
      state_.RemoveCondition(status::kLegacyConfiguration);
    } else {
      state_.SetCondition(status::LegacyCondition(SourceOf(outcome->remarks), outcome->remarks),
                          now);
    }
  }
  Schedule();
}

void Statuses::SetUsage(const config::Config& config, const AddressAllocator& allocator) {
  std::map<model::PoolName, PoolFigures, std::less<>> figures;
  for (const config::Pool& pool : config.pools) {
    figures.emplace(pool.name, FiguresOf(pool.name, allocator));
  }
  pools_.SetFigures(figures);
  Schedule();
}

void Statuses::Schedule() {
  if (!std::exchange(scheduled_, true)) {
    context_.loop.Post(lifetime_.Bind([this] { Poll(); }));
  }
}

void Statuses::Poll() {
  scheduled_ = false;
  const TimePoint now = context_.loop.Now();
  Send(state_.Poll(now), kStates, false);
  Send(pools_.Poll(now), kPools, true);
  auto next = state_.NextDeadline();
  if (const auto other = pools_.NextDeadline(); other && (!next || *other < *next)) {
    next = other;
  }
  if (next) {
    timer_.ArmAt(*next, [this] { Schedule(); });
  } else {
    timer_.Disarm();
  }
}

void Statuses::Send(status::StatusActions actions, const std::string& what, bool of_pools) {
  if (actions.notice) {
    const bool refused = actions.notice->kind == status::Notice::Kind::kRefused;
    context_.log.Log(refused ? obs::Event::kResourceRefused : obs::Event::kApiRecovered,
                     refused ? StrCat(actions.notice->message, "; it is done without")
                             : StrCat("the status of ", what, " can be written now"),
                     {{"resource", what}});
  }
  for (status::StatusRequest& request : actions.requests) {
    const auto answer = [this, of_pools,
                         ticket = request.ticket](const absl::StatusOr<kube::Response>& response) {
      if (of_pools) {
        pools_.OnAnswer(context_.loop.Now(), ticket, response);
      } else {
        state_.OnAnswer(context_.loop.Now(), ticket, response);
        UpdateBgp();  // what is recorded may only be known by this
      }
      Schedule();
    };
    if (options_.may_write()) {
      context_.client.Request(std::move(request.request), lifetime_.Bind(answer));
    } else {
      context_.loop.Post(lifetime_.Bind(
          [answer] { answer(absl::UnavailableError("this replica does not lead any more")); }));
    }
  }
}

}  // namespace stentor::controller
