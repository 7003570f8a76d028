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

void WhyChecks::Add(Check check) {
  check.service = service_.key;
  report_.checks.push_back(std::move(check));
}

bool WhyChecks::Ok(std::string_view what, std::string seen) {
  Add({.what = std::string(what), .seen = std::move(seen)});
  return true;
}

bool WhyChecks::Remark(std::string_view what, std::string seen) {
  Add({.what = std::string(what), .state = Check::State::kRemark, .seen = std::move(seen)});
  return true;
}

bool WhyChecks::Unknown(std::string_view what, std::string seen) {
  Add({.what = std::string(what), .state = Check::State::kUnknown, .seen = std::move(seen)});
  return true;
}

bool WhyChecks::Unknown(std::string_view what, Resource resource) {
  return snapshot_.Lacks(resource) ? Remark(what, snapshot_.GapText(resource))
                                   : Unknown(what, snapshot_.GapText(resource));
}

bool WhyChecks::Fail(std::string_view what, std::string_view cause, std::string seen,
                     std::string remedy) {
  Add({.what = std::string(what),
       .state = Check::State::kFailed,
       .seen = std::move(seen),
       .cause = std::string(cause),
       .remedy = std::move(remedy)});
  return false;
}

bool WhyChecks::FailMissing(std::string_view what, std::string_view cause, std::string_view kind,
                            std::string seen, std::string remedy) {
  if (snapshot_.Knows(Resource::kWebhooks) && snapshot_.Knows(Resource::kSlices)) {
    for (const WebhookFact& webhook : snapshot_.webhooks) {
      const bool is_of_kind = std::ranges::any_of(webhook.kinds, [kind](const std::string& each) {
        return each == kind || each == "*" || each == "*/*";
      });
      const std::vector<model::Endpoint> endpoints = snapshot_.EndpointsOf(webhook.service);
      if (webhook.fails_closed && is_of_kind && !webhook.service.name.empty() &&
          std::ranges::none_of(endpoints, &model::Endpoint::can_serve)) {
        return Fail(what, "webhookRefused",
                    StrCat(seen, "; and the API server refuses all new ", kind, ": webhook ",
                           webhook.name, " has to admit them, and no endpoint of Service ",
                           webhook.service.ToString(), ", which answers it, is ready"),
                    StrCat("see why the pods of Service ", webhook.service.ToString(),
                           " (of the controller) don't run; what was refused has to be applied "
                           "again then"));
      }
    }
  }
  return Fail(what, cause, std::move(seen), std::move(remedy));
}

bool WhyChecks::IsAskedAndShown() const {
  const std::vector<net::IpAddress> shown = AddressesOf(service_);
  return asked_ && std::ranges::find(shown, *asked_) != shown.end();
}

bool WhyChecks::CheckClass() {
  const std::string name = service_.key.ToString();
  if (!service_.IsLoadBalancer()) {
    return Fail("Service", "notLoadBalancer",
                StrCat("Service ", name, " is of type ", service_.type),
                "set spec.type to LoadBalancer");
  }
  if (!snapshot_.KnowsClass()) {
    return Unknown("Service", snapshot_.ClassGapText());
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
              "make the Service anew with the class that is meant (it can't be changed), or start "
              "controller and speakers with --lb-class");
}

bool WhyChecks::CheckConfiguration() {
  if (const auto gap = snapshot_.ConfigGap()) {
    return Unknown("configuration", *gap);
  }
  if (!snapshot_.config.ok()) {
    if (const auto gap = snapshot_.PoolGap()) {
      return Unknown("configuration", *gap);
    }
    if (absl::IsFailedPrecondition(snapshot_.config.status())) {
      return Fail("configuration", "kindMissing", std::string(snapshot_.config.status().message()),
                  "apply the CRDs of Stentor's manifests, or install its chart");
    }
    return Fail("configuration", "configurationInvalid",
                StrCat("pools and advertisements are not valid together: ",
                       std::string(snapshot_.config.status().message())),
                "mend the object that the message names; until then Stentor goes by what was "
                "valid before");
  }
  for (const status::ConfigurationState& state : snapshot_.states) {
    const auto* verdict = state.Find(status::kPoolReconcilerValid);
    if (verdict != nullptr && verdict->status == "False" && snapshot_.IsOfRunning(state)) {
      return Fail("configuration", "configurationInvalid",
                  StrCat(state.key.name, " refuses the configuration: ", verdict->message),
                  "mend the object that the message names");
    }
  }
  return Ok("configuration", StrCat(Count(snapshot_.config->pools.size(), "pool"), ", valid"));
}

