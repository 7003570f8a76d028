// SPDX-License-Identifier: Apache-2.0
#include "speaker/status/l2_status_keeper.h"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>

namespace stentor::speaker {
namespace {

// Of the API server's own generated names, without what can be mistaken, or read as a word.
constexpr std::string_view kNameAlphabet = "bcdfghjklmnpqrstvwxz2456789";
constexpr int kNameLength = 8;

std::vector<std::string> SortedOnce(std::vector<std::string> names) {
  std::ranges::sort(names);
  const auto repeated = std::ranges::unique(names);
  names.erase(repeated.begin(), repeated.end());
  return names;
}

}  // namespace

ServiceL2StatusKeeper::ServiceL2StatusKeeper(L2StatusOptions options, kube::Uniform uniform)
    : options_(std::move(options)), uniform_(std::move(uniform)) {}

void ServiceL2StatusKeeper::SetOwner(status::OwnerPod owner) {
  if (owner_ != owner) {
    const auto before = std::exchange(owner_, std::move(owner));
    for (auto& [name, object] : objects_) {
      if (std::exchange(object.owned, false)) {
        if (!object.odd) {
          object.odd = std::make_unique<Odd>();
        }
        object.odd->owners = OwnersWith(nlohmann::json::array(), *before);
      }
      LeaveOut(object);
    }
    ScheduleAll();
  }
}

bool ServiceL2StatusKeeper::SetAnnounced(const ServiceInterfaces& announced) {
  std::vector<model::ServiceKey> withdrawn;
  for (const auto& [service, entry] : entries_) {
    if (entry.wanted && !announced.contains(service)) {
      withdrawn.push_back(service);
    }
  }
  for (const model::ServiceKey& service : withdrawn) {
    Withdraw(service);
  }
  bool news = false;
  for (const auto& [service, interfaces] : announced) {
    news |= Announce(service, interfaces);
  }
  if (!std::exchange(decided_, true)) {
    ScheduleAll();
  }
  return news;
}

bool ServiceL2StatusKeeper::Announce(const model::ServiceKey& service,
                                     std::vector<std::string> interfaces) {
  interfaces = SortedOnce(std::move(interfaces));
  const auto it = entries_.try_emplace(service).first;
  if (it->second.wanted == interfaces) {
    return false;
  }
  it->second.wanted = std::move(interfaces);
  Schedule(it);
  return true;
}

void ServiceL2StatusKeeper::Withdraw(const model::ServiceKey& service) {
  const auto it = entries_.find(service);
  if (it == entries_.end() || !it->second.wanted) {
    return;
  }
  it->second.wanted.reset();
  it->second.tenure = {};
  Schedule(it);
}

std::optional<model::ServiceKey> ServiceL2StatusKeeper::Seen(const nlohmann::json& object) {
  absl::StatusOr<SeenL2Status> seen = DecodeL2Status(object);
  if (!seen.ok() || seen->key.name_space != options_.name_space) {
    return std::nullopt;
  }
  Object* const known = Adopt(*std::move(seen));
  if (known == nullptr) {
    return std::nullopt;
  }
  known->shown = true;
  if (!known->frozen) {
    known->read_due.reset();
  }
  Schedule(entries_.find(*known->service));
  return *known->service;
}

std::optional<model::ServiceKey> ServiceL2StatusKeeper::Gone(const model::ObjectKey& key) {
  const auto it = objects_.find(key.name);
  if (key.name_space != options_.name_space || it == objects_.end()) {
    return std::nullopt;
  }
  model::ServiceKey service = *it->second.service;
  Forget(key.name);
  return service;
}

void ServiceL2StatusKeeper::Synced() {
  // What was deleted, and never shown by a watch, it will not show as gone.
  std::vector<std::string> gone;
  for (const auto& [name, object] : objects_) {
    if (object.deleted) {
      gone.push_back(name);
    }
  }
  for (const std::string& name : gone) {
    Forget(name);
  }
  failures_ = 0;  // the server is back
  hold_until_.reset();
  if (!std::exchange(synced_, true)) {
    Accept(GateOf(Verb::kCreate));
    ScheduleAll();
  }
}

void ServiceL2StatusKeeper::WatchRefused(TimePoint now, const absl::Status& why) {
  if (!synced_) {
    Refuse(now, GateOf(Verb::kCreate), why);
  }
}

void ServiceL2StatusKeeper::OnAnswer(TimePoint now, std::uint64_t ticket,
                                     const absl::StatusOr<kube::Response>& answer) {
  Land(now, ticket, answer);
}

status::StatusActions ServiceL2StatusKeeper::Poll(TimePoint now) {
  status::StatusActions actions;
  // Whether these were done, the watch shows, or a repetition. Tickets are in the order of sending.
  while (!flights_.empty() && now >= flights_.begin()->second.sent + options_.request_timeout) {
    Land(now, flights_.begin()->first,
         absl::DeadlineExceededError("no answer from the API server"));
  }
  write_hold_.EndIfOver(now);
  while (const std::optional<Lane> lane = NextLane(now)) {
    next_lane_ = *lane == Lane::kWrites ? Lane::kDeletions : Lane::kWrites;
    const model::ServiceKey service = std::get<model::ServiceKey>(*QueueOf(*lane).due.begin());
    Send(now, service, &actions);
  }
  DropIdlePaces(now);
  SetDeadline();
  actions.notice = std::exchange(notice_, std::nullopt);
  return actions;
}

std::optional<bool> ServiceL2StatusKeeper::Known(const model::ServiceKey& service) const {
  if (!synced_) {
    return std::nullopt;
  }
  const auto it = entries_.find(service);
  return it != entries_.end() && std::ranges::any_of(it->second.objects, [](const Object* object) {
           return !object->deleted;
         });
}

std::size_t ServiceL2StatusKeeper::pending() const {
  return queues_[0].due.size() + queues_[1].due.size() + flights_.size();
}

void ServiceL2StatusKeeper::ScheduleAll() {
  for (auto it = entries_.begin(); it != entries_.end();) {
    Schedule(it++);  // which may forget it
  }
}

void ServiceL2StatusKeeper::Schedule(Entries::iterator entry) {
  Entry& its = entry->second;
  std::optional<Step> step;
  if (its.ticket == 0) {
    step = NextStep(entry->first, its);
  }
  // Whoever waits already keeps his place.
  const std::uint64_t place = its.queued ? its.sequence : ++sequence_;
  if (its.queued) {
    QueueOf(its.lane).due.erase({its.due, its.sequence, entry->first});
    its.queued = false;
  }
  if (step) {
    its.lane = step->verb == Verb::kDelete ? Lane::kDeletions : Lane::kWrites;
    its.due = step->due;
    its.sequence = place;
    its.queued = true;
    QueueOf(its.lane).due.emplace(its.due, its.sequence, entry->first);
  } else if (its.ticket == 0 && !its.wanted && its.objects.empty()) {
    entries_.erase(entry);
  }
}

std::size_t ServiceL2StatusKeeper::RoomOf(Lane lane) const {
  // After a failure one request finds out whether things have changed.
  if (failures_ > 0) {
    return flights_.empty() ? 1 : 0;
  }
  const bool refused = lane == Lane::kDeletions ? refusals_[GateOf(Verb::kDelete)].refused()
                                                : refusals_[GateOf(Verb::kCreate)].refused() ||
                                                      refusals_[GateOf(Verb::kStatus)].refused();
  if (refused && QueueOf(lane).under_way > 0) {
    return 0;
  }
  return options_.max_in_flight - std::min(options_.max_in_flight, flights_.size());
}

TimePoint ServiceL2StatusKeeper::NotBefore(Lane lane) const {
  TimePoint time = hold_until_.value_or(TimePoint::min());
  const auto wait_for = [&time](const status::RefusalGate& gate) {
    time = std::max(time, gate.NotBefore().value_or(time));
  };
  if (lane == Lane::kDeletions) {
    wait_for(refusals_[GateOf(Verb::kDelete)]);
  } else {
    time = std::max(time, write_hold_.Until());
    wait_for(refusals_[GateOf(Verb::kCreate)]);
    wait_for(refusals_[GateOf(Verb::kStatus)]);
  }
  return time;
}

std::optional<ServiceL2StatusKeeper::Lane> ServiceL2StatusKeeper::NextLane(TimePoint now) const {
  const Lane other = next_lane_ == Lane::kWrites ? Lane::kDeletions : Lane::kWrites;
  for (const Lane lane : {next_lane_, other}) {
    const std::set<Due>& due = QueueOf(lane).due;
    if (!due.empty() && std::get<TimePoint>(*due.begin()) <= now && NotBefore(lane) <= now &&
        RoomOf(lane) > 0) {
      return lane;
    }
  }
  return std::nullopt;
}

void ServiceL2StatusKeeper::SetDeadline() {
  deadline_ = write_hold_.Deadline();
  const auto at = [this](TimePoint next) {
    deadline_ = deadline_ ? std::min(*deadline_, next) : next;
  };
  if (!flights_.empty()) {
    at(flights_.begin()->second.sent + options_.request_timeout);
  }
  if (!paced_.empty()) {
    at(paced_.front().first);
  }
  for (const Lane lane : {Lane::kWrites, Lane::kDeletions}) {
    const std::set<Due>& due = QueueOf(lane).due;
    if (!due.empty() && RoomOf(lane) > 0) {
      at(std::max(std::get<TimePoint>(*due.begin()), NotBefore(lane)));
    }
  }
}

// A Service whose status stands needs none; most do.
void ServiceL2StatusKeeper::DropIdlePaces(TimePoint now) {
  while (!paced_.empty() && paced_.front().first <= now) {
    const auto it = entries_.find(paced_.front().second);
    paced_.pop_front();
    if (it == entries_.end() || !it->second.paces || it->second.ticket != 0) {
      continue;  // what is under way comes here again
    }
    const Paces& paces = *it->second.paces;
    if (paces.creations.IsIdle(now) && paces.statuses.IsIdle(now) && paces.deletions.IsIdle(now)) {
      it->second.paces.reset();
    }
  }
}

void ServiceL2StatusKeeper::Send(TimePoint now, const model::ServiceKey& service,
                                 status::StatusActions* actions) {
  const auto it = entries_.find(service);
  Entry& entry = it->second;
  const Step step = *NextStep(service, entry);
  Flight flight{.service = service, .verb = step.verb, .lane = it->second.lane, .sent = now};
  if (step.object != nullptr) {
    flight.name = *step.object->name;
    flight.uid = step.object->uid;
    flight.resource_version = step.object->resource_version;
  } else {  // it is to be made, or a name is to be looked at
    if (entry.tenure.new_name.empty()) {
      entry.tenure.new_name = NewName();
    }
    flight.name = entry.tenure.new_name;
  }
  if (step.verb == Verb::kStatus) {
    flight.interfaces = *entry.wanted;
  }
  kube::Request request = RequestFor(step, service, entry, flight.name);
  request.time_limit = options_.request_timeout;
  NoteSent(now, step, entry);
  entry.ticket = ++tickets_;
  ++QueueOf(flight.lane).under_way;
  flights_.emplace(tickets_, std::move(flight));
  Schedule(it);
  actions->requests.push_back({.ticket = tickets_, .request = std::move(request)});
}

std::string ServiceL2StatusKeeper::NewName() const {
  std::string name(kL2StatusPrefix);
  for (int i = 0; i < kNameLength; ++i) {
    const auto place =
        static_cast<std::size_t>(uniform_() * static_cast<double>(kNameAlphabet.size()));
    name.push_back(kNameAlphabet[std::min(place, kNameAlphabet.size() - 1)]);
  }
  return name;
}

}  // namespace stentor::speaker
