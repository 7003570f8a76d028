// SPDX-License-Identifier: Apache-2.0
#include "cli/facts/snapshot.h"

#include <optional>
#include <string>

#include "cli/report/why.h"
#include "test/support/catch.h"
#include "test/unit/cli_report/cluster.h"

namespace stentor::cli {

TEST_CASE("Pods of older manifests say how their programs are started", "[cli]") {
  Cluster cluster;
  SECTION("without membership every node counts, and one that is not Ready yields") {
    for (std::size_t i = 0; i < 3; ++i) {
      cluster.pods[i]["spec"]["containers"][0].erase("env");
    }
    const Snapshot snapshot = cluster.Read();
    CHECK_FALSE(snapshot.membership);
    cluster.nodes[0]["status"]["conditions"][0]["status"] = "False";
    const WhyReport report = Why(cluster.Read(), {.service = {"default", "web"}});
    CHECK(ToText(report).find("node-2, node-3; the first is elected") != std::string::npos);
  }
  SECTION("by flags") {
    cluster.pods[0]["spec"]["containers"][0] = {
        {"args", {"--ml-bindaddr=$(IP)", "--ml-labels", "a=b"}}};
    CHECK(cluster.Read().membership);
    cluster.pods[0]["spec"]["containers"][0]["args"][0] = "--ml-bindaddr=";
    cluster.pods.resize(1);
    CHECK_FALSE(cluster.Read().membership);
  }
  SECTION("what a pod does not show is not taken for that it is not there") {
    cluster.pods[0]["spec"]["containers"][0] = {{"name", "speaker"}};
    cluster.pods.resize(1);
    CHECK(cluster.Read().membership);
    cluster.pods[0]["spec"]["containers"][0] = {{"args", {"-x"}}, {"envFrom", {{{"x", 1}}}}};
    CHECK(cluster.Read().membership);
  }
  SECTION("the ConfigMap that they name") {
    cluster.pods[3]["spec"]["containers"][0]["args"] = {"--config=old"};
    const Snapshot snapshot = cluster.Read();
    CHECK(snapshot.config_map == "old");
    CHECK(RequestFor(Resource::kConfigMap, snapshot, std::nullopt).path ==
          "/api/v1/namespaces/metallb-system/configmaps/old");
    // One that is meant is an error where it can't be read; one that is left behind is a remark.
    cluster.config_maps = {
        {{"metadata", Meta(kNamespace, "old")}, {"data", {{"config", "address-pools: 7"}}}}};
    CHECK_FALSE(cluster.Read().config.ok());
    cluster.pods[3]["spec"]["containers"][0]["args"] = {"--port=1"};
    const Snapshot left_behind = cluster.Read();
    REQUIRE(left_behind.config.ok());
    CHECK(left_behind.config->remarks.size() == 1);
  }
}

}  // namespace stentor::cli
