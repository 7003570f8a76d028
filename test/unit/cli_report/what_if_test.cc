// SPDX-License-Identifier: Apache-2.0
#include "cli/report/what_if.h"

#include <string>
#include <vector>

#include "test/support/catch.h"
#include "test/unit/cli_report/cluster.h"

namespace stentor::cli {
namespace {

using nlohmann::json;

json PoolDocument(const char* addresses) {
  return {{"kind", "IPAddressPool"},
          {"metadata", {{"name", "web"}}},
          {"spec", {{"addresses", {addresses}}}}};
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
  SECTION("that does not exist") {
    CHECK(WhatIfNodeGone(cluster.Read(), "node-9").error == "there is no node node-9");
  }
}

TEST_CASE("what-if: objects are applied", "[cli]") {
  Cluster cluster;
  SECTION("what changes nothing") {
    const WhatIfReport report = WhatIfApplied(cluster.Read(), {PoolDocument("192.0.2.0/24")});
    CHECK(report.error.empty());
    CHECK(report.changes.empty());
    CHECK(report.unchanged == 1);
  }
  SECTION("a pool loses the address") {
    const WhatIfReport report =
        WhatIfApplied(cluster.Read(), {PoolDocument("192.0.2.11-192.0.2.12")});
    REQUIRE(report.changes.size() == 1);
    CHECK(report.changes[0].addresses_after == std::vector<std::string>{"192.0.2.11"});
    CHECK(report.changes[0].node_after == "node-2");
    CHECK_FALSE(report.AnyLoss());
  }
  SECTION("a pool excludes the Service") {
    json pool = PoolDocument("192.0.2.10-192.0.2.12");
    pool["spec"]["serviceAllocation"] = {{"namespaces", {"production"}}};
    const WhatIfReport report = WhatIfApplied(cluster.Read(), {pool});
    REQUIRE(report.changes.size() == 1);
    CHECK(report.AnyLoss());
    CHECK(report.changes[0].note.starts_with("NoAvailableAddress: "));
  }
  SECTION("an advertisement selects another node, in a List") {
    const json advertisement{
        {"kind", "L2Advertisement"},
        {"metadata", {{"name", "l2"}}},
        {"spec", {{"nodeSelectors", {{{"matchLabels", {{"name", "node-3"}}}}}}}}};
    const json list{{"kind", "List"}, {"items", {advertisement}}};
    const WhatIfReport report = WhatIfApplied(cluster.Read(), {list});
    REQUIRE(report.changes.size() == 1);
    CHECK(report.changes[0].node_after == "node-3");
  }
  SECTION("a node is labelled") {
    const json node{
        {"kind", "Node"},
        {"metadata",
         {{"name", "node-1"},
          {"labels", {{"node.kubernetes.io/exclude-from-external-load-balancers", ""}}}}}};
    const WhatIfReport report = WhatIfApplied(cluster.Read(), {node});
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
    const WhatIfReport report = WhatIfApplied(cluster.Read(), services);
    REQUIRE(report.changes.size() == 3);
    CHECK(report.changes[0].addresses_after == std::vector<std::string>{"192.0.2.11"});
    CHECK(report.changes[1].addresses_after == std::vector<std::string>{"192.0.2.12"});
    CHECK(report.changes[2].note.starts_with("NoAvailableAddress: "));
    CHECK_FALSE(report.AnyLoss());
  }
  SECTION("what has no effect is noted") {
    json elsewhere = PoolDocument("198.51.100.0/28");
    elsewhere["metadata"]["namespace"] = "default";
    const WhatIfReport report = WhatIfApplied(
        cluster.Read(), {elsewhere, {{"kind", "Secret"}, {"metadata", {{"name", "s"}}}}});
    CHECK(report.notes ==
          std::vector<std::string>{
              "IPAddressPool default/web: of no effect outside of namespace metallb-system",
              "Secret s: left out, since it says nothing about addresses"});
    CHECK(report.unchanged == 1);
  }
  SECTION("what would be refused") {
    json pool = PoolDocument("192.0.2.0/28");
    pool["metadata"]["name"] = "again";
    CHECK(WhatIfApplied(cluster.Read(), {pool}).error.starts_with("it would be refused: "));
    CHECK_FALSE(WhatIfApplied(cluster.Read(), {{{"kind", "IPAddressPool"}}}).error.empty());
  }
}

}  // namespace stentor::cli
