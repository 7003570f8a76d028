// SPDX-License-Identifier: Apache-2.0
#include "cli/report/what_if.h"

#include <algorithm>
#include <utility>

#include "cli/report/judgement.h"
#include "cli/report/output.h"
#include "common/base/strings.h"
#include "common/kube/codec.h"
#include "common/kube/json_member.h"

namespace stentor::cli {
namespace {

using kube::Member;
using kube::TextMember;
using nlohmann::json;
using nlohmann::ordered_json;

model::NodeName WinnerOf(const Ballot& ballot) {
  const model::NodeName* const winner = ballot.decision.winner();
  return winner == nullptr ? model::NodeName() : *winner;
}

std::string WhyNobody(const model::Service& service, const Ballot& ballot) {
  if (service.ingress_ips.empty()) {
    return "";
  }
  if (ballot.pool == nullptr) {
    return "no pool has the address";
  }
  if (ballot.decision.reason == speaker::DecisionReason::kNoServingEndpoint) {
    return "no endpoint is ready";
  }
  return "no node is a candidate";
}

WhatIfReport Compare(const Snapshot& before, const Snapshot& after,
                     const std::map<model::ServiceKey, std::string>& no_address) {
  WhatIfReport report;
  for (const auto& [key, service] : after.services) {
    if (!after.IsOurs(service)) {
      continue;
    }
    WhatIfReport::Change change{.service = key, .addresses_after = service.ingress_ips};
    const Ballot ballot = HoldElection(after, service);
    change.node_after = WinnerOf(ballot);
    const model::Service* const old = before.Find(key);
    if (old != nullptr) {
      change.addresses_before = old->ingress_ips;
      change.node_before = WinnerOf(HoldElection(before, *old));
    }
    if (old != nullptr && change.addresses_before == change.addresses_after &&
        change.node_before == change.node_after) {
      ++report.unchanged;
      continue;
    }
    const auto refusal = no_address.find(key);
    change.note = refusal != no_address.end() ? refusal->second
                  : change.node_after.empty() ? WhyNobody(service, ballot)
                                              : "";
    change.loses = (!change.addresses_before.empty() && change.addresses_after.empty()) ||
                   (!change.node_before.empty() && change.node_after.empty());
    report.changes.push_back(std::move(change));
  }
  return report;
}

// What files hold, taken into a snapshot as `kubectl apply` would.
class Applier {
 public:
  Applier(Snapshot& snapshot, WhatIfReport& report) : snapshot_(snapshot), report_(report) {}

  void Apply(const json& document) {
    const std::string kind = TextMember(document, "kind");
    if (kind.ends_with("List") && Member(document, "items").is_array()) {
      for (const json& item : document["items"]) {
        Apply(item);
      }
    } else if (kind == "IPAddressPool") {
      Replace(kube::DecodeIpAddressPool(Placed(document)), snapshot_.resources.pools, kind);
    } else if (kind == "L2Advertisement") {
      Replace(kube::DecodeL2Advertisement(Placed(document)), snapshot_.resources.l2_advertisements,
              kind);
    } else if (kind == "AddressPool") {
      Replace(kube::DecodeAddressPool(Placed(document)), snapshot_.resources.address_pools, kind);
    } else if (kind == "Service") {
      ReplaceService(document);
    } else if (kind == "Node") {
      ReplaceNode(document);
    } else if (kind == "Namespace") {
      snapshot_.Add(Resource::kNamespaces, document);
    } else {
      report_.notes.push_back(StrCat(kind.empty() ? "a document without a kind" : kind, " ",
                                     TextMember(Member(document, "metadata"), "name"),
                                     ": left out, since it says nothing about addresses"));
    }
  }

 private:
  void Fail(const absl::Status& status) {
    if (report_.error.empty()) {
      report_.error = std::string(status.message());
    }
  }

  // In Stentor's namespace, where it names none.
  json Placed(json document) const {
    if (document["metadata"].is_object() && !document["metadata"].contains("namespace")) {
      document["metadata"]["namespace"] = snapshot_.name_space;
    }
    return document;
  }

  template <typename T>
  void Replace(absl::StatusOr<T> object, std::vector<T>& into, const std::string& kind) {
    if (!object.ok()) {
      return Fail(object.status());
    }
    if (object->key.name_space != snapshot_.name_space) {
      report_.notes.push_back(StrCat(kind, " ", object->key.ToString(),
                                     ": of no effect outside of namespace ", snapshot_.name_space));
      return;
    }
    const auto known = std::ranges::find(into, object->key, &T::key);
    if (known == into.end()) {
      into.push_back(*std::move(object));
    } else {
      *known = *std::move(object);
    }
  }

