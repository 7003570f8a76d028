// SPDX-License-Identifier: Apache-2.0
#include "controller/app/statuses.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/strings.h"
#include "common/io/random.h"
#include "common/io/watch_logging.h"
#include "common/kube/codec.h"
#include "common/kube/event_body.h"
#include "common/kube/json_member.h"

namespace stentor::controller {
namespace {

constexpr Duration kPodRetry = std::chrono::seconds(5);
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

}  // namespace

Statuses::Statuses(const io::Context& context, StatusesOptions options)
    : context_(context),
      options_(std::move(options)),
      state_(context, {.state = status::ControllerState(options_.name_space),
                       .may_write = options_.may_write,
                       .on_recorded = [this] { UpdateBgp(); }}),
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
  state_.Start();
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
       .accept = kube::kMetadataOnly},
      lifetime_.Bind([this](const absl::StatusOr<kube::Response>& response) {
        const absl::Status answer = kube::StatusOf(response);
        if (absl::IsUnavailable(answer) || absl::IsDeadlineExceeded(answer)) {
          pod_timer_.ArmAfter(kPodRetry, [this] { LookForPod(); });
        }
        if (!answer.ok()) {
          return;
        }
        const auto object = kube::ParseApiJson(response->body);
        if (std::string uid = object.ok() ? kube::UidOf(*object) : ""; !uid.empty()) {
          state_.SetOwner({.name = options_.pod_name, .uid = std::move(uid)});
        }
      }));
}

void Statuses::WatchBgp(BgpKind kind, const std::string& path, const std::string& resource) {
  io::WatchHandlers handlers = io::LoggingHandlers(context_.log, resource);
  handlers.on_upsert = [this, kind](const nlohmann::json& object) {
    const auto key = kube::DecodeKey(object);
    if (key.ok()) {
      bgp_objects_[{kind, *key}] = kube::UidOf(object);
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
  if (!leading_) {
    return;
  }
  if (!bgp_kinds_unread_.empty()) {
    bgp_notice_.OnReading(state_.Recorded(status::kBgpAnnounced));
    return;
  }
  std::vector<BgpObject> objects;
  for (const auto& [which, uid] : bgp_objects_) {
    objects.push_back({.kind = which.first, .key = which.second, .uid = uid});
  }
  const BgpTidings tidings = bgp_notice_.Update(objects, state_.Recorded(status::kBgpAnnounced));
  if (tidings.condition) {
    state_.SetCondition(*tidings.condition);
  } else {
    state_.RemoveCondition(status::kBgpAnnounced);
  }
  if (tidings.event && options_.may_write()) {
    kube::EventContent event = tidings.event->event;
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
  state_.SetCondition(status::ReconcilerCondition(status::kPoolReconcilerValid, outcome.status()));
  if (!outcome.ok()) {
    return;
  }
  if (outcome->older_form == config::OlderForm::kNone || outcome->remarks.empty()) {
    state_.RemoveCondition(status::kLegacyConfiguration);
  } else {
    state_.SetCondition(status::LegacyCondition(outcome->older_form, outcome->remarks));
  }
}

void Statuses::SetUsage(const config::Config& config, const AddressAllocator& allocator) {
  std::map<model::PoolName, PoolFigures, std::less<>> figures;
  for (const config::Pool& pool : config.pools) {
    figures.emplace(pool.name, FiguresOf(pool.name, allocator));
  }
  if (pools_.SetFigures(figures)) {
    pools_.HoldWrites(context_.loop.Now());
  }
  Schedule();
}

void Statuses::Schedule() {
  if (!std::exchange(scheduled_, true)) {
    context_.loop.Post(lifetime_.Bind([this] { Poll(); }));
  }
}

void Statuses::Poll() {
  scheduled_ = false;
  status::StatusActions actions = pools_.Poll(context_.loop.Now());
  if (actions.notice) {
    io::LogStatusNotice(context_.log, *actions.notice, kPools);
  }
  for (status::StatusRequest& request : actions.requests) {
    Send(std::move(request));
  }
  if (const auto deadline = pools_.NextDeadline()) {
    timer_.ArmAt(*deadline, [this] { Schedule(); });
  } else {
    timer_.Disarm();
  }
}

void Statuses::Send(status::StatusRequest request) {
  const auto answer = [this,
                       ticket = request.ticket](const absl::StatusOr<kube::Response>& response) {
    pools_.OnAnswer(context_.loop.Now(), ticket, response);
    Schedule();
  };
  if (options_.may_write()) {
    context_.client.Request(std::move(request.request), lifetime_.Bind(answer));
  } else {
    context_.loop.Post(lifetime_.Bind(
        [answer] { answer(absl::UnavailableError("this replica does not lead any more")); }));
  }
}

}  // namespace stentor::controller
