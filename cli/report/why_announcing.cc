// SPDX-License-Identifier: Apache-2.0

/// \file
/// The checks of `why` that are about nodes and speakers.

#include <algorithm>
#include <utility>

#include "cli/report/output.h"
#include "cli/report/why_checks.h"
#include "common/base/strings.h"
#include "common/status/condition.h"
#include "speaker/status/speaker_conditions.h"

namespace stentor::cli {
namespace {

// Reasons of a speaker's events (speaker_conditions.h).
constexpr std::string_view kAnnounceFailed = "announceFailed";
constexpr std::string_view kNodeAssigned = "nodeAssigned";

// What `condition` says of `address`: "ADDRESS is also claimed by MAC on INTERFACE".
std::string ClaimOf(const status::SeenCondition& condition, const std::string& address) {
  const std::string begin = StrCat(address, " is also claimed by ");
  std::string_view rest = condition.message;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find("; "), rest.size());
    if (rest.substr(0, end).starts_with(begin)) {
      return std::string(rest.substr(0, end));
    }
    rest.remove_prefix(std::min(end + 2, rest.size()));
  }
  return "";
}

// Whether a speaker's condition names not all that it knows of.
bool LeavesOut(const status::SeenCondition& condition) {
  return condition.message.find("; and ") != std::string::npos &&
         condition.message.ends_with(" more");
}

// Times are in seconds: of two in the same one, the failure counts, since nobody announces.
// The latest thing that the speaker on `node` has told of the Service; null where there is none.
const EventFact* LatestOf(const std::vector<EventFact>& events, const model::ServiceKey& service,
                          const std::string& node) {
  const EventFact* latest = nullptr;
  for (const EventFact& event : events) {
    const bool of_node = event.host.empty()
                             ? event.message.find(StrCat("\"", node, "\"")) != std::string::npos
                             : event.host == node;
    const bool tells = event.reason == kAnnounceFailed || event.reason == kNodeAssigned;
    if (tells && of_node && event.about == service &&
        (latest == nullptr || event.last_seen > latest->last_seen ||
         (event.last_seen == latest->last_seen && event.reason == kAnnounceFailed))) {
      latest = &event;
    }
  }
  return latest;
}

}  // namespace

// Only nodes that an advertisement covers and, with traffic policy Local, that have an endpoint:
// why others may not announce is of no use. What went wrong comes before what was decided.
bool WhyChecks::FailNoCandidate() {
  std::vector<std::string> covered;
  std::vector<std::string> eligible;
  const std::vector<model::Endpoint> endpoints = snapshot_.EndpointsOf(service_.key);
  const bool local = service_.external_traffic_policy == model::TrafficPolicy::kLocal;
  for (const model::Node& node : snapshot_.nodes) {
    const bool covers = std::ranges::any_of(
        ballot_.pool->l2_advertisements, [&](const config::L2Advertisement& advertisement) {
          return speaker::CoversService(advertisement, service_.labels) &&
                 speaker::CoversNode(advertisement, node);
        });
    if (!covers) {
      continue;
    }
    covered.push_back(node.name);
    if (!local || std::ranges::any_of(endpoints, [&node](const model::Endpoint& endpoint) {
          return endpoint.can_serve && endpoint.node == node.name;
        })) {
      eligible.push_back(node.name);
    }
  }
  if (covered.empty()) {
    return Fail("candidates", "nodeSelectorExcludes",
                StrCat("the nodeSelectors of the L2Advertisements of pool ", ballot_.pool->name,
                       " select no node"),
                "change their nodeSelectors, or label a node");
  }
  if (eligible.empty()) {
    return Fail(
        "candidates", "noLocalEndpoint",
        StrCat("externalTrafficPolicy is Local, and no ready endpoint is on ", Join(covered)),
        "run a pod on a node that may announce, let more nodes announce, or set "
        "externalTrafficPolicy to Cluster");
  }
  const auto excluded_by = [&](speaker::Exclusion reason) {
    std::vector<std::string> names;
    for (const speaker::ExcludedNode& node : ballot_.decision.excluded) {
      if (node.reason == reason && std::ranges::find(eligible, node.node) != eligible.end()) {
        names.push_back(node.node);
      }
    }
    return Join(names);
  };
  if (const auto names = excluded_by(speaker::Exclusion::kNoSpeaker); !names.empty()) {
    return Fail("candidates", "speakerDown",
                StrCat("no speaker runs on ", names, ", which may announce it"),
                StrCat("see why: kubectl -n ", snapshot_.name_space,
                       " describe pods -l app.kubernetes.io/component=speaker (or -l "
                       "component=speaker)"));
  }
  if (const auto names = excluded_by(speaker::Exclusion::kNetworkUnavailable); !names.empty()) {
    return Fail("candidates", "networkUnavailable",
                StrCat(names, " is without network: condition NetworkUnavailable"),
                "see the network plugin on that node");
  }
  return Fail("candidates", "excludeLabel",
              StrCat(excluded_by(speaker::Exclusion::kExcludeLabel), " may not announce: label ",
                     speaker::kExcludeNodeLabel),
              "take the label away, or start speakers with --ignore-exclude-lb");
}

