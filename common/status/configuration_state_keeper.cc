// SPDX-License-Identifier: Apache-2.0
#include "common/status/configuration_state_keeper.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/kube/bodies.h"
#include "common/kube/codec.h"
#include "common/kube/resource_version.h"
#include "common/kube/text.h"

namespace stentor::status {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr kube::JsonLimits kLimits{.max_bytes = std::size_t{4} << 20U};  // etcd takes 1.5 MiB
constexpr std::size_t kMaxLabelValue = 63;
// The watch brings what was in the way of a write; only where it does not, it is asked for.
constexpr Duration kConflictGrace = milliseconds(200);
constexpr Duration kReadInterval = milliseconds(200);

}  // namespace

ConfigurationStateOptions ControllerState(std::string_view name_space) {
  return {.object = {std::string(name_space), "controller"},
          .labels = {{"metallb.io/component-type", "controller"}},
          .types = {std::string(kPoolReconcilerValid), std::string(kBgpAnnounced),
                    std::string(kLegacyConfiguration)}};
}

ConfigurationStateOptions SpeakerState(std::string_view name_space, std::string_view node) {
  ConfigurationStateOptions options{
      .object = {std::string(name_space), StrCat("speaker-", node)},
      .labels = {{"metallb.io/component-type", "speaker"}},
      .types = {std::string(kConfigReconcilerValid), std::string(kLegacyConfiguration)}};
  if (node.size() <= kMaxLabelValue) {  // a node's name may be longer than a label
    options.labels.emplace("metallb.io/node-name", node);
  }
  return options;
}

ConfigurationStateKeeper::ConfigurationStateKeeper(ConfigurationStateOptions options,
                                                   kube::Uniform uniform)
    : options_(std::move(options)),
      uniform_(std::move(uniform)),
      reads_({.interval = kReadInterval}),
      object_writes_({.interval = kInterval}),
      status_writes_({.interval = kInterval}) {
  ConditionsChanged();
}

void ConfigurationStateKeeper::SetActive(bool active) {
  if (active == active_) {
    return;
  }
  active_ = active;
  flight_.reset();
  started_.reset();
  deadline_.reset();
  if (!known_) {
    read_due_.reset();  // the watch has its time again
  }
}

void ConfigurationStateKeeper::SetOwner(OwnerPod owner) {
  if (owner_ != owner) {
    owner_ = std::move(owner);
    metadata_written_ = false;
  }
}

void ConfigurationStateKeeper::SetCondition(Condition condition, WallTime wall) {
  STENTOR_CHECK(std::find(options_.types.begin(), options_.types.end(), condition.type) !=
                options_.types.end())
      << condition.type;
  STENTOR_CHECK(IsConditionReason(condition.reason)) << condition.reason;
  condition.message = kube::FitText(condition.message, kMaxMessageLength);
  const auto it = conditions_.find(condition.type);
  if (it != conditions_.end() && it->second.condition == condition) {
    return;
  }
  const bool turned = it == conditions_.end() || it->second.condition.holds != condition.holds;
  std::string since = turned ? kube::FormatTime(wall) : it->second.since;
  // What another run of this program has written holds on. While a write is under way, it is not
  // known what the object says.
  const SeenCondition* const seen = observed_ ? observed_->Find(condition.type) : nullptr;
  if (turned && !flight_ && seen != nullptr && seen->status == StatusText(condition.holds) &&
      !seen->last_transition_time.empty()) {
    since = seen->last_transition_time;
  }
  std::string type = condition.type;
  conditions_.insert_or_assign(std::move(type),
                               Kept{.condition = std::move(condition), .since = std::move(since)});
  ConditionsChanged();
}

void ConfigurationStateKeeper::RemoveCondition(std::string_view type) {
  if (const auto it = conditions_.find(type); it != conditions_.end()) {
    conditions_.erase(it);
    ConditionsChanged();
  }
}

void ConfigurationStateKeeper::Seen(const json& object) {
  absl::StatusOr<ConfigurationState> state = DecodeConfigurationState(object);
  if (state.ok() && state->key == options_.object &&
      (!observed_ || kube::IsNewer(state->resource_version, observed_->resource_version))) {
    Adopt(*std::move(state));
  }
}

void ConfigurationStateKeeper::Gone() {
  observed_.reset();
  observed_content_.clear();
  known_ = true;
}

void ConfigurationStateKeeper::OnAnswer(TimePoint now, std::uint64_t ticket,
                                        const absl::StatusOr<kube::Response>& answer) {
  if (!flight_ || flight_->ticket != ticket) {
    return;
  }
  const Flight flight = *std::exchange(flight_, std::nullopt);
  const absl::Status status = kube::StatusOf(answer);
  const int code = answer.ok() ? answer->code : 0;
  if (status.ok()) {
    OnObject(now, flight, answer->body);
  } else if (code == 404 && flight.verb == Verb::kGet) {
    reads_.Succeeded();
    if (!observed_ || observed_->resource_version == flight.resource_version) {
      Gone();  // else a watch has shown one meanwhile
    }
  } else if (code == 409) {
    OnConflict(now, flight);
  } else if (IsRefusal(code)) {
    if (code == 404 && flight.verb != Verb::kCreate) {
      known_ = false;  // deleted, or of a kind without status
      read_due_ = now;
    }
    without_others_ = without_others_ || (flight.verb == Verb::kStatus && code == 422);
    Refuse(now, status);
  } else {
    PaceOf(flight.verb).Failed(now, answer.ok() ? answer->retry_after : std::nullopt, uniform_);
  }
}

