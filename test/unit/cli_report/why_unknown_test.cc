// SPDX-License-Identifier: Apache-2.0
#include "cli/report/why.h"

#include <algorithm>
#include <functional>
#include <string>

#include "test/support/catch.h"
#include "test/unit/cli_report/cluster.h"

namespace stentor::cli {
namespace {

// What is said of default/web where one kind can't be read, and `change` was made before.
WhyReport WhyRefused(Resource refused, const std::function<void(Cluster&)>& change) {
  Cluster cluster;
  change(cluster);
  cluster.refused = {refused};
  return Why(cluster.Read(), {.service = {"default", "web"}});
}

}  // namespace

TEST_CASE("why takes what it could not read for unknown, never for a cause", "[cli]") {
  struct Case {
    const char* name;
    Resource refused;
    std::function<void(Cluster&)> also;
    const char* check;  // that is unknown then
  };
  const auto nothing = [](Cluster&) {};
  const auto c = GENERATE_COPY(values<Case>({
      {"Services", Resource::kServices, nothing, "Service"},
      {"pools", Resource::kPools, nothing, "configuration"},
      {"advertisements", Resource::kAdvertisements, nothing, "configuration"},
      {"AddressPools, of which the address may be", Resource::kAddressPools,
       [](Cluster& k) { k.pools[0]["spec"]["addresses"] = {"198.51.100.0/28"}; }, "pool"},
      {"the ConfigMap, of which the address may be", Resource::kConfigMap,
       [](Cluster& k) { k.pools[0]["spec"]["addresses"] = {"198.51.100.0/28"}; }, "pool"},
      {"the ConfigMap, and there are no pools", Resource::kConfigMap,
       [](Cluster& k) {
         TakeAddress(k);
         k.pools.clear();
         k.advertisements.clear();
       },
       "configuration"},
      {"pools, and it has no address", Resource::kPools, TakeAddress, "address"},
      {"namespaces, by which pools select", Resource::kNamespaces,
       [](Cluster& k) {
         TakeAddress(k);
         k.pools[0]["spec"]["serviceAllocation"] = {
             {"namespaceSelectors", {{{"matchLabels", {{"team", "a"}}}}}}};
       },
       "address"},
      {"nodes", Resource::kNodes, nothing, "candidates"},
      {"pods", Resource::kPods, nothing, "candidates"},
      {"pods: the class is not known", Resource::kPods,
       [](Cluster& k) { k.services[0]["spec"]["loadBalancerClass"] = "a/b"; }, "Service"},
      {"pods: whether a controller runs is not known", Resource::kPods, TakeAddress, "address"},
      {"pods: who saw a conflict may have ended", Resource::kPods,
       [](Cluster& k) {
         AddConflict(k.states[1], "192.0.2.10 is also claimed by 02:00:00:00:00:01 on eth0");
       },
       "other hosts"},
      {"pods: one of two announcers may have ended", Resource::kPods,
       [](Cluster& k) { k.statuses.push_back(MakeL2Status("web", "node-2")); }, "announcement"},
      {"slices", Resource::kSlices, nothing, "endpoints"},
      {"statuses", Resource::kStatuses, nothing, "announcement"},
      {"states", Resource::kStates, nothing, "other hosts"},
      {"states: the proxy", Resource::kStates, nothing, "node"},
      {"more conflicts than are named", Resource::kEvents,
       [](Cluster& k) {
         AddConflict(k.states[1],
                     "192.0.2.1 is also claimed by 02:00:00:00:00:01 on eth0; and 1 more");
       },
       "other hosts"},
  }));
  DYNAMIC_SECTION(c.name) {
    const WhyReport report = WhyRefused(c.refused, c.also);
    INFO(ToText(report));
    CHECK(report.cause() == nullptr);
    CHECK(report.AnyUnknown());
    CHECK(std::ranges::any_of(report.checks, [&c](const Check& check) {
      return check.what == c.check && check.state == Check::State::kUnknown;
    }));
    CHECK(ToText(report).find("Nothing is wrong that the API shows") == std::string::npos);
    CHECK(ToJson(report)["complete"] == false);
  }
}

TEST_CASE("why says what it could not read, the error, and what is needed", "[cli]") {
  struct Case {
    const char* name;
    Resource refused;
    std::function<void(Cluster&)> also;
    const char* check;
    const char* seen;
  };
  const auto nothing = [](Cluster&) {};
  const auto c = GENERATE_COPY(values<Case>({
      {"Services", Resource::kServices, nothing, "Service",
       "cannot read services: forbidden; needed: the right to get and list services in all "
       "namespaces"},
      {"pods", Resource::kPods, nothing, "Service",
       "cannot read pods: forbidden; needed: the right to get and list pods in namespace "
       "metallb-system"},
      {"advertisements, and it has no address", Resource::kAdvertisements, TakeAddress, "address",
       "it has none; why is not known: cannot read l2advertisements.metallb.io: forbidden; needed: "
       "the right to get and list l2advertisements.metallb.io in namespace metallb-system"},
      {"no pods, and it has no address", Resource::kEvents,
       [](Cluster& k) {
         TakeAddress(k);
         k.pods.clear();
       },
       "address",
       "it has none; why is not known: no pod in namespace metallb-system tells which class of "
       "Services Stentor serves"},
      {"namespaces, by which its pool selects", Resource::kNamespaces,
       [](Cluster& k) {
         k.pools[0]["spec"]["serviceAllocation"] = {
             {"namespaceSelectors", {{{"matchLabels", {{"team", "a"}}}}}}};
       },
       "pool",
       "of pool web; whether it may keep the address is not known: cannot read namespaces: "
       "forbidden; needed: the right to get and list namespaces"},
      {"statuses", Resource::kStatuses, nothing, "announcement",
       "cannot read servicel2statuses.metallb.io: forbidden; needed: the right to get and list "
       "servicel2statuses.metallb.io in namespace metallb-system"},
  }));
  DYNAMIC_SECTION(c.name) {
    const WhyReport report = WhyRefused(c.refused, c.also);
    INFO(ToText(report));
    CHECK(report.cause() == nullptr);
    CHECK(std::ranges::any_of(report.checks, [&c](const Check& check) {
      return check.what == c.check && check.state == Check::State::kUnknown && check.seen == c.seen;
    }));
  }
}

TEST_CASE("A Service that was asked for by name is known not to be there", "[cli]") {
  Cluster cluster;
  cluster.refused = {Resource::kServices};
  const WhyReport report = Why(cluster.Read(), {.service = {"default", "web"}, .not_found = true});
  REQUIRE(report.cause() != nullptr);
  CHECK(report.cause()->cause == "noService");
}

TEST_CASE("Kinds that an older API server does not have are no news", "[cli]") {
  Cluster cluster;
  cluster.absent = {Resource::kStatuses, Resource::kStates, Resource::kAddressPools,
                    Resource::kConfigMap};
  cluster.statuses.clear();
  const WhyReport report = Why(cluster.Read(), {.service = {"default", "web"}});
  INFO(ToText(report));
  CHECK(report.cause() == nullptr);
  CHECK_FALSE(report.AnyUnknown());
  CHECK(ToText(report).find("no kind servicel2statuses.metallb.io") != std::string::npos);
}

}  // namespace stentor::cli
