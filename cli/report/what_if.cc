// SPDX-License-Identifier: Apache-2.0
#include "cli/report/what_if.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "cli/report/apply.h"
#include "cli/report/judgement.h"
#include "cli/report/output.h"
#include "common/base/strings.h"

namespace stentor::cli {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

std::string WhyNobody(const model::Service& service, const Elections::Outcome& outcome) {
  if (service.ingress_ips.empty()) {
    return "";
  }
  if (outcome.pool == nullptr) {
    return "no pool has the address";
  }
  if (outcome.reason == speaker::DecisionReason::kNoServingEndpoint) {
    return "no endpoint is ready";
  }
  return "no node is a candidate";
}

// Who announces as the speakers tell it, where just one running speaker does.
std::optional<model::NodeName> AnnouncerOf(const Snapshot& snapshot,
                                           const model::ServiceKey& service) {
  std::optional<model::NodeName> found;
  for (const Announcer& announcer : snapshot.AnnouncersOf(service)) {
    if (!snapshot.HasSpeaker(announcer.node)) {
      continue;
    }
    if (found) {
      return std::nullopt;
    }
    found = announcer.node;
  }
  return found;
}

class Comparison {
 public:
  Comparison(const Snapshot& before, const Snapshot& after,
             const std::map<model::ServiceKey, std::string>& refusals)
      : before_(before),
        after_(after),
        refusals_(refusals),
        elections_before_(before),
        elections_after_(after) {}

  WhatIfReport Run() {
    // Of all that are Stentor's before or after: one that is left to others is lost, too.
    std::set<model::ServiceKey> keys;
    for (const Snapshot* snapshot : {&before_, &after_}) {
      for (const auto& [key, service] : snapshot->services) {
        if (snapshot->IsOurs(service)) {
          keys.insert(key);
        }
      }
    }
    for (const model::ServiceKey& key : keys) {
      Compare(key);
    }
    return std::move(report_);
  }

 private:
  static const model::Service* OursOf(const Snapshot& snapshot, const model::ServiceKey& key) {
    const model::Service* const service = snapshot.Find(key);
    return service != nullptr && snapshot.IsOurs(*service) ? service : nullptr;
  }

  void Compare(const model::ServiceKey& key) {
    const model::Service* const old = OursOf(before_, key);
    const model::Service* const now = OursOf(after_, key);
    WhatIfReport::Change change{.service = key};
    Elections::Outcome elected_before;
    Elections::Outcome elected_after;
    if (old != nullptr) {
      change.addresses_before = old->ingress_ips;
      elected_before = elections_before_.WinnerOf(*old);
      change.node_before = AnnouncerOf(before_, key).value_or(elected_before.winner);
    }
    if (now != nullptr) {
      change.addresses_after = now->ingress_ips;
      elected_after = elections_after_.WinnerOf(*now);
      change.node_after = elected_after.winner;
    }
    // One that has not followed an election, for reasons that only speakers know, is not made to
    // by what does not change the outcome.
    const bool stays = std::ranges::any_of(after_.nodes, [&change](const model::Node& node) {
      return node.name == change.node_before;
    });
    if (old != nullptr && now != nullptr && stays &&
        change.addresses_before == change.addresses_after &&
        elected_before.winner == elected_after.winner) {
      change.node_after = change.node_before;
    }
    if (old != nullptr && now != nullptr && change.addresses_before == change.addresses_after &&
        change.node_before == change.node_after) {
      ++report_.unchanged;
      return;
    }
    const auto refusal = refusals_.find(key);
    change.note = now == nullptr               ? "it would be no load balancer of Stentor's"
                  : refusal != refusals_.end() ? refusal->second
                  : change.node_after.empty()  ? WhyNobody(*now, elected_after)
                                               : "";
    change.loses = (!change.addresses_before.empty() && change.addresses_after.empty()) ||
                   (!change.node_before.empty() && change.node_after.empty());
    report_.changes.push_back(std::move(change));
  }

