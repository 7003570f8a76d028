// SPDX-License-Identifier: Apache-2.0
#include "speaker/reconcile/reconciler.h"

#include <algorithm>
#include <utility>

namespace stentor::speaker {
namespace {

constexpr std::string_view kAllowSharedIp = "metallb.io/allow-shared-ip";
constexpr std::string_view kAllowSharedIpLegacy = "metallb.universe.tf/allow-shared-ip";

// MetalLB's filter: without --lb-class the Services without a class, otherwise those of that class.
bool IsOfClass(const model::Service& service, const std::string& wanted) {
  return wanted.empty() ? !service.load_balancer_class.has_value()
                        : service.load_balancer_class == wanted;
}

// The interfaces of two Services that share an address add up.
void Merge(AllowedInterfaces& into, const AllowedInterfaces& more) {
  if (!into || !more) {
    into.reset();
  } else {
    into->insert(more->begin(), more->end());
  }
}

}  // namespace

struct Reconciler::Outcome {
  Verdict verdict = Verdict::kNotMine;
  DecisionReason decision = DecisionReason::kNotOwner;
  AllowedInterfaces interfaces;
  model::PoolName pool;
  model::NodeName winner;
};

std::string_view VerdictName(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::kAnnounced:
      return "announced";
    case Verdict::kNotMine:
      return "notMine";
    case Verdict::kNotReady:
      return "notReady";
    case Verdict::kNoAddress:
      return "noIP";
    case Verdict::kInvalidIp:
      return "invalidIP";
    case Verdict::kIpNotAllowed:
      return "ipNotAllowed";
    case Verdict::kNotElected:
      return "notElected";
  }
  return "unknown";
}

void Reconciler::UpsertService(const model::Service& service) {
  Entry& entry = services_[service.key];
  entry.uid = service.uid;
  entry.mine = service.IsLoadBalancer() && IsOfClass(service, options_.load_balancer_class);
  entry.may_share_address = service.annotations.contains(kAllowSharedIp) ||
                            service.annotations.contains(kAllowSharedIpLegacy);
  entry.traffic_policy = service.external_traffic_policy;
  entry.labels = service.labels;
  entry.ingress.clear();
  entry.invalid_address = false;
  for (const std::string& text : service.ingress_ips) {
    if (const auto address = net::IpAddress::Parse(text)) {
      entry.ingress.push_back(*address);
    } else {
      entry.invalid_address = true;
    }
  }
  due_.insert(service.key);
}

void Reconciler::DeleteService(const model::ServiceKey& key) {
  const auto it = services_.find(key);
  if (it != services_.end()) {
    it->second.mine = false;
    due_.insert(key);
  }
}

void Reconciler::UpsertSlice(const model::EndpointSlice& slice) {
  const model::ServiceKey service{slice.key.name_space, slice.service_name};
  const auto former = service_of_slice_.find(slice.key);
  if (former != service_of_slice_.end() && former->second != service) {
    DeleteSlice(slice.key);
  }
  service_of_slice_[slice.key] = service;
  endpoints_[service][slice.key.name] = slice.endpoints;
  due_.insert(service);
}

void Reconciler::DeleteSlice(const model::ObjectKey& key) {
  const auto it = service_of_slice_.find(key);
  if (it == service_of_slice_.end()) {
    return;
  }
  auto& slices = endpoints_[it->second];
  slices.erase(key.name);
  if (slices.empty()) {
    endpoints_.erase(it->second);
  }
  due_.insert(it->second);
  service_of_slice_.erase(it);
}

void Reconciler::UpsertNode(const model::Node& node) {
  model::Node& known = nodes_[node.name];
  if (known != node) {
    known = node;
    ElectAll();
  }
}

void Reconciler::DeleteNode(const model::NodeName& name) {
  if (nodes_.erase(name) > 0) {
    ElectAll();
  }
}

void Reconciler::SetConfig(config::Config config) {
  if (config_ != config) {
    config_ = std::move(config);
    ElectAll();
  }
}

