// SPDX-License-Identifier: Apache-2.0
#include "cli/report/explain.h"

#include <algorithm>
#include <set>
#include <utility>

#include "cli/report/output.h"
#include "common/base/strings.h"
#include "controller/reconcile/service_wish.h"

namespace stentor::cli {
namespace {

using nlohmann::ordered_json;

std::string AddressReason(const ExplainReport& report, const Snapshot& snapshot,
                          const model::Service& service, const Books& books) {
  if (const std::string gap = snapshot.AllocationGapText(); !gap.empty()) {
    return StrCat("not known: ", gap);
  }
  if (!report.ours) {
    return report.load_balancer_class.empty()
               ? StrCat("the Service has no loadBalancerClass, and Stentor serves only ",
                        snapshot.load_balancer_class)
               : StrCat("the Service is of class ", report.load_balancer_class,
                        ", which is not Stentor's");
  }
  if (!snapshot.config.ok()) {
    return StrCat("the configuration is not valid: ",
                  std::string(snapshot.config.status().message()));
  }
  const controller::Standing* const standing = books.Find(service.key);
  if (!report.addresses.empty()) {
    if (const std::string dispute = books.Dispute(service); !dispute.empty()) {
      return StrCat("it has the address, but may not keep it: ", dispute);
    }
    if (standing->refusal) {
      return StrCat(standing->refusal->reason, ": ", standing->refusal->message);
    }
    for (const controller::Remark& remark : standing->remarks) {
      if (remark.reason == "AdditionalAssignFailed") {
        return StrCat("it has one family only: ", remark.message);
      }
    }
    if (!report.requested.empty()) {
      return StrCat("it asks for ", Join(report.requested), ", of pool ", report.pool);
    }
    if (!report.requested_pool.empty()) {
      return StrCat("it asks for pool ", report.requested_pool);
    }
    return StrCat("it takes any address, and pool ", report.pool, " had one");
  }
  return standing->refusal ? StrCat(standing->refusal->reason, ": ", standing->refusal->message)
                           : "nothing is in the way: look at the controller";
}

std::string ElectionReason(const ExplainReport& report, const Snapshot& snapshot,
                           const Ballot& ballot) {
  if (report.addresses.empty()) {
    return "none: there is no address to announce";
  }
  for (const Resource resource : {Resource::kNodes, Resource::kPods, Resource::kSlices}) {
    if (!snapshot.Knows(resource)) {
      return StrCat("not known: ", snapshot.GapText(resource));
    }
  }
  if (ballot.pool == nullptr) {
    const auto gap = snapshot.ConfigGap() ? snapshot.ConfigGap() : snapshot.PoolGap();
    return gap ? StrCat("not known: ", snapshot.GapText(*gap)) : "none: no pool has the address";
  }
  switch (ballot.decision.reason) {
    case speaker::DecisionReason::kNoServingEndpoint:
      return "none: no endpoint is ready, on any node";
    case speaker::DecisionReason::kSharedIpWithServiceSelector:
      return "none: the Service may share its address, and an L2Advertisement of the pool selects "
             "Services: all that share must be announced by the same node";
    default:
      break;
  }
  if (const model::NodeName* winner = ballot.decision.winner()) {
    return StrCat(*winner, " is elected");
  }
  return "none: no node is a candidate";
}

}  // namespace

ExplainReport ExplainService(const Snapshot& snapshot, const model::Service& service) {
  Books books(snapshot);
  ExplainReport report{
      .service = service.key,
      .load_balancer_class = service.load_balancer_class.value_or(""),
      .ours = snapshot.IsOurs(service),
      .traffic_policy =
          service.external_traffic_policy == model::TrafficPolicy::kLocal ? "Local" : "Cluster",
      .requested_pool = controller::RequestedPool(service).value_or(""),
      .addresses = service.ingress_ips,
      .announcers = snapshot.AnnouncersOf(service.key)};
  if (const auto requested = controller::RequestedAddresses(service); requested.ok()) {
    report.requested = ToTexts(*requested);
  }
  if (const config::Pool* pool = PoolOf(snapshot, AddressesOf(service))) {
    report.pool = pool->name;
  }
  report.announcers_gap = snapshot.GapText(Resource::kStatuses);
  report.class_gap = snapshot.ClassGapText();
  report.endpoints_gap = snapshot.GapText(Resource::kSlices);
  report.address_reason = AddressReason(report, snapshot, service, books);
  if (report.ours && snapshot.config.ok() && snapshot.AllocationGapText().empty()) {
    report.pools = books.Pools(service);
  }
  std::set<std::string> nodes;
  for (const model::Endpoint& endpoint : snapshot.EndpointsOf(service.key)) {
    if (endpoint.can_serve) {
      ++report.ready_endpoints;
      nodes.insert(endpoint.node);
    }
  }
  report.endpoint_nodes.assign(nodes.begin(), nodes.end());
  if (!report.class_gap.empty()) {
    report.election = StrCat("not known: ", report.class_gap);
    return report;
  }
  if (!report.ours) {
    report.election = "none: the Service is not Stentor's";
    return report;
  }
  const Ballot ballot = Elections(snapshot).Hold(service);
  report.election = ElectionReason(report, snapshot, ballot);
  if (report.election.starts_with("not known")) {
    return report;  // half of the candidates would mislead
  }
  report.candidates = ballot.decision.candidates;
  for (const speaker::ExcludedNode& excluded : ballot.decision.excluded) {
    report.excluded.emplace_back(excluded.node, ExclusionText(snapshot, excluded));
  }
  return report;
}

std::string ToText(const ExplainReport& report) {
  std::string out;
  const auto line = [&out](std::string_view label, const std::string& value) {
    StrAppend(&out, label, std::string(label.size() < 18 ? 18 - label.size() : 1, ' '),
              Printable(value), "\n");
  };
  line("Service:", report.service.ToString());
  if (!report.load_balancer_class.empty()) {
    line("Class:", report.load_balancer_class);
  }
  line("Address:", Join(report.addresses, "none"));
  line("Why:", report.address_reason);
  if (!report.pools.empty()) {
    Table pools({"POOL", "ANSWER", "WHY"});
    for (const Books::PoolView& view : report.pools) {
      pools.Add({view.pool, std::string(StateName(view.state)), view.why});
    }
    StrAppend(&out, "\n", pools.ToString());
  }
  out += '\n';
  line("Traffic policy:", report.traffic_policy);
  line("Endpoints:", !report.endpoints_gap.empty() ? StrCat("unknown: ", report.endpoints_gap)
                     : report.ready_endpoints == 0
                         ? "none is ready"
                         : StrCat("ready on ", Join(report.endpoint_nodes, "an unknown node")));
  line("Election:", report.election);
  Table nodes({"RANK", "NODE", "SCORE", "EXCLUDED-BECAUSE"});
  for (std::size_t i = 0; i < report.candidates.size(); ++i) {
    nodes.Add({StrCat(i + 1), report.candidates[i].node, StrCat(report.candidates[i].score), ""});
  }
  for (const auto& [node, why] : report.excluded) {
    nodes.Add({"", node, "", why});
  }
  if (!nodes.empty()) {
    StrAppend(&out, "\n", nodes.ToString());
  }
  out += '\n';
  if (report.announcers.empty()) {
    line("Announced by:",
         report.announcers_gap.empty() ? "nobody" : StrCat("unknown: ", report.announcers_gap));
  }
  for (const Announcer& announcer : report.announcers) {
    line("Announced by:",
         StrCat(announcer.node, " on ", Join(announcer.interfaces, "all interfaces"),
                announcer.since.empty() ? "" : StrCat(", since ", announcer.since)));
  }
  return out;
}

ordered_json ToJson(const ExplainReport& report) {
  ordered_json pools = ordered_json::array();
  for (const Books::PoolView& view : report.pools) {
    pools.push_back({{"name", view.pool}, {"answer", StateName(view.state)}, {"why", view.why}});
  }
  ordered_json candidates = ordered_json::array();
  for (const speaker::Candidate& candidate : report.candidates) {
    candidates.push_back({{"node", candidate.node}, {"score", candidate.score}});
  }
  ordered_json excluded = ordered_json::array();
  for (const auto& [node, why] : report.excluded) {
    excluded.push_back({{"node", node}, {"why", why}});
  }
  ordered_json announcers = ordered_json::array();
  for (const Announcer& announcer : report.announcers) {
    announcers.push_back({{"node", announcer.node},
                          {"interfaces", announcer.interfaces},
                          {"since", announcer.since}});
  }
  return {{"namespace", report.service.name_space},
          {"name", report.service.name},
          {"loadBalancerClass", report.load_balancer_class},
          {"served", report.class_gap.empty() ? ordered_json(report.ours) : ordered_json()},
          {"requestedAddresses", report.requested},
          {"requestedPool", report.requested_pool},
          {"addresses", report.addresses},
          {"pool", report.pool},
          {"why", report.address_reason},
          {"pools", std::move(pools)},
          {"externalTrafficPolicy", report.traffic_policy},
          {"readyEndpoints", report.ready_endpoints},
          {"endpointNodes", report.endpoint_nodes},
          {"election", report.election},
          {"candidates", std::move(candidates)},
          {"excluded", std::move(excluded)},
          {"announcedBy", std::move(announcers)},
          {"known",
           {{"class", report.class_gap.empty()},
            {"endpoints", report.endpoints_gap.empty()},
            {"announcers", report.announcers_gap.empty()}}}};
}

}  // namespace stentor::cli
