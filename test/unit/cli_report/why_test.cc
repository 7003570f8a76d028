// SPDX-License-Identifier: Apache-2.0
#include "cli/report/why.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "test/support/catch.h"
#include "test/unit/cli_report/cluster.h"

namespace stentor::cli {
namespace {

using nlohmann::json;

void SetTraps(Cluster& c, const char* reason, const char* message) {
  c.states[0]["status"]["conditions"].push_back({{"type", "stentor.io/NodeTraps"},
                                                 {"status", "True"},
                                                 {"reason", reason},
                                                 {"message", message}});
}

json AnnounceFailed(const char* host, const char* time) {
  return {{"involvedObject", {{"namespace", "default"}, {"name", "web"}}},
          {"source", {{"host", host}}},
          {"lastTimestamp", time},
          {"reason", "announceFailed"},
          {"message", "the interfaces specified by LB IP \"192.0.2.10\" doesn't exist"}};
}

json Webhook(const char* policy) {
  return {{"metadata", {{"name", "metallb-webhook-configuration"}}},
          {"webhooks",
           {{{"name", "ipaddresspool.metallb.io"},
             {"failurePolicy", policy},
             {"clientConfig",
              {{"service", {{"namespace", kNamespace}, {"name", "metallb-webhook-service"}}}}},
             {"rules",
              {{{"apiGroups", {"metallb.io"}},
                {"resources", {"ipaddresspools", "l2advertisements"}}}}}}}}};
}

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
       "noClusterIp", "[None]"},
      {"two cluster addresses are required, and there is one",
       [](Cluster& k) {
         TakeAddress(k);
         k.services[0]["spec"]["ipFamilyPolicy"] = "RequireDualStack";
       },
       "noClusterIp", "requires dual stack"},
      {"asks for an address and shows another, since that is taken",
       [](Cluster& k) {
         k.services[0]["spec"]["loadBalancerIP"] = "192.0.2.11";
         k.services.push_back(MakeService("other", "192.0.2.11"));
       },
       "addressInUse", "it has 192.0.2.10, and asks for 192.0.2.11"},
      {"asks for an address that is free, and shows another",
       [](Cluster& k) { k.services[0]["spec"]["loadBalancerIP"] = "192.0.2.11"; }, "notYet",
       "it has 192.0.2.10, and asks for 192.0.2.11"},
      {"asks for what can't be read, and shows an address",
       [](Cluster& k) { k.services[0]["spec"]["loadBalancerIP"] = "web.example"; },
       "requestInvalid", "it has 192.0.2.10"},
      {"shows an address, and asks for another pool",
       [](Cluster& k) {
         k.services[0]["metadata"]["annotations"] = {{"metallb.io/address-pool", "second"}};
         k.pools.push_back({{"metadata", Meta(kNamespace, "second")},
                            {"spec", {{"addresses", {"198.51.100.0/28"}}}}});
       },
       "notYet", "is to get 198.51.100.0"},
      {"another Service shows the same address, and comes first",
       [](Cluster& k) { k.services.push_back(MakeService("also", "192.0.2.10")); }, "addressInUse",
       "it may not keep its address"},
      {"the pool excludes it meanwhile",
       [](Cluster& k) {
         k.pools[0]["spec"]["serviceAllocation"] = {{"namespaces", {"production"}}};
       },
       "poolSelectorExcludes", "it may not keep its address"},
      {"no kind of pools",
       [](Cluster& k) {
         TakeAddress(k);
         k.absent = {Resource::kPools, Resource::kAdvertisements, Resource::kAddressPools};
       },
       "kindMissing", "no kind ipaddresspools.metallb.io"},
      {"a pool that can't be decoded",
       [](Cluster& k) { k.pools[0]["spec"]["addresses"] = 7; }, "configurationInvalid",
       "IPAddressPool metallb-system/web"},
      {"the only ConfigMap can't be read",
       [](Cluster& k) {
         k.pools.clear();
         k.advertisements.clear();
         k.config_maps = {{{"metadata", Meta(kNamespace, "config")},
                           {"data", {{"config", "address-pools: 7"}}}}};
       },
       "configurationInvalid", "config"},
      {"webhook refused: no pool",
       [](Cluster& k) {
         TakeAddress(k);
         k.pools.clear();
         k.advertisements.clear();
         k.webhooks = {Webhook("Fail")};
       },
       "webhookRefused", "no endpoint of Service metallb-system/metallb-webhook-service"},
      {"webhook refused: no advertisement",
       [](Cluster& k) {
         k.advertisements.clear();
         k.webhooks = {Webhook("Fail")};
       },
       "webhookRefused", "webhook metallb-webhook-configuration: ipaddresspool.metallb.io"},
      {"a webhook that lets pass when it can't be called",
       [](Cluster& k) {
         k.advertisements.clear();
         k.webhooks = {Webhook("Ignore")};
       },
       "noAdvertisement", "no L2Advertisement selects pool web"},
      {"a webhook that is answered",
       [](Cluster& k) {
         k.advertisements.clear();
         k.webhooks = {Webhook("Fail")};
         k.slices.push_back(MakeSlice("metallb-webhook-service", {"node-3"}));
         k.slices.back()["metadata"]["namespace"] = kNamespace;
       },
       "noAdvertisement", "no L2Advertisement selects pool web"},
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
      {"Local, and the nodes with endpoints have no speaker",
       [](Cluster& k) {
         k.services[0]["spec"]["externalTrafficPolicy"] = "Local";
         k.pods[0]["status"]["phase"] = "Failed";
         k.pods[1]["status"]["phase"] = "Failed";
       },
       "speakerDown", "no speaker runs on node-1, node-2, which"},
      {"the only node that may announce has no speaker, others are excluded",
       [](Cluster& k) {
         k.advertisements[0]["spec"]["nodeSelectors"] = {{{"matchLabels", {{"name", "node-2"}}}}};
         k.pods[1]["status"]["phase"] = "Failed";
         for (const int i : {0, 2}) {
           k.nodes[static_cast<std::size_t>(i)]["metadata"]["labels"]
                  ["node.kubernetes.io/exclude-from-external-load-balancers"] = "";
         }
       },
       "speakerDown", "no speaker runs on node-2, which"},
      {"a dead speaker comes before a label that is meant so",
       [](Cluster& k) {
         k.nodes[0]["metadata"]["labels"]
                ["node.kubernetes.io/exclude-from-external-load-balancers"] = "";
         k.nodes[1]["status"]["conditions"].push_back(
             {{"type", "NetworkUnavailable"}, {"status", "True"}});
         k.pods[2]["status"]["phase"] = "Failed";
       },
       "speakerDown", "no speaker runs on node-3, which"},
      {"no network comes before a label that is meant so",
       [](Cluster& k) {
         k.nodes[0]["metadata"]["labels"]
                ["node.kubernetes.io/exclude-from-external-load-balancers"] = "";
         k.advertisements[0]["spec"]["nodeSelectors"] = {
             {{"matchExpressions",
               {{{"key", "name"}, {"operator", "In"}, {"values", {"node-1", "node-2"}}}}}}};
         k.nodes[1]["status"]["conditions"].push_back(
             {{"type", "NetworkUnavailable"}, {"status", "True"}});
       },
       "networkUnavailable", "node-2 is without network"},
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
         k.events.push_back(AnnounceFailed("node-1", "2026-01-02T03:04:05Z"));
       },
       "interfaceMissing", "the interfaces specified by LB IP"},
      {"an interface is missing on a node that is not elected",
       [](Cluster& k) {
         k.statuses.clear();
         k.events.push_back(AnnounceFailed("node-2", "2026-01-02T03:04:05Z"));
       },
       "notAnnounced", "node-1 should"},
      {"an interface was missing, and is there again",
       [](Cluster& k) {
         k.statuses.clear();
         k.events.push_back(AnnounceFailed("node-1", "2026-01-02T03:04:05Z"));
         k.events.push_back(AnnounceFailed("node-1", "2026-01-02T03:05:05Z"));
         k.events.back()["reason"] = "nodeAssigned";
       },
       "notAnnounced", "node-1 should"},
      {"an interface went missing in the second in which the node was elected",
       [](Cluster& k) {
         k.statuses.clear();
         k.events.push_back(AnnounceFailed("node-1", "2026-01-02T03:04:05Z"));
         k.events.push_back(AnnounceFailed("node-1", "2026-01-02T03:04:05Z"));
         k.events.back()["reason"] = "nodeAssigned";
       },
       "interfaceMissing", "the interfaces specified by LB IP"},
      {"a controller that ended refused the configuration",
       [](Cluster& k) {
         k.states[3]["status"]["conditions"][0]["status"] = "False";
         k.pods[3]["status"]["phase"] = "Failed";
       },
       "", ""},
      {"a speaker that ended saw a foreign owner",
       [](Cluster& k) {
         AddConflict(k.states[1], "192.0.2.10 is also claimed by 02:00:00:00:00:01 on eth0");
         k.pods[1]["status"]["phase"] = "Failed";
       },
       "", ""},
      {"a speaker that ended has left its ServiceL2Status, another announces",
       [](Cluster& k) {
         k.statuses.push_back(MakeL2Status("web", "node-2"));
         k.pods[1]["status"]["phase"] = "Failed";
       },
       "", ""},
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
    INFO(ToText(report));
    const Check* const cause = report.cause();
    CHECK((cause == nullptr ? "" : cause->cause) == std::string(c.cause));
    if (cause != nullptr) {
      CHECK(cause->seen.find(c.seen) != std::string::npos);
      CHECK_FALSE(cause->remedy.empty());
      CHECK(ToJson(report)["cause"] == c.cause);
    } else {
      CHECK(ToText(report).find("Nothing is wrong that the API shows") != std::string::npos);
    }
  }
}

}  // namespace stentor::cli