bool WhyChecks::CheckConflict() {
  if (!snapshot_.Knows(Resource::kStates)) {
    return Unknown("other hosts", Resource::kStates);
  }
  const std::vector<std::string> addresses =
      asked_ ? std::vector{asked_->ToString()} : service_.ingress_ips;
  const status::ConfigurationState* leaves_out = nullptr;
  for (const status::ConfigurationState& state : snapshot_.states) {
    const status::SeenCondition* const condition = state.Find(speaker::kAddressConflictType);
    if (condition == nullptr || condition->status != "True" ||
        (snapshot_.Knows(Resource::kPods) && !snapshot_.IsOfRunning(state))) {
      continue;
    }
    for (const std::string& address : addresses) {
      const std::string claim = ClaimOf(*condition, address);
      if (claim.empty()) {
        continue;
      }
      const std::string seen = StrCat(state.key.name, " sees: ", claim);
      if (!snapshot_.Knows(Resource::kPods)) {
        return Unknown(
            "other hosts",
            StrCat(seen, "; or saw it when it ran: ", snapshot_.GapText(Resource::kPods)));
      }
      return Fail("other hosts", "foreignOwner", seen,
                  "find the host with this MAC and give it another address, or take the address "
                  "out of the pool");
    }
    leaves_out = LeavesOut(*condition) ? &state : leaves_out;
  }
  if (leaves_out != nullptr) {
    return Unknown("other hosts", StrCat(leaves_out->key.name,
                                         " sees more conflicts than it names; its metrics "
                                         "have all"));
  }
  return Ok("other hosts", "no speaker has seen another host claim the address");
}

bool WhyChecks::FailNotAnnounced() {
  const model::NodeName* const winner = ballot_.decision.winner();
  const std::string node = winner == nullptr ? std::string("the elected node") : *winner;
  const EventFact* const latest = LatestOf(snapshot_.events, service_.key, node);
  if (latest != nullptr && latest->reason == kAnnounceFailed) {
    return Fail("announcement", "interfaceMissing",
                StrCat("nobody announces it: ", latest->message),
                "correct spec.interfaces of the L2Advertisement, or restrict it to nodes that have "
                "these interfaces");
  }
  if (const status::ConfigurationState* state = snapshot_.StateOf(node)) {
    const auto* verdict = state->Find(status::kConfigReconcilerValid);
    if (verdict != nullptr && verdict->status == "False") {
      return Fail("announcement", "configurationInvalid",
                  StrCat(state->key.name, " refuses the configuration: ", verdict->message),
                  "mend the object that the message names");
    }
  }
  const std::string seen =
      StrCat("no ServiceL2Status tells that anybody announces it; ", node, " should");
  if (winner == nullptr) {
    return Unknown("announcement", seen);  // why nobody should may be in what can't be read
  }
  return Fail(
      "announcement", "notAnnounced",
      snapshot_.Knows(Resource::kEvents)
          ? seen
          : StrCat(seen, "; why not may be in events: ", snapshot_.GapText(Resource::kEvents)),
      StrCat("wait a moment, then see the log of the speaker on ", node, ": kubectl -n ",
             snapshot_.name_space, " get pods -o wide"));
}

