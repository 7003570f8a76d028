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

TEST_CASE("What can't be read says why, and what to do about it", "[cli]") {
  struct Case {
    const char* name;
    absl::Status why;
    const char* text;
  };
  const auto c = GENERATE(values<Case>({
      {"forbidden", absl::PermissionDeniedError("pods is forbidden"),
       "cannot read pods: pods is forbidden; needed: the right to get and list pods in namespace "
       "ns"},
      {"too slow", absl::DeadlineExceededError("no answer within 30s"),
       "cannot read pods: no answer within 30s; give it more time: --request-timeout"},
      {"away", absl::UnavailableError("connection refused"),
       "cannot read pods: connection refused"},
      {"not there, where it has to be", absl::NotFoundError("not found"),
       "cannot read pods: not found"},
  }));
  DYNAMIC_SECTION(c.name) {
    Snapshot snapshot("ns");
    snapshot.Refuse(Resource::kPods, c.why);
    CHECK(snapshot.GapText(Resource::kPods) == c.text);
    CHECK(snapshot.problems == std::vector<std::string>{c.text});
  }
  Snapshot snapshot("ns");
  snapshot.Refuse(Resource::kStatuses, absl::NotFoundError("not found"));
  CHECK(snapshot.GapText(Resource::kStatuses) ==
        "the API server has no kind servicel2statuses.metallb.io, which would tell");
  CHECK(snapshot.GapText(Resource::kNodes) == "nodes were not read");
  snapshot.Done(Resource::kNodes);
  CHECK(snapshot.GapText(Resource::kNodes).empty());
}

}  // namespace stentor::cli
