// SPDX-License-Identifier: Apache-2.0
#include "common/config/config.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "test/support/catch.h"

namespace stentor::config {
namespace {

using model::IpAddressPoolResource;
using model::L2AdvertisementResource;
using model::LabelSelector;
using enum model::SelectorOperator;

IpAddressPoolResource PoolOf(std::string name, std::vector<std::string> addresses) {
  IpAddressPoolResource pool;
  pool.key = {.name_space = "metallb-system", .name = std::move(name)};
  pool.addresses = std::move(addresses);
  return pool;
}

L2AdvertisementResource Advertisement(std::string name) {
  L2AdvertisementResource advertisement;
  advertisement.key = {.name_space = "metallb-system", .name = std::move(name)};
  return advertisement;
}

LabelSelector Label(std::string key, std::string value) {
  return {.requirements = {{.key = std::move(key), .op = kIn, .values = {std::move(value)}}}};
}

// `change` applied to a pool that is fine.
template <typename Change>
Resources PoolWith(Change change) {
  IpAddressPoolResource pool = PoolOf("p", {"192.0.2.0/24"});
  change(pool);
  return {.pools = {pool}};
}

template <typename Change>
Resources AllocationWith(Change change) {
  return PoolWith([&change](IpAddressPoolResource& pool) {
    pool.has_service_allocation = true;
    change(pool);
  });
}

template <typename Change>
Resources AdvertisementWith(Change change) {
  L2AdvertisementResource advertisement = Advertisement("ad");
  change(advertisement);
  return {.pools = {PoolOf("p", {"192.0.2.0/24"})}, .l2_advertisements = {advertisement}};
}

std::vector<std::string> NamesOf(const Pool& pool) {
  std::vector<std::string> names;
  for (const L2Advertisement& advertisement : pool.l2_advertisements) {
    names.push_back(advertisement.name);
  }
  return names;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("A configuration that is not valid is refused in MetalLB's words", "[config]") {
  struct Case {
    const char* name;
    Resources resources;
    const char* message;  // a part of the error's
  };
  const std::vector<LabelSelector> twice = {Label("a", "b"), Label("a", "b")};
  const LabelSelector no_values{.requirements = {{.key = "a", .op = kIn}}};
  const LabelSelector no_values_not_in{.requirements = {{.key = "a", .op = kNotIn}}};
  const LabelSelector exists_with_value{
      .requirements = {{.key = "a", .op = kExists, .values = {"b"}}}};
  const auto service_selector = [](model::SelectorRequirement requirement) {
    return AllocationWith(
        [&requirement](auto& p) { p.service_selectors = {{.requirements = {requirement}}}; });
  };
  const LabelSelector no_key{.requirements = {{.key = "", .op = kExists}}};
  const auto c = GENERATE_COPY(values<Case>({
      {"no name", PoolWith([](auto& p) { p.key.name = ""; }), "missing pool name"},
      {"no addresses", PoolWith([](auto& p) { p.addresses = {}; }), "pool has no prefixes defined"},
      {"no CIDR", PoolWith([](auto& p) { p.addresses = {"192.0.2.0/33"}; }),
       "invalid CIDR \"192.0.2.0/33\" in pool \"p\": invalid CIDR \"192.0.2.0/33\" "
       "(IPAddressPool p: spec.addresses[0])"},
      {"a bare address", PoolWith([](auto& p) { p.addresses = {"192.0.2.1"}; }),
       "invalid CIDR \"192.0.2.1\" in pool \"p\": invalid CIDR"},
      {"an empty item", PoolWith([](auto& p) { p.addresses = {""}; }),
       "invalid CIDR \"\" in pool \"p\": invalid CIDR"},
      {"the second item", PoolWith([](auto& p) { p.addresses = {"192.0.2.0/24", "x"}; }),
       "(IPAddressPool p: spec.addresses[1])"},
      {"bad start", PoolWith([](auto& p) { p.addresses = {"192.168.122.300-192.168.122.310"}; }),
       "invalid CIDR \"192.168.122.300-192.168.122.310\" in pool \"p\": invalid IP range "
       "\"192.168.122.300-192.168.122.310\": invalid start IP \"192.168.122.300\""},
      {"bad end", PoolWith([](auto& p) { p.addresses = {"192.0.2.1-192.0.2.256"}; }),
       "invalid IP range \"192.0.2.1-192.0.2.256\": invalid end IP \"192.0.2.256\""},
      {"end before start", PoolWith([](auto& p) { p.addresses = {"192.0.2.9-192.0.2.1"}; }),
       "start IP \"192.0.2.9\" is after the end IP \"192.0.2.1\""},
      {"from IPv6 to IPv4", PoolWith([](auto& p) { p.addresses = {"2001:db8::1-192.0.2.1"}; }),
       "start IP \"2001:db8::1\" is after the end IP \"192.0.2.1\""},
      {"overlap in a pool",
       PoolWith([](auto& p) { p.addresses = {"192.0.2.0/24", "192.0.2.8/29"}; }),
       "CIDR \"192.0.2.8/29\" in pool \"p\" overlaps with already defined CIDR \"192.0.2.0/24\""},
      {"the same item twice",
       PoolWith([](auto& p) { p.addresses = {"192.0.2.0/24", "192.0.2.0/24"}; }),
       "CIDR \"192.0.2.0/24\" in pool \"p\" overlaps with already defined CIDR \"192.0.2.0/24\""},
      {"overlap of a range's last address",
       PoolWith([](auto& p) { p.addresses = {"192.0.2.10-192.0.2.20", "192.0.2.20/32"}; }),
       "CIDR \"192.0.2.20/32\" in pool \"p\" overlaps with already defined CIDR \"192.0.2.20/32\""},
      {"overlap of two pools",
       {.pools = {PoolOf("b", {"192.0.2.128/25"}), PoolOf("a", {"192.0.2.0/24"})}},
       "CIDR \"192.0.2.128/25\" in pool \"b\" overlaps with already defined CIDR \"192.0.2.0/24\""},
      {"the wider one comes second",
       {.pools = {PoolOf("a", {"192.0.2.128/25"}), PoolOf("b", {"192.0.2.0/24"})}},
       "CIDR \"192.0.2.0/24\" in pool \"b\" overlaps with already defined CIDR \"192.0.2.128/25\""},
      {"overlap of IPv6 pools",
       {.pools = {PoolOf("a", {"2001:db8::/32"}), PoolOf("b", {"2001:db8:1::1-2001:db8:1::1"})}},
       "CIDR \"2001:db8:1::1/128\" in pool \"b\" overlaps with already defined CIDR "
       "\"2001:db8::/32\""},
      {"two pools of one name",
       {.pools = {PoolOf("a", {"192.0.2.0/25"}), PoolOf("a", {"192.0.2.128/25"})}},
       "duplicate definition of pool \"a\" (IPAddressPool a)"},
      {"the other pool is named",
       {.pools = {PoolOf("b", {"192.0.2.128/25"}), PoolOf("a", {"192.0.2.0/24"})}},
       "CIDR \"192.0.2.0/24\" of pool \"a\" (IPAddressPool b: spec.addresses[0])"},
      {"a namespace twice", AllocationWith([](auto& p) { p.namespaces = {"x", "y", "x"}; }),
       "duplicate definition in namespaces field"},
      {"a namespace selector twice",
       AllocationWith([&](auto& p) { p.namespace_selectors = twice; }),
       "duplicate definition of namespaceSelectors"},
      {"a service selector twice", AllocationWith([&](auto& p) { p.service_selectors = twice; }),
       "duplicate definition of serviceSelectors"},
      {"In without values", AllocationWith([&](auto& p) { p.service_selectors = {no_values}; }),
       "for 'in', 'notin' operators, values set can't be empty: invalid service label selector in "
       "ip pool p (IPAddressPool p: spec.serviceAllocation.serviceSelectors[0])"},
      {"Exists with values",
       AllocationWith([&](auto& p) { p.namespace_selectors = {exists_with_value}; }),
       "values set must be empty for exists and does not exist: invalid namespace label selector "
       "in ip pool p (IPAddressPool p: spec.serviceAllocation.namespaceSelectors[0])"},
      {"a condition without key", AllocationWith([&](auto& p) { p.service_selectors = {no_key}; }),
       "key: Invalid value: \"\": name part must be non-empty: invalid service label selector in "
       "ip "
       "pool p"},
      {"a key of other characters", service_selector({.key = "a b", .op = kExists}),
       "key: Invalid value: \"a b\": name part must consist of alphanumeric characters"},
      {"a key that ends in a point", service_selector({.key = "a.", .op = kExists}),
       "name part must consist of"},
      {"a key that is too long", service_selector({.key = std::string(64, 'a'), .op = kExists}),
       "name part must be no more than 63 bytes"},
      {"a key with an empty prefix", service_selector({.key = "/a", .op = kExists}),
       "prefix part must be non-empty"},
      {"a key with nothing behind its prefix", service_selector({.key = "a/", .op = kExists}),
       "name part must be non-empty"},
      {"a key with a prefix in upper case",
       service_selector({.key = "Example.org/a", .op = kExists}),
       "prefix part must be a lowercase RFC 1123 subdomain"},
      {"a key with a prefix of two points",
       service_selector({.key = "example..org/a", .op = kExists}),
       "prefix part must be a lowercase RFC 1123 subdomain"},
      {"a key with too long a prefix",
       service_selector({.key = std::string(254, 'a') + "/a", .op = kExists}),
       "prefix part must be no more than 253 bytes"},
      {"a key with two slashes", service_selector({.key = "a/b/c", .op = kExists}),
       "name part must consist of"},
      {"a value of other characters", service_selector({.key = "a", .values = {"b c"}}),
       "values[a]: Invalid value: \"b c\": a valid label must be an empty string or must consist "
       "of"},
      {"a value that is too long", service_selector({.key = "a", .values = {std::string(64, 'b')}}),
       "must be no more than 63 bytes"},
      {"a label of other characters",
       service_selector({.key = "a", .op = kEquals, .values = {"b!"}}), "Invalid value: \"b!\""},
      {"an operator that there is not",
       service_selector({.key = "a", .op = kUnknown, .unknown_op = "Is"}),
       "\"Is\" is not a valid label selector operator: invalid service label selector in ip pool "
       "p"},
      {"a value twice", service_selector({.key = "a", .values = {"b", "b"}}),
       "duplicate definition of match expression value in label selector \"b\" (IPAddressPool p: "
       "spec.serviceAllocation.serviceSelectors[0])"},
      {"an expression twice", AllocationWith([](auto& p) {
         p.service_selectors = {
             {.requirements = {{.key = "a", .op = kExists}, {.key = "a", .op = kExists}}}};
       }),
       "duplicate definition of match expressions \"a\""},
      {"the pool is named", PoolWith([](auto& p) { p.addresses = {}; }),
       "parsing address pool p: "},

      {"advertisement: a pool twice",
       AdvertisementWith([](auto& a) { a.ip_address_pools = {"p", "p"}; }),
       "duplicate definition of ipAddressPools \"p\" (L2Advertisement ad: spec.ipAddressPools[1])"},
      {"advertisement: a pool selector twice",
       AdvertisementWith([&](auto& a) { a.ip_address_pool_selectors = twice; }),
       "duplicate definition of ipAddressPoolSelectors"},
      {"advertisement: a node selector twice",
       AdvertisementWith([&](auto& a) { a.node_selectors = twice; }),
       "duplicate definition of nodeSelectors"},
      {"advertisement: a service selector twice",
       AdvertisementWith([&](auto& a) { a.service_selectors = twice; }),
       "duplicate definition of serviceSelectors"},
      {"advertisement: NotIn without values",
       AdvertisementWith([&](auto& a) { a.node_selectors = {no_values_not_in}; }),
       "values set can't be empty: failed to parse node selector for ad (L2Advertisement ad: "
       "spec.nodeSelectors[0])"},
      {"advertisement: a Service selector that is none",
       AdvertisementWith([&](auto& a) { a.service_selectors = {no_key}; }),
       "failed to parse service selector for ad"},
      {"advertisement: a pool selector that is none",
       AdvertisementWith([&](auto& a) { a.ip_address_pool_selectors = {exists_with_value}; }),
       "invalid label selector for ad"},
      {"advertisement: weight 0",
       AdvertisementWith([](auto& a) { a.preferred_node_selectors = {{.weight = 0}}; }),
       "weight 0 is not from 1 to 100"},
      {"advertisement: weight 101",
       AdvertisementWith([](auto& a) { a.preferred_node_selectors = {{.weight = 101}}; }),
       "weight 101 is not from 1 to 100"},
      {"advertisement: a preference that is no selector", AdvertisementWith([&](auto& a) {
         a.preferred_node_selectors = {{.weight = 1, .preference = no_values}};
       }),
       "failed to parse preferred node selectors for ad (L2Advertisement ad: "
       "spec.preferredNodeSelectors[0])"},
  }));
  DYNAMIC_SECTION(c.name) {
    const auto config = Parse(c.resources);
    REQUIRE_FALSE(config.ok());
    CHECK(config.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK_THAT(std::string(config.status().message()), Catch::Contains(c.message));
    // The same whatever order the objects come in.
    Resources reversed = c.resources;
    std::ranges::reverse(reversed.pools);
    std::ranges::reverse(reversed.l2_advertisements);
    CHECK(Parse(reversed).status() == config.status());
  }
}

TEST_CASE("What MetalLB accepts is accepted", "[config]") {
  struct Case {
    const char* name;
    Resources resources;
  };
  const auto c = GENERATE(values<Case>({
      {"nothing at all", {}},
      {"both families in a pool",
       PoolWith([](auto& p) { p.addresses = {"192.0.2.0/24", "2001:db8::/64"}; })},
      {"neighbours", PoolWith([](auto& p) { p.addresses = {"192.0.2.0/25", "192.0.2.128/25"}; })},
      {"an empty serviceAllocation", AllocationWith([](auto&) {})},
      {"an advertisement of unknown pools",
       AdvertisementWith([](auto& a) { a.ip_address_pools = {"no"}; })},
      {"an advertisement without pools", {.l2_advertisements = {Advertisement("ad")}}},
      {"weights 1 and 100", AdvertisementWith([](auto& a) {
         a.preferred_node_selectors = {{.weight = 1},
                                       {.weight = 100, .preference = Label("a", "b")}};
       })},
      {"prefixed keys, empty values", AllocationWith([](auto& p) {
         p.service_selectors = {
             {.requirements = {
                  {.key = "a-b.example.org/c_D.e", .op = kIn, .values = {"", "F-1"}}}}};
       })},
      {"a label, and an expression that says the same", AllocationWith([](auto& p) {
         p.service_selectors = {Label("a", "b"),
                                {.requirements = {{.key = "a", .op = kEquals, .values = {"b"}}}}};
       })},
      {"the same interface twice",
       AdvertisementWith([](auto& a) { a.interfaces = {"eth0", "eth0"}; })},
      {"the same preference twice", AdvertisementWith([](auto& a) {
         a.preferred_node_selectors = {{.weight = 1}, {.weight = 1}};
       })},
  }));
  DYNAMIC_SECTION(c.name) { CHECK(Parse(c.resources).status() == absl::OkStatus()); }
}

TEST_CASE("A range of both families gives no address, and is remarked", "[config]") {
  const auto config = Parse({.pools = {PoolOf("p", {"192.0.2.1-2001:db8::1", "192.0.2.0/30"})}});
  REQUIRE(config.ok());
  REQUIRE(config->pools[0].ranges.size() == 1);
  CHECK(config->pools[0].ranges[0].ToString() == "192.0.2.0-192.0.2.3");
  CHECK(config->remarks ==
        Texts{"\"192.0.2.1-2001:db8::1\" in pool \"p\" gives no address: its ends are of different "
              "families (IPAddressPool p: spec.addresses[0])"});
}

TEST_CASE("Pools keep what their spec says", "[config]") {
  IpAddressPoolResource resource =
      PoolOf("p", {"192.0.2.200-192.0.2.210", "2001:db8::/120", "192.0.2.77/28"});
  resource.auto_assign = false;
  resource.avoid_buggy_ips = true;
  resource.has_service_allocation = true;
  resource.priority = 7;
  resource.namespaces = {"z", "a"};
  resource.service_selectors = {Label("tier", "gold")};
  const auto config = Parse({.pools = {resource, PoolOf("a", {"198.51.100.0/24"})}});
  REQUIRE(config.ok());
  REQUIRE(config->pools.size() == 2);
  CHECK(config->pools[0].name == "a");  // sorted
  CHECK(config->pools[0].auto_assign);
  CHECK_FALSE(config->pools[0].service_allocation);
  const Pool& pool = config->pools[1];
  CHECK(pool.name == "p");
  CHECK_FALSE(pool.auto_assign);
  CHECK(pool.avoid_buggy_ips);
  REQUIRE(pool.ranges.size() == 3);
  CHECK(pool.ranges[0].ToString() == "192.0.2.200-192.0.2.210");  // as written
  CHECK(pool.ranges[1].ToString() == "2001:db8::-2001:db8::ff");
  CHECK(pool.ranges[2].ToString() == "192.0.2.64-192.0.2.79");
  REQUIRE(pool.service_allocation);
  CHECK(pool.service_allocation->priority == 7);
  CHECK(pool.service_allocation->namespaces == Texts{"a", "z"});
  CHECK(pool.Contains(*net::IpAddress::Parse("192.0.2.70")));
  CHECK_FALSE(pool.Contains(*net::IpAddress::Parse("192.0.2.80")));
  CHECK(config->FindPool(*net::IpAddress::Parse("2001:db8::7")) == &pool);
  CHECK(config->FindPool(*net::IpAddress::Parse("203.0.113.1")) == nullptr);
}

TEST_CASE("serviceAllocation admits by namespace and by Service", "[config]") {
  struct Case {
    const char* name;
    ServiceAllocation allocation;
    bool admits;  // a Service of tier gold in namespace "shop" of team a
  };
  const auto c = GENERATE(values<Case>({
      {"nothing is restricted", {.priority = 1}, true},
      {"its namespace", {.namespaces = {"other", "shop"}}, true},
      {"another namespace", {.namespaces = {"other"}}, false},
      {"a selector of its namespace", {.namespace_selectors = {Label("team", "a")}}, true},
      {"a selector of another", {.namespace_selectors = {Label("team", "b")}}, false},
      {"name or selector",
       {.namespaces = {"shop"}, .namespace_selectors = {Label("team", "b")}},
       true},
      {"selector or name",
       {.namespaces = {"other"}, .namespace_selectors = {Label("team", "a")}},
       true},
      {"a selector of the Service", {.service_selectors = {Label("tier", "gold")}}, true},
      {"one of two", {.service_selectors = {Label("tier", "tin"), Label("tier", "gold")}}, true},
      {"a selector of other Services", {.service_selectors = {Label("tier", "tin")}}, false},
      {"namespace and Service",
       {.namespaces = {"shop"}, .service_selectors = {Label("tier", "gold")}},
       true},
      {"namespace, but not Service",
       {.namespaces = {"shop"}, .service_selectors = {Label("tier", "tin")}},
       false},
      {"Service, but not namespace",
       {.namespaces = {"other"}, .service_selectors = {Label("tier", "gold")}},
       false},
  }));
  DYNAMIC_SECTION(c.name) {
    CHECK(c.allocation.Admits("shop", {{"team", "a"}}, {{"tier", "gold"}}) == c.admits);
  }
}

TEST_CASE("Advertisements select pools by name and by label", "[config]") {
  struct Case {
    const char* name;
    Texts names;
    std::vector<LabelSelector> selectors;
    Texts selected;
  };
  const auto c = GENERATE(values<Case>({
      {"nothing said: all", {}, {}, {"a", "b", "c"}},
      {"by name", {"b"}, {}, {"b"}},
      {"by unknown name", {"x"}, {}, {}},
      {"by label", {}, {Label("zone", "1")}, {"a", "b"}},
      {"by a label that no pool has", {}, {Label("zone", "9")}, {}},
      {"by labels, OR-ed", {}, {Label("zone", "9"), Label("zone", "2")}, {"c"}},
      {"by name or label", {"a"}, {Label("zone", "2")}, {"a", "c"}},
      {"by a selector without conditions", {}, {LabelSelector{}}, {"a", "b", "c"}},
  }));
  DYNAMIC_SECTION(c.name) {
    Resources resources{.pools = {PoolOf("a", {"192.0.2.0/24"}), PoolOf("b", {"198.51.100.0/24"}),
                                  PoolOf("c", {"203.0.113.0/24"})}};
    resources.pools[0].labels = {{"zone", "1"}};
    resources.pools[1].labels = {{"zone", "1"}};
    resources.pools[2].labels = {{"zone", "2"}};
    L2AdvertisementResource advertisement = Advertisement("ad");
    advertisement.ip_address_pools = c.names;
    advertisement.ip_address_pool_selectors = c.selectors;
    resources.l2_advertisements = {advertisement};
    const auto config = Parse(resources);
    REQUIRE(config.ok());
    Texts selected;
    for (const Pool& pool : config->pools) {
      if (!pool.l2_advertisements.empty()) {
        selected.push_back(pool.name);
      }
    }
    CHECK(selected == c.selected);
  }
}

TEST_CASE("Equal advertisements of a pool count once, unless they prefer nodes", "[config]") {
  L2AdvertisementResource first = Advertisement("1");
  L2AdvertisementResource second = Advertisement("2");
  first.interfaces = {"eth1", "eth0"};
  second.interfaces = {"eth0", "eth1"};
  Texts expected = {"1", "2"};
  SECTION("equal, but for the order of interfaces") { expected = {"1"}; }
  SECTION("other interfaces") { second.interfaces = {"eth0"}; }
  SECTION("all interfaces") { second.interfaces = {}; }
  SECTION("other nodes") { second.node_selectors = {Label("rack", "1")}; }
  SECTION("other Services") { second.service_selectors = {Label("tier", "gold")}; }
  SECTION("one prefers nodes") { second.preferred_node_selectors = {{.weight = 5}}; }
  SECTION("both prefer the same nodes") {
    first.preferred_node_selectors = {{.weight = 5}};
    second.preferred_node_selectors = {{.weight = 5}};
  }
  const auto config =
      Parse({.pools = {PoolOf("p", {"192.0.2.0/24"})}, .l2_advertisements = {second, first}});
  REQUIRE(config.ok());
  CHECK(NamesOf(config->pools[0]) == expected);
  CHECK(config->pools[0].l2_advertisements[0].interfaces == Texts{"eth0", "eth1"});
}

TEST_CASE("The order of objects does not matter", "[config]") {
  Resources resources;
  for (const char* name : {"a", "b", "c", "d"}) {
    const auto third = std::to_string(resources.pools.size());
    resources.pools.push_back(PoolOf(name, {"198.18." + third + ".0/24"}));
    resources.l2_advertisements.push_back(Advertisement(name));
    resources.l2_advertisements.back().ip_address_pools = {"a"};
    if (name != std::string_view("a")) {
      resources.l2_advertisements.back().ip_address_pools.push_back(name);
    }
    resources.l2_advertisements.back().interfaces = {"eth" + third};
  }
  const auto expected = Parse(resources);
  REQUIRE(expected.ok());
  CHECK(NamesOf(expected->pools[0]) == Texts{"a", "b", "c", "d"});
  const auto by_name = [](const auto& a, const auto& b) { return a.key < b.key; };
  int orders = 0;
  while (std::next_permutation(resources.pools.begin(), resources.pools.end(), by_name)) {
    std::next_permutation(resources.l2_advertisements.begin(), resources.l2_advertisements.end(),
                          by_name);
    const auto config = Parse(resources);
    REQUIRE(config.ok());
    REQUIRE(*config == *expected);
    ++orders;
  }
  CHECK(orders == 23);
}

}  // namespace stentor::config