StatusActions ConfigurationStateKeeper::Poll(TimePoint now) {
  StatusActions actions;
  deadline_.reset();
  if (active_) {
    if (!started_) {
      started_ = now;
    }
    if (!known_ && !read_due_) {
      read_due_ = now + kWatchGrace;
    }
    if (flight_ && now >= flight_->sent + kRequestTimeout) {
      PaceOf(flight_->verb).Failed(now, std::nullopt, uniform_);
      flight_.reset();  // whether it was done, the watch shows, or a conflict
    }
    if (!flight_) {
      const std::optional<Step> step = NextStep();
      if (step && now >= step->due) {
        Send(now, *step, &actions);
      } else if (step) {
        deadline_ = step->due;
      }
    }
    if (flight_) {
      deadline_ = flight_->sent + kRequestTimeout;
    }
  }
  actions.notice = std::exchange(notice_, std::nullopt);
  return actions;
}

std::optional<bool> ConfigurationStateKeeper::Recorded(std::string_view type) const {
  if (observed_) {
    return observed_->Find(type) != nullptr;
  }
  if (known_ || refusals_.refused()) {
    return false;
  }
  return std::nullopt;
}

std::optional<ConfigurationStateKeeper::Step> ConfigurationStateKeeper::NextStep() const {
  // So that a start writes what it finds out, not first that nothing is known.
  const TimePoint begin = conditions_.empty() ? *started_ + kUnknownAfter : TimePoint::min();
  std::optional<Step> step;
  if (!known_) {
    step = Step{.verb = Verb::kGet, .due = std::max(*read_due_, reads_.NotBefore(false))};
  } else if (!observed_) {
    step = Step{.verb = Verb::kCreate,
                .due = std::max(begin, object_writes_.NotBefore(metadata_written_)),
                .restores = metadata_written_};
  } else if (!MetadataMatches()) {
    step = Step{.verb = Verb::kMetadata,
                .due = object_writes_.NotBefore(metadata_written_),
                .restores = metadata_written_};
  } else if (observed_content_ != wanted_content_) {
    const bool restores = written_content_ == wanted_content_;
    step = Step{.verb = Verb::kStatus,
                .due = std::max(begin, status_writes_.NotBefore(restores)),
                .restores = restores};
  }
  if (step && refusals_.NotBefore()) {
    step->due = std::max(step->due, *refusals_.NotBefore());
  }
  return step;
}

void ConfigurationStateKeeper::Send(TimePoint now, const Step& step, StatusActions* actions) {
  PaceOf(step.verb).Sent(now, step.restores);
  flight_ = Flight{.ticket = ++tickets_,
                   .verb = step.verb,
                   .sent = now,
                   .resource_version = observed_ ? observed_->resource_version : "",
                   .content = step.verb == Verb::kStatus ? wanted_content_ : ""};
  actions->requests.push_back({.ticket = tickets_, .request = RequestFor(step.verb)});
}

void ConfigurationStateKeeper::Adopt(ConfigurationState state) {
  for (auto& [type, kept] : conditions_) {
    const SeenCondition* const seen = state.Find(type);
    if (seen != nullptr && seen->status == StatusText(kept.condition.holds) &&
        !seen->last_transition_time.empty()) {
      kept.since = seen->last_transition_time;
    }
  }
  observed_content_ = ContentOf(state);
  observed_ = std::move(state);
  known_ = true;
}

void ConfigurationStateKeeper::OnObject(TimePoint now, const Flight& flight,
                                        const std::string& body) {
  const absl::StatusOr<json> parsed = kube::ParseApiJson(body, kLimits);
  absl::StatusOr<ConfigurationState> state =
      parsed.ok() ? DecodeConfigurationState(*parsed)
                  : absl::StatusOr<ConfigurationState>(parsed.status());
  if (!state.ok() || state->key != options_.object) {
    PaceOf(flight.verb).Failed(now, std::nullopt, uniform_);
    known_ = false;
    read_due_ = now;
    return;
  }
  const bool kept = flight.verb != Verb::kStatus || ContentOf(*state) == flight.content;
  // A watch may have told more while the answer was on its way.
  if (!observed_ || kube::IsNewer(state->resource_version, observed_->resource_version)) {
    Adopt(*std::move(state));
  }
  known_ = true;
  PaceOf(flight.verb).Succeeded();
  if (flight.verb == Verb::kGet) {
    return;
  }
  if (flight.verb == Verb::kStatus) {
    written_content_ = flight.content;
    without_others_ = false;
  } else {
    metadata_written_ = true;
  }
  if (!kept) {
    Refuse(now, absl::FailedPreconditionError(
                    "the API server does not keep the status of ConfigurationStates"));
  } else if (std::optional<Notice> notice = refusals_.Accepted()) {
    notice_ = std::move(notice);
  }
}

void ConfigurationStateKeeper::OnConflict(TimePoint now, const Flight& flight) {
  if (observed_ && observed_->resource_version != flight.resource_version) {
    return;  // the watch has shown already what was in the way
  }
  PaceOf(flight.verb).Failed(now, std::nullopt, uniform_);
  known_ = false;
  read_due_ = now + kConflictGrace;
}

void ConfigurationStateKeeper::Refuse(TimePoint now, const absl::Status& why) {
  if (std::optional<Notice> notice = refusals_.Refused(now, why, uniform_)) {
    notice_ = std::move(notice);
  }
}

WritePace& ConfigurationStateKeeper::PaceOf(Verb verb) {
  switch (verb) {
    case Verb::kGet:
      return reads_;
    case Verb::kStatus:
      return status_writes_;
    case Verb::kCreate:
    case Verb::kMetadata:
      break;
  }
  return object_writes_;
}

}  // namespace stentor::status