  const Snapshot& before_;
  const Snapshot& after_;
  const std::map<model::ServiceKey, std::string>& refusals_;
  Elections elections_before_;
  Elections elections_after_;
  WhatIfReport report_;
};

// What an answer rests on: without the first group there is none, without the second it is not
// complete.
void NoteUnknown(const Snapshot& snapshot, WhatIfReport& report) {
  for (const Resource resource :
       {Resource::kServices, Resource::kNodes, Resource::kPods, Resource::kSlices, Resource::kPools,
        Resource::kAdvertisements, Resource::kAddressPools, Resource::kConfigMap}) {
    if (!snapshot.Knows(resource) && !snapshot.Lacks(resource)) {
      report.unknown.push_back(resource);
    }
  }
  if (snapshot.config.ok() && snapshot.config->SelectsByNamespaceLabels() &&
      !snapshot.Knows(Resource::kNamespaces)) {
    report.unknown.push_back(Resource::kNamespaces);
  }
  if (!report.unknown.empty()) {
    report.error = StrCat("there is no answer: ", snapshot.GapText(report.unknown.front()));
    return;
  }
  if (!snapshot.KnowsClass()) {
    report.unknown.push_back(Resource::kPods);
    report.error = StrCat("there is no answer: no pod of Stentor is in namespace ",
                          snapshot.name_space, " (--stentor-namespace)");
    return;
  }
  for (const Resource resource : {Resource::kStatuses, Resource::kStates}) {
    if (!snapshot.Knows(resource) && !snapshot.Lacks(resource)) {
      report.unknown.push_back(resource);
      report.notes.push_back(StrCat(resource == Resource::kStatuses
                                        ? "who announces now is taken from the election: "
                                        : "which nodes yield is not known: ",
                                    snapshot.GapText(resource)));
    }
  }
}

// What the controller would write into the Services' statuses. Returns why some have no address.
std::map<model::ServiceKey, std::string> AllocateAll(Snapshot& snapshot) {
  std::map<model::ServiceKey, std::string> refusals;
  const Books books(snapshot);
  for (auto& [key, service] : snapshot.services) {
    const controller::Standing* const standing = books.Find(key);
    if (standing == nullptr) {
      continue;
    }
    const std::vector<std::string> given = standing->allocation
                                               ? ToTexts(standing->allocation->addresses)
                                               : std::vector<std::string>();
    if (standing->refusal) {
      refusals[key] = StrCat(standing->refusal->reason, ": ", standing->refusal->message);
    }
    // The order of two addresses is the controller's; that alone is no change.
    if (!std::ranges::is_permutation(service.ingress_ips, given)) {
      service.ingress_ips = given;
    }
  }
  return refusals;
}

}  // namespace

bool WhatIfReport::AnyLoss() const { return std::ranges::any_of(changes, &Change::loses); }

WhatIfReport WhatIfNodeGone(const Snapshot& snapshot, std::string_view node) {
  WhatIfReport basis;
  NoteUnknown(snapshot, basis);
  if (!basis.error.empty()) {
    return basis;
  }
  if (!snapshot.config.ok()) {
    return {.unknown = {Resource::kPools},
            .error = StrCat("there is no answer: the configuration is not valid: ",
                            std::string(snapshot.config.status().message()))};
  }
  Snapshot after = snapshot;
  if (std::erase_if(after.nodes, [node](const model::Node& n) { return n.name == node; }) == 0) {
    return {.error = StrCat("there is no node ", node)};
  }
  std::erase_if(after.programs, [node](const Program& p) { return p.node == node; });
  for (auto& [service, slices] : after.slices) {
    for (model::EndpointSlice& slice : slices) {
      std::erase_if(slice.endpoints, [node](const model::Endpoint& e) { return e.node == node; });
    }
  }
  after.Finish();
  WhatIfReport report = Comparison(snapshot, after, {}).Run();
  report.notes = std::move(basis.notes);
  report.unknown = std::move(basis.unknown);
  return report;
}

WhatIfReport WhatIfApplied(const Snapshot& snapshot, const std::vector<json>& documents,
                           std::string_view name_space) {
  WhatIfReport basis;
  NoteUnknown(snapshot, basis);
  if (!basis.error.empty()) {
    return basis;
  }
  Snapshot after = snapshot;
  ApplyTo(after, documents, name_space, basis);
  after.Finish();
  if (basis.error.empty() && !after.config.ok()) {
    basis.error = StrCat("it would be refused: ", std::string(after.config.status().message()));
  }
  if (!basis.error.empty()) {
    return {.error = std::move(basis.error)};
  }
  const auto refusals = AllocateAll(after);
  WhatIfReport report = Comparison(snapshot, after, refusals).Run();
  report.notes = std::move(basis.notes);
  report.unknown = std::move(basis.unknown);
  return report;
}

std::string ToText(const WhatIfReport& report) {
  const auto arrow = [](const std::string& before, const std::string& after) {
    return before == after
               ? before
               : StrCat(before.empty() ? "none" : before, " -> ", after.empty() ? "none" : after);
  };
  Table table({"SERVICE", "ADDRESSES", "NODE", "NOTE"});
  for (const WhatIfReport::Change& change : report.changes) {
    table.Add({change.service.ToString(),
               arrow(Join(change.addresses_before), Join(change.addresses_after)),
               arrow(change.node_before, change.node_after), change.note});
  }
  std::string out = report.changes.empty() ? "" : table.ToString() + "\n";
  for (const std::string& note : report.notes) {
    StrAppend(&out, "Note: ", Printable(note), "\n");
  }
  const auto losses = std::ranges::count_if(report.changes, &WhatIfReport::Change::loses);
  StrAppend(&out, Count(report.changes.size(), "Service"), " would change, ", losses,
            " of them would not be served any more; ", Count(report.unchanged, "Service"),
            " would stay as before.\n");
  return out;
}

ordered_json ToJson(const WhatIfReport& report) {
  ordered_json changes = ordered_json::array();
  for (const WhatIfReport::Change& change : report.changes) {
    changes.push_back({{"namespace", change.service.name_space},
                       {"name", change.service.name},
                       {"addressesBefore", change.addresses_before},
                       {"addressesAfter", change.addresses_after},
                       {"nodeBefore", change.node_before},
                       {"nodeAfter", change.node_after},
                       {"lost", change.loses},
                       {"note", change.note}});
  }
  return {{"changes", std::move(changes)},
          {"unchanged", report.unchanged},
          {"complete", report.unknown.empty()},
          {"notes", report.notes}};
}

}  // namespace stentor::cli