bool WhyChecks::CheckAddress() {
  const std::string gap = snapshot_.AllocationGapText();
  const controller::Standing* const standing = gap.empty() ? books_.Find(service_.key) : nullptr;
  if (!service_.ingress_ips.empty()) {
    return standing == nullptr ? Ok("address", StrCat("it has ", Join(service_.ingress_ips)))
                               : CheckShownAddress(*standing);
  }
  if (standing == nullptr) {
    (void)Unknown("address", StrCat("it has none; why is not known: ", gap));
    return false;  // without an address all else is of no use
  }
  if (standing->allocation) {
    return FailNotYet("it has no address");
  }
  if (!standing->refusal) {
    (void)Unknown("address", "it has none, and asks for none");
    return false;
  }
  return FailRefused(*standing->refusal, StrCat("it has no address: ", standing->refusal->message));
}

// What it has, against what it asks for.
bool WhyChecks::CheckShownAddress(const controller::Standing& standing) {
  const std::string has = Join(service_.ingress_ips);
  const std::vector<net::IpAddress> shown = AddressesOf(service_);
  const auto requested = controller::RequestedAddresses(service_);
  if (!requested.ok()) {
    const std::string seen =
        StrCat("it has ", has,
               ", and what it asks for can't be read: ", std::string(requested.status().message()));
    return IsAskedAndShown()
               ? Remark("address", seen)
               : FailRefused({.reason = controller::kRequestInvalid, .message = {}}, seen);
  }
  if (!requested->empty() && !std::ranges::is_permutation(*requested, shown)) {
    const std::string seen = StrCat("it has ", has, ", and asks for ", Join(ToTexts(*requested)));
    if (standing.refusal) {
      return FailRefused(*standing.refusal, StrCat(seen, ": ", standing.refusal->message));
    }
    return IsAskedAndShown() ? Remark("address", seen) : FailNotYet(seen);
  }
  for (const controller::Remark& remark : standing.remarks) {
    if (remark.reason == "AdditionalAssignFailed") {
      return Remark("address", StrCat("it has ", has, ", of one family only: ", remark.message));
    }
  }
  return Ok("address", StrCat("it has ", has));
}

bool WhyChecks::FailNotYet(const std::string& seen) {
  if (!snapshot_.Knows(Resource::kPods)) {
    (void)Unknown("address", StrCat(seen, " though nothing is in the way; ",
                                    snapshot_.GapText(Resource::kPods)));
    return false;
  }
  if (!snapshot_.HasController()) {
    return Fail(
        "address", "controllerDown",
        StrCat(seen, ", and no controller runs in namespace ", snapshot_.name_space),
        StrCat("see why: kubectl -n ", snapshot_.name_space, " describe deployment controller"));
  }
  return Fail("address", "notYet",
              StrCat(seen, " though nothing is in the way: the controller has not come to it"),
              StrCat("wait a moment, then see the log: kubectl -n ", snapshot_.name_space,
                     " logs deployment/controller"));
}

