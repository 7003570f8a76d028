// SPDX-License-Identifier: Apache-2.0
#include "common/kube/codec.h"

#include <string>

#include "test/support/catch.h"

namespace stentor::kube {
namespace {

using nlohmann::json;

json Parse(const char* text) { return json::parse(text); }

}  // namespace

TEST_CASE("A Service is decoded", "[codec]") {
  const json object = Parse(R"({
    "kind": "Service", "metadata": {"namespace": "default", "name": "web", "uid": "u1",
      "resourceVersion": "17", "labels": {"a": "1"}, "annotations": {"b": "2"},
      "managedFields": [{"manager": "kubectl"}], "finalizers": ["f"]},
    "spec": {"type": "LoadBalancer", "loadBalancerIP": "192.0.2.1", "loadBalancerClass": "x/y",
      "clusterIP": "198.51.100.1", "ipFamilies": ["IPv4", "IPv6"],
      "ipFamilyPolicy": "PreferDualStack", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30123,
      "selector": {"app": "w"}, "ports": [{"port": 80, "nodePort": 30001},
      {"port": 53, "protocol": "UDP"}]},
    "status": {"conditions": [], "loadBalancer": {"ingress": [{"ip": "192.0.2.1"},
      {"hostname": "h"}, {"ip": "2001:db8::1", "ipMode": "VIP"}]}}})");
  const auto service = DecodeService(object, Verbatim::kKeep);
  REQUIRE(service.ok());
  CHECK(service->key == model::ObjectKey{"default", "web"});
  CHECK(service->uid == "u1");
  CHECK(service->resource_version == "17");
  CHECK(service->labels == model::Labels{{"a", "1"}});
  CHECK(service->annotations == model::Labels{{"b", "2"}});
  CHECK(service->IsLoadBalancer());
  CHECK(service->load_balancer_class == "x/y");
  CHECK(service->load_balancer_ip == "192.0.2.1");
  CHECK(service->cluster_ips == std::vector<std::string>{"198.51.100.1"});
  CHECK(service->ip_families ==
        std::vector<net::IpFamily>{net::IpFamily::kIpv4, net::IpFamily::kIpv6});
  CHECK(service->ip_family_policy == "PreferDualStack");
  CHECK(service->external_traffic_policy == model::TrafficPolicy::kLocal);
  CHECK(service->health_check_node_port == 30123);
  CHECK(service->selector == model::Labels{{"app", "w"}});
  CHECK(service->ports == std::vector<model::ServicePort>{{"TCP", 80}, {"UDP", 53}});
  CHECK(service->ingress_ips == std::vector<std::string>{"192.0.2.1", "2001:db8::1"});

  json metadata = object["metadata"];
  metadata.erase("managedFields");
  CHECK(Parse(service->metadata_json.c_str()) == metadata);
  CHECK(Parse(service->status_json.c_str()) == object["status"]);
  CHECK(service->metadata_json.capacity() == service->metadata_json.size());  // there are many
  CHECK(service->status_json.capacity() == service->status_json.size());

  const auto dropped = DecodeService(object, Verbatim::kDrop);
  REQUIRE(dropped.ok());
  CHECK(dropped->metadata_json.empty());
  CHECK(dropped->status_json.empty());
}

TEST_CASE("What is absent or null has its default", "[codec]") {
  const auto service = DecodeService(
      Parse(R"({"metadata": {"name": "n", "labels": null}, "spec": {"ports": null}})"),
      Verbatim::kKeep);
  REQUIRE(service.ok());
  CHECK(service->labels.empty());
  CHECK_FALSE(service->load_balancer_class.has_value());
  CHECK(service->status_json == "{}");

  const auto pool = DecodeIpAddressPool(Parse(R"({"metadata": {"name": "p"}})"));
  REQUIRE(pool.ok());
  CHECK(pool->auto_assign);
  CHECK_FALSE(pool->avoid_buggy_ips);
  CHECK_FALSE(pool->has_service_allocation);
}

TEST_CASE("A wrong type names object and field", "[codec]") {
  struct Case {
    const char* name;
    const char* text;
    const char* want;
  };
  const auto c = GENERATE(values<Case>({
      {"port too large", R"({"metadata":{"namespace":"d","name":"w"},
        "spec":{"ports":[{"port":80},{"port":65536}]}})",
       "Service d/w: spec.ports[1].port: expected a number from 0 to 65535"},
      {"port huge", R"({"metadata":{"name":"w"},"spec":{"ports":[{"port":18446744073709551615}]}})",
       "Service w: spec.ports[0].port: expected a number from 0 to 65535"},
      {"port a fraction", R"({"metadata":{"name":"w"},"spec":{"ports":[{"port":80.5}]}})",
       "Service w: spec.ports[0].port: expected a number from 0 to 65535"},
      {"label a number", R"({"metadata":{"name":"w","labels":{"a.b/c":1}}})",
       "Service w: metadata.labels.a.b/c: expected a string"},
      {"spec a list", R"({"metadata":{"name":"w"},"spec":[]})",
       "Service w: spec: expected an object"},
      {"family unknown", R"({"metadata":{"name":"w"},"spec":{"ipFamilies":["IPv5"]}})",
       "Service w: spec.ipFamilies[0]: expected IPv4 or IPv6"},
      {"no name", R"({"metadata":{}})", "Service: metadata.name: expected a name"},
      {"a list", "[]", "Service: expected an object"},
  }));
  DYNAMIC_SECTION(c.name) {
    const auto service = DecodeService(Parse(c.text), Verbatim::kKeep);
    CHECK(absl::IsInvalidArgument(service.status()));
    CHECK(std::string(service.status().message()) == c.want);
  }
}