bool WhyChecks::CheckAnnouncer() {
  if (!snapshot_.Knows(Resource::kStatuses)) {
    return Unknown("announcement", Resource::kStatuses);
  }
  const bool knows_pods = snapshot_.Knows(Resource::kPods);
  std::vector<std::string> nodes;
  std::vector<std::string> ended;
  const Announcer* announcer = nullptr;
  for (const Announcer& each : snapshot_.AnnouncersOf(service_.key)) {
    if (knows_pods && !snapshot_.HasSpeaker(each.node)) {
      ended.push_back(each.node);
    } else {
      nodes.push_back(each.node);
      announcer = &each;
    }
  }
  if (nodes.empty() && ended.empty()) {
    return FailNotAnnounced();
  }
  if (nodes.empty()) {
    return Fail("announcement", "speakerDown",
                StrCat("the speaker pod on ", Join(ended),
                       ", which announced it last, is not running and ready"),
                StrCat("wait a moment for another node to take over; see why it is down: "
                       "kubectl -n ",
                       snapshot_.name_space, " get pods -o wide"));
  }
  if (nodes.size() > 1) {
    const std::string seen = StrCat("several nodes say that they announce it: ", Join(nodes));
    if (!knows_pods) {
      return Unknown("announcement", StrCat(seen, "; whether all of them run is not known: ",
                                            snapshot_.GapText(Resource::kPods)));
    }
    return Fail("announcement", "twoAnnouncers", seen,
                "if it lasts, the speakers don't see each other: let UDP port 7946 pass between "
                "the nodes, and see that they have the same memberlist Secret");
  }
  (void)Ok("announcement",
           StrCat(announcer->node, " on ", Join(announcer->interfaces, "all interfaces"),
                  announcer->since.empty() ? "" : StrCat(", since ", announcer->since)));
  if (!ended.empty()) {
    (void)Remark("announcement", StrCat("a ServiceL2Status also names ", Join(ended),
                                        ", whose speaker does not run any more"));
  }
  const model::NodeName* const winner = ballot_.decision.winner();
  if (winner != nullptr && *winner != announcer->node && knows_pods) {
    (void)Remark("announcement", StrCat(*winner,
                                        " comes first in the election: it has only just "
                                        "changed, stays there by stentor.io/fail-back, or "
                                        "that speaker leaves it to others"));
  }
  return true;
}

bool WhyChecks::CheckProxy() {
  if (!snapshot_.Knows(Resource::kStates)) {
    return Unknown("node", Resource::kStates);
  }
  // Who announces; where that isn't told, who should.
  std::string node = ballot_.decision.winner() == nullptr ? "" : *ballot_.decision.winner();
  for (const Announcer& announcer : snapshot_.AnnouncersOf(service_.key)) {
    if (snapshot_.HasSpeaker(announcer.node)) {
      node = announcer.node;
    }
  }
  if (node.empty()) {
    return true;
  }
  if (!snapshot_.Knows(Resource::kPods)) {
    return Unknown("node", Resource::kPods);
  }
  const status::SeenCondition* const traps = TrapsOf(snapshot_.StateOf(node));
  if (traps == nullptr) {
    return Ok("node", StrCat("the speaker on ", node, " reports no trouble of its node"));
  }
  if (TellsOfProxy(*traps)) {
    return Fail("node", "proxyUnhealthy", StrCat(node, ": ", traps->message),
                StrCat("see kube-proxy (or what replaces it) on ", node,
                       "; it takes packets for the address to a pod"));
  }
  if (LeavesOut(*traps)) {
    return Unknown("node", StrCat(node, ": ", traps->message));
  }
  return Remark("node", StrCat(node, ": ", traps->message));
}

}  // namespace stentor::cli