bool WhyChecks::FailRefused(const controller::Refusal& refusal, const std::string& seen) {
  if (refusal.reason == controller::kNoPools) {
    return FailMissing("address", "noPool", "ipaddresspools",
                       "it has no address: there is no IPAddressPool",
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
    return FailMissing("address", "poolNotFound", "ipaddresspools", seen,
                       "create the pool, or take the annotation metallb.io/address-pool away");
  }
  if (refusal.reason == controller::kAddressNotAllowed) {
    return FailMissing("address", "addressInNoPool", "ipaddresspools", seen,
                       "ask for an address of a pool, or add it to a pool's spec.addresses");
  }
  if (refusal.reason == controller::kNoClusterIp) {
    return Fail("address", "noClusterIp", seen,
                "give the Service a clusterIP (not None), and two of them where it requires dual "
                "stack");
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
  if (!snapshot_.config.ok()) {
    return true;  // that has been told
  }
  ballot_ = elections_.Hold(service_);
  if (ballot_.pool == nullptr) {
    if (const auto gap = snapshot_.PoolGap()) {
      return Unknown("pool", *gap);
    }
    return FailMissing(
        "pool", "addressInNoPool", "ipaddresspools",
        StrCat("no pool has ", Join(service_.ingress_ips), ", so nobody announces it"),
        "add the address to a pool, or ask for another one");
  }
  if (const std::string gap = snapshot_.AllocationGapText(); !gap.empty()) {
    return Unknown("pool", StrCat("of pool ", ballot_.pool->name,
                                  "; whether it may keep the address is not known: ", gap));
  }
  const std::string dispute = books_.Dispute(service_);
  if (dispute.empty()) {
    return Ok("pool", StrCat("of pool ", ballot_.pool->name));
  }
  static const model::Labels kNone;
  const model::Labels* const of_namespace = snapshot_.LabelsOf(service_.key.name_space);
  const auto& allocation = ballot_.pool->service_allocation;
  const std::string seen = StrCat("it may not keep its address: ", dispute);
  if (allocation &&
      !allocation->Admits(service_.key.name_space, of_namespace == nullptr ? kNone : *of_namespace,
                          service_.labels)) {
    return Fail("pool", "poolSelectorExcludes", seen,
                "change the pool's spec.serviceAllocation, or the Service's labels or namespace");
  }
  const controller::Standing* const standing = books_.Find(service_.key);
  const bool claim_refused = std::ranges::any_of(
      standing->remarks,
      [](const controller::Remark& remark) { return remark.reason == "ClearAssignment"; });
  if (!claim_refused && !standing->refusal) {
    // It could keep it, and asks for another one.
    return IsAskedAndShown() ? Remark("pool", seen) : FailNotYet(seen);
  }
  if (standing->refusal && standing->refusal->reason != controller::kNoAvailableAddress) {
    return FailRefused(*standing->refusal, seen);
  }
  return Fail("pool", "addressInUse", seen,
              "the controller gives it another one; if it does not, see its log");
}

bool WhyChecks::CheckEndpoints() {
  if (!snapshot_.Knows(Resource::kSlices)) {
    return Unknown("endpoints", Resource::kSlices);
  }
  const std::vector<model::Endpoint> endpoints = snapshot_.EndpointsOf(service_.key);
  std::set<std::string> nodes;
  for (const model::Endpoint& endpoint : endpoints) {
    if (endpoint.can_serve) {
      nodes.insert(endpoint.node.empty() ? "an unknown node" : endpoint.node);
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
  if (ballot_.pool == nullptr) {
    return true;  // that has been told
  }
  const config::Pool& pool = *ballot_.pool;
  if (pool.l2_advertisements.empty()) {
    return FailMissing("advertisement", "noAdvertisement", "l2advertisements",
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
  if (ballot_.pool == nullptr || !snapshot_.Knows(Resource::kSlices)) {
    return true;  // that has been told
  }
  for (const Resource resource : {Resource::kNodes, Resource::kPods}) {
    if (!snapshot_.Knows(resource)) {
      return Unknown("candidates", resource);
    }
  }
  const std::vector<speaker::Candidate>& candidates = ballot_.decision.candidates;
  if (candidates.empty()) {
    return FailNoCandidate();
  }
  std::vector<std::string> names;
  names.reserve(candidates.size());
  for (const speaker::Candidate& candidate : candidates) {
    names.push_back(candidate.node);
  }
  return Ok("candidates", StrCat(Join(names), "; the first is elected"));
}

}  // namespace stentor::cli