  void ReplaceService(json document) {
    if (document["metadata"].is_object() && !document["metadata"].contains("namespace")) {
      document["metadata"]["namespace"] = "default";
    }
    auto service = kube::DecodeService(document, kube::Verbatim::kDrop);
    if (!service.ok()) {
      return Fail(service.status());
    }
    if (const model::Service* const known = snapshot_.Find(service->key)) {
      service->ingress_ips = known->ingress_ips;
      service->created = known->created;
      if (service->cluster_ips.empty()) {
        service->cluster_ips = known->cluster_ips;
        service->ip_families = known->ip_families;
      }
    } else if (service->cluster_ips.empty()) {
      // The API server will give it one of each family; which one does not matter.
      const std::vector<net::IpFamily> families =
          service->ip_families.empty() ? std::vector{net::IpFamily::kIpv4} : service->ip_families;
      for (const net::IpFamily family : families) {
        service->cluster_ips.push_back(net::IpAddress::FromNumber(family, 0, 1).ToString());
      }
    }
    const model::ServiceKey key = service->key;
    snapshot_.services.insert_or_assign(key, *std::move(service));
  }

  // A manifest has the labels; how the Node is, the cluster says.
  void ReplaceNode(const json& document) {
    auto node = kube::DecodeNode(document);
    if (!node.ok()) {
      return Fail(node.status());
    }
    const auto known = std::ranges::find(snapshot_.nodes, node->name, &model::Node::name);
    if (known == snapshot_.nodes.end()) {
      snapshot_.nodes.push_back(*std::move(node));
    } else {
      known->labels = std::move(node->labels);
    }
  }

  Snapshot& snapshot_;
  WhatIfReport& report_;
};

// What the controller would write into the Services' statuses. Returns why some have no address.
std::map<model::ServiceKey, std::string> AllocateAll(Snapshot& snapshot) {
  std::map<model::ServiceKey, std::string> refusals;
  Books books(snapshot);
  std::map<model::ServiceKey, std::vector<std::string>> given;
  for (const auto& [key, service] : snapshot.services) {
    if (!snapshot.IsOurs(service)) {
      continue;
    }
    const Books::Answer answer = books.Allocate(service);
    if (answer.allocation) {
      given[key] = ToTexts(answer.allocation->addresses);
    } else {
      given[key] = {};
      refusals[key] = StrCat(answer.refusal.reason, ": ", answer.refusal.message);
    }
  }
  for (auto& [key, addresses] : given) {
    std::vector<std::string>& shown = snapshot.services.at(key).ingress_ips;
    // The order of two addresses is the controller's; that alone is no change.
    if (!std::ranges::is_permutation(shown, addresses)) {
      shown = std::move(addresses);
    }
  }
  return refusals;
}

}  // namespace

bool WhatIfReport::AnyLoss() const { return std::ranges::any_of(changes, &Change::loses); }

WhatIfReport WhatIfNodeGone(const Snapshot& snapshot, std::string_view node) {
  Snapshot after = snapshot;
  if (std::erase_if(after.nodes, [node](const model::Node& n) { return n.name == node; }) == 0) {
    return {.error = StrCat("there is no node ", node)};
  }
  std::erase_if(after.programs, [node](const Program& p) { return p.node == node; });
  for (model::EndpointSlice& slice : after.slices) {
    std::erase_if(slice.endpoints, [node](const model::Endpoint& e) { return e.node == node; });
  }
  return Compare(snapshot, after, {});
}

WhatIfReport WhatIfApplied(const Snapshot& snapshot, const std::vector<json>& documents) {
  Snapshot after = snapshot;
  WhatIfReport notes;
  Applier applier(after, notes);
  for (const json& document : documents) {
    applier.Apply(document);
  }
  after.Finish();
  if (notes.error.empty() && !after.config.ok()) {
    notes.error = StrCat("it would be refused: ", std::string(after.config.status().message()));
  }
  if (!notes.error.empty()) {
    return {.error = std::move(notes.error)};
  }
  const auto refusals = AllocateAll(after);
  WhatIfReport report = Compare(snapshot, after, refusals);
  report.notes = std::move(notes.notes);
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
    StrAppend(&out, "Note: ", note, "\n");
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
  return {
      {"changes", std::move(changes)}, {"unchanged", report.unchanged}, {"notes", report.notes}};
}

}  // namespace stentor::cli
