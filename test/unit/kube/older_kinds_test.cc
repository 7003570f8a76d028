// SPDX-License-Identifier: Apache-2.0

/// \file
/// Kinds that only older clusters need: Endpoints, AddressPool, and a ConfigMap's entry.

#include <string>

#include "common/kube/codec.h"
#include "test/support/catch.h"

namespace stentor::kube {
namespace {

nlohmann::json Json(const char* text) { return nlohmann::json::parse(text); }

}  // namespace

TEST_CASE("Endpoints are one slice of their Service", "[codec]") {
  const auto slice = DecodeEndpoints(Json(R"({
    "metadata": {"namespace": "d", "name": "web",
                 "annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}},
    "subsets": [
      {"addresses": [{"ip": "198.18.0.1", "nodeName": "b"}, {"ip": "198.18.0.2", "nodeName": "b"},
                     {"ip": "198.18.0.3"}],
       "notReadyAddresses": [{"ip": "198.18.0.4", "nodeName": "a"}], "ports": [{"port": 80}]},
      {"addresses": [{"ip": "198.18.0.1", "nodeName": "b"}], "ports": [{"port": 81}]}]})"));
  REQUIRE(slice.ok());
  CHECK(slice->key == EndpointsKey({"d", "web"}));
  CHECK(slice->key != model::ObjectKey{"d", "web"});
  CHECK(slice->service_name == "web");
  CHECK(slice->endpoints == std::vector<model::Endpoint>{{"", true}, {"a", false}, {"b", true}});
}

TEST_CASE("Endpoints without subsets, as of a leader election, have no endpoints", "[codec]") {
  for (const char* text :
       {R"({"metadata": {"name": "e"}})", R"({"metadata": {"name": "e"}, "subsets": null})",
        R"({"metadata": {"name": "e"}, "subsets": [{}]})"}) {
    const auto slice = DecodeEndpoints(Json(text));
    REQUIRE(slice.ok());
    CHECK(slice->endpoints.empty());
  }
}

TEST_CASE("An AddressPool is read with its defaults", "[codec]") {
  const auto pool = DecodeAddressPool(Json(R"({"metadata": {"namespace": "m", "name": "p"},
    "spec": {"protocol": "layer2", "addresses": ["192.0.2.0/28", "192.0.2.32-192.0.2.40"],
             "bgpAdvertisements": [{"localPref": 100}]}})"));
  REQUIRE(pool.ok());
  CHECK(pool->key == model::ObjectKey{"m", "p"});
  CHECK(pool->protocol == "layer2");
  CHECK(pool->addresses == std::vector<std::string>{"192.0.2.0/28", "192.0.2.32-192.0.2.40"});
  CHECK(pool->auto_assign);
  CHECK_FALSE(pool->avoid_buggy_ips);
  const auto other = DecodeAddressPool(Json(
      R"({"metadata": {"name": "p"}, "spec": {"protocol": "bgp", "autoAssign": false,
          "avoidBuggyIPs": true, "addresses": []}})"));
  REQUIRE(other.ok());
  CHECK_FALSE(other->auto_assign);
  CHECK(other->avoid_buggy_ips);
}

TEST_CASE("A ConfigMap's entry is there or not", "[codec]") {
  const auto read = [](const char* text) { return DecodeConfigMapEntry(Json(text), "config"); };
  const auto entry =
      read(R"({"metadata": {"namespace": "m", "name": "c"}, "data": {"config": "x", "y": "z"}})");
  REQUIRE(entry.ok());
  CHECK(entry->key == model::ObjectKey{"m", "c"});
  CHECK(entry->text == "x");
  for (const char* text :
       {R"({"metadata": {"name": "c"}})", R"({"metadata": {"name": "c"}, "data": {"other": "x"}})",
        R"({"metadata": {"name": "c"}, "data": {"config": null}})"}) {
    const auto without = read(text);
    REQUIRE(without.ok());
    CHECK(without->text == std::nullopt);
  }
}

TEST_CASE("A field of a wrong type names object and field", "[codec]") {
  const auto message = [](const auto& decoded) {
    REQUIRE_FALSE(decoded.ok());
    return std::string(decoded.status().message());
  };
  CHECK(message(DecodeEndpoints(Json(
            R"({"metadata": {"namespace": "d", "name": "e"}, "subsets": [{"addresses": 1}]})"))) ==
        "Endpoints d/e: subsets[0].addresses: expected a list");
  CHECK(message(DecodeAddressPool(
            Json(R"({"metadata": {"name": "p"}, "spec": {"addresses": ["a", 1]}})"))) ==
        "AddressPool p: spec.addresses[1]: expected a string");
  CHECK(message(DecodeConfigMapEntry(Json(R"({"metadata": {"name": "c"}, "data": {"config": 1}})"),
                                     "config")) == "ConfigMap c: data.config: expected a string");
  CHECK(message(DecodeEndpoints(Json("[]"))).find("expected an object") != std::string::npos);
  CHECK(message(DecodeAddressPool(Json("{}"))) == "AddressPool: metadata.name: expected a name");
}

}  // namespace stentor::kube