void Reconciler::SetSpeakers(std::vector<Speaker> speakers, bool ready) {
  if (speakers_ != speakers || ready_ != ready) {
    speakers_ = std::move(speakers);
    ready_ = ready;
    ElectAll();
  }
}

Reconciler::Outcome Reconciler::Decide(const model::ServiceKey& key, const Entry& entry) const {
  if (!entry.mine) {
    return {.verdict = Verdict::kNotMine};
  }
  if (entry.invalid_address) {
    return {.verdict = Verdict::kInvalidIp};
  }
  if (entry.ingress.empty()) {
    return {.verdict = Verdict::kNoAddress};
  }
  const config::Pool* pool = config_.FindPool(entry.ingress.front());
  if (pool == nullptr || !std::ranges::all_of(entry.ingress, [pool](const net::IpAddress& address) {
        return pool->Contains(address);
      })) {
    return {.verdict = Verdict::kIpNotAllowed};
  }

  std::vector<model::Endpoint> endpoints;
  if (const auto slices = endpoints_.find(key); slices != endpoints_.end()) {
    for (const auto& [name, some] : slices->second) {
      endpoints.insert(endpoints.end(), some.begin(), some.end());
    }
  }
  const ServiceFacts service{.ingress = entry.ingress,
                             .labels = entry.labels,
                             .traffic_policy = entry.traffic_policy,
                             .may_share_address = entry.may_share_address,
                             .endpoints = endpoints,
                             .advertisements = pool->l2_advertisements};
  const ClusterFacts cluster{.nodes = node_list_,
                             .speakers = speakers_,
                             .ignore_exclude_label = options_.ignore_exclude_label};
  const Decision decision = Elect(service, cluster, options_.node);

  Outcome outcome{.verdict = Verdict::kNotElected,
                  .decision = decision.reason,
                  .interfaces = {},
                  .pool = pool->name,
                  .winner = decision.winner() != nullptr ? *decision.winner() : ""};
  if (decision.announce()) {
    outcome.verdict = ready_ ? Verdict::kAnnounced : Verdict::kNotReady;
    if (!decision.interfaces.all) {
      outcome.interfaces.emplace(decision.interfaces.names.begin(),
                                 decision.interfaces.names.end());
    }
  }
  return outcome;
}

std::vector<OwnershipChange> Reconciler::Reconcile() {
  if (all_due_) {
    all_due_ = false;
    node_list_.clear();
    for (const auto& [name, node] : nodes_) {
      node_list_.push_back(node);
    }
    for (const auto& [key, entry] : services_) {
      due_.insert(key);
    }
  }

  std::vector<OwnershipChange> changes;
  bool rebuild = false;
  for (const model::ServiceKey& key : std::exchange(due_, {})) {
    const auto it = services_.find(key);
    if (it == services_.end()) {
      continue;  // an endpoint slice of a Service that is none of ours
    }
    Entry& entry = it->second;
    Outcome outcome = Decide(key, entry);
    const bool announce = outcome.verdict == Verdict::kAnnounced;
    const std::vector<net::IpAddress> wanted =
        announce ? entry.ingress : std::vector<net::IpAddress>{};
    rebuild = rebuild || wanted != entry.announced ||
              (announce && entry.interfaces != outcome.interfaces);
    if (wanted != entry.announced) {
      changes.push_back({.service = key,
                         .uid = entry.uid,
                         .verdict = outcome.verdict,
                         .decision = outcome.decision,
                         .addresses = announce ? wanted : entry.announced,
                         .pool = std::move(outcome.pool),
                         .winner = std::move(outcome.winner)});
      entry.announced = wanted;
    }
    entry.interfaces = std::move(outcome.interfaces);
    if (!entry.mine) {
      services_.erase(it);
    }
  }
  if (rebuild) {
    RebuildAnnouncements();
  }
  return changes;
}

void Reconciler::RebuildAnnouncements() {
  announcements_.clear();
  for (const auto& [key, entry] : services_) {
    for (const net::IpAddress& address : entry.announced) {
      const auto [it, added] = announcements_.try_emplace(address, entry.interfaces);
      if (!added) {
        Merge(it->second, entry.interfaces);
      }
    }
  }
}

}  // namespace stentor::speaker
