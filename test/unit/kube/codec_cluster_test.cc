// SPDX-License-Identifier: Apache-2.0

/// \file
/// Slices, nodes and what else a speaker reads.

#include <chrono>
#include <string>
#include <vector>

#include "common/kube/codec.h"
#include "test/support/catch.h"

namespace stentor::kube {
namespace {

using nlohmann::json;

json Parse(const std::string& text) { return json::parse(text); }

// 2026-01-31T23:59:59Z; date -u -d 2026-01-31T23:59:59Z +%s
const WallTime kTime{std::chrono::seconds(1'769'903'999)};

}  // namespace

TEST_CASE("An endpoint can serve as MetalLB decides it", "[codec]") {
  struct Case {
    const char* name;
    const char* conditions;
    bool want;
  };
  const auto c = GENERATE(values<Case>({
      {"nothing said", "{}", true},
      {"conditions null", "null", true},
      {"ready", R"({"ready":true})", true},
      {"ready null", R"({"ready":null})", true},
      {"ready null, not serving", R"({"ready":null,"serving":false})", true},
      {"not ready", R"({"ready":false})", false},
      {"not ready, serving null", R"({"ready":false,"serving":null})", false},
      {"not ready, serving", R"({"ready":false,"serving":true})", true},
      {"ready, not serving", R"({"ready":true,"serving":false})", true},
      {"ready and terminating, as publishNotReadyAddresses makes it",
       R"({"ready":true,"serving":true,"terminating":true})", true},
      {"terminating, still serving", R"({"ready":false,"serving":true,"terminating":true})", true},
      {"terminating, done", R"({"ready":false,"serving":false,"terminating":true})", false},
  }));
  DYNAMIC_SECTION(c.name) {
    json object = Parse(R"({"metadata":{"namespace":"d","name":"s-x",
      "labels":{"kubernetes.io/service-name":"s"}},"endpoints":[{"nodeName":"n1"}]})");
    object["endpoints"][0]["conditions"] = Parse(c.conditions);
    const auto slice = DecodeEndpointSlice(object);
    REQUIRE(slice.ok());
    CHECK(slice->service_name == "s");
    CHECK(slice->endpoints == std::vector<model::Endpoint>{{"n1", c.want}});
  }
}

TEST_CASE("A slice is decoded", "[codec]") {
  const json object = Parse(R"({"metadata":{"namespace":"d","name":"s-x","resourceVersion":"71",
    "creationTimestamp":"2026-01-31T23:59:59Z","labels":{"kubernetes.io/service-name":"s",
    "endpointslice.kubernetes.io/managed-by":"endpointslice-controller.k8s.io"}},
    "addressType":"IPv4","endpoints":[{"nodeName":"n2"},{"nodeName":"n1"},{"nodeName":"n2"},
    {"nodeName":"n2","conditions":{"ready":false}},{"addresses":["192.0.2.1"]}]})");
  const auto slice = DecodeEndpointSlice(object);
  REQUIRE(slice.ok());
  CHECK(slice->key == model::ObjectKey{"d", "s-x"});
  CHECK(slice->resource_version == "71");
  CHECK(slice->created == kTime);
  CHECK(slice->endpoints ==
        std::vector<model::Endpoint>{{"", true}, {"n1", true}, {"n2", false}, {"n2", true}});
  const SliceHeader header = PeekEndpointSlice(object);
  CHECK(header.key == slice->key);
  CHECK(header.service_name == "s");
  CHECK(header.by_controller);
  CHECK(slice->by_controller);
  CHECK(header.created == kTime);
}

