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

// TrapName() of speaker/node, and how its messages begin: of several kinds the
// condition names none.
constexpr std::string_view kProxyUnhealthy = "proxyUnhealthy";
constexpr std::string_view kProxyWords[] = {"the service proxy of this node",
                                            "the service proxy says that this node"};

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

bool TellsOfProxy(const status::SeenCondition& traps) {
  return traps.reason == kProxyUnhealthy ||
         std::ranges::any_of(kProxyWords, [&traps](std::string_view words) {
           return traps.message.find(words) != std::string::npos;
         });
}

bool Has(const std::vector<speaker::ExcludedNode>& excluded, speaker::Exclusion reason) {
  return std::ranges::find(excluded, reason, &speaker::ExcludedNode::reason) != excluded.end();
}

std::string NodesExcludedBy(const std::vector<speaker::ExcludedNode>& excluded,
                            speaker::Exclusion reason) {
  std::vector<std::string> names;
  for (const speaker::ExcludedNode& node : excluded) {
    if (node.reason == reason) {
      names.push_back(node.node);
    }
  }
  return Join(names);
}

}  // namespace

bool WhyChecks::FailNoCandidate() {
  const std::vector<speaker::ExcludedNode>& excluded = ballot_.decision.excluded;
  std::vector<std::string> covered;
  for (const model::Node& node : snapshot_.nodes) {
    const bool covers = std::ranges::any_of(
        ballot_.pool->l2_advertisements, [&](const config::L2Advertisement& advertisement) {
          return speaker::CoversService(advertisement, service_.labels) &&
                 speaker::CoversNode(advertisement, node);
        });
    if (covers) {
      covered.push_back(node.name);
    }
  }
  if (covered.empty()) {
    return Fail("candidates", "nodeSelectorExcludes",
                StrCat("the nodeSelectors of the L2Advertisements of pool ", ballot_.pool->name,
                       " select no node"),
                "change their nodeSelectors, or label a node");
  }
  if (Has(excluded, speaker::Exclusion::kNoLocalEndpoint)) {
    return Fail("candidates", "noLocalEndpoint",
                StrCat("externalTrafficPolicy is Local, and no ready endpoint is on ",
                       NodesExcludedBy(excluded, speaker::Exclusion::kNoLocalEndpoint)),
                "run a pod on a node that may announce, let more nodes announce, or set "
                "externalTrafficPolicy to Cluster");
  }
  if (Has(excluded, speaker::Exclusion::kExcludeLabel)) {
    return Fail("candidates", "excludeLabel",
                StrCat(NodesExcludedBy(excluded, speaker::Exclusion::kExcludeLabel),
                       " may not announce: label ", speaker::kExcludeNodeLabel),
                "take the label away, or start speakers with --ignore-exclude-lb");
  }
  if (Has(excluded, speaker::Exclusion::kNetworkUnavailable)) {
    return Fail("candidates", "networkUnavailable",
                StrCat(NodesExcludedBy(excluded, speaker::Exclusion::kNetworkUnavailable),
                       " is without network: condition NetworkUnavailable"),
                "see the network plugin on that node");
  }
  return Fail("candidates", "speakerDown",
              StrCat("no speaker runs on ", Join(covered), ", which may announce it"),
              StrCat("see why: kubectl -n ", snapshot_.name_space,
                     " describe pods -l app.kubernetes.io/component=speaker (or -l "
                     "component=speaker)"));
}

bool WhyChecks::CheckConflict() {
  for (const status::ConfigurationState& state : snapshot_.states) {
    const status::SeenCondition* const condition = state.Find(speaker::kAddressConflictType);
    if (condition == nullptr || condition->status != "True") {
      continue;
    }
    for (const std::string& address : service_.ingress_ips) {
      if (const std::string claim = ClaimOf(*condition, address); !claim.empty()) {
        return Fail("other hosts", "foreignOwner", StrCat(state.key.name, " sees: ", claim),
                    "find the host with this MAC and give it another address, or take the address "
                    "out of the pool");
      }
    }
  }
  return Ok("other hosts", "no speaker has seen another host claim the address");
}

