// SPDX-License-Identifier: Apache-2.0
#include "controller/webhook/validate.h"

#include <algorithm>
#include <random>

#include "test/unit/webhook/objects.h"

namespace stentor::controller {
namespace {

using namespace testing;
using Catch::Matchers::Contains;
using Catch::Matchers::Equals;

json Service(std::string_view name, json annotations = json::object(),
             std::string_view type = "LoadBalancer") {
  return {{"apiVersion", "v1"},
          {"kind", "Service"},
          {"metadata", {{"name", std::string(name)}, {"annotations", std::move(annotations)}}},
          {"spec", {{"type", std::string(type)}, {"ports", {{{"port", 80}}}}}}};
}

std::vector<std::string> Lines(const std::vector<json>& objects) {
  std::vector<Document> documents;
  for (const json& object : objects) {
    documents.push_back({"f.yaml", object});
  }
  std::vector<std::string> lines;
  for (const Finding& finding : Validate(documents, kNamespace, BgpMode::kAny)) {
    lines.push_back(ToLine(finding));
  }
  return lines;
}

json WithoutNamespace(json object) {
  object["metadata"].erase("namespace");
  return object;
}

TEST_CASE("Each object has its line, in the order of the documents") {
  const json restricted = ObjectOf("IPAddressPool", "own",
                                   {{"addresses", {"198.51.100.0/24"}},
                                    {"autoAssign", false},
                                    {"serviceAllocation", {{"namespaces", {"team"}}}}});
  CHECK_THAT(
      Lines({WithoutNamespace(PoolObject("web", {"192.0.2.0/24"})),
             nullptr,
             restricted,
             {{"apiVersion", "apps/v1"}, {"kind", "Deployment"}},
             ObjectOf("L2Advertisement", "ad", {{"ipAddressPools", {"web"}}}),
             Service("plain"),
             Service("inner", json::object(), "ClusterIP"),
             Service("named", {{"metallb.io/address-pool", "web"},
                               {"metallb.io/loadBalancerIPs", "192.0.2.7"}}),
             Service("unknown", {{"metallb.io/address-pool", "wbe"}}),
             Service("other", {{"metallb.io/address-pool", "own"},
                               {"metallb.io/loadBalancerIPs", "192.0.2.7"}}),
             Service("outside", {{"metallb.io/loadBalancerIPs", "203.0.113.1"}}),
             Service("text", {{"metallb.io/loadBalancerIPs", "seven"}}),
             Service("aged", {{"metallb.universe.tf/address-pool", "web"}}),
             7}),
      Equals(std::vector<std::string>{
          "ok: f.yaml: IPAddressPool metallb-system/web: ok",
          "ok: f.yaml: IPAddressPool metallb-system/own: ok",
          "warning: f.yaml: Deployment: not checked: no kind that this program reads",
          "ok: f.yaml: L2Advertisement metallb-system/ad: ok",
          "ok: f.yaml: Service default/plain: ok",
          "ok: f.yaml: Service default/inner: type ClusterIP gets no address",
          "ok: f.yaml: Service default/named: ok",
          "error: f.yaml: Service default/unknown: unknown pool \"wbe\"",
          "error: f.yaml: Service default/other: pool own not compatible for ip assignment",
          "error: f.yaml: Service default/other: requested loadBalancer IP(s) [\"192.0.2.7\"] is "
          "not compatible with requested address pool own",
          "error: f.yaml: Service default/outside: [\"203.0.113.1\"] is not allowed in config",
          "error: f.yaml: Service default/text: invalid metallb.io/loadBalancerIPs: "
          "\"seven\"",
          "warning: f.yaml: Service default/aged: deprecated annotations: "
          "metallb.universe.tf/address-pool",
          "error: f.yaml: not a Kubernetes object"}));
}

TEST_CASE("Both of two that exclude each other are refused, whatever their order") {
  std::vector<json> objects = {PoolObject("a", {"192.0.2.0/24"}),
                               PoolObject("b", {"192.0.2.128/25"}),
                               PoolObject("c", {"198.51.100.0/24"}),
                               PoolObject("d", {"203.0.113.0/33"}),
                               ObjectOf("L2Advertisement", "ad", {{"ipAddressPools", {"x"}}}),
                               ObjectOf("BFDProfile", "fast", {{"receiveInterval", 1}}),
                               PeerObject("tor", "192.0.2.1", {{"bfdProfile", "later"}}),
                               Service("s", {{"metallb.io/address-pool", "c"}})};
  const auto sorted = [&objects] {
    std::vector<std::string> lines = Lines(objects);
    std::ranges::sort(lines);
    return lines;
  };
  const std::vector<std::string> expected = sorted();
  const auto errors = std::ranges::count_if(
      expected, [](const std::string& line) { return line.substr(0, 6) == "error:"; });
  CHECK(errors == 4);      // a, b, d, fast
  std::mt19937 random(1);  // NOLINT: the same orders each time
  for (int i = 0; i < 100; ++i) {
    std::shuffle(objects.begin(), objects.end(), random);
    REQUIRE(sorted() == expected);
  }
}

TEST_CASE("An error in one kind is not held against another") {
  CHECK_THAT(Lines({PoolObject("web", {"192.0.2.0/24"}),
                    ObjectOf("L2Advertisement", "ad", {{"interfaces", {"eth0"}}}),
                    ObjectOf("L2Advertisement", "bad", {{"ipAddressPools", {"web", "web"}}})}),
             Equals(std::vector<std::string>{
                 "ok: f.yaml: IPAddressPool metallb-system/web: ok",
                 "warning: f.yaml: L2Advertisement metallb-system/ad: other objects are in error: "
                 "duplicate definition of ipAddressPools \"web\" (L2Advertisement bad: "
                 "spec.ipAddressPools[1])",
                 "error: f.yaml: L2Advertisement metallb-system/bad: duplicate definition of "
                 "ipAddressPools \"web\" (L2Advertisement bad: spec.ipAddressPools[1])"}));
}

TEST_CASE("Lists are taken apart, once") {
  const json pool = PoolObject("web", {"192.0.2.0/24"});
  const json list = {{"apiVersion", "v1"}, {"kind", "List"}, {"items", {pool, pool}}};
  CHECK_THAT(Lines({list,
                    {{"apiVersion", "v1"}, {"kind", "List"}, {"items", {list}}},
                    {{"apiVersion", "v1"}, {"kind", "List"}}}),
             Equals(std::vector<std::string>{
                 "error: f.yaml: IPAddressPool metallb-system/web: defined twice",
                 "ok: f.yaml: IPAddressPool metallb-system/web: ok",
                 "warning: f.yaml: List: not checked: no kind that this program reads",
                 "error: f.yaml: List: items: expected a list"}));
}

TEST_CASE("What can't be read is told") {
  const auto [object, text] = GENERATE(table<json, std::string>(
      {{ObjectOf("IPAddressPool", "p", {{"addresses", 7}}), "spec.addresses: expected a list"},
       {PoolObject("", {"192.0.2.0/24"}), "metadata.name: expected a name"},
       {{{"apiVersion", "metallb.io/v1beta1"}, {"kind", "IPAddressPool"}}, "metadata.name"},
       {{{"apiVersion", "metallb.io/v1beta1"}, {"kind", "IPAddressPool"}, {"metadata", 7}},
        "metadata: expected an object"},
       {Service(""), "metadata.name"},
       {{{"apiVersion", "v1"},
         {"kind", "Service"},
         {"metadata", {{"name", "s"}}},
         {"spec", {{"ports", 7}}}},
        "spec.ports"}}));
  DYNAMIC_SECTION(object) {
    const std::vector<std::string> lines = Lines({object});
    REQUIRE(lines.size() == 1);
    CHECK_THAT(lines[0], Contains("error: f.yaml: ") && Contains(text));
  }
}

TEST_CASE("Objects of other namespaces are refused, and count for nothing") {
  json pool = PoolObject("web", {"192.0.2.0/24"});
  pool["metadata"]["namespace"] = "default";
  CHECK_THAT(Lines({pool, PoolObject("b", {"192.0.2.0/24"})}),
             Equals(std::vector<std::string>{
                 "error: f.yaml: IPAddressPool default/web: resource must be created in "
                 "metallb-system namespace",
                 "ok: f.yaml: IPAddressPool metallb-system/b: ok"}));
}

TEST_CASE("What a Service asks for is held against the pools") {
  const std::vector<json> pools = {
      PoolObject("web", {"192.0.2.0/24", "2001:db8::/64"}),
      ObjectOf("IPAddressPool", "careful",
               {{"addresses", {"198.51.100.0/24"}}, {"avoidBuggyIPs", true}}),
      ObjectOf(
          "IPAddressPool", "own",
          {{"addresses", {"203.0.113.0/25"}}, {"serviceAllocation", {{"namespaces", {"team"}}}}}),
      ObjectOf("IPAddressPool", "tenants",
               {{"addresses", {"203.0.113.128/25"}},
                {"serviceAllocation",
                 {{"namespaceSelectors", {{{"matchLabels", {{"tenant", "a"}}}}}}}}})};
  struct Case {
    std::string name;
    json annotations;
    json spec;          // merged into the Service's
    std::string error;  // empty: fine
  };
  const auto wants = [](std::string addresses) {
    return json{{"metallb.io/loadBalancerIPs", std::move(addresses)}};
  };
  const auto test = GENERATE_COPY(values<Case>(
      {{"nothing", json::object(), json::object(), ""},
       {"one address", wants("192.0.2.0"), json::object(), ""},
       {"one of each family", wants("2001:db8::1, 192.0.2.1"), json::object(), ""},
       {"spec.loadBalancerIP", json::object(), {{"loadBalancerIP", "192.0.2.1"}}, ""},
       {"text in spec.loadBalancerIP",
        json::object(),
        {{"loadBalancerIP", "web"}},
        "invalid spec.loadBalancerIP \"web\""},
       {"both ways",
        wants("192.0.2.1"),
        {{"loadBalancerIP", "192.0.2.1"}},
        "service can not have both metallb.io/loadBalancerIPs and svc.Spec.LoadBalancerIP"},
       {"two of one family", wants("192.0.2.1,192.0.2.2"), json::object(),
        "requested loadBalancer IP(s) [\"192.0.2.1\" \"192.0.2.2\"] does not match the ipFamily of "
        "the service"},
       {"three", wants("192.0.2.1,192.0.2.2,2001:db8::1"), json::object(),
        "does not match the ipFamily of the service"},
       {"another family than the Service's",
        wants("2001:db8::1"),
        {{"ipFamilies", {"IPv4"}}},
        "does not match the ipFamily of the service"},
       {"fewer than the cluster IPs",
        wants("192.0.2.1"),
        {{"clusterIPs", {"10.96.0.1", "2001:db8:96::1"}}},
        "does not match the ipFamily of the service"},
       {"as the cluster IPs",
        wants("192.0.2.1"),
        {{"clusterIPs", {"10.96.0.1"}}, {"ipFamilies", {"IPv4"}}},
        ""},
       {"of two pools", wants("198.51.100.1,2001:db8::1"), json::object(),
        "[\"198.51.100.1\" \"2001:db8::1\"] is not allowed in config"},
       {"of no pool", wants("10.0.0.1"), json::object(), "[\"10.0.0.1\"] is not allowed in config"},
       {".0 of a pool that avoids it", wants("198.51.100.0"), json::object(),
        "[\"198.51.100.0\"] is not allowed in config"},
       {".255 of a pool that avoids it", wants("198.51.100.255"), json::object(),
        "[\"198.51.100.255\"] is not allowed in config"},
       {".1 of a pool that avoids .0", wants("198.51.100.1"), json::object(), ""},
       {"of a pool for other namespaces", wants("203.0.113.1"), json::object(),
        "pool own not compatible for ip assignment"},
       {"of a pool that selects namespaces by label, which a file does not tell",
        wants("203.0.113.129"), json::object(), ""},
       {"an address of another pool than the one that it names",
        {{"metallb.io/loadBalancerIPs", "192.0.2.1"}, {"metallb.io/address-pool", "careful"}},
        json::object(),
        "requested loadBalancer IP(s) [\"192.0.2.1\"] is not compatible with requested address "
        "pool "
        "careful"}}));
  DYNAMIC_SECTION(test.name) {
    json service = Service("s", test.annotations);
    service["spec"].update(test.spec);
    std::vector<json> objects = pools;
    objects.push_back(service);
    const std::vector<std::string> lines = Lines(objects);
    REQUIRE(lines.size() == 5);
    CHECK_THAT(lines[4], Contains(test.error.empty() ? "ok: f.yaml: Service default/s: ok"
                                                     : "error: f.yaml: Service default/s: "));
    CHECK_THAT(lines[4], Contains(test.error));
  }
}

TEST_CASE("Without a pool that gives by itself, a plain Service is warned") {
  const json pool =
      ObjectOf("IPAddressPool", "own", {{"addresses", {"192.0.2.0/24"}}, {"autoAssign", false}});
  CHECK_THAT(Lines({pool, Service("s")})[1],
             Equals("warning: f.yaml: Service default/s: no pool gives addresses by itself"));
}

}  // namespace
}  // namespace stentor::controller
