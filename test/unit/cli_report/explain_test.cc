// SPDX-License-Identifier: Apache-2.0
#include "cli/report/explain.h"

#include <string>

#include "test/support/catch.h"
#include "test/unit/cli_report/cluster.h"

namespace stentor::cli {
namespace {

ExplainReport Explain(const Cluster& cluster) {
  const Snapshot snapshot = cluster.Read();
  return ExplainService(snapshot, *snapshot.Find({"default", "web"}));
}

nlohmann::json Pool(const std::string& name, const std::string& address) {
  return {{"metadata", Meta(kNamespace, name)}, {"spec", {{"addresses", {address}}}}};
}

}  // namespace

TEST_CASE("explain tells of pools, candidates and who announces", "[cli]") {
  Cluster cluster;
  cluster.pools.push_back(Pool("spare", "198.51.100.0/28"));
  cluster.pools.push_back(Pool("closed", "203.0.113.0/28"));
  cluster.pools.back()["spec"]["autoAssign"] = false;
  cluster
      .nodes[1]["metadata"]["labels"]["node.kubernetes.io/exclude-from-external-load-balancers"] =
      "";
  CHECK(ToText(Explain(cluster)) ==
        "Service:          default/web\n"
        "Address:          192.0.2.10\n"
        "Why:              it takes any address, and pool web had one\n"
        "\n"
        "POOL     ANSWER    WHY\n"
        "spare    could     -\n"
        "web      gave it   -\n"
        "closed   refused   autoAssign is off\n"
        "\n"
        "Traffic policy:   Cluster\n"
        "Endpoints:        ready on node-1, node-2\n"
        "Election:         node-1 is elected\n"
        "\n"
        "RANK   NODE     SCORE   EXCLUDED-BECAUSE\n"
        "1      node-1   0       -\n"
        "2      node-3   0       -\n"
        "-      node-2   -       it has the label "
        "node.kubernetes.io/exclude-from-external-load-balancers\n"
        "\n"
        "Announced by:     node-1 on all interfaces, since 2026-01-02T03:04:05Z\n");
}

TEST_CASE("explain says why there is no address, pool by pool", "[cli]") {
  Cluster cluster;
  cluster.services[0] = MakeService("web", "");
  cluster.statuses.clear();
  cluster.pools[0]["spec"]["serviceAllocation"] = {{"namespaces", {"production"}}};
  cluster.pools.push_back(Pool("small", "198.51.100.1/32"));
  cluster.services.push_back(MakeService("other", "198.51.100.1"));
  const ExplainReport report = Explain(cluster);
  CHECK(report.address_reason.starts_with("NoAvailableAddress: "));
  REQUIRE(report.pools.size() == 2);
  CHECK(report.pools[0].pool == "small");
  CHECK(report.pools[0].why == "no free IPv4 address");
  CHECK(report.pools[1].pool == "web");
  CHECK(report.pools[1].why == "namespace default is not selected");
  CHECK(report.election == "none: there is no address to announce");
  CHECK(ToJson(report)["pools"][1]["answer"] == "refused");
}

TEST_CASE("explain of a Service that asks for an address names the other pools too", "[cli]") {
  Cluster cluster;
  cluster.services[0]["spec"]["loadBalancerIP"] = "192.0.2.10";
  cluster.pools.push_back(Pool("spare", "198.51.100.0/28"));
  const ExplainReport report = Explain(cluster);
  CHECK(report.address_reason == "it asks for 192.0.2.10, of pool web");
  REQUIRE(report.pools.size() == 2);
  CHECK(report.pools[0].state == Books::PoolView::State::kGave);
  CHECK(report.pools[1].why == "it has none of the addresses that the Service asks for");
}

TEST_CASE("explain says why no election is held", "[cli]") {
  struct Case {
    const char* name;
    std::function<void(Cluster&)> broken;
    const char* election;
  };
  const auto c = GENERATE(values<Case>({
      {"no endpoint", [](Cluster& k) { k.slices.clear(); },
       "none: no endpoint is ready, on any node"},
      {"no pool", [](Cluster& k) { k.pools[0]["spec"]["addresses"] = {"198.51.100.0/28"}; },
       "none: no pool has the address"},
      {"no candidate", [](Cluster& k) { k.advertisements.clear(); },
       "none: no node is a candidate"},
      {"another class", [](Cluster& k) { k.services[0]["spec"]["loadBalancerClass"] = "x"; },
       "none: the Service is not Stentor's"},
  }));
  DYNAMIC_SECTION(c.name) {
    Cluster cluster;
    c.broken(cluster);
    CHECK(Explain(cluster).election == c.election);
  }
}

TEST_CASE("explain says what is not known", "[cli]") {
  struct Case {
    const char* name;
    Resource refused;
    const char* part;
  };
  const auto c = GENERATE(values<Case>({
      {"slices", Resource::kSlices,
       "Endpoints:        unknown: cannot read endpointslices.discovery.k8s.io: forbidden; needed: "
       "the right to get and list endpointslices.discovery.k8s.io in all namespaces\n"},
      {"slices: no election", Resource::kSlices,
       "Election:         not known: cannot read endpointslices.discovery.k8s.io: forbidden"},
      {"pods: the class", Resource::kPods,
       "Why:              not known: cannot read pods: forbidden"},
      {"pods: no election", Resource::kPods,
       "Election:         not known: cannot read pods: forbidden"},
      {"nodes", Resource::kNodes,
       "Election:         not known: cannot read nodes: forbidden; needed: the right to get and "
       "list nodes\n"},
      {"pools", Resource::kPools,
       "Why:              not known: cannot read ipaddresspools.metallb.io: forbidden"},
      {"the ConfigMap", Resource::kConfigMap, "the right to get and list configmaps in namespace"},
      {"statuses", Resource::kStatuses,
       "Announced by:     unknown: cannot read servicel2statuses.metallb.io: forbidden"},
  }));
  DYNAMIC_SECTION(c.name) {
    Cluster cluster;
    cluster.statuses.clear();
    cluster.refused = {c.refused};
    const std::string text = ToText(Explain(cluster));
    INFO(text);
    CHECK(text.find(c.part) != std::string::npos);
  }
}

TEST_CASE("explain does not say that a Service is not Stentor's where no class is known", "[cli]") {
  Cluster cluster;
  cluster.services[0]["spec"]["loadBalancerClass"] = "x";
  SECTION("pods can't be read") { cluster.refused = {Resource::kPods}; }
  SECTION("there are none") { cluster.pods.clear(); }
  const ExplainReport report = Explain(cluster);
  CHECK(report.address_reason.starts_with("not known: "));
  CHECK(report.election == report.address_reason);
  CHECK(report.pools.empty());
}

TEST_CASE("explain tells of a kind that the API server does not have", "[cli]") {
  Cluster cluster;
  cluster.statuses.clear();
  cluster.absent = {Resource::kStatuses};
  CHECK(ToText(Explain(cluster))
            .ends_with("Announced by:     unknown: the API server has no kind "
                       "servicel2statuses.metallb.io, which would tell\n"));
}

TEST_CASE("explain says why a Service has one family only", "[cli]") {
  Cluster cluster;
  cluster.services[0]["spec"]["clusterIPs"] = {"10.0.0.1", "2001:db8:1::1"};
  cluster.services[0]["spec"]["ipFamilyPolicy"] = "PreferDualStack";
  CHECK(Explain(cluster).address_reason.starts_with("it has one family only: "));
}

TEST_CASE("explain ranks by preference, then by the election's hash", "[cli]") {
  Cluster cluster;
  cluster.advertisements[0]["spec"]["preferredNodeSelectors"] = {
      {{"weight", 10}, {"preference", {{"matchLabels", {{"name", "node-3"}}}}}}};
  cluster.pods[1]["status"]["phase"] = "Pending";
  const ExplainReport report = Explain(cluster);
  REQUIRE(report.candidates.size() == 2);
  CHECK(report.candidates[0] == speaker::Candidate{.node = "node-3", .score = 10});
  CHECK(report.candidates[1].node == "node-1");
  REQUIRE(report.excluded.size() == 1);
  CHECK(report.excluded[0].second == "its speaker pod speaker-node-2 is not running and ready");
}

}  // namespace stentor::cli
