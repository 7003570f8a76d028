// SPDX-License-Identifier: Apache-2.0
#include "cli/report/why.h"

#include <functional>
#include <string>
#include <vector>

#include "test/support/catch.h"
#include "test/unit/cli_report/cluster.h"

namespace stentor::cli {
namespace {

using nlohmann::json;

void TakeAddress(Cluster& c) {
  c.services[0]["status"] = json::object();
  c.statuses.clear();
}

void SetTraps(Cluster& c, const char* reason, const char* message) {
  c.states[0]["status"]["conditions"].push_back({{"type", "stentor.io/NodeTraps"},
                                                 {"status", "True"},
                                                 {"reason", reason},
                                                 {"message", message}});
}

std::string Everything(const WhyReport& report) { return ToText(report); }

}  // namespace

TEST_CASE("why names the first thing that is wrong", "[cli]") {
  struct Case {
    const char* name;
    std::function<void(Cluster&)> broken;
    const char* cause;  // empty: nothing is wrong
    const char* seen;   // a part of what it says
  };
  const auto c = GENERATE(values<Case>({
      {"all is well", [](Cluster&) {}, "", ""},
      {"no such Service", [](Cluster& k) { k.services.clear(); }, "noService",
       "there is no Service default/web"},
      {"not of type LoadBalancer", [](Cluster& k) { k.services[0]["spec"]["type"] = "ClusterIP"; },
       "notLoadBalancer", "of type ClusterIP"},
      {"class differs",
       [](Cluster& k) { k.services[0]["spec"]["loadBalancerClass"] = "example.com/other"; },
       "classDiffers", "loadBalancerClass example.com/other; Stentor serves Services without"},
      {"Stentor has a class",
       [](Cluster& k) { k.pods[0]["spec"]["containers"][0]["args"] = {"--lb-class=a/b"}; },
       "classDiffers", "has no loadBalancerClass; Stentor serves class a/b"},
      {"pools overlap",
       [](Cluster& k) {
         k.pools.push_back(k.pools[0]);
         k.pools[1]["metadata"]["name"] = "copy";
       },
       "configurationInvalid", "overlap"},
      {"the controller refuses the configuration",
       [](Cluster& k) {
         json& condition = k.states[3]["status"]["conditions"][0];
         condition["status"] = "False";
         condition["message"] = "configuration error: x";
       },
       "configurationInvalid", "controller refuses the configuration: configuration error: x"},
      {"no pool",
       [](Cluster& k) {
         TakeAddress(k);
         k.pools.clear();
         k.advertisements.clear();
       },
       "noPool", "there is no IPAddressPool"},
      {"pool full",
       [](Cluster& k) {
         TakeAddress(k);
         k.pools[0]["spec"]["addresses"] = {"192.0.2.10/32"};
         k.services.push_back(MakeService("other", "192.0.2.10"));
       },
       "poolFull", "no free IPv4 address"},
      {"selector excludes by namespace",
       [](Cluster& k) {
         TakeAddress(k);
         k.pools[0]["spec"]["serviceAllocation"] = {{"namespaces", {"production"}}};
       },
       "poolSelectorExcludes", "namespace default is not selected"},
      {"selector excludes by label",
       [](Cluster& k) {
         TakeAddress(k);
         k.pools[0]["spec"]["serviceAllocation"] = {
             {"serviceSelectors", {{{"matchLabels", {{"tier", "front"}}}}}}};
       },
       "poolSelectorExcludes", "no serviceSelector matches"},
      {"the pool that is asked for excludes it",
       [](Cluster& k) {
         TakeAddress(k);
         k.services[0]["metadata"]["annotations"] = {{"metallb.io/address-pool", "web"}};
         k.pools[0]["spec"]["serviceAllocation"] = {{"namespaces", {"production"}}};
       },
       "poolSelectorExcludes", "namespace default is not selected"},
      {"autoAssign is off",
       [](Cluster& k) {
         TakeAddress(k);
         k.pools[0]["spec"]["autoAssign"] = false;
       },
       "autoAssignOff", "autoAssign is off"},
      {"no address of this family",
       [](Cluster& k) {
         TakeAddress(k);
         k.services[0]["spec"]["clusterIPs"] = {"2001:db8::1"};
       },
       "familyMissing", "no IPv6 addresses"},
      {"the address is another Service's",
       [](Cluster& k) {
         TakeAddress(k);
         k.services[0]["spec"]["loadBalancerIP"] = "192.0.2.11";
         k.services.push_back(MakeService("other", "192.0.2.11"));
       },
       "addressInUse", "192.0.2.11 is used by default/other"},
      {"the pool that is asked for does not exist",
       [](Cluster& k) {
         TakeAddress(k);
         k.services[0]["metadata"]["annotations"] = {{"metallb.io/address-pool", "nope"}};
       },
       "poolNotFound", "nope"},
      {"asks for an address of no pool",
       [](Cluster& k) {
         TakeAddress(k);
         k.services[0]["spec"]["loadBalancerIP"] = "198.51.100.1";
       },
       "addressInNoPool", "198.51.100.1"},
      {"has an address of no pool",
       [](Cluster& k) { k.services[0] = MakeService("web", "198.51.100.1"); }, "addressInNoPool",
       "no pool has 198.51.100.1"},
      {"asks for what is no address",
       [](Cluster& k) {
         TakeAddress(k);
         k.services[0]["spec"]["loadBalancerIP"] = "web.example";
       },
       "requestInvalid", "web.example"},
      {"headless",
       [](Cluster& k) {
         TakeAddress(k);
         k.services[0]["spec"]["clusterIPs"] = {"None"};
       },
       "noClusterIp", "no cluster address"},
      {"controller down",
       [](Cluster& k) {
         TakeAddress(k);
         k.pods[3]["status"]["phase"] = "Pending";
       },
       "controllerDown", "no controller runs in namespace metallb-system"},
      {"the controller has not come to it", TakeAddress, "notYet", "nothing is in the way"},
      {"no endpoint", [](Cluster& k) { k.slices.clear(); }, "noEndpoint",
       "Service default/web has no endpoint"},
      {"no endpoint is ready",
       [](Cluster& k) {
         for (json& endpoint : k.slices[0]["endpoints"]) {
           endpoint["conditions"] = {{"ready", false}};
         }
       },
       "endpointNotReady", "no endpoint of Service default/web is ready"},
      {"no advertisement", [](Cluster& k) { k.advertisements.clear(); }, "noAdvertisement",
       "no L2Advertisement selects pool web"},
      {"the advertisements select other Services",
       [](Cluster& k) {
         k.advertisements[0]["spec"]["serviceSelectors"] = {{{"matchLabels", {{"tier", "front"}}}}};
       },
       "serviceSelectorExcludes", "pool web"},
      {"shared address and service selectors",
       [](Cluster& k) {
         k.services[0]["metadata"]["annotations"] = {{"metallb.io/allow-shared-ip", "x"}};
         k.services[0]["metadata"]["labels"] = {{"tier", "front"}};
         k.advertisements[0]["spec"]["serviceSelectors"] = {{{"matchLabels", {{"tier", "front"}}}}};
       },
       "sharedWithServiceSelector", "may share its address"},
      {"node selector excludes all",
       [](Cluster& k) {
         k.advertisements[0]["spec"]["nodeSelectors"] = {{{"matchLabels", {{"rack", "9"}}}}};
       },
       "nodeSelectorExcludes", "select no node"},
      {"Local without local endpoint",
       [](Cluster& k) {
         k.services[0]["spec"]["externalTrafficPolicy"] = "Local";
         k.advertisements[0]["spec"]["nodeSelectors"] = {{{"matchLabels", {{"name", "node-3"}}}}};
       },
       "noLocalEndpoint", "no ready endpoint is on node-3"},
      {"all nodes have the exclude label",
       [](Cluster& k) {
         for (json& node : k.nodes) {
           node["metadata"]["labels"]["node.kubernetes.io/exclude-from-external-load-balancers"] =
               "";
         }
       },
       "excludeLabel", "node-1, node-2, node-3 may not announce"},
      {"no network",
       [](Cluster& k) {
         for (json& node : k.nodes) {
           node["status"]["conditions"].push_back(
               {{"type", "NetworkUnavailable"}, {"status", "True"}});
         }
       },
       "networkUnavailable", "NetworkUnavailable"},
      {"all speakers down",
       [](Cluster& k) {
         for (std::size_t i = 0; i < 3; ++i) {
           k.pods[i]["status"]["conditions"][0]["status"] = "False";
         }
       },
       "speakerDown", "no speaker runs on node-1, node-2, node-3"},
      {"the announcing speaker is down",
       [](Cluster& k) { k.pods[0]["status"]["phase"] = "Failed"; }, "speakerDown",
       "the speaker pod on node-1, which announced it last, is not running and ready"},
      {"foreign owner",
       [](Cluster& k) {
         k.states[0]["status"]["conditions"].push_back(
             {{"type", "stentor.io/AddressConflict"},
              {"status", "True"},
              {"reason", "AnnouncedNevertheless"},
              {"message",
               "192.0.2.1 is also claimed by 02:00:00:00:00:02 on eth0; 192.0.2.10 is also claimed "
               "by 02:00:00:00:00:01 on eth0"}});
       },
       "foreignOwner", "192.0.2.10 is also claimed by 02:00:00:00:00:01 on eth0"},
      {"another address has a foreign owner",
       [](Cluster& k) {
         k.states[0]["status"]["conditions"].push_back(
             {{"type", "stentor.io/AddressConflict"},
              {"status", "True"},
              {"reason", "AnnouncedNevertheless"},
              {"message", "192.0.2.101 is also claimed by 02:00:00:00:00:01 on eth0"}});
       },
       "", ""},
      {"interface missing",
       [](Cluster& k) {
         k.statuses.clear();
         k.events.push_back(
             {{"involvedObject", {{"namespace", "default"}, {"name", "web"}}},
              {"reason", "announceFailed"},
              {"message", "the interfaces specified by LB IP \"192.0.2.10\" doesn't exist"}});
       },
       "interfaceMissing", "the interfaces specified by LB IP"},
      {"the elected speaker refuses the configuration",
       [](Cluster& k) {
         k.statuses.clear();
         k.states[0]["status"]["conditions"][0]["status"] = "False";
         k.states[0]["status"]["conditions"][0]["message"] = "configuration error: y";
       },
       "configurationInvalid", "speaker-node-1 refuses the configuration"},
      {"nobody announces", [](Cluster& k) { k.statuses.clear(); }, "notAnnounced", "node-1 should"},
      {"two announce", [](Cluster& k) { k.statuses.push_back(MakeL2Status("web", "node-2")); },
       "twoAnnouncers", "node-1, node-2"},
      {"proxy unhealthy",
       [](Cluster& k) {
         SetTraps(k, "proxyUnhealthy", "the service proxy of this node (kube-proxy) was healthy");
       },
       "proxyUnhealthy", "node-1: the service proxy of this node"},
      {"proxy unhealthy, among other traps",
       [](Cluster& k) {
         SetTraps(k, "SeveralTraps",
                  "pool web is in no subnet\nthe service proxy of this node (kube-proxy) says no");
       },
       "proxyUnhealthy", "kube-proxy"},
      {"another trap is a note",
       [](Cluster& k) {
         SetTraps(k, "ipvsWithoutStrictARP", "the service proxy keeps the addresses on kube-ipvs0");
       },
       "", ""},
  }));
  DYNAMIC_SECTION(c.name) {
    Cluster cluster;
    c.broken(cluster);
    const WhyReport report = Why(cluster.Read(), {.service = {"default", "web"}});
    INFO(Everything(report));
    const Check* const cause = report.cause();
    CHECK((cause == nullptr ? "" : cause->cause) == std::string(c.cause));
    if (cause != nullptr) {
      CHECK(cause->seen.find(c.seen) != std::string::npos);
      CHECK_FALSE(cause->remedy.empty());
      CHECK(ToJson(report)["cause"] == c.cause);
    } else {
      CHECK(Everything(report).find("Nothing is wrong that the API shows") != std::string::npos);
    }
  }
}

TEST_CASE("why finds the Service of an address", "[cli]") {
  struct Case {
    const char* name;
    const char* address;
    std::string subject;
    std::string seen;  // of the cause
  };
  const auto c = GENERATE(values<Case>({
      {"that has it", "192.0.2.10", "192.0.2.10 (Service default/web)", ""},
      {"that asks for it", "198.51.100.7", "198.51.100.7 (Service default/wish)",
       "it has no address"},
      {"free in a pool", "192.0.2.12", "192.0.2.12", "pool web has it, and it is free"},
      {"of no pool", "203.0.113.1", "203.0.113.1", "and no pool has it"},
  }));
  DYNAMIC_SECTION(c.name) {
    Cluster cluster;
    cluster.services.push_back(MakeService("wish", ""));
    cluster.services[1]["spec"]["loadBalancerIP"] = "198.51.100.7";
    const WhyReport report =
        Why(cluster.Read(), {.address = net::IpAddress::Parse(c.address), .service = {}});
    CHECK(report.subject == c.subject);
    CHECK((report.cause() == nullptr) == c.seen.empty());
    if (report.cause() != nullptr) {
      CHECK(report.cause()->seen.find(c.seen) != std::string::npos);
    }
  }
}

TEST_CASE("why goes on past what it may not read, and says so", "[cli]") {
  Cluster cluster;
  cluster.slices.clear();
  cluster.pods.clear();
  cluster.statuses.clear();
  Snapshot snapshot = cluster.Read();
  for (const Resource resource : {Resource::kSlices, Resource::kPods, Resource::kStatuses}) {
    snapshot.Refuse(resource, absl::PermissionDeniedError("forbidden"));
  }
  const WhyReport report = Why(snapshot, {.service = {"default", "web"}});
  CHECK(report.cause() == nullptr);
  CHECK(std::ranges::count(report.checks, Check::State::kUnknown, &Check::state) == 3);
  CHECK(Everything(report).find("unknown   endpoints") != std::string::npos);
}

}  // namespace stentor::cli
