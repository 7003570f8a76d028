// SPDX-License-Identifier: Apache-2.0
#include "controller/app/leadership.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "common/base/strings.h"
#include "common/io/random.h"
#include "common/kube/lease.h"

namespace stentor::controller {
namespace {

// client-go's name, by which dashboards find who leads.
constexpr obs::MetricInfo kMaster{"leader_election_master_status", obs::MetricType::kGauge,
                                  "Whether this replica leads, by the Lease's name"};

std::string WhyStopped(StopReason reason) {
  switch (reason) {
    case StopReason::kNotRenewed:
      return "the Lease could not be renewed in time";
    case StopReason::kTaken:
      return "the Lease is another's";
    case StopReason::kReleased:
      return "the process stops";
  }
  return "";
}

}  // namespace

Leadership::Leadership(const io::Context& context, LeaderOptions options,
                       LeadershipHandlers handlers)
    : context_(context),
      options_(std::move(options)),
      handlers_(std::move(handlers)),
      elector_(options_, io::RandomUniform),
      timer_(context.loop) {}

Leadership::~Leadership() = default;

Moment Leadership::Now() const { return {context_.loop.Now(), context_.loop.WallNow()}; }

void Leadership::Start() {
  WatchLease();
  Poll();
}

// Without the right to watch it, the Lease is asked for every few seconds.
void Leadership::WatchLease() {
  io::WatchHandlers handlers;
  handlers.on_upsert = [this](const nlohmann::json& object) {
    if (const auto lease = kube::DecodeLease(object);
        lease.ok() && lease->key.name == options_.lease.name) {
      Carry(elector_.OnLease(Now(), *lease));
    }
  };
  handlers.on_delete = [this](const model::ObjectKey& key) {
    if (key.name == options_.lease.name) {
      Carry(elector_.OnLeaseDeleted(Now()));
    }
  };
  handlers.on_refused = [](const absl::Status&) { return io::RetryPace::kPatient; };
  watch_ = context_.client.Watch({.name = "leases.coordination.k8s.io",
                                  .path = kube::LeasesPath(options_.lease.name_space),
                                  .field_selector = "metadata.name=" + options_.lease.name},
                                 std::move(handlers));
}

void Leadership::Poll() { Carry(elector_.Poll(Now())); }

void Leadership::Release(std::function<void()> done) {
  released_ = std::move(done);
  Carry(elector_.Release(Now()));
}

void Leadership::Carry(const LeaderActions& actions) {
  for (const LeaderChange& change : actions.changes) {
    Heed(change);
  }
  if (actions.request) {
    kube::Request request = actions.request->request;
    request.priority = kube::Priority::kUrgent;
    request.time_limit = options_.request_timeout;
    context_.client.Request(std::move(request),
                            lifetime_.Bind([this, ticket = actions.request->ticket](
                                               const absl::StatusOr<kube::Response>& response) {
                              Carry(elector_.OnAnswer(Now(), ticket, response));
                            }));
  }
  if (elector_.ReleaseComplete() && released_) {
    context_.loop.Post(std::exchange(released_, nullptr));
  }
  Arm();
}

void Leadership::Arm() {
  if (const auto deadline = elector_.NextDeadline()) {
    timer_.ArmAt(*deadline, [this] { Poll(); });
  } else {
    timer_.Disarm();
  }
}

void Leadership::Heed(const LeaderChange& change) {
  using obs::Event;
  const std::string lease = options_.lease.ToString();
  switch (change.kind) {
    case LeaderChangeKind::kStarted:
      context_.log.Log(Event::kLeading, "this replica leads",
                       {{"lease", lease}, {"identity", options_.identity}});
      context_.loop.Post(lifetime_.Bind([this] {
        if (elector_.Leads()) {
          handlers_.on_started();
        }
      }));
      break;
    case LeaderChangeKind::kStopped:
      context_.log.Log(Event::kLeadingEnded, WhyStopped(change.reason), {{"lease", lease}});
      context_.loop.Post(lifetime_.Bind([this] { handlers_.on_stopped(); }));
      break;
    case LeaderChangeKind::kNewHolder:
      context_.log.Log(Event::kLeaderSeen,
                       change.holder.empty() ? "nobody leads" : StrCat(change.holder, " leads"),
                       {{"lease", lease}, {"holder", change.holder}});
      if (!change.holder.empty() && change.holder != options_.identity) {
        context_.loop.Post(lifetime_.Bind([this] { handlers_.on_other_leads(); }));
      }
      break;
    case LeaderChangeKind::kWithoutLease:
      context_.log.Log(Event::kResourceRefused,
                       StrCat(std::string(change.status.message()),
                              "; this replica works as if it were the only one, so let there be "
                              "one, or grant leases"),
                       {{"resource", "leases.coordination.k8s.io"}});
      break;
    case LeaderChangeKind::kWithLease:
      context_.log.Log(Event::kApiRecovered, "leases can be used now",
                       {{"resource", "leases.coordination.k8s.io"}});
      break;
    case LeaderChangeKind::kTrouble:
      // Before anybody leads, nothing else is asked of the API server: this tells of it.
      context_.log.Log(elector_.Leads() ? Event::kLeaseTrouble : Event::kApiTrouble,
                       StrCat("API server ", context_.client.server(),
                              ", asked for the Lease: ", std::string(change.status.message())),
                       {{"resource", "leases.coordination.k8s.io"}});
      break;
    case LeaderChangeKind::kRecovered:
      context_.log.Log(Event::kApiRecovered, "the Lease can be read and written again",
                       {{"resource", "leases.coordination.k8s.io"}});
      break;
  }
}

void Leadership::Collect(obs::MetricSet& metrics) const {
  metrics.Set(kMaster, {{"name", options_.lease.name}}, elector_.Leads() ? 1.0 : 0.0);
}

}  // namespace stentor::controller