TEST_CASE("A slice's header is read whatever the object is like", "[codec]") {
  struct Case {
    const char* name;
    const char* text;
    model::ObjectKey key;
    const char* service;
    bool by_controller;
  };
  const auto c = GENERATE(values<Case>({
      {"not an object", "[]", {}, "", false},
      {"no metadata", "{}", {}, "", false},
      {"metadata of a wrong type", R"({"metadata":[1]})", {}, "", false},
      {"no labels", R"({"metadata":{"namespace":"d","name":"x"}})", {"d", "x"}, "", false},
      {"labels of a wrong type",
       R"({"metadata":{"namespace":"d","name":"x","labels":"a"}})",
       {"d", "x"},
       "",
       false},
      {"a label of a wrong type",
       R"({"metadata":{"namespace":1,"name":"x","labels":{"kubernetes.io/service-name":[]}}})",
       {"", "x"},
       "",
       false},
      {"made by hand",
       R"({"metadata":{"namespace":"d","name":"x","labels":{"kubernetes.io/service-name":"s"}}})",
       {"d", "x"},
       "s",
       false},
      {"mirrored",
       R"({"metadata":{"namespace":"d","name":"x","labels":{"kubernetes.io/service-name":"s",
       "endpointslice.kubernetes.io/managed-by":"endpointslicemirroring-controller.k8s.io"}}})",
       {"d", "x"},
       "s",
       false},
      {"by the controller",
       R"({"metadata":{"namespace":"d","name":"x","labels":{"kubernetes.io/service-name":"s",
       "endpointslice.kubernetes.io/managed-by":"endpointslice-controller.k8s.io"}}})",
       {"d", "x"},
       "s",
       true},
  }));
  DYNAMIC_SECTION(c.name) {
    const SliceHeader header = PeekEndpointSlice(Parse(c.text));
    CHECK(header.key == c.key);
    CHECK(header.service_name == c.service);
    CHECK(header.by_controller == c.by_controller);
    CHECK_FALSE(header.created.has_value());
    const auto slice = DecodeEndpointSlice(Parse(c.text));
    CHECK((slice.ok() && slice->by_controller) == c.by_controller);
  }
}

TEST_CASE("Endpoints have the header of the slice that they become", "[codec]") {
  const json object = Parse(R"({"metadata":{"namespace":"d","name":"s","resourceVersion":"9",
    "creationTimestamp":"2026-01-31T23:59:59Z"},"subsets":[]})");
  const auto slice = DecodeEndpoints(object);
  REQUIRE(slice.ok());
  const SliceHeader header = PeekEndpoints(object);
  CHECK(header.key == slice->key);
  CHECK(header.service_name == slice->service_name);
  CHECK(header.created == kTime);
  CHECK(slice->created == kTime);
  CHECK(slice->resource_version == "9");
}

