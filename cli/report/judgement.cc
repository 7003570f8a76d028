// SPDX-License-Identifier: Apache-2.0
#include "cli/report/judgement.h"

#include <algorithm>
#include <utility>

#include "common/base/strings.h"
#include "controller/reconcile/service_wish.h"

namespace stentor::cli {

Books::Books(const Snapshot& snapshot) : snapshot_(snapshot) {
  if (snapshot.config.ok()) {
    allocator_.SetPools(snapshot.config->pools);
  }
  // Of two that show one address, the older one has it, as in the controller.
  std::vector<const model::Service*> services;
  for (const auto& [key, service] : snapshot.services) {
    if (snapshot.IsOurs(service) && !AddressesOf(service).empty()) {
      services.push_back(&service);
    }
  }
  std::ranges::stable_sort(services, {}, [](const model::Service* s) { return s->created; });
  for (const model::Service* service : services) {
    const auto request = RequestOf(*service);
    const std::vector<net::IpAddress> addresses = AddressesOf(*service);
    const absl::Status status =
        request.ok() ? allocator_.Claim(*request, addresses).status() : request.status();
    if (!status.ok()) {
      disputes_.push_back({.service = service->key, .why = std::string(status.message())});
    }
  }
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

Books::Answer Books::Allocate(const model::Service& service) {
  const auto request = RequestOf(service);
  if (!request.ok()) {
    const bool no_cluster_ip =
        controller::ClusterFamilies(service) == controller::Families::kUnknown;
    return {.refusal = {
                .reason = no_cluster_ip ? controller::kNoClusterIp : controller::kRequestInvalid,
                .message = std::string(request.status().message())}};
  }
  if (snapshot_.config.ok() && snapshot_.config->pools.empty()) {
    return {.refusal = {.reason = controller::kNoPools, .message = "there is no IPAddressPool"}};
  }
  auto allocation = allocator_.Allocate(*request);
  if (!allocation.ok()) {
    return {.refusal = controller::Explain(allocator_, *request, allocation.status())};
  }
  return {.allocation = *std::move(allocation)};
}

std::vector<Books::PoolView> Books::Pools(const model::Service& service) {
  std::vector<PoolView> views;
  const auto request = RequestOf(service);
  if (!request.ok()) {
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
  if (snapshot_.config.ok()) {
    for (const config::Pool& pool : snapshot_.config->pools) {
      if (std::ranges::find(views, pool.name, &PoolView::pool) == views.end()) {
        views.push_back({.pool = pool.name,
                         .why = request->pool
                                    ? StrCat("the Service asks for pool ", *request->pool)
                                    : "it has none of the addresses that the Service asks for",
                         .tried = false});
      }
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

Ballot HoldElection(const Snapshot& snapshot, const model::Service& service) {
  const std::vector<net::IpAddress> addresses = AddressesOf(service);
  Ballot ballot{.pool = PoolOf(snapshot, addresses)};
  if (ballot.pool == nullptr) {
    return ballot;
  }
  std::vector<speaker::Speaker> speakers;
  for (const Program& program : snapshot.programs) {
    if (program.role == Role::kSpeaker && program.runs && !program.node.empty()) {
      speakers.push_back({.node = program.node});
    }
  }
  const std::vector<model::Endpoint> endpoints = snapshot.EndpointsOf(service.key);
  const speaker::ServiceFacts facts{
      .ingress = addresses,
      .labels = service.labels,
      .traffic_policy = service.external_traffic_policy,
      .may_share_address = service.annotations.contains("metallb.io/allow-shared-ip") ||
                           service.annotations.contains("metallb.universe.tf/allow-shared-ip"),
      .endpoints = endpoints,
      .advertisements = ballot.pool->l2_advertisements};
  const speaker::ClusterFacts cluster{.nodes = snapshot.nodes,
                                      .speakers = speakers,
                                      .ignore_exclude_label = snapshot.ignore_exclude_label};
  ballot.decision = speaker::Elect(facts, cluster, "");
  if (const model::NodeName* winner = ballot.decision.winner()) {
    ballot.decision = speaker::Elect(facts, cluster, *winner);
  }
  return ballot;
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
    case speaker::Exclusion::kNotReady:
      return "it leaves the Service to others";
  }
  return "";
}

}  // namespace stentor::cli
