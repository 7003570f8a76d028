// SPDX-License-Identifier: Apache-2.0
#include "controller/status/pool_status_keeper.h"

#include <algorithm>
#include <chrono>

#include "absl/status/status.h"
#include "common/base/strings.h"
#include "common/kube/codec.h"
#include "common/kube/resource_version.h"

namespace stentor::controller {
namespace {

constexpr kube::JsonLimits kLimits{.max_bytes = std::size_t{4} << 20U};  // etcd takes 1.5 MiB
constexpr Duration kMaxHold = std::chrono::minutes(5);
// A pool whose status the server finds wrong: until somebody changes the pool or its kind.
constexpr Duration kInvalidWait = std::chrono::minutes(1);
// A watch shows a deleted pool within moments: one that is not found for longer is of a kind
// without status.
constexpr int kMissingBelieved = 3;

}  // namespace

PoolStatusKeeper::PoolStatusKeeper(PoolStatusOptions options, kube::Uniform uniform)
    : options_(std::move(options)), uniform_(std::move(uniform)) {}

void PoolStatusKeeper::SetActive(bool active) {
  if (active == active_) {
    return;
  }
  active_ = active;
  deadline_.reset();
  write_hold_ = {};
  if (!active) {
    (void)SetFigures({});
  }
  const std::map<std::uint64_t, Flight> flights = std::exchange(flights_, {});
  for (const auto& [ticket, flight] : flights) {
    if (const auto it = pools_.find(flight.pool);
        it != pools_.end() && it->second.ticket == ticket) {
      it->second.ticket = 0;
      Schedule(it->first, it->second);
    }
  }
}

bool PoolStatusKeeper::SetFigures(
    const std::map<model::PoolName, PoolFigures, std::less<>>& figures) {
  bool changed = false;
  for (auto it = pools_.begin(); it != pools_.end();) {
    const auto current = it++;
    if (current->second.wanted && figures.find(current->first) == figures.end()) {
      current->second.wanted.reset();
      Schedule(current->first, current->second);
      ForgetIfUnused(current);
    }
  }
  for (const auto& [name, wanted] : figures) {
    Entry& entry = EntryOf(name);
    if (entry.wanted != wanted) {
      entry.wanted = wanted;
      Schedule(name, entry);
      changed = true;
    }
  }
  return changed;
}

void PoolStatusKeeper::PoolSeen(const nlohmann::json& object) {
  absl::StatusOr<SeenPool> seen = DecodeSeenPool(object);
  if (!seen.ok() || seen->key.name_space != options_.name_space) {
    return;
  }
  const model::PoolName name = seen->key.name;
  Entry& entry = EntryOf(name);
  if (!entry.seen || kube::IsNewer(seen->resource_version, entry.seen->resource_version)) {
    Adopt(entry, *std::move(seen));
    Schedule(name, entry);
  }
}

void PoolStatusKeeper::PoolGone(const model::ObjectKey& key) {
  const auto it = pools_.find(key.name);
  if (key.name_space != options_.name_space || it == pools_.end()) {
    return;
  }
  it->second.seen.reset();
  it->second.written.reset();
  it->second.missing = 0;
  Schedule(it->first, it->second);
  ForgetIfUnused(it);
}

void PoolStatusKeeper::OnAnswer(TimePoint now, std::uint64_t ticket,
                                const absl::StatusOr<kube::Response>& answer) {
  Land(now, ticket, answer);
}

status::StatusActions PoolStatusKeeper::Poll(TimePoint now) {
  status::StatusActions actions;
  deadline_.reset();
  if (active_) {
    // Whether these were done, the watch shows, or a conflict. Tickets are in the order of sending.
    while (!flights_.empty() && now >= flights_.begin()->second.sent + options_.request_timeout) {
      Land(now, flights_.begin()->first,
           absl::DeadlineExceededError("no answer from the API server"));
    }
    write_hold_.EndIfOver(now);
    // After a refusal one request finds out whether things have changed.
    const auto may_send = [this, now] {
      return now >= write_hold_.Until() && refusals_.IsOpen(now) &&
             (!hold_until_ || now >= *hold_until_) &&
             flights_.size() < (refusals_.refused() ? 1 : options_.max_in_flight);
    };
    while (!due_.empty() && due_.begin()->first <= now && may_send()) {
      Send(now, due_.begin()->second, &actions);
    }
    SetDeadline();
  }
  actions.notice = std::exchange(notice_, std::nullopt);
  return actions;
}

void PoolStatusKeeper::SetDeadline() {
  deadline_ = write_hold_.Deadline();
  const auto at = [this](TimePoint next) {
    deadline_ = deadline_ ? std::min(*deadline_, next) : next;
  };
  if (!flights_.empty()) {
    at(flights_.begin()->second.sent + options_.request_timeout);
  }
  const std::size_t room = refusals_.refused() ? 1 : options_.max_in_flight;
  if (!due_.empty() && flights_.size() < room) {
    TimePoint next = due_.begin()->first;
    next = std::max(next, refusals_.NotBefore().value_or(next));
    next = std::max({next, write_hold_.Until(), hold_until_.value_or(next)});
    at(next);
  }
}

PoolStatusKeeper::Entry& PoolStatusKeeper::EntryOf(const model::PoolName& name) {
  const auto it = pools_.find(name);
  if (it != pools_.end()) {
    return it->second;
  }
  const status::PaceOptions pace{.interval = options_.interval};
  return pools_.emplace(name, Entry{.pace = status::WritePace(pace)}).first->second;
}

void PoolStatusKeeper::ForgetIfUnused(Entries::iterator entry) {
  if (!entry->second.seen && !entry->second.wanted) {
    pools_.erase(entry);
  }
}

void PoolStatusKeeper::Schedule(const model::PoolName& name, Entry& entry) {
  if (entry.due) {
    due_.erase({*entry.due, name});
    entry.due.reset();
  }
  const bool differs = entry.seen && entry.wanted && entry.seen->figures != entry.wanted;
  if (differs && entry.ticket == 0) {
    entry.due = entry.pace.NotBefore(/*restores=*/entry.written == entry.wanted);
    due_.emplace(*entry.due, name);
  }
}

void PoolStatusKeeper::Adopt(Entry& entry, SeenPool seen) {
  if (entry.seen && entry.seen->uid != seen.uid) {
    entry.written.reset();
    entry.told = false;
  }
  if (entry.conflict) {
    entry.conflict = false;
    entry.pace.Succeeded();  // nothing is in the way any more
  }
  entry.missing = 0;
  entry.seen = std::move(seen);
}

void PoolStatusKeeper::Send(TimePoint now, const model::PoolName& pool,
                            status::StatusActions* actions) {
  const model::PoolName name = pool;  // it may be that of due_, which changes
  Entry& entry = pools_.find(name)->second;
  entry.pace.Sent(now, /*restores=*/entry.written == entry.wanted);
  entry.ticket = ++tickets_;
  Schedule(name, entry);
  flights_.emplace(
      tickets_,
      Flight{.pool = name, .uid = entry.seen->uid, .figures = *entry.wanted, .sent = now});
  kube::Request request = PoolStatusRequest(*entry.seen, *entry.wanted);
  request.time_limit = options_.request_timeout;
  actions->requests.push_back({.ticket = tickets_, .request = std::move(request)});
}

void PoolStatusKeeper::Land(TimePoint now, std::uint64_t ticket,
                            const absl::StatusOr<kube::Response>& answer) {
  const auto flown = flights_.find(ticket);
  if (flown == flights_.end()) {
    return;
  }
  const Flight flight = flown->second;
  flights_.erase(flown);
  const auto it = pools_.find(flight.pool);
  if (it == pools_.end() || it->second.ticket != ticket) {
    return;  // that pool is gone
  }
  Entry& entry = it->second;
  entry.ticket = 0;
  if (answer.ok() && kube::StatusOf(*answer).ok()) {
    OnWritten(now, flight, entry, answer->body);
  } else {
    OnFailure(now, flight, entry, answer);
  }
  Schedule(it->first, entry);
}

void PoolStatusKeeper::OnWritten(TimePoint now, const Flight& flight, Entry& entry,
                                 const std::string& body) {
  const absl::StatusOr<nlohmann::json> parsed = kube::ParseApiJson(body, kLimits);
  absl::StatusOr<SeenPool> seen =
      parsed.ok() ? DecodeSeenPool(*parsed) : absl::StatusOr<SeenPool>(parsed.status());
  if (!seen.ok() || seen->uid != flight.uid) {
    entry.pace.Failed(now, std::nullopt, uniform_);
    return;
  }
  entry.pace.Succeeded();
  entry.told = false;
  entry.written = flight.figures;
  std::optional<status::Notice> notice;
  if (seen->figures == flight.figures) {
    notice = refusals_.Accepted();
  } else {  // the kind of MetalLB 0.13: its status has no fields
    notice = refusals_.Refused(
        now,
        absl::FailedPreconditionError("the API server does not keep the status of IPAddressPools"),
        uniform_);
  }
  if (notice) {
    notice_ = std::move(notice);
  }
  // Not where a watch has told more meanwhile, or that it is gone.
  if (entry.seen && entry.seen->uid == seen->uid &&
      kube::IsNewer(seen->resource_version, entry.seen->resource_version)) {
    Adopt(entry, *std::move(seen));
  }
}

void PoolStatusKeeper::OnFailure(TimePoint now, const Flight& flight, Entry& entry,
                                 const absl::StatusOr<kube::Response>& answer) {
  const int code = answer.ok() ? answer->code : 0;
  const absl::Status why = kube::StatusOf(answer);
  std::optional<Duration> wait = answer.ok() ? answer->retry_after : std::nullopt;
  if (code == 409) {
    entry.conflict = true;
  } else if (code == 400 || code == 422) {
    wait = kInvalidWait;
    if (!entry.told) {
      entry.told = true;
      notice_ = status::Notice{
          .kind = status::Notice::Kind::kRefused,
          .message = StrCat("IPAddressPool ", flight.pool, ": ", std::string(why.message()))};
    }
  } else if (status::IsRefusal(code) && (code != 404 || ++entry.missing >= kMissingBelieved)) {
    if (std::optional<status::Notice> notice = refusals_.Refused(now, why, uniform_)) {
      notice_ = std::move(notice);
    }
  } else if (wait) {
    hold_until_ = now + std::min(*wait, kMaxHold);
  }
  entry.pace.Failed(now, wait, uniform_);
}

}  // namespace stentor::controller
