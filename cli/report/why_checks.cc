// SPDX-License-Identifier: Apache-2.0
#include "cli/report/why_checks.h"

#include <algorithm>
#include <set>
#include <utility>

#include "cli/report/output.h"
#include "common/base/strings.h"
#include "common/status/condition.h"
#include "controller/reconcile/service_wish.h"

namespace stentor::cli {
void WhyChecks::Run() {
  using Step = bool (WhyChecks::*)();
  for (const Step step :
       {&WhyChecks::CheckClass, &WhyChecks::CheckConfiguration, &WhyChecks::CheckAddress,
        &WhyChecks::CheckPool, &WhyChecks::CheckEndpoints, &WhyChecks::CheckAdvertisement,
        &WhyChecks::CheckCandidates, &WhyChecks::CheckConflict, &WhyChecks::CheckAnnouncer,
        &WhyChecks::CheckProxy}) {
    if (!(this->*step)()) {
      return;
    }
  }
}

bool WhyChecks::Ok(std::string_view what, std::string seen) {
  report_.checks.push_back({.what = std::string(what), .seen = std::move(seen)});
  return true;
}

void WhyChecks::Remark(std::string_view what, std::string seen) {
  report_.checks.push_back(
      {.what = std::string(what), .state = Check::State::kRemark, .seen = std::move(seen)});
}

bool WhyChecks::Unknown(std::string_view what, Resource resource) {
  report_.checks.push_back({.what = std::string(what),
                            .state = Check::State::kUnknown,
                            .seen = StrCat("cannot read ", ResourceName(resource))});
  return true;
}

bool WhyChecks::Fail(std::string_view what, std::string_view cause, std::string seen,
                     std::string remedy) {
  report_.checks.push_back({.what = std::string(what),
                            .state = Check::State::kFailed,
                            .seen = std::move(seen),
                            .cause = std::string(cause),
                            .remedy = std::move(remedy)});
  return false;
}

bool WhyChecks::CheckClass() {
  const std::string name = service_.key.ToString();
  if (!service_.IsLoadBalancer()) {
    return Fail("Service", "notLoadBalancer",
                StrCat("Service ", name, " is of type ", service_.type),
                "set spec.type to LoadBalancer");
  }
  if (snapshot_.IsOurs(service_)) {
    return Ok("Service", StrCat("Service ", name, " is of type LoadBalancer, and Stentor's"));
  }
  const std::string ours = snapshot_.load_balancer_class.empty()
                               ? std::string("Services without a class")
                               : StrCat("class ", snapshot_.load_balancer_class);
  return Fail("Service", "classDiffers",
              StrCat("Service ", name, " has ",
                     service_.load_balancer_class
                         ? StrCat("loadBalancerClass ", *service_.load_balancer_class)
                         : std::string("no loadBalancerClass"),
                     "; Stentor serves ", ours),
              StrCat("make the Service anew with the class that is meant (it can't be changed), or "
                     "start controller and speakers with --lb-class"));
}

bool WhyChecks::CheckConfiguration() {
  if (!snapshot_.config.ok()) {
    return Fail("configuration", "configurationInvalid",
                StrCat("pools and advertisements are not valid together: ",
                       std::string(snapshot_.config.status().message())),
                "mend the object that the message names; until then Stentor goes by what was "
                "valid before");
  }
  for (const status::ConfigurationState& state : snapshot_.states) {
    const auto* verdict = state.Find(status::kPoolReconcilerValid);
    if (verdict != nullptr && verdict->status == "False") {
      return Fail("configuration", "configurationInvalid",
                  StrCat(state.key.name, " refuses the configuration: ", verdict->message),
                  "mend the object that the message names");
    }
  }
  return Ok("configuration", StrCat(Count(snapshot_.config->pools.size(), "pool"), ", valid"));
}

bool WhyChecks::CheckAddress() {
  if (!service_.ingress_ips.empty()) {
    return Ok("address", StrCat("it has ", Join(service_.ingress_ips)));
  }
  const Books::Answer answer = books_.Allocate(service_);
  if (answer.allocation) {
    const auto runs = [](const Program& p) { return p.role == Role::kController && p.runs; };
    if (std::ranges::none_of(snapshot_.programs, runs)) {
      return Fail(
          "address", "controllerDown",
          StrCat("it has no address, and no controller runs in namespace ", snapshot_.name_space),
          StrCat("see why: kubectl -n ", snapshot_.name_space, " describe deployment controller"));
    }
    return Fail("address", "notYet",
                "it has no address though nothing is in the way: the controller has not come to it",
                StrCat("wait a moment, then see the log: kubectl -n ", snapshot_.name_space,
                       " logs deployment/controller"));
  }
  const controller::Refusal& refusal = answer.refusal;
  const std::string seen = StrCat("it has no address: ", refusal.message);
  if (refusal.reason == controller::kNoPools) {
    return Fail("address", "noPool", "it has no address: there is no IPAddressPool",
                StrCat("create an IPAddressPool in namespace ", snapshot_.name_space,
                       ", and an L2Advertisement"));
  }
  if (refusal.reason == controller::kNoAvailableAddress) {
    return FailNoAvailableAddress(seen);
  }
  if (refusal.reason == controller::kPoolNotAllowed) {
    return Fail("address", "poolSelectorExcludes", seen,
                "change the pool's spec.serviceAllocation, or the Service's labels or namespace");
  }
  if (refusal.reason == controller::kAddressInUse) {
    return Fail("address", "addressInUse", seen,
                "ask for another address, or let both Services share it "
                "(metallb.io/allow-shared-ip)");
  }
  if (refusal.reason == controller::kPoolNotFound) {
    return Fail("address", "poolNotFound", seen,
                "create the pool, or take the annotation metallb.io/address-pool away");
  }
  if (refusal.reason == controller::kAddressNotAllowed) {
    return Fail("address", "addressInNoPool", seen,
                "ask for an address of a pool, or add it to a pool's spec.addresses");
  }
  if (refusal.reason == controller::kNoClusterIp) {
    return Fail("address", "noClusterIp", seen, "give the Service a clusterIP (not None)");
  }
  return Fail("address", "requestInvalid", seen,
              "mend spec.loadBalancerIP or the annotation metallb.io/loadBalancerIPs");
}

bool WhyChecks::FailNoAvailableAddress(const std::string& message) {
  static const model::Labels kNone;
  const model::Labels* const of_namespace = snapshot_.LabelsOf(service_.key.name_space);
  const std::optional<model::PoolName> wanted = controller::RequestedPool(service_);
  const auto request = books_.RequestOf(service_);
  bool excluded = false;
  bool lacks_family = false;
  for (const config::Pool& pool : snapshot_.config->pools) {
    if (wanted ? pool.name != *wanted : !pool.auto_assign) {
      continue;
    }
    if (pool.service_allocation &&
        !pool.service_allocation->Admits(service_.key.name_space,
                                         of_namespace == nullptr ? kNone : *of_namespace,
                                         service_.labels)) {
      excluded = true;
      continue;
    }
    const auto total = [&](net::IpFamily family) {
      return books_.allocator().Usage(pool.name, family).total;
    };
    const controller::FamilyRequest& families = request->families;
    const bool lacks = families.dual && families.require_both
                           ? total(net::IpFamily::kIpv4) == 0 || total(net::IpFamily::kIpv6) == 0
                           : total(families.primary) == 0;
    if (lacks) {
      lacks_family = true;
      continue;
    }
    return Fail("address", "poolFull", message,
                StrCat("add addresses to pool ", pool.name, ", or free some"));
  }
  if (excluded) {
    return Fail("address", "poolSelectorExcludes", message,
                "change a pool's spec.serviceAllocation, or the Service's labels or namespace");
  }
  if (lacks_family) {
    return Fail("address", "familyMissing", message,
                "add addresses of the Service's IP family to a pool, or change spec.ipFamilies");
  }
  return Fail("address", "autoAssignOff", message,
              "set autoAssign in a pool, or ask for a pool by the annotation "
              "metallb.io/address-pool");
}

bool WhyChecks::CheckPool() {
  for (const Books::Dispute& dispute : books_.disputes()) {
    if (dispute.service == service_.key && PoolOf(snapshot_, AddressesOf(service_)) != nullptr) {
      return Fail("pool", "addressInUse", StrCat("it may not keep its address: ", dispute.why),
                  "the controller gives it another one; if it does not, see its log");
    }
  }
  ballot_ = HoldElection(snapshot_, service_);
  if (ballot_.pool == nullptr) {
    return Fail("pool", "addressInNoPool",
                StrCat("no pool has ", Join(service_.ingress_ips), ", so nobody announces it"),
                "add the address to a pool, or ask for another one");
  }
  return Ok("pool", StrCat("of pool ", ballot_.pool->name));
}

bool WhyChecks::CheckEndpoints() {
  if (snapshot_.WasRefused(Resource::kSlices)) {
    return Unknown("endpoints", Resource::kSlices);
  }
  const std::vector<model::Endpoint> endpoints = snapshot_.EndpointsOf(service_.key);
  std::set<std::string> nodes;
  for (const model::Endpoint& endpoint : endpoints) {
    if (endpoint.can_serve) {
      nodes.insert(endpoint.node);
    }
  }
  if (!nodes.empty()) {
    const std::vector<std::string> names(nodes.begin(), nodes.end());
    return Ok("endpoints", StrCat("ready on ", Join(names)));
  }
  const std::string name = service_.key.ToString();
  return endpoints.empty()
             ? Fail("endpoints", "noEndpoint", StrCat("Service ", name, " has no endpoint"),
                    service_.selector.empty()
                        ? "it has no selector: make its EndpointSlices, or give it one"
                        : "compare spec.selector with the labels of the pods, and see that there "
                          "are pods")
             : Fail("endpoints", "endpointNotReady",
                    StrCat("no endpoint of Service ", name, " is ready"),
                    StrCat("see why the pods are not Ready: kubectl -n ", service_.key.name_space,
                           " get pods"));
}

bool WhyChecks::CheckAdvertisement() {
  const config::Pool& pool = *ballot_.pool;
  if (pool.l2_advertisements.empty()) {
    return Fail("advertisement", "noAdvertisement",
                StrCat("no L2Advertisement selects pool ", pool.name),
                StrCat("create an L2Advertisement in namespace ", snapshot_.name_space,
                       " with ipAddressPools: [", pool.name, "]"));
  }
  std::vector<std::string> names;
  for (const config::L2Advertisement& advertisement : pool.l2_advertisements) {
    if (speaker::CoversService(advertisement, service_.labels)) {
      names.push_back(advertisement.name);
    }
  }
  if (names.empty()) {
    return Fail(
        "advertisement", "serviceSelectorExcludes",
        StrCat("the L2Advertisements of pool ", pool.name, " select Services, and not this one"),
        "change their serviceSelectors, or the Service's labels");
  }
  if (ballot_.decision.reason == speaker::DecisionReason::kSharedIpWithServiceSelector) {
    return Fail("advertisement", "sharedWithServiceSelector",
                StrCat("the Service may share its address, and ", Join(names),
                       " selects Services: then nobody announces it"),
                "take metallb.io/allow-shared-ip from the Service, or serviceSelectors from the "
                "L2Advertisements");
  }
  return Ok("advertisement", Join(names));
}

bool WhyChecks::CheckCandidates() {
  if (snapshot_.WasRefused(Resource::kPods)) {
    return Unknown("candidates", Resource::kPods);
  }
  const std::vector<speaker::Candidate>& candidates = ballot_.decision.candidates;
  if (candidates.empty()) {
    // Without ready endpoints that could be read, no election was held.
    return snapshot_.WasRefused(Resource::kSlices) || FailNoCandidate();
  }
  std::vector<std::string> names;
  names.reserve(candidates.size());
  for (const speaker::Candidate& candidate : candidates) {
    names.push_back(candidate.node);
  }
  return Ok("candidates", StrCat(Join(names), "; the first is elected"));
}

}  // namespace stentor::cli