TEST_CASE("Nodes and Pods are decoded", "[codec]") {
  const auto node = DecodeNode(Parse(R"({"metadata":{"name":"n1","labels":{"a":"b"}},
    "status":{"conditions":[{"type":"Ready","status":"True"},
    {"type":"NetworkUnavailable","status":"True"}]}})"));
  REQUIRE(node.ok());
  CHECK(*node == model::Node{"n1", {{"a", "b"}}, true, true, {}});
  const auto pod = DecodePod(Parse(R"({"metadata":{"namespace":"m","name":"p","uid":"u"},
    "spec":{"nodeName":"n1"},"status":{"podIP":"192.0.2.9","phase":"Running"}})"));
  REQUIRE(pod.ok());
  CHECK(*pod == model::Pod{{"m", "p"}, "u", "n1", "192.0.2.9", "Running"});
}

TEST_CASE("Pools and advertisements are decoded", "[codec]") {
  const auto pool = DecodeIpAddressPool(Parse(R"({"metadata":{"namespace":"m","name":"p"},
    "spec":{"addresses":["192.0.2.0/24"],"autoAssign":false,"avoidBuggyIPs":true,
    "serviceAllocation":{"priority":5,"namespaces":["a"],
    "serviceSelectors":[{"matchLabels":{"k":"v"}}]}}})"));
  REQUIRE(pool.ok());
  CHECK(pool->addresses == std::vector<std::string>{"192.0.2.0/24"});
  CHECK_FALSE(pool->auto_assign);
  CHECK(pool->avoid_buggy_ips);
  CHECK(pool->has_service_allocation);
  CHECK(pool->priority == 5);
  REQUIRE(pool->service_selectors.size() == 1);
  CHECK(pool->service_selectors[0].Matches({{"k", "v"}}));

  const auto advertisement = DecodeL2Advertisement(Parse(R"({"metadata":{"name":"a",
    "annotations":{"stentor.io/address-conflicts":"strict","stentor.io/fail-back":"5m"}},
    "spec":{"ipAddressPools":["p"],"interfaces":["eth0"],
    "nodeSelectors":[{"matchExpressions":[{"key":"z","operator":"Exists"}]}],
    "preferredNodeSelectors":[{"weight":10,"preference":{"matchLabels":{"q":"r"}}}]}})"));
  REQUIRE(advertisement.ok());
  CHECK(advertisement->ip_address_pools == std::vector<std::string>{"p"});
  CHECK(advertisement->interfaces == std::vector<std::string>{"eth0"});
  REQUIRE(advertisement->node_selectors.size() == 1);
  REQUIRE(advertisement->preferred_node_selectors.size() == 1);
  CHECK(advertisement->preferred_node_selectors[0].weight == 10);
  CHECK(advertisement->address_conflicts == "strict");
  CHECK(advertisement->fail_back == "5m");
  const auto bare = DecodeL2Advertisement(Parse(R"({"metadata":{"name":"a","annotations":null}})"));
  REQUIRE(bare.ok());
  CHECK(bare->address_conflicts.empty());
  CHECK(bare->fail_back.empty());
}

TEST_CASE("Label selectors are kept as they are written", "[codec]") {
  using model::SelectorOperator;
  struct Case {
    const char* name;
    const char* text;
    std::vector<model::SelectorRequirement> requirements;
  };
  const auto c = GENERATE(values<Case>({
      {"empty", "{}", {}},
      {"labels, then expressions",
       R"({"matchExpressions":[{"key":"a","operator":"Exists"}],"matchLabels":{"z":"1","b":"2"}})",
       {{.key = "b", .op = SelectorOperator::kEquals, .values = {"2"}},
        {.key = "z", .op = SelectorOperator::kEquals, .values = {"1"}},
        {.key = "a", .op = SelectorOperator::kExists, .values = {}}}},
      {"values are sorted, and repetitions stay",
       R"({"matchExpressions":[{"key":"a","operator":"NotIn","values":["c","b","c"]}]})",
       {{.key = "a", .op = SelectorOperator::kNotIn, .values = {"b", "c", "c"}}}},
      {"In without values",
       R"({"matchExpressions":[{"key":"a","operator":"In"}]})",
       {{.key = "a", .op = SelectorOperator::kIn, .values = {}}}},
      {"DoesNotExist with values",
       R"({"matchExpressions":[{"key":"a","operator":"DoesNotExist","values":["b"]}]})",
       {{.key = "a", .op = SelectorOperator::kDoesNotExist, .values = {"b"}}}},
      {"an operator that there is not",
       R"({"matchExpressions":[{"key":"a","operator":"Like","values":["b"]}]})",
       {{.key = "a", .op = SelectorOperator::kUnknown, .values = {"b"}, .unknown_op = "Like"}}},
      {"no operator",
       R"({"matchExpressions":[{"key":"a"}]})",
       {{.key = "a", .op = SelectorOperator::kUnknown, .values = {}}}},
  }));
  DYNAMIC_SECTION(c.name) {
    const auto selector = DecodeLabelSelector(Parse(c.text));
    REQUIRE(selector.ok());
    CHECK(selector->requirements == c.requirements);
  }
  CHECK_FALSE(DecodeLabelSelector(Parse(R"({"matchLabels":{"a":1}})")).ok());
  CHECK_FALSE(DecodeLabelSelector(Parse(R"({"matchExpressions":{}})")).ok());
}

}  // namespace stentor::kube
