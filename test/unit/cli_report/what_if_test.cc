// SPDX-License-Identifier: Apache-2.0
#include "cli/report/what_if.h"

#include <algorithm>
#include <ctime>
#include <string>
#include <vector>

#include "cli/report/status.h"
#include "test/support/catch.h"
#include "test/unit/cli_report/cluster.h"

namespace stentor::cli {
namespace {

using nlohmann::json;

json PoolDocument(const char* addresses) {
  return {{"kind", "IPAddressPool"},
          {"metadata", {{"name", "web"}, {"namespace", kNamespace}}},
          {"spec", {{"addresses", {addresses}}}}};
}

WhatIfReport Apply(Cluster& cluster, const std::vector<json>& documents,
                   const char* name_space = "default") {
  cluster.wanted = ObjectsIn(documents, name_space);
  return WhatIfApplied(cluster.Read(), documents, name_space);
}

}  // namespace

TEST_CASE("what-if: a node is gone", "[cli]") {
  Cluster cluster;
  cluster.services.push_back(MakeService("other", "192.0.2.12"));  // its winner: node-3
  cluster.slices.push_back(cluster.slices[0]);
  cluster.slices[1]["metadata"]["name"] = "other-1";
  cluster.slices[1]["metadata"]["labels"]["kubernetes.io/service-name"] = "other";

  SECTION("its addresses move, others stay") {
    const WhatIfReport report = WhatIfNodeGone(cluster.Read(), "node-1");
    REQUIRE(report.changes.size() == 1);
    CHECK(report.unchanged == 1);
    CHECK_FALSE(report.AnyLoss());
    CHECK(ToText(report) ==
          "SERVICE       ADDRESSES    NODE               NOTE\n"
          "default/web   192.0.2.10   node-1 -> node-2   -\n"
          "\n"
          "1 Service would change, 0 of them would not be served any more; 1 Service would "
          "stay as before.\n");
    CHECK(ToJson(report)["changes"][0]["nodeAfter"] == "node-2");
  }
  SECTION("with the last endpoints") {
    cluster.slices[0]["endpoints"].erase(1);
    const WhatIfReport report = WhatIfNodeGone(cluster.Read(), "node-1");
    REQUIRE(report.changes.size() == 1);
    CHECK(report.AnyLoss());
    CHECK(report.changes[0].note == "no endpoint is ready");
  }
  SECTION("the only candidate") {
    cluster.advertisements[0]["spec"]["nodeSelectors"] = {{{"matchLabels", {{"name", "node-1"}}}}};
    const WhatIfReport report = WhatIfNodeGone(cluster.Read(), "node-1");
    REQUIRE(report.changes.size() == 2);
    CHECK(report.AnyLoss());
    CHECK(report.changes[0].note == "no node is a candidate");
  }
  SECTION("who announces now is who the speakers say") {
    // node-2 announces although node-1 comes first: it has not given up yet, say.
    cluster.statuses[0] = MakeL2Status("web", "node-2");
    WhatIfReport report = WhatIfNodeGone(cluster.Read(), "node-2");
    REQUIRE(report.changes.size() == 1);
    CHECK(report.changes[0].node_before == "node-2");
    CHECK(report.changes[0].node_after == "node-1");
    // It goes on when others go.
    CHECK(WhatIfNodeGone(cluster.Read(), "node-3").unchanged == 1);
    CHECK(WhatIfNodeGone(cluster.Read(), "node-1").unchanged == 2);
  }
  SECTION("what a speaker that ended announced is not believed") {
    cluster.statuses[0] = MakeL2Status("web", "node-2");
    cluster.pods[1]["status"]["phase"] = "Failed";
    const WhatIfReport report = WhatIfNodeGone(cluster.Read(), "node-1");
    REQUIRE(report.changes.size() == 1);
    CHECK(report.changes[0].node_before == "node-1");
    CHECK(report.changes[0].node_after == "node-3");
  }
  SECTION("a node whose proxy is not healthy is not moved to, where there is another") {
    cluster.states[1]["status"]["conditions"].push_back({{"type", "stentor.io/NodeTraps"},
                                                         {"status", "True"},
                                                         {"reason", "proxyUnhealthy"},
                                                         {"message", "x"}});
    WhatIfReport report = WhatIfNodeGone(cluster.Read(), "node-1");
    REQUIRE(report.changes.size() == 1);
    CHECK(report.changes[0].node_after == "node-3");
  }
  SECTION("where no pod of Stentor is seen, there is no answer") {
    cluster.pods.clear();
    const WhatIfReport report = WhatIfNodeGone(cluster.Read(), "node-1");
    CHECK_FALSE(report.error.empty());
    CHECK(report.unknown == std::vector<Resource>{Resource::kPods});
  }
  SECTION("while the configuration is not valid, there is no answer") {
    cluster.pools.push_back(cluster.pools[0]);
    cluster.pools[1]["metadata"]["name"] = "again";
    const WhatIfReport report = WhatIfNodeGone(cluster.Read(), "node-1");
    CHECK_THAT(report.error, Catch::Contains("not valid"));
    CHECK(report.unknown == std::vector<Resource>{Resource::kPools});
  }
  SECTION("that does not exist") {
    CHECK(WhatIfNodeGone(cluster.Read(), "node-9").error == "there is no node node-9");
  }
}

TEST_CASE("what-if: objects are applied", "[cli]") {
  Cluster cluster;
  SECTION("what changes nothing") {
    const WhatIfReport report = Apply(cluster, {PoolDocument("192.0.2.0/24")});
    CHECK(report.error.empty());
    CHECK(report.changes.empty());
    CHECK(report.unchanged == 1);
  }
  SECTION("a pool loses the address") {
    const WhatIfReport report = Apply(cluster, {PoolDocument("192.0.2.11-192.0.2.12")});
    REQUIRE(report.changes.size() == 1);
    CHECK(report.changes[0].addresses_after == std::vector<std::string>{"192.0.2.11"});
    CHECK(report.changes[0].node_after == "node-2");
    CHECK_FALSE(report.AnyLoss());
  }
  SECTION("a pool excludes the Service") {
    json pool = PoolDocument("192.0.2.10-192.0.2.12");
    pool["spec"]["serviceAllocation"] = {{"namespaces", {"production"}}};
    const WhatIfReport report = Apply(cluster, {pool});
    REQUIRE(report.changes.size() == 1);
    CHECK(report.AnyLoss());
    CHECK(report.changes[0].note.starts_with("NoAvailableAddress: "));
  }
  SECTION("an advertisement selects another node, in a List") {
    const json advertisement{
        {"kind", "L2Advertisement"},
        {"metadata", {{"name", "l2"}, {"namespace", kNamespace}}},
        {"spec", {{"nodeSelectors", {{{"matchLabels", {{"name", "node-3"}}}}}}}}};
    const json list{{"kind", "List"}, {"items", {advertisement}}};
    const WhatIfReport report = Apply(cluster, {list});
    REQUIRE(report.changes.size() == 1);
    CHECK(report.changes[0].node_after == "node-3");
  }
  SECTION("a node is labelled") {
    const json node{
        {"kind", "Node"},
        {"metadata",
         {{"name", "node-1"},
          {"labels", {{"node.kubernetes.io/exclude-from-external-load-balancers", ""}}}}}};
    const WhatIfReport report = Apply(cluster, {node});
    REQUIRE(report.changes.size() == 1);
    CHECK(report.changes[0].node_after == "node-2");
  }
  SECTION("new Services get addresses as long as there are some") {
    std::vector<json> services;
    for (const char* name : {"a", "b", "c"}) {
      services.push_back({{"kind", "Service"},
                          {"metadata", {{"name", name}}},
                          {"spec", {{"type", "LoadBalancer"}, {"ports", {{{"port", 80}}}}}}});
    }
    const WhatIfReport report = Apply(cluster, services);
    REQUIRE(report.changes.size() == 3);
    CHECK(report.changes[0].addresses_after == std::vector<std::string>{"192.0.2.11"});
    CHECK(report.changes[1].addresses_after == std::vector<std::string>{"192.0.2.12"});
    CHECK(report.changes[2].note.starts_with("NoAvailableAddress: "));
    CHECK_FALSE(report.AnyLoss());
  }
  SECTION("a manifest that names no labels takes none away") {
    cluster.services[0]["metadata"]["labels"] = {{"tier", "front"}};
    cluster.services[0]["metadata"]["annotations"] = {{"metallb.io/address-pool", "web"}};
    cluster.advertisements[0]["spec"]["serviceSelectors"] = {
        {{"matchLabels", {{"tier", "front"}}}}};
    const json service{{"kind", "Service"},
                       {"metadata", {{"name", "web"}, {"labels", {{"more", "x"}}}}},
                       {"spec", {{"externalTrafficPolicy", "Cluster"}}}};
    const json node{{"kind", "Node"}, {"metadata", {{"name", "node-1"}}}};
    cluster.nodes[0]["status"]["conditions"].push_back(
        {{"type", "NetworkUnavailable"}, {"status", "False"}});
    const WhatIfReport report = Apply(cluster, {service, node});
    INFO(ToText(report));
    CHECK(report.changes.empty());
    CHECK(report.unchanged == 1);
  }
  SECTION("what the manifest before named, and this one does not, goes") {
    const json last{{"metadata", {{"name", "web"}, {"labels", {{"tier", "front"}}}}}};
    cluster.services[0]["metadata"]["labels"] = {{"tier", "front"}};
    cluster.services[0]["metadata"]["annotations"] = {
        {"kubectl.kubernetes.io/last-applied-configuration", last.dump()}};
    cluster.advertisements[0]["spec"]["serviceSelectors"] = {
        {{"matchLabels", {{"tier", "front"}}}}};
    const json service{{"kind", "Service"}, {"metadata", {{"name", "web"}}}};
    const WhatIfReport report = Apply(cluster, {service});
    REQUIRE(report.changes.size() == 1);
    CHECK(report.AnyLoss());
  }
  SECTION("annotations that no manifest has named stay") {
    const json last{{"metadata", {{"name", "web"}, {"annotations", json::object()}}}};
    cluster.services[0]["metadata"]["annotations"] = {
        {"kubectl.kubernetes.io/last-applied-configuration", last.dump()},
        {"metallb.io/loadBalancerIPs", "192.0.2.10"},
        {"stays", "here"}};
    cluster.pools[0]["spec"]["addresses"] = {"192.0.2.9-192.0.2.12"};
    const json service{{"kind", "Service"},
                       {"metadata", {{"name", "web"}}},
                       {"spec", {{"externalTrafficPolicy", "Cluster"}}}};
    const WhatIfReport report = Apply(cluster, {service, PoolDocument("192.0.2.11-192.0.2.12")});
    REQUIRE(report.changes.size() == 1);
    CHECK(report.changes[0].addresses_after.empty());  // it asks for one that is gone
  }
  SECTION("what a new Service says of its status is not believed") {
    json foreign = MakeService("aaa", "192.0.2.10");
    foreign["kind"] = "Service";
    const WhatIfReport report = Apply(cluster, {foreign});
    REQUIRE(report.changes.size() == 1);
    CHECK(report.changes[0].service.name == "aaa");
    CHECK(report.changes[0].addresses_after != std::vector<std::string>{"192.0.2.10"});
  }
  SECTION("a manifest that was exported, with its status, moves nothing") {
    json exported = cluster.services[0];
    exported["kind"] = "Service";
    exported["status"] = json::object();
    cluster.services[0]["metadata"]["annotations"] = {
        {"kubectl.kubernetes.io/last-applied-configuration", exported.dump()}};
    const WhatIfReport report = Apply(cluster, {exported});
    CHECK(report.changes.empty());
    CHECK(report.unchanged == 1);
  }
  SECTION("a Service that would not be Stentor's any more is lost") {
    const json service{
        {"kind", "Service"}, {"metadata", {{"name", "web"}}}, {"spec", {{"type", "ClusterIP"}}}};
    const WhatIfReport report = Apply(cluster, {service});
    REQUIRE(report.changes.size() == 1);
    CHECK(report.AnyLoss());
    CHECK(report.changes[0].addresses_before == std::vector<std::string>{"192.0.2.10"});
    CHECK(report.changes[0].addresses_after.empty());
    CHECK(report.unchanged == 0);
  }
  SECTION("families are those of the file") {
    cluster.pools[0]["spec"]["addresses"].push_back("2001:db8::10-2001:db8::12");
    const json service{{"kind", "Service"},
                       {"metadata", {{"name", "web"}}},
                       {"spec", {{"ipFamilyPolicy", "RequireDualStack"}}}};
    const WhatIfReport report = Apply(cluster, {service});
    REQUIRE(report.changes.size() == 1);
    CHECK(report.changes[0].addresses_after.size() == 2);
    const json six{
        {"kind", "Service"},
        {"metadata", {{"name", "six"}}},
        {"spec",
         {{"type", "LoadBalancer"}, {"ipFamilies", {"IPv6"}}, {"ports", {{{"port", 80}}}}}}};
    const WhatIfReport other = Apply(cluster, {six});
    REQUIRE(other.changes.size() == 1);
    CHECK(other.changes[0].addresses_after == std::vector<std::string>{"2001:db8::10"});
  }
  SECTION("what names no namespace goes to that of the context") {
    const json service{{"kind", "Service"},
                       {"metadata", {{"name", "new"}}},
                       {"spec", {{"type", "LoadBalancer"}, {"ports", {{{"port", 80}}}}}}};
    const WhatIfReport report = Apply(cluster, {service}, "shop");
    REQUIRE(report.changes.size() == 1);
    CHECK(report.changes[0].service == model::ServiceKey{"shop", "new"});
    json pool = PoolDocument("198.51.100.0/28");
    pool["metadata"].erase("namespace");
    CHECK(Apply(cluster, {pool}, "shop").notes ==
          std::vector<std::string>{
              "IPAddressPool shop/web: of no effect outside of namespace metallb-system"});
  }
  SECTION("of two Services that show one address, the first by name keeps it") {
    // As the controller adopts them, whichever is older.
    cluster.services.push_back(MakeService("also", "192.0.2.10"));
    cluster.services[0]["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z";
    cluster.services[1]["metadata"]["creationTimestamp"] = "2026-01-02T00:00:00Z";
    const WhatIfReport report = Apply(cluster, {PoolDocument("192.0.2.0/24")});
    REQUIRE(report.changes.size() == 1);
    CHECK(report.changes[0].service.name == "web");
  }
  SECTION("what has no effect is noted") {
    json elsewhere = PoolDocument("198.51.100.0/28");
    elsewhere["metadata"]["namespace"] = "default";
    const WhatIfReport report =
        Apply(cluster, {elsewhere, {{"kind", "Secret"}, {"metadata", {{"name", "s"}}}}});
    CHECK(report.notes ==
          std::vector<std::string>{
              "IPAddressPool default/web: of no effect outside of namespace metallb-system",
              "Secret s: left out, since it says nothing about addresses"});
    CHECK(report.unchanged == 1);
  }
  SECTION("what would be refused") {
    json pool = PoolDocument("192.0.2.0/28");
    pool["metadata"]["name"] = "again";
    CHECK(Apply(cluster, {pool}).error.starts_with("it would be refused: "));
    CHECK_FALSE(Apply(cluster, {{{"kind", "IPAddressPool"}}}).error.empty());
  }
}

TEST_CASE("what-if gives no all-clear for what it could not read", "[cli]") {
  const Resource resource = GENERATE(Resource::kServices, Resource::kNodes, Resource::kPods,
                                     Resource::kSlices, Resource::kPools, Resource::kAdvertisements,
                                     Resource::kAddressPools, Resource::kConfigMap);
  Cluster cluster;
  cluster.refused = {resource};
  INFO(ResourceName(resource));
  for (const WhatIfReport& report :
       {WhatIfNodeGone(cluster.Read(), "node-3"), Apply(cluster, {PoolDocument("192.0.2.0/24")})}) {
    CHECK(report.unknown == std::vector<Resource>{resource});
    CHECK(report.error.starts_with("there is no answer: cannot read "));
  }
}

TEST_CASE("what-if answers without what speakers say, and says so", "[cli]") {
  const Resource resource = GENERATE(Resource::kStatuses, Resource::kStates);
  Cluster cluster;
  cluster.refused = {resource};
  WhatIfReport report = WhatIfNodeGone(cluster.Read(), "node-1");
  CHECK(report.changes.size() == 1);
  CHECK(report.unknown == std::vector<Resource>{resource});
  CHECK(report.notes.size() == 1);
  CHECK(ToJson(report)["complete"] == false);
  // A kind that is not there says nothing to anybody.
  cluster.refused.clear();
  cluster.absent = {resource};
  report = WhatIfNodeGone(cluster.Read(), "node-1");
  CHECK(report.unknown.empty());
}

namespace {

// Seconds of the processor's time for the reports on a cluster with so many Services.
double CostOf(int services) {
  Cluster cluster;
  cluster.pools[0]["spec"]["addresses"] = {"192.0.2.0/24", "198.18.0.0/16"};
  for (int i = 0; i < services; ++i) {
    cluster.services.push_back(
        MakeService(StrCat("s", i), StrCat("198.18.", i / 250, ".", i % 250 + 1)));
    cluster.slices.push_back(MakeSlice(StrCat("s", i), {"node-1", "node-2"}));
    cluster.statuses.push_back(MakeL2Status(StrCat("s", i), "node-2"));
  }
  // Half of them show an address that another one has.
  for (int i = 0; i < services / 2; ++i) {
    cluster.services.push_back(MakeService(StrCat("t", i), "192.0.2.1"));
  }
  const Snapshot snapshot = cluster.Read();
  CHECK(snapshot.Find({"default", "s1"})->metadata_json.empty());
  CHECK(snapshot.Find({"default", "s1"})->status_json.empty());
  const std::clock_t begin = std::clock();
  CHECK(WhatIfNodeGone(snapshot, "node-2").changes.size() >= static_cast<std::size_t>(services));
  CHECK(MakeStatus(snapshot).services.size() > static_cast<std::size_t>(services));
  return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
}

}  // namespace

TEST_CASE("Reports take a time in proportion to the Services", "[cli]") {
  const double few = std::min({CostOf(1000), CostOf(1000), CostOf(1000)});
  const double many = CostOf(16'000);
  INFO(few << " s and " << many << " s");
  CHECK(many < 16 * 4 * few);  // it would be 256 times as much in quadratic time
}

}  // namespace stentor::cli