TEST_CASE("Times of the API server are read", "[codec]") {
  struct Case {
    const char* text;
    std::optional<WallTime> want;
  };
  const auto seconds = [](std::int64_t s) { return WallTime(std::chrono::seconds(s)); };
  const std::vector<Case> cases = {
      {"2026-01-31T23:59:59Z", kTime},
      {"1970-01-01T00:00:00Z", seconds(0)},
      {"2024-02-29T12:00:00Z", seconds(1'709'208'000)},
      {"2016-12-31T23:59:60Z", seconds(1'483'228'800)},  // a leap second
      {"2023-02-29T12:00:00Z", std::nullopt},
      {"2026-13-01T00:00:00Z", std::nullopt},
      {"2026-00-01T00:00:00Z", std::nullopt},
      {"2026-01-00T00:00:00Z", std::nullopt},
      {"2026-01-31T24:00:00Z", std::nullopt},
      {"2026-01-31T23:60:00Z", std::nullopt},
      {"2026-01-31T23:59:61Z", std::nullopt},
      {"2026-01-31T23:59:59", std::nullopt},
      {"2026-01-31T23:59:59+01:00", std::nullopt},
      {"2026-01-31T23:59:59.5Z", std::nullopt},
      {"2026-01-31 23:59:59Z", std::nullopt},
      {"-026-01-31T23:59:59Z", std::nullopt},
      {"2026-+1-31T23:59:59Z", std::nullopt},
      {"2026- 1-31T23:59:59Z", std::nullopt},
      {"9999-12-31T23:59:59Z", std::nullopt},
      {"0000-01-01T00:00:00Z", std::nullopt},
      {"", std::nullopt},
      {"yesterday, or the day before", std::nullopt},
  };
  for (const Case& c : cases) {
    DYNAMIC_SECTION(c.text) {
      const json object = {{"metadata", {{"name", "s"}, {"creationTimestamp", c.text}}}};
      const auto service = DecodeService(object, Verbatim::kDrop);
      REQUIRE(service.ok());
      CHECK(service->created == c.want);
    }
  }
}

TEST_CASE("Only addresses count of what a Service's status holds", "[codec]") {
  struct Case {
    const char* name;
    const char* ingress;
    std::vector<std::string> want;
  };
  const auto c = GENERATE(values<Case>({
      {"nothing", "null", {}},
      {"an address", R"([{"ip":"192.0.2.1"}])", {"192.0.2.1"}},
      {"a hostname only", R"([{"hostname":"h"}])", {}},
      {"a hostname beside an address", R"([{"hostname":"h"},{"ip":"192.0.2.1"}])", {"192.0.2.1"}},
      {"a hostname with an address",
       R"([{"hostname":"h","ip":"192.0.2.1","ipMode":"Proxy"}])",
       {"192.0.2.1"}},
      {"an empty address", R"([{"ip":""},{"ip":"2001:db8::1"}])", {"2001:db8::1"}},
      {"what is no address stays, and is judged later", R"([{"ip":"x"}])", {"x"}},
  }));
  DYNAMIC_SECTION(c.name) {
    json object = Parse(R"({"metadata":{"name":"s"},"status":{"loadBalancer":{}}})");
    object["status"]["loadBalancer"]["ingress"] = Parse(c.ingress);
    const auto service = DecodeService(object, Verbatim::kDrop);
    REQUIRE(service.ok());
    CHECK(service->ingress_ips == c.want);
  }
}

TEST_CASE("A Node's conditions and addresses are read", "[codec]") {
  struct Case {
    const char* name;
    const char* status;
    bool ready;
    bool network_unavailable;
    std::vector<std::string> addresses;
  };
  const auto c = GENERATE(values<Case>({
      {"nothing", "null", false, false, {}},
      {"ready", R"({"conditions":[{"type":"Ready","status":"True"}]})", true, false, {}},
      {"not ready", R"({"conditions":[{"type":"Ready","status":"False"}]})", false, false, {}},
      {"nobody knows", R"({"conditions":[{"type":"Ready","status":"Unknown"}]})", false, false, {}},
      {"another condition that is true",
       R"({"conditions":[{"type":"MemoryPressure","status":"True"}]})",
       false,
       false,
       {}},
      {"no network",
       R"({"conditions":[{"type":"NetworkUnavailable","status":"True"}]})",
       false,
       true,
       {}},
      {"a network that nobody knows",
       R"({"conditions":[{"type":"NetworkUnavailable","status":"Unknown"}]})",
       false,
       false,
       {}},
      {"addresses of both kinds and families, in order",
       R"({"addresses":[{"type":"InternalIP","address":"192.0.2.9"},
       {"type":"InternalIP","address":"2001:DB8::9"},
       {"type":"ExternalIP","address":"198.51.100.9"}]})",
       false,
       false,
       {"192.0.2.9", "2001:db8::9", "198.51.100.9"}},
      {"names are none",
       R"({"addresses":[{"type":"Hostname","address":"192.0.2.9"},
       {"type":"InternalDNS","address":"n"},{"type":"ExternalDNS","address":"n.example.org"}]})",
       false,
       false,
       {}},
      {"what is no address is left out",
       R"({"addresses":[{"type":"InternalIP","address":"n"},{"type":"InternalIP"},
       {"type":"InternalIP","address":"fe80::1%eth0"},
       {"type":"InternalIP","address":"192.0.2.9"}]})",
       false,
       false,
       {"192.0.2.9"}},
      {"one that is there twice",
       R"({"addresses":[{"type":"InternalIP","address":"192.0.2.9"},
       {"type":"ExternalIP","address":"192.0.2.9"}]})",
       false,
       false,
       {"192.0.2.9"}},
  }));
  DYNAMIC_SECTION(c.name) {
    json object = Parse(R"({"metadata":{"name":"n1"}})");
    object["status"] = Parse(c.status);
    const auto node = DecodeNode(object);
    REQUIRE(node.ok());
    CHECK(node->ready == c.ready);
    CHECK(node->network_unavailable == c.network_unavailable);
    std::vector<std::string> addresses;
    for (const net::IpAddress& address : node->addresses) {
      addresses.push_back(address.ToString());
    }
    CHECK(addresses == c.addresses);
  }
}

TEST_CASE("A Node's addresses are bounded", "[codec]") {
  json object = Parse(R"({"metadata":{"name":"n1"},"status":{"addresses":[]}})");
  for (int i = 0; i < 1000; ++i) {
    object["status"]["addresses"].push_back(
        {{"type", "InternalIP"},
         {"address", "192.0." + std::to_string(i / 256) + "." + std::to_string(i % 256)}});
  }
  const auto node = DecodeNode(object);
  REQUIRE(node.ok());
  CHECK(node->addresses.size() == kMaxNodeAddresses);
}

}  // namespace stentor::kube
