// SPDX-License-Identifier: Apache-2.0
#include "cli/report/status.h"

#include <string>

#include "test/support/catch.h"
#include "test/unit/cli_report/cluster.h"

namespace stentor::cli {
namespace {

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::vector<std::string> Problems(const StatusReport& report) {
  std::vector<std::string> problems;
  problems.reserve(report.services.size());
  for (const StatusReport::Service& service : report.services) {
    problems.push_back(service.problem);
  }
  return problems;
}

}  // namespace

TEST_CASE("status of a cluster in which all is well", "[cli]") {
  const StatusReport report = MakeStatus(Cluster().Read());
  CHECK(ToText(report) ==
        "POOL   ADDRESSES               USED-V4   FREE-V4   USED-V6   FREE-V6   AUTO   "
        "ADVERTISED-BY\n"
        "web    192.0.2.10-192.0.2.12   1         2         -         -         yes    l2\n"
        "\n"
        "SERVICE       ADDRESSES    POOL   ANNOUNCED-BY   SINCE                  PROBLEM\n"
        "default/web   192.0.2.10   web    node-1         2026-01-02T03:04:05Z   -\n"
        "\n"
        "PROGRAM      POD                 NODE     RUNS   CONFIGURATION\n"
        "controller   controller-node-3   node-3   yes    Valid\n"
        "speaker      speaker-node-1      node-1   yes    Valid\n"
        "speaker      speaker-node-2      node-2   yes    Valid\n"
        "speaker      speaker-node-3      node-3   yes    Valid\n"
        "\n"
        "Nothing needs attention.\n");
}

TEST_CASE("status as JSON has the same", "[cli]") {
  const auto json = ToJson(MakeStatus(Cluster().Read()));
  CHECK(json["pools"][0]["ipv4"]["used"] == 1);
  CHECK(json["pools"][0]["ipv4"]["free"] == 2);
  CHECK(json["services"][0]["announcedBy"][0]["node"] == "node-1");
  CHECK(json["services"][0]["problem"] == "");
  CHECK(json["programs"].size() == 4);
  CHECK(json["notices"].empty());
}

TEST_CASE("status says what is wrong with a Service", "[cli]") {
  Cluster cluster;
  cluster.services.push_back(MakeService("nobody", "192.0.2.11"));
  cluster.services.push_back(MakeService("outside", "198.51.100.1"));
  cluster.services.push_back(MakeService("same", "192.0.2.10"));
  cluster.services.push_back(MakeService("waiting", ""));
  cluster.services.push_back(MakeService("wish", ""));
  cluster.services.back()["spec"]["loadBalancerIP"] = "192.0.2.10";
  cluster.services.push_back(MakeService("foreign", ""));
  cluster.services.back()["spec"]["loadBalancerClass"] = "x";
  cluster.services[0]["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z";
  cluster.services[3]["metadata"]["creationTimestamp"] = "2026-01-02T00:00:00Z";
  cluster.statuses.push_back(MakeL2Status("web", "node-2"));
  const StatusReport report = MakeStatus(cluster.Read());
  CHECK(Problems(report) ==
        std::vector<std::string>{"announced by nobody", "its address is of no pool",
                                 "announced by nobody", "no address: NoAvailableAddress",
                                 "may not keep its address", "no address: AddressInUse"});
  CHECK(report.others == 1);
  CHECK(Has(ToText(report), "1 Service of another load-balancer class left out."));
  CHECK(Has(ToText(report), "`kubectl stentor why NAMESPACE/NAME` says what to do"));
  CHECK_FALSE(Has(ToText(report), "Nothing needs attention"));
}

TEST_CASE("status tells what needs attention", "[cli]") {
  Cluster cluster;
  cluster.pods[1]["status"]["conditions"][0]["status"] = "False";
  cluster.pods.erase(cluster.pods.begin() + 2);  // the speaker of node-3
  cluster.states[0]["status"]["conditions"].push_back(
      {{"type", "stentor.io/AddressConflict"},
       {"status", "True"},
       {"reason", "Withheld"},
       {"message", "192.0.2.10 is also claimed by 02:00:00:00:00:01 on eth0"}});
  // node-2's speaker does not run: what it said is not of now.
  for (const std::size_t i : {0U, 1U}) {
    cluster.states[i]["status"]["conditions"][0] = {{"type", "configReconcilerValid"},
                                                    {"status", "False"},
                                                    {"reason", "ConfigurationError"},
                                                    {"message", "configuration error: z"}};
  }
  cluster.refused = {Resource::kNamespaces};
  cluster.absent = {Resource::kAddressPools};
  const StatusReport report = MakeStatus(cluster.Read());
  CHECK(
      report.notices ==
      std::vector<StatusReport::Notice>{
          {"API",
           "cannot read namespaces: forbidden; needed: the right to get and list "
           "namespaces"},
          {"speaker-node-2", "is not running and ready on node-2"},
          {"node-3", "has no speaker pod"},
          {"speaker-node-1", "ConfigurationError: configuration error: z"},
          {"speaker-node-1", "Withheld: 192.0.2.10 is also claimed by 02:00:00:00:00:01 on eth0"}});
}

TEST_CASE("status of an empty cluster", "[cli]") {
  Snapshot snapshot(kNamespace);
  for (const Resource resource : kAlways) {
    snapshot.Done(resource);
  }
  snapshot.Done(Resource::kConfigMap);
  snapshot.Finish();
  CHECK(ToText(MakeStatus(snapshot)) ==
        "There are no pools.\n\nThere are no Services of type LoadBalancer to serve.\n\n"
        "There are no pods of controller or speakers.\n\n"
        "NEEDS-ATTENTION   WHAT\n"
        "controller        no pod of it is in namespace metallb-system\n");
}

TEST_CASE("status says what is not known", "[cli]") {
  Cluster cluster;
  cluster.refused = {Resource::kServices, Resource::kPools, Resource::kPods, Resource::kStatuses,
                     Resource::kConfigMap};
  const StatusReport report = MakeStatus(cluster.Read());
  CHECK(ToText(report).starts_with(
      "Pools are not known: cannot read ipaddresspools.metallb.io: forbidden; needed: the right to "
      "get and list ipaddresspools.metallb.io in namespace metallb-system\n\n"
      "Services are not known: cannot read services: forbidden; needed: the right to get and list "
      "services in all namespaces\n\n"
      "Pods of controller and speakers are not known: cannot read pods: forbidden; needed: the "
      "right to get and list pods in namespace metallb-system\n\n"
      "NEEDS-ATTENTION   WHAT\n"));
  CHECK(report.notices.size() == 5);  // what could not be read, and nothing that would follow
  CHECK(ToJson(report)["known"]["pools"] == false);
}

TEST_CASE("status does not say that nobody announces where it can't know", "[cli]") {
  Cluster cluster;
  cluster.statuses.clear();
  cluster.services.push_back(MakeService("waiting", ""));
  cluster.refused = {Resource::kStatuses, Resource::kPools};
  const StatusReport report = MakeStatus(cluster.Read());
  CHECK(Problems(report) == std::vector<std::string>{"no address", ""});
  CHECK(
      Has(ToText(report),
          "Who announces them is not known: cannot read servicel2statuses.metallb.io: forbidden"));
  // Nor that nobody does, where nothing says whose Services they are.
  Cluster other;
  other.statuses.clear();
  other.services[0]["spec"]["loadBalancerClass"] = "x";
  other.services.push_back(MakeService("waiting", ""));
  other.refused = {Resource::kPods};
  const StatusReport of_all = MakeStatus(other.Read());
  CHECK(Problems(of_all) == std::vector<std::string>{"", ""});
  CHECK(of_all.others == 0);
  CHECK(Has(ToText(of_all), "Which of them Stentor serves is not known: cannot read pods"));
  CHECK(ToJson(of_all)["known"]["class"] == false);
}

TEST_CASE("status does not take a pool for empty where Services can't be read", "[cli]") {
  Cluster cluster;
  cluster.refused = {Resource::kServices};
  const StatusReport report = MakeStatus(cluster.Read());
  REQUIRE(report.pools.size() == 1);
  CHECK(Has(ToText(report), "unknown   unknown"));
  CHECK(Has(ToText(report), "How many of their addresses are used is not known: cannot read "));
  CHECK(ToJson(report)["known"]["usage"] == false);
  CHECK(ToJson(report)["pools"][0]["ipv4"].is_null());
}

TEST_CASE("status does not say that there are no pools where they are not valid", "[cli]") {
  Cluster cluster;
  cluster.pools[0]["spec"]["addresses"] = {"nowhere"};
  const std::string text = ToText(MakeStatus(cluster.Read()));
  INFO(text);
  CHECK(text.starts_with("Pools are not known: the configuration is not valid"));
}

TEST_CASE("status can be looked at whatever others have written", "[cli]") {
  Cluster cluster;
  cluster.states[0]["status"]["conditions"].push_back({{"type", "stentor.io/NodeTraps"},
                                                       {"status", "True"},
                                                       {"reason", "x"},
                                                       {"message",
                                                        "\x1b]0;title\x07 \xc2\x9b"
                                                        "31m \xe2\x80\xae"
                                                        "abc"}});
  const std::string text = ToText(MakeStatus(cluster.Read()));
  INFO(text);
  CHECK(Has(text, "\\x1b]0;title\\x07 \\x9b31m \\u202eabc"));
  CHECK(text.find('\x1b') == std::string::npos);
}

TEST_CASE("Objects that can't be read are told, and do not stop the rest", "[cli]") {
  Cluster cluster;
  cluster.services.push_back({{"metadata", {{"name", 7}}}});
  cluster.pools.push_back("no object");
  cluster.statuses.push_back(nullptr);
  cluster.events.push_back(3);
  cluster.pods.push_back({{"metadata", "x"}});
  const StatusReport report = MakeStatus(cluster.Read());
  CHECK(report.services.size() == 1);
  // The Service, the pool, and that no program takes a configuration with it.
  CHECK(report.notices.size() == 3);
}

}  // namespace stentor::cli
