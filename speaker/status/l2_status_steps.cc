// SPDX-License-Identifier: Apache-2.0

/// \file
/// What is to be done next for a Service.

#include <algorithm>
#include <utility>

#include "speaker/status/l2_status_keeper.h"

namespace stentor::speaker {
namespace {

bool OpenOrEqual(const std::string& is, const std::string& should) {
  return is.empty() || is == should;
}

}  // namespace

std::optional<ServiceL2StatusKeeper::Step> ServiceL2StatusKeeper::NextStep(
    const model::ServiceKey& service, const Entry& entry) const {
  if (!decided_ || !synced_) {
    return std::nullopt;
  }
  const Object* const own = entry.wanted ? OwnObject(service, entry) : nullptr;
  const std::optional<Step> step = OwnStep(service, entry, own);
  const std::optional<Step> deletion = DeletionStep(entry, own);
  // First what is true now is told, then what is not true any more is taken away.
  return !step || (deletion && deletion->due < step->due) ? deletion : step;
}

std::optional<ServiceL2StatusKeeper::Step> ServiceL2StatusKeeper::OwnStep(
    const model::ServiceKey& service, const Entry& entry, const Object* own) const {
  if (!entry.wanted) {
    return std::nullopt;
  }
  const auto when = [&entry](status::WritePace Paces::* pace, bool restores) {
    return entry.paces ? ((*entry.paces).*pace).NotBefore(restores) : TimePoint::min();
  };
  const Tenure& tenure = entry.tenure;
  if (own == nullptr) {
    if (tenure.name_taken) {
      return Step{.verb = Verb::kRead, .due = TimePoint::min()};
    }
    return Step{.verb = Verb::kCreate,
                .due = when(&Paces::creations, tenure.created),
                .restores = tenure.created};
  }
  if (own->frozen) {
    return Step{.verb = Verb::kRead, .due = *own->read_due, .object = own};
  }
  if (!MetadataMatches(*own)) {
    return Step{.verb = Verb::kMetadata,
                .due = when(&Paces::creations, tenure.created),
                .restores = tenure.created,
                .object = own};
  }
  if (!Says(*own, {service, options_.node, *entry.wanted})) {
    const bool restores = tenure.written == entry.wanted;
    return Step{.verb = Verb::kStatus,
                .due = when(&Paces::statuses, restores),
                .restores = restores,
                .object = own};
  }
  if (own->read_due) {
    return Step{.verb = Verb::kRead, .due = *own->read_due, .object = own};
  }
  return std::nullopt;
}

std::optional<ServiceL2StatusKeeper::Step> ServiceL2StatusKeeper::DeletionStep(
    const Entry& entry, const Object* own) const {
  std::optional<Step> step;
  for (const Object* const each : entry.objects) {
    const Object& object = *each;
    // Others' objects of a Service that others announce are theirs.
    if (&object == own || object.deleted || object.deleting || (!entry.wanted && !IsOurs(object))) {
      continue;
    }
    Step candidate{.verb = Verb::kDelete, .due = TimePoint::min(), .object = &object};
    if (object.frozen) {
      candidate.verb = Verb::kRead;
      candidate.due = *object.read_due;
    } else {
      // Whoever makes his object again and again insists, as we do: both become slower.
      candidate.restores =
          std::ranges::find(entry.tenure.overruled, object.node) != entry.tenure.overruled.end();
      if (entry.paces) {
        candidate.due = entry.paces->deletions.NotBefore(candidate.restores);
      }
    }
    if (candidate.due == TimePoint::min()) {
      return candidate;  // there may be many
    }
    if (!step || candidate.due < step->due) {
      step = candidate;
    }
  }
  return step;
}

const ServiceL2StatusKeeper::Object* ServiceL2StatusKeeper::OwnObject(
    const model::ServiceKey& service, const Entry& entry) const {
  const L2StatusContent wanted{service, options_.node, *entry.wanted};
  const Object* own = nullptr;
  for (const Object* const object : entry.objects) {
    if (!IsOurs(*object) || object->deleted || object->deleting) {
      continue;
    }
    if (MayBecome(*object, wanted) &&
        (own == nullptr || (Says(*object, wanted) && !Says(*own, wanted)))) {
      own = object;
    }
  }
  return own;
}

bool ServiceL2StatusKeeper::Says(const Object& object, const L2StatusContent& content) const {
  if (object.told) {
    return *object.service == content.service && options_.node == content.node &&
           object.interfaces == content.interfaces;
  }
  return object.odd && object.odd->content == content;
}

// What is set can't be changed.
bool ServiceL2StatusKeeper::MayBecome(const Object& object, const L2StatusContent& wanted) const {
  if (object.told) {
    return *object.service == wanted.service && options_.node == wanted.node;
  }
  if (!object.odd) {
    return true;
  }
  const L2StatusContent& seen = object.odd->content;
  return OpenOrEqual(seen.node, wanted.node) &&
         OpenOrEqual(seen.service.name, wanted.service.name) &&
         OpenOrEqual(seen.service.name_space, wanted.service.name_space);
}

bool ServiceL2StatusKeeper::IsOurs(const Object& object) const {
  if (!object.node.empty()) {
    return object.node == options_.node;
  }
  return object.made_here || object.owned ||
         (owner_ && object.odd && IsOwnedBy(object.odd->owners, *owner_));
}

bool ServiceL2StatusKeeper::MetadataMatches(const Object& object) const {
  return object.labelled &&
         (!owner_ || object.owned || (object.odd && IsOwnedOnlyBy(object.odd->owners, *owner_)));
}

kube::Request ServiceL2StatusKeeper::RequestFor(const Step& step, const model::ServiceKey& service,
                                                const Entry& entry, const std::string& name) const {
  const model::ObjectKey key{options_.name_space, name};
  switch (step.verb) {
    case Verb::kCreate:
      return CreateL2Status(key, L2StatusLabels(service, options_.node), owner_);
    case Verb::kMetadata:
      return PatchL2StatusMetadata(
          key, step.object->resource_version,
          step.object->odd ? step.object->odd->owners : nlohmann::json::array(),
          L2StatusLabels(service, options_.node), owner_);
    case Verb::kStatus:
      return PatchL2Status(key, step.object->resource_version,
                           {service, options_.node, *entry.wanted});
    case Verb::kDelete:
      return DeleteL2Status(key, step.object->uid);
    case Verb::kRead:
      break;
  }
  return GetL2Status(key);
}

void ServiceL2StatusKeeper::NoteSent(TimePoint now, const Step& step, Entry& entry) const {
  switch (step.verb) {
    case Verb::kDelete:
      // Any number of different objects may go at once.
      if (!step.restores) {
        return;
      }
      [[fallthrough]];
    case Verb::kCreate:
    case Verb::kMetadata:
    case Verb::kStatus:
      PaceOf(step.verb, entry).Sent(now, step.restores);
      return;
    case Verb::kRead:
      return;
  }
}

}  // namespace stentor::speaker
