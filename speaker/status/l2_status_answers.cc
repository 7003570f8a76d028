// SPDX-License-Identifier: Apache-2.0

/// \file
/// What the API server answered, and what the watch shows.

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/base/strings.h"
#include "common/kube/codec.h"
#include "common/kube/resource_version.h"
#include "speaker/status/l2_status_keeper.h"

namespace stentor::speaker {
namespace {

constexpr kube::JsonLimits kLimits{.max_bytes = std::size_t{4} << 20U};  // etcd takes 1.5 MiB
// The watch brings what was in the way of a write; only where it does not, it is asked for.
constexpr Duration kConflictGrace = std::chrono::milliseconds(200);
// And it shows what was created; else that may be gone already, unseen by it.
constexpr Duration kConfirmWithin = std::chrono::seconds(10);
constexpr Duration kConfirmAgain = std::chrono::minutes(1);
// What the server finds wrong in an object, it will find again, until somebody changes its kind.
constexpr Duration kInvalidWait = std::chrono::minutes(1);
constexpr int kMaxInvalidWaits = 5;
constexpr Duration kInvalidToldAgain = std::chrono::minutes(10);
constexpr Duration kReadAgain = std::chrono::seconds(1);
constexpr kube::BackoffOptions kServerBackoff{std::chrono::milliseconds(250),
                                              std::chrono::seconds(2)};
constexpr Duration kMaxHold = std::chrono::minutes(5);
// More rivals than anybody has; the last of them is forgotten first.
constexpr std::size_t kMaxOverruled = 8;

}  // namespace

void ServiceL2StatusKeeper::Land(TimePoint now, std::uint64_t ticket,
                                 const absl::StatusOr<kube::Response>& answer) {
  const auto flown = flights_.find(ticket);
  if (flown == flights_.end()) {
    return;
  }
  const Flight flight = std::move(flown->second);
  flights_.erase(flown);
  --QueueOf(flight.lane).under_way;
  const auto it = entries_.find(flight.service);  // it stays while something is under way
  if (kube::StatusOf(answer).ok()) {
    if (!hold_until_ || now >= *hold_until_) {  // else it was sent before the trouble began
      failures_ = 0;
      hold_until_.reset();
    }
    OnDone(now, flight, it->second, answer->body);
  } else {
    OnFailure(now, flight, it->second, answer);
  }
  it->second.ticket = 0;
  if (it->second.paces) {
    paced_.emplace_back(now + options_.interval, flight.service);
  }
  Schedule(it);
}

void ServiceL2StatusKeeper::OnDone(TimePoint now, const Flight& flight, Entry& entry,
                                   const std::string& body) {
  if (flight.verb == Verb::kDelete) {
    PaceOf(flight.verb, entry).Succeeded();
    Accept(GateOf(flight.verb));
    Object* const object = Find(flight.name);
    if (object == nullptr || object->uid != flight.uid) {
      return;
    }
    object->deleted = true;
    std::vector<model::NodeName>& overruled = entry.tenure.overruled;
    if (entry.wanted && std::ranges::find(overruled, object->node) == overruled.end()) {
      overruled.resize(std::min(overruled.size(), kMaxOverruled - 1));
      overruled.push_back(object->node);
    }
    return;
  }
  const absl::StatusOr<nlohmann::json> parsed = kube::ParseApiJson(body, kLimits);
  absl::StatusOr<SeenL2Status> seen =
      parsed.ok() ? DecodeL2Status(*parsed) : absl::StatusOr<SeenL2Status>(parsed.status());
  const bool readable =
      seen.ok() && seen->key == model::ObjectKey{options_.name_space, flight.name};
  const bool replaced = readable && !flight.uid.empty() && seen->uid != flight.uid;
  if (!readable || replaced) {
    if (flight.verb == Verb::kRead) {
      OnReadFailed(now, flight, entry, kReadAgain);
    } else {
      PaceOf(flight.verb, entry).Failed(now, std::nullopt, uniform_);
    }
    if (replaced) {
      const Object* const other = Adopt(*std::move(seen));
      if (other != nullptr && *other->service != flight.service) {
        Schedule(entries_.find(*other->service));
      }
    }
    return;
  }
  const L2StatusContent content = seen->content;
  Object* const object = Adopt(*std::move(seen));
  if (object != nullptr && *object->service != flight.service) {  // somebody changed its labels
    Schedule(entries_.find(*object->service));
  }
  if (flight.verb == Verb::kRead) {
    OnRead(now, flight, entry, object);
    return;
  }
  PaceOf(flight.verb, entry).Succeeded();
  if (flight.verb == Verb::kStatus) {
    entry.tenure.invalid = 0;
    if (object != nullptr) {
      object->status_missing = false;
    }
    if (content != L2StatusContent{flight.service, options_.node, flight.interfaces}) {
      Refuse(now, GateOf(flight.verb),
             absl::FailedPreconditionError(
                 "the API server does not keep the status of ServiceL2Statuses"));
      return;
    }
    if (entry.wanted) {
      entry.tenure.written = flight.interfaces;
    }
  } else {
    entry.tenure.created = entry.wanted.has_value();
  }
  if (flight.verb == Verb::kCreate) {
    entry.tenure.new_name.clear();
    if (object != nullptr) {
      object->made_here = true;
      object->read_due = object->shown ? std::nullopt : std::optional(now + kConfirmWithin);
    }
  }
  Accept(GateOf(flight.verb));
}

void ServiceL2StatusKeeper::OnRead(TimePoint now, const Flight& flight, Entry& entry,
                                   Object* object) {
  if (flight.name == entry.tenure.new_name) {  // ours, which is adopted now, or another's
    entry.tenure.new_name.clear();
    entry.tenure.name_taken = false;
  }
  if (object != nullptr) {
    object->frozen = false;
    object->read_due = object->shown ? std::nullopt : std::optional(now + kConfirmAgain);
  }
}

// Nothing is learned about the object, or whose name it is.
void ServiceL2StatusKeeper::OnReadFailed(TimePoint now, const Flight& flight, Entry& entry,
                                         Duration wait) {
  if (flight.name == entry.tenure.new_name) {
    entry.tenure.new_name.clear();
    entry.tenure.name_taken = false;
  }
  if (Object* const object = Find(flight.name)) {
    object->read_due = now + wait;
  }
}

void ServiceL2StatusKeeper::OnFailure(TimePoint now, const Flight& flight, Entry& entry,
                                      const absl::StatusOr<kube::Response>& answer) {
  const int code = answer.ok() ? answer->code : 0;
  const absl::Status why = kube::StatusOf(answer);
  const bool trouble = code != 409 && !status::IsRefusal(code);  // of the server or the way to it
  if (trouble) {
    OnServerTrouble(now, answer.ok() ? answer->retry_after : std::nullopt);
  }
  if (code == 404 && flight.verb != Verb::kCreate) {
    OnMissing(now, flight, why);
  }
  if (flight.verb == Verb::kRead) {
    if (!trouble) {
      OnReadFailed(now, flight, entry, kInvalidWait);
    }
  } else if (trouble) {
    if (answer.ok()) {  // it may be about this object
      PaceOf(flight.verb, entry).Failed(now, answer->retry_after, uniform_);
    }
  } else if (code == 409) {
    OnConflict(now, flight, entry);
  } else if (code == 400 || code == 422) {
    OnInvalid(now, flight, entry, why);
  } else if (code != 404 || flight.verb == Verb::kCreate) {
    Refuse(now, GateOf(flight.verb), why);
  }
}

void ServiceL2StatusKeeper::OnMissing(TimePoint now, const Flight& flight,
                                      const absl::Status& why) {
  Object* const object = Find(flight.name);
  if (object == nullptr || object->uid != flight.uid) {
    return;
  }
  if (flight.verb == Verb::kStatus || flight.verb == Verb::kMetadata) {
    // It is gone, or its kind has no status: then it would be made again and again.
    if (object->status_missing) {
      object->status_missing = false;
      Refuse(now, GateOf(flight.verb), why);
      return;
    }
    object->status_missing = true;
    object->frozen = true;
    object->read_due = now;
  } else if (flight.verb == Verb::kDelete) {
    // Somebody was faster, as the watch will show; or the server has just started, and does not
    // know the kind yet.
    object->frozen = true;
    object->read_due = now + kReadAgain;
  } else {
    Forget(flight.name);
  }
}

void ServiceL2StatusKeeper::OnConflict(TimePoint now, const Flight& flight, Entry& entry) {
  PaceOf(flight.verb, entry).Failed(now, std::nullopt, uniform_);
  if (flight.verb == Verb::kCreate) {
    // Of an earlier attempt, whose answer was lost, or somebody else's.
    entry.tenure.name_taken = flight.name == entry.tenure.new_name;
    return;
  }
  Object* const object = Find(flight.name);
  if (object == nullptr || object->resource_version != flight.resource_version) {
    PaceOf(flight.verb, entry).Succeeded();  // the watch has shown already what was in the way
    return;
  }
  object->frozen = true;
  object->read_due = now + kConflictGrace;
}

void ServiceL2StatusKeeper::OnInvalid(TimePoint now, const Flight& flight, Entry& entry,
                                      const absl::Status& why) {
  Tenure& tenure = entry.tenure;
  tenure.invalid = std::min(tenure.invalid + 1, kMaxInvalidWaits);
  PaceOf(flight.verb, entry).Failed(now, tenure.invalid * kInvalidWait, uniform_);
  if (!invalid_told_ || now >= *invalid_told_ + kInvalidToldAgain) {
    invalid_told_ = now;
    notice_ = status::Notice{.kind = status::Notice::Kind::kRefused,
                             .message = StrCat("ServiceL2Status of ", flight.service.ToString(),
                                               ": ", std::string(why.message()))};
  }
}

void ServiceL2StatusKeeper::OnServerTrouble(TimePoint now, std::optional<Duration> retry_after) {
  if (hold_until_ && now < *hold_until_ && !retry_after) {
    return;  // of what was under way together, one failure counts
  }
  if (!hold_until_ || now >= *hold_until_) {
    ++failures_;
  }
  const Duration asked = std::min(retry_after.value_or(Duration(0)), kMaxHold);
  const TimePoint until = now + std::max(asked, kube::Backoff(kServerBackoff, failures_, uniform_));
  hold_until_ = std::max(until, hold_until_.value_or(until));
}

status::WritePace& ServiceL2StatusKeeper::PaceOf(Verb verb, Entry& entry) const {
  if (!entry.paces) {
    const status::WritePace pace({.interval = options_.interval});
    entry.paces =
        std::make_unique<Paces>(Paces{.creations = pace, .statuses = pace, .deletions = pace});
  }
  switch (verb) {
    case Verb::kDelete:
      return entry.paces->deletions;
    case Verb::kStatus:
      return entry.paces->statuses;
    case Verb::kCreate:
    case Verb::kMetadata:
    case Verb::kRead:
      break;
  }
  return entry.paces->creations;
}

std::size_t ServiceL2StatusKeeper::GateOf(Verb verb) {
  switch (verb) {
    case Verb::kStatus:
      return 1;
    case Verb::kDelete:
      return 2;
    default:
      return 0;
  }
}

void ServiceL2StatusKeeper::Refuse(TimePoint now, std::size_t gate, const absl::Status& why) {
  std::optional<status::Notice> notice = refusals_[gate].Refused(now, why, uniform_);
  if (notice && !std::exchange(told_, true)) {
    notice_ = std::move(notice);
  }
}

void ServiceL2StatusKeeper::Accept(std::size_t gate) {
  (void)refusals_[gate].Accepted();
  if (told_ && std::ranges::none_of(refusals_, &status::RefusalGate::refused)) {
    told_ = false;
    notice_ = status::Notice{.kind = status::Notice::Kind::kAccepted, .message = ""};
  }
}

ServiceL2StatusKeeper::Object* ServiceL2StatusKeeper::Find(const std::string& name) {
  const auto it = objects_.find(name);
  return it == objects_.end() ? nullptr : &it->second;
}

ServiceL2StatusKeeper::Object* ServiceL2StatusKeeper::Adopt(SeenL2Status seen) {
  const std::string& name = seen.key.name;
  Object* known = Find(name);
  if (known != nullptr && known->uid == seen.uid &&
      !kube::IsNewer(seen.resource_version, known->resource_version)) {
    return known;
  }
  std::optional<model::ServiceKey> service = seen.Service();
  if (!service && known != nullptr && known->uid == seen.uid) {
    service = *known->service;  // somebody took that away from it
  }
  if (!service) {
    if (known != nullptr) {
      Forget(name);
    }
    return nullptr;
  }
  if (known != nullptr && (*known->service != *service || known->uid != seen.uid)) {
    Forget(name);
    known = nullptr;
  }
  if (known == nullptr) {
    known = Add(name, *service);
  }
  known->node = seen.Node();
  known->frozen = false;
  if (known->shown) {
    known->read_due.reset();
  }
  known->uid = std::move(seen.uid);
  known->resource_version = std::move(seen.resource_version);
  known->deleting = seen.deleting;
  known->labelled = false;
  known->owned = false;
  known->told = false;
  known->interfaces.clear();
  known->odd.reset();
  if (known->node.empty() || known->node == options_.node) {
    known->odd = std::make_unique<Odd>(Odd{.labels = std::move(seen.labels),
                                           .owners = std::move(seen.owners),
                                           .content = std::move(seen.content)});
    LeaveOut(*known);
  }
  return known;
}

ServiceL2StatusKeeper::Object* ServiceL2StatusKeeper::Add(const std::string& name,
                                                          const model::ServiceKey& service) {
  const auto it = objects_.try_emplace(name).first;
  const auto entry = entries_.try_emplace(service).first;
  it->second.name = &it->first;
  it->second.service = &entry->first;
  it->second.made_here = name == entry->second.tenure.new_name;
  auto& objects = entry->second.objects;
  objects.insert(std::ranges::lower_bound(
                     objects, name, {},
                     [](const Object* object) -> const std::string& { return *object->name; }),
                 &it->second);
  return &it->second;
}

// What a program of ours has written doesn't stand a second time.
void ServiceL2StatusKeeper::LeaveOut(Object& object) const {
  if (!object.odd) {
    return;
  }
  Odd& odd = *object.odd;
  if (odd.labels == L2StatusLabels(*object.service, options_.node)) {
    object.labelled = true;
    odd.labels.clear();
  }
  if (owner_ && odd.owners.size() == 1 && IsOwnedOnlyBy(odd.owners, *owner_)) {
    object.owned = true;
    odd.owners = nullptr;
  }
  if (odd.content.service == *object.service && odd.content.node == options_.node) {
    object.told = true;
    object.interfaces = std::exchange(odd.content, {}).interfaces;
  }
  if (object.labelled && object.told && odd.owners.empty()) {
    object.odd.reset();
  }
}

void ServiceL2StatusKeeper::Forget(const std::string& name) {
  const auto it = objects_.find(name);
  const auto entry = entries_.find(*it->second.service);
  auto& objects = entry->second.objects;
  objects.erase(std::ranges::find(objects, &it->second));
  objects_.erase(it);
  Schedule(entry);
}

}  // namespace stentor::speaker