bool WhyChecks::FailNotAnnounced() {
  const model::NodeName* const winner = ballot_.decision.winner();
  const std::string node = winner == nullptr ? std::string("the elected node") : *winner;
  for (const EventFact& event : snapshot_.events) {
    if (event.reason == "announceFailed" && event.about == service_.key) {
      return Fail(
          "announcement", "interfaceMissing", StrCat("nobody announces it: ", event.message),
          "correct spec.interfaces of the L2Advertisement, or restrict it to nodes that have "
          "these interfaces");
    }
  }
  if (const status::ConfigurationState* state = snapshot_.StateOf(node)) {
    const auto* verdict = state->Find(status::kConfigReconcilerValid);
    if (verdict != nullptr && verdict->status == "False") {
      return Fail("announcement", "configurationInvalid",
                  StrCat(state->key.name, " refuses the configuration: ", verdict->message),
                  "mend the object that the message names");
    }
  }
  return Fail("announcement", "notAnnounced",
              StrCat("no ServiceL2Status tells that anybody announces it; ", node, " should"),
              StrCat("wait a moment, then see the log of the speaker on ", node, ": kubectl -n ",
                     snapshot_.name_space, " get pods -o wide"));
}

bool WhyChecks::CheckAnnouncer() {
  if (snapshot_.WasRefused(Resource::kStatuses)) {
    return Unknown("announcement", Resource::kStatuses);
  }
  const std::vector<Announcer> announcers = snapshot_.AnnouncersOf(service_.key);
  if (announcers.empty()) {
    return FailNotAnnounced();
  }
  std::vector<std::string> nodes;
  for (const Announcer& announcer : announcers) {
    nodes.push_back(announcer.node);
    if (!snapshot_.HasSpeaker(announcer.node) && !snapshot_.WasRefused(Resource::kPods)) {
      return Fail("announcement", "speakerDown",
                  StrCat("the speaker pod on ", announcer.node,
                         ", which announced it last, is not running and ready"),
                  StrCat("wait a moment for another node to take over; see why it is down: "
                         "kubectl -n ",
                         snapshot_.name_space, " get pods -o wide"));
    }
  }
  if (announcers.size() > 1) {
    return Fail("announcement", "twoAnnouncers",
                StrCat("several nodes say that they announce it: ", Join(nodes)),
                "if it lasts, the speakers don't see each other: let UDP port 7946 pass between "
                "the nodes, and see that they have the same memberlist Secret");
  }
  const Announcer& announcer = announcers.front();
  (void)Ok("announcement",
           StrCat(announcer.node, " on ", Join(announcer.interfaces, "all interfaces"),
                  announcer.since.empty() ? "" : StrCat(", since ", announcer.since)));
  const model::NodeName* const winner = ballot_.decision.winner();
  if (winner != nullptr && *winner != announcer.node) {
    Remark("announcement", StrCat(*winner,
                                  " comes first in the election: it has only just "
                                  "changed, or that speaker leaves it to others"));
  }
  return true;
}

bool WhyChecks::CheckProxy() {
  const std::vector<Announcer> announcers = snapshot_.AnnouncersOf(service_.key);
  if (announcers.empty()) {
    return true;
  }
  const std::string& node = announcers.front().node;
  const status::ConfigurationState* const state = snapshot_.StateOf(node);
  const status::SeenCondition* const traps =
      state == nullptr ? nullptr : state->Find(speaker::kNodeTrapsType);
  if (traps == nullptr || traps->status != "True") {
    return Ok("node", StrCat("the speaker on ", node, " reports no trouble of its node"));
  }
  if (TellsOfProxy(*traps)) {
    return Fail("node", "proxyUnhealthy", StrCat(node, ": ", traps->message),
                StrCat("see kube-proxy (or what replaces it) on ", node,
                       "; it takes packets for the address to a pod"));
  }
  Remark("node", StrCat(node, ": ", traps->message));
  return true;
}

}  // namespace stentor::cli
