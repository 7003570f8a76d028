// SPDX-License-Identifier: Apache-2.0
#include "cli/report/judgement.h"

#include <algorithm>
#include <utility>

#include "cli/report/output.h"
#include "common/base/strings.h"
#include "controller/reconcile/service_wish.h"
#include "speaker/status/speaker_conditions.h"

namespace stentor::cli {

namespace {

// TrapName() of speaker/node, and how its messages begin: of several kinds the condition names
// none.
constexpr std::string_view kProxyUnhealthy = "proxyUnhealthy";
constexpr std::string_view kProxyWords[] = {"the service proxy of this node",
                                            "the service proxy says that this node"};

bool MayShareAddress(const model::Service& service) {
  return service.annotations.contains("metallb.io/allow-shared-ip") ||
         service.annotations.contains("metallb.universe.tf/allow-shared-ip");
}

}  // namespace

Books::Books(const Snapshot& snapshot) : snapshot_(snapshot) {
  if (!snapshot.config.ok()) {
    return;
  }
  allocator_.SetPools(snapshot.config->pools);
  std::vector<const model::Service*> ours;
  std::vector<const model::Service*> claims;
  for (const auto& [key, service] : snapshot.services) {
    if (snapshot.IsOurs(service)) {
      ours.push_back(&service);
      if (!service.ingress_ips.empty()) {
        claims.push_back(&service);
      }
    }
  }
  (void)controller::AdoptClaims(
      allocator_, std::move(claims),
      [&snapshot](const std::string& name) { return snapshot.LabelsOf(name); });
  for (const config::Pool& pool : snapshot.config->pools) {
    usage_[pool.name] = {.ipv4 = allocator_.Usage(pool.name, net::IpFamily::kIpv4),
                         .ipv6 = allocator_.Usage(pool.name, net::IpFamily::kIpv6)};
  }
  for (const model::Service* service : ours) {
    Settle(*service);
  }
  // What came free meanwhile may be what others wait for.
  for (const model::Service* service : ours) {
    const controller::Standing& standing = standings_[service->key];
    if (standing.wants_address && !standing.allocation) {
      Settle(*service);
    }
  }
}

void Books::Settle(const model::Service& service) {
  standings_[service.key] =
      controller::Converge(allocator_, service, snapshot_.LabelsOf(service.key.name_space),
                           !snapshot_.config->pools.empty());
}

const controller::Standing* Books::Find(const model::ServiceKey& service) const {
  const auto it = standings_.find(service);
  return it == standings_.end() ? nullptr : &it->second;
}

Books::Usage Books::UsageOf(const model::PoolName& pool) const {
  const auto it = usage_.find(pool);
  return it == usage_.end() ? Usage{} : it->second;
}

std::string Books::Dispute(const model::Service& service) const {
  const controller::Standing* const standing = Find(service.key);
  const std::vector<net::IpAddress> shown = AddressesOf(service);
  if (standing == nullptr || shown.empty()) {
    return "";
  }
  if (standing->allocation && std::ranges::all_of(shown, [standing](const net::IpAddress& address) {
        return std::ranges::find(standing->allocation->addresses, address) !=
               standing->allocation->addresses.end();
      })) {
    return "";
  }
  for (const controller::Remark& remark : standing->remarks) {
    if (remark.reason == "ClearAssignment") {
      const std::size_t colon = remark.message.find(": ");
      return colon == std::string::npos ? remark.message : remark.message.substr(colon + 2);
    }
  }
  if (standing->refusal) {
    return standing->refusal->message;
  }
  return StrCat("it asks for something else, and is to get ",
                Join(ToTexts(standing->allocation->addresses)));
}

absl::StatusOr<controller::AllocationRequest> Books::RequestOf(
    const model::Service& service) const {
  if (controller::ClusterFamilies(service) == controller::Families::kUnknown) {
    return absl::InvalidArgumentError("it has no cluster address (spec.clusterIP)");
  }
  auto requested = controller::RequestedAddresses(service);
  if (!requested.ok()) {
    return requested.status();
  }
  return controller::MakeRequest(service, *std::move(requested),
                                 snapshot_.LabelsOf(service.key.name_space));
}

std::vector<Books::PoolView> Books::Pools(const model::Service& service) {
  std::vector<PoolView> views;
  const auto request = RequestOf(service);
  if (!request.ok() || !snapshot_.config.ok()) {
    return views;
  }
  const auto held = allocator_.Find(service.key);
  allocator_.Release(service.key);
  for (controller::PoolRefusal& refusal : controller::ExplainPools(allocator_, *request)) {
    PoolView view{.pool = std::move(refusal.pool), .why = std::move(refusal.why)};
    const auto pool = std::ranges::find(snapshot_.config->pools, view.pool, &config::Pool::name);
    const bool by_itself = request->pool || !request->addresses.empty() || pool->auto_assign;
    controller::AllocationRequest only = *request;
    only.pool = view.pool;
    const bool other_pool = request->pool && *request->pool != view.pool;
    if (held && held->pool == view.pool) {
      view.state = PoolView::State::kGave;
    } else if (by_itself && !other_pool && allocator_.Allocate(only).ok()) {
      view.state = PoolView::State::kCould;
      allocator_.Release(service.key);
    }
    if (view.state != PoolView::State::kRefused) {
      view.why.clear();
    }
    views.push_back(std::move(view));
  }
  if (held) {
    // What was held a moment ago can be held again.
    (void)allocator_.Claim(*request, held->addresses);
  }
  for (const config::Pool& pool : snapshot_.config->pools) {
    if (std::ranges::find(views, pool.name, &PoolView::pool) == views.end()) {
      views.push_back({.pool = pool.name,
                       .why = request->pool
                                  ? StrCat("the Service asks for pool ", *request->pool)
                                  : "it has none of the addresses that the Service asks for",
                       .tried = false});
    }
  }
  return views;
}

std::string_view StateName(Books::PoolView::State state) {
  switch (state) {
    case Books::PoolView::State::kGave:
      return "gave it";
    case Books::PoolView::State::kCould:
      return "could";
    case Books::PoolView::State::kRefused:
      return "refused";
  }
  return "";
}

const config::Pool* PoolOf(const Snapshot& snapshot, const std::vector<net::IpAddress>& addresses) {
  if (!snapshot.config.ok() || addresses.empty()) {
    return nullptr;
  }
  const config::Pool* pool = snapshot.config->FindPool(addresses.front());
  const bool all = pool != nullptr && std::ranges::all_of(addresses, [pool](const auto& address) {
                     return pool->Contains(address);
                   });
  return all ? pool : nullptr;
}

Elections::Elections(const Snapshot& snapshot) : snapshot_(snapshot) {
  for (const Program& program : snapshot.programs) {
    if (program.role == Role::kSpeaker && program.runs && !program.node.empty()) {
      const status::SeenCondition* const traps = TrapsOf(snapshot.StateOf(program.node));
      speakers_.push_back(
          {.node = program.node, .yields = traps != nullptr && TellsOfProxy(*traps)});
    }
  }
  elector_.SetView(Facts());
}

speaker::ClusterFacts Elections::Facts() const {
  return {.nodes = snapshot_.nodes,
          .speakers = speakers_,
          .ignore_exclude_label = snapshot_.ignore_exclude_label,
          .membership = snapshot_.membership};
}

Ballot Elections::Hold(const model::Service& service) const {
  const std::vector<net::IpAddress> addresses = AddressesOf(service);
  Ballot ballot{.pool = PoolOf(snapshot_, addresses)};
  if (ballot.pool == nullptr) {
    return ballot;
  }
  const std::vector<model::Endpoint> endpoints = snapshot_.EndpointsOf(service.key);
  const speaker::ServiceFacts facts{.ingress = addresses,
                                    .labels = service.labels,
                                    .traffic_policy = service.external_traffic_policy,
                                    .may_share_address = MayShareAddress(service),
                                    .endpoints = endpoints,
                                    .advertisements = ballot.pool->l2_advertisements};
  ballot.decision = speaker::Elect(facts, Facts(), "");
  if (const model::NodeName* winner = ballot.decision.winner()) {
    ballot.decision = speaker::Elect(facts, Facts(), model::NodeName(*winner));
  }
  return ballot;
}

Elections::Outcome Elections::WinnerOf(const model::Service& service) {
  const std::vector<net::IpAddress> addresses = AddressesOf(service);
  Outcome outcome{.pool = PoolOf(snapshot_, addresses)};
  if (outcome.pool == nullptr) {
    return outcome;
  }
  const std::vector<model::Endpoint> endpoints = snapshot_.EndpointsOf(service.key);
  speaker::Ranking ranking;
  const speaker::Vote vote = elector_.Decide({.ingress = addresses,
                                              .labels = service.labels,
                                              .traffic_policy = service.external_traffic_policy,
                                              .may_share_address = MayShareAddress(service),
                                              .endpoints = endpoints,
                                              .advertisements = outcome.pool->l2_advertisements},
                                             ranking);
  outcome.reason = vote.reason;
  outcome.winner = vote.winner;
  return outcome;
}

bool TellsOfProxy(const status::SeenCondition& traps) {
  return traps.reason == kProxyUnhealthy ||
         std::ranges::any_of(kProxyWords, [&traps](std::string_view words) {
           return traps.message.find(words) != std::string::npos;
         });
}

const status::SeenCondition* TrapsOf(const status::ConfigurationState* state) {
  const status::SeenCondition* const traps =
      state == nullptr ? nullptr : state->Find(speaker::kNodeTrapsType);
  return traps == nullptr || traps->status != "True" ? nullptr : traps;
}

std::string ExclusionText(const Snapshot& snapshot, const speaker::ExcludedNode& excluded) {
  switch (excluded.reason) {
    case speaker::Exclusion::kNoSpeaker: {
      const auto pod = std::ranges::find_if(snapshot.programs, [&](const Program& program) {
        return program.role == Role::kSpeaker && program.node == excluded.node;
      });
      return pod == snapshot.programs.end()
                 ? "no speaker pod is on it"
                 : StrCat("its speaker pod ", pod->name, " is not running and ready");
    }
    case speaker::Exclusion::kUnknownNode:
      return "there is no Node of this name";
    case speaker::Exclusion::kNetworkUnavailable:
      return "its condition NetworkUnavailable is True";
    case speaker::Exclusion::kExcludeLabel:
      return StrCat("it has the label ", speaker::kExcludeNodeLabel);
    case speaker::Exclusion::kNoAdvertisement:
      return "no L2Advertisement for the Service covers it";
    case speaker::Exclusion::kNoLocalEndpoint:
      return "externalTrafficPolicy is Local, and no ready endpoint is on it";
    case speaker::Exclusion::kYields:
      return "its service proxy is not healthy, so it leaves the Service to others";
    case speaker::Exclusion::kNotReady:
      return "it is not Ready, so it leaves the Service to others";
  }
  return "";
}

}  // namespace stentor::cli
