// SPDX-License-Identifier: Apache-2.0

/// \file
/// What the reconciler is told, and which elections that makes due.

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

#include "speaker/reconcile/reconciler.h"

namespace stentor::speaker {
namespace {

constexpr std::string_view kAllowSharedIp = "metallb.io/allow-shared-ip";
constexpr std::string_view kAllowSharedIpLegacy = "metallb.universe.tf/allow-shared-ip";

// MetalLB's filter: without --lb-class the Services without a class, otherwise those of that class.
bool IsOfClass(const model::Service& service, const std::string& wanted) {
  return wanted.empty() ? !service.load_balancer_class.has_value()
                        : service.load_balancer_class == wanted;
}

bool SameButClaims(const Speaker& a, const Speaker& b) {
  return a.node == b.node && a.yields == b.yields && a.understands_claims == b.understands_claims;
}

}  // namespace

void Reconciler::UpsertService(const model::Service& service) {
  const auto [it, added] = services_.try_emplace(service.key);
  Entry& entry = it->second;
  const std::optional<model::Service> shown =
      services_changed_ ? std::nullopt : Shown(service.key, entry);
  std::vector<net::IpAddress> ingress;
  entry.invalid_address = false;
  for (const std::string& text : service.ingress_ips) {
    if (const auto address = net::IpAddress::Parse(text)) {
      ingress.push_back(*address);
    } else {
      entry.invalid_address = true;
    }
  }
  if (added || entry.uid != service.uid) {  // or another one of the same name
    entry.first_ingress = ingress;
    entry.won.clear();
    entry.had_status = early_statuses_.erase(service.key) > 0;
    entry.local = {};
    entry.former_key = 0;
  }
  if (entry.ingress != ingress || entry.traffic_policy != service.external_traffic_policy) {
    entry.ranking = {};
    entry.pool.reset();
  }
  if (entry.claim_key != 0 && (ingress.empty() || ingress.front() != entry.ingress.front())) {
    moved_.push_back({.from = entry.claim_key, .service = service.key});
    if (entry.uid == service.uid) {
      entry.former_key = entry.claim_key;
    }
    SetClaimKey(service.key, entry, 0);
  }
  entry.uid = service.uid;
  entry.mine = service.IsLoadBalancer() && IsOfClass(service, options_.load_balancer_class);
  entry.may_share_address = service.annotations.contains(kAllowSharedIp) ||
                            service.annotations.contains(kAllowSharedIpLegacy);
  entry.traffic_policy = service.external_traffic_policy;
  entry.health_check_port = service.health_check_node_port;
  entry.labels = service.labels;
  entry.failure_told = entry.failure_told && entry.ingress == ingress;
  entry.ingress = std::move(ingress);
  if (entry.mine) {
    if (!slices_.IsWanted(service.key)) {
      entry.ranking = {};  // its endpoints may be others than when it was ours before
    }
    slices_.Want(service.key, service.created, !service.selector.empty());
  } else {
    slices_.Unwant(service.key);
  }
  services_changed_ = services_changed_ || Shown(service.key, entry) != shown;
  due_.insert(service.key);
}

void Reconciler::DeleteService(const model::ServiceKey& key) {
  const auto it = services_.find(key);
  if (it != services_.end()) {
    services_changed_ = services_changed_ || it->second.mine;
    it->second.mine = false;
    slices_.Unwant(key);
    due_.insert(key);
  }
}

std::optional<model::Service> Reconciler::Shown(const model::ServiceKey& key,
                                                const Entry& entry) const {
  if (!entry.mine) {
    return std::nullopt;
  }
  model::Service service;
  service.key = key;
  service.uid = entry.uid;
  service.labels = entry.labels;
  if (entry.may_share_address) {
    service.annotations.emplace(kAllowSharedIp, "");  // its value is the controller's affair
  }
  service.type = "LoadBalancer";
  if (!options_.load_balancer_class.empty()) {
    service.load_balancer_class = options_.load_balancer_class;
  }
  service.external_traffic_policy = entry.traffic_policy;
  service.health_check_node_port = entry.health_check_port;
  for (const net::IpAddress& address : entry.ingress) {
    service.ingress_ips.push_back(address.ToString());
  }
  if (entry.invalid_address) {
    service.ingress_ips.emplace_back("invalid");  // whatever it says
  }
  return service;
}

void Reconciler::ForEachService(const std::function<void(const model::Service&)>& visit) const {
  for (const auto& [key, entry] : services_) {
    if (const auto service = Shown(key, entry)) {
      visit(*service);
    }
  }
}

bool Reconciler::TakeChanged() {
  const bool slices_changed = slices_.TakeChanged();
  return std::exchange(services_changed_, false) || slices_changed;
}

void Reconciler::UpsertSlice(const model::EndpointSlice& slice) {
  OnEndpointsChanged(slices_.Upsert(slice));
}

void Reconciler::DeleteSlice(const model::ObjectKey& key) {
  OnEndpointsChanged(slices_.Delete(key));
}

void Reconciler::OnSlicesListed(const model::ServiceKey& service,
                                const std::vector<model::EndpointSlice>& slices) {
  if (slices_.OnListed(service, slices)) {
    OnEndpointsChanged({service});
  }
}

void Reconciler::OnEndpointsChanged(const std::vector<model::ServiceKey>& services) {
  for (const model::ServiceKey& service : services) {
    const auto it = services_.find(service);
    if (it == services_.end()) {
      continue;
    }
    if (it->second.traffic_policy == model::TrafficPolicy::kLocal) {
      it->second.ranking = {};
    }
    due_.insert(service);
  }
}

void Reconciler::UpsertNode(const model::Node& node) {
  model::Node relevant = node;
  relevant.addresses.clear();
  relevant.ready = !options_.membership && node.ready;
  model::Node& known = nodes_[node.name];
  if (known != relevant) {
    known = std::move(relevant);
    nodes_changed_ = true;
    all_due_ = true;
  }
}

void Reconciler::DeleteNode(const model::NodeName& name) {
  if (nodes_.erase(name) > 0) {
    nodes_changed_ = true;
    all_due_ = true;
  }
}

void Reconciler::SetConfig(config::Config config) {
  if (config_ == config) {
    return;
  }
  config_ = std::move(config);
  any_stays_ = std::ranges::any_of(config_.pools, StaysIn);
  for (auto& [key, entry] : services_) {
    entry.pool.reset();
  }
  all_due_ = true;
}

void Reconciler::SetSpeakers(std::vector<Speaker> speakers, bool ready) {
  if (!options_.membership) {
    speakers.clear();
  }
  for (Speaker& speaker : speakers) {
    if (speaker.node == options_.node) {
      speaker.claims.reset();
      speaker.understands_claims = true;
    }
    if (speaker.claims && !std::exchange(others_claim_, true) && !any_stays_) {
      all_due_ = true;  // no Service has a claim_key so far
    }
  }
  if (ready_ != ready || !std::ranges::equal(speakers_, speakers, SameButClaims)) {
    speakers_changed_ = true;
    ready_ = ready;
    all_due_ = true;
  } else {
    for (std::size_t i = 0; i < speakers.size(); ++i) {
      if (speakers_[i].claims != speakers[i].claims) {
        NoteClaims(speakers_[i].claims.get(), speakers[i].claims.get());
      }
    }
  }
  speakers_ = std::move(speakers);
}

void Reconciler::NoteClaims(const Claims* before, const Claims* after) {
  static const Claims kNone;
  std::vector<Claim> changed;  // an address may be there twice
  std::ranges::set_symmetric_difference(before != nullptr ? *before : kNone,
                                        after != nullptr ? *after : kNone,
                                        std::back_inserter(changed));
  for (const Claim& claim : changed) {
    MakeDue(claim.address);
  }
  claims_changed_ = true;
}

void Reconciler::SetInterfaces(std::set<std::string> names) {
  if (interfaces_ == names) {
    return;
  }
  interfaces_ = std::move(names);
  for (const auto& [key, entry] : services_) {
    if (entry.verdict == Verdict::kInterfaceMissing ||
        (entry.verdict == Verdict::kAnnounced && !entry.interfaces.all())) {
      due_.insert(key);
    }
  }
}

void Reconciler::NoteProxyReady(const model::ServiceKey& service) {
  if (proxy_waits_.contains(service)) {
    services_.find(service)->second.local.NoteProxyReady();
    due_.insert(service);
  }
}

void Reconciler::NoteStatus(const model::ServiceKey& service, bool exists) {
  if (const auto it = services_.find(service); it != services_.end()) {
    it->second.had_status = it->second.had_status || exists;
  } else if (exists) {
    early_statuses_.insert(service);
  } else {
    early_statuses_.erase(service);
  }
}

}  // namespace stentor::speaker
