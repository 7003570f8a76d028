// SPDX-License-Identifier: Apache-2.0

/// \file
/// L2Advertisements of a pool: which count once, which add up, and what they keep.

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "test/support/catch.h"

namespace stentor::config {
namespace {

using model::L2AdvertisementResource;
using model::LabelSelector;
using enum model::SelectorOperator;

LabelSelector Label(std::string key, std::string value) {
  return {.requirements = {{.key = std::move(key), .op = kEquals, .values = {std::move(value)}}}};
}

L2AdvertisementResource Advertisement(std::string name) {
  L2AdvertisementResource advertisement;
  advertisement.key = {.name_space = "m", .name = std::move(name)};
  return advertisement;
}

model::IpAddressPoolResource PoolOf(std::string name, std::string addresses,
                                    model::Labels labels = {}) {
  model::IpAddressPoolResource pool;
  pool.key = {.name_space = "m", .name = std::move(name)};
  pool.labels = std::move(labels);
  pool.addresses = {std::move(addresses)};
  return pool;
}

Config Parsed(const std::vector<L2AdvertisementResource>& advertisements) {
  const auto config =
      Parse({.pools = {PoolOf("p", "192.0.2.0/24", {{"zone", "1"}}), PoolOf("q", "2001:db8::/64")},
             .l2_advertisements = advertisements});
  INFO(config.status());
  REQUIRE(config.ok());
  return *config;
}

std::vector<std::string> NamesOf(const Pool& pool) {
  std::vector<std::string> names;
  for (const L2Advertisement& advertisement : pool.l2_advertisements) {
    names.push_back(advertisement.name);
  }
  return names;
}

}  // namespace

TEST_CASE("Advertisements that are alike count once", "[config]") {
  struct Case {
    const char* name;
    void (*change)(L2AdvertisementResource& first, L2AdvertisementResource& second);
    bool once;
  };
  using Ad = L2AdvertisementResource;
  const auto c = GENERATE(values<Case>({
      {"all, twice", [](Ad&, Ad&) {}, true},
      {"the same interfaces", [](Ad& a, Ad& b) { a.interfaces = b.interfaces = {"eth0", "eth1"}; },
       true},
      {"the same interfaces in another order",
       [](Ad& a, Ad& b) { a.interfaces = {"eth1", "eth0"}, b.interfaces = {"eth0", "eth1"}; },
       true},
      {"an interface named twice",
       [](Ad& a, Ad& b) { a.interfaces = {"eth0", "eth0"}, b.interfaces = {"eth0"}; }, true},
      {"other interfaces", [](Ad& a, Ad& b) { a.interfaces = {"eth0"}, b.interfaces = {"eth1"}; },
       false},
      {"one interface more",
       [](Ad& a, Ad& b) { a.interfaces = {"eth0"}, b.interfaces = {"eth0", "eth1"}; }, false},
      {"all interfaces and one", [](Ad& a, Ad&) { a.interfaces = {"eth0"}; }, false},
      {"the same nodes",
       [](Ad& a, Ad& b) { a.node_selectors = b.node_selectors = {Label("rack", "1")}; }, true},
      {"the same nodes in another order",
       [](Ad& a, Ad& b) {
         a.node_selectors = {Label("rack", "1"), Label("rack", "2")};
         b.node_selectors = {Label("rack", "2"), Label("rack", "1")};
       },
       true},
      {"other nodes", [](Ad& a, Ad&) { a.node_selectors = {Label("rack", "1")}; }, false},
      {"the same Services",
       [](Ad& a, Ad& b) { a.service_selectors = b.service_selectors = {Label("tier", "gold")}; },
       true},
      {"other Services",
       [](Ad& a, Ad& b) {
         a.service_selectors = {Label("tier", "gold")};
         b.service_selectors = {Label("tier", "tin")};
       },
       false},
      {"all Services and some", [](Ad&, Ad& b) { b.service_selectors = {Label("tier", "gold")}; },
       false},
      {"the same preference, which adds up",
       [](Ad& a, Ad& b) {
         a.preferred_node_selectors =
             b.preferred_node_selectors = {{.weight = 5, .preference = Label("disk", "fast")}};
       },
       false},
      {"a preference and none", [](Ad& a, Ad&) { a.preferred_node_selectors = {{.weight = 5}}; },
       false},
      {"other pools, but this one is in both",
       [](Ad& a, Ad& b) {
         a.ip_address_pools = {"p"};
         b.ip_address_pools = {"p", "q"};
       },
       true},
      {"both strict", [](Ad& a, Ad& b) { a.address_conflicts = b.address_conflicts = "strict"; },
       true},
      {"one of them strict", [](Ad&, Ad& b) { b.address_conflicts = "strict"; }, false},
      {"one says warn, which is the default", [](Ad& a, Ad&) { a.address_conflicts = "warn"; },
       true},
      {"both never fail back", [](Ad& a, Ad& b) { a.fail_back = b.fail_back = "never"; }, true},
      {"the same delay in other words",
       [](Ad& a, Ad& b) {
         a.fail_back = "60s";
         b.fail_back = "1m";
       },
       true},
      {"one of them never fails back", [](Ad&, Ad& b) { b.fail_back = "never"; }, false},
  }));
  DYNAMIC_SECTION(c.name) {
    L2AdvertisementResource first = Advertisement("1");
    L2AdvertisementResource second = Advertisement("2");
    c.change(first, second);
    const std::vector<std::string> expected =
        c.once ? std::vector<std::string>{"1"} : std::vector<std::string>{"1", "2"};
    CHECK(NamesOf(Parsed({first, second}).pools[0]) == expected);
    CHECK(NamesOf(Parsed({second, first}).pools[0]) == expected);
  }
}

TEST_CASE("An advertisement that reaches a pool twice is there once", "[config]") {
  L2AdvertisementResource advertisement = Advertisement("ad");
  advertisement.ip_address_pools = {"p"};
  advertisement.ip_address_pool_selectors = {Label("zone", "1"), LabelSelector{}};
  advertisement.preferred_node_selectors = {{.weight = 5, .preference = Label("disk", "fast")}};
  const Config config = Parsed({advertisement});
  CHECK(NamesOf(config.pools[0]) == std::vector<std::string>{"ad"});
  CHECK(NamesOf(config.pools[1]) == std::vector<std::string>{"ad"});
}

TEST_CASE("An advertisement keeps its Services' selectors", "[config]") {
  struct Case {
    const char* name;
    std::vector<LabelSelector> selectors;
    std::vector<std::string> matched;  // of the Services below
  };
  const auto c = GENERATE(values<Case>({
      {"none: all Services by the absence of selectors", {}, {}},
      {"an empty one", {{}}, {"gold", "tin", "bare"}},
      {"a label", {Label("tier", "gold")}, {"gold"}},
      {"two labels",
       {{.requirements = {{.key = "tier", .op = kEquals, .values = {"gold"}},
                          {.key = "team", .op = kEquals, .values = {"a"}}}}},
       {"gold"}},
      {"two labels of which one is another's",
       {{.requirements = {{.key = "tier", .op = kEquals, .values = {"tin"}},
                          {.key = "team", .op = kEquals, .values = {"a"}}}}},
       {}},
      {"either of two", {Label("tier", "tin"), Label("team", "a")}, {"gold", "tin"}},
      {"In",
       {{.requirements = {{.key = "tier", .op = kIn, .values = {"gold", "tin"}}}}},
       {"gold", "tin"}},
      {"NotIn, which holds without the label",
       {{.requirements = {{.key = "tier", .op = kNotIn, .values = {"gold"}}}}},
       {"tin", "bare"}},
      {"Exists", {{.requirements = {{.key = "team", .op = kExists}}}}, {"gold"}},
      {"DoesNotExist", {{.requirements = {{.key = "tier", .op = kDoesNotExist}}}}, {"bare"}},
      {"a label that nobody has", {Label("tier", "wood")}, {}},
  }));
  DYNAMIC_SECTION(c.name) {
    L2AdvertisementResource resource = Advertisement("ad");
    resource.service_selectors = c.selectors;
    const Config config = Parsed({resource});
    const L2Advertisement& advertisement = config.pools[0].l2_advertisements.at(0);
    CHECK(advertisement.service_selectors.size() == c.selectors.size());
    std::vector<std::string> matched;
    const std::vector<std::pair<std::string, model::Labels>> services = {
        {"gold", {{"tier", "gold"}, {"team", "a"}}}, {"tin", {{"tier", "tin"}}}, {"bare", {}}};
    for (const auto& [name, labels] : services) {
      if (model::AnyMatches(advertisement.service_selectors, labels)) {
        matched.push_back(name);
      }
    }
    CHECK(matched == c.matched);
  }
}

TEST_CASE("What an advertisement says of conflicts", "[config]") {
  struct Case {
    const char* name;
    std::string text;
    ConflictPolicy policy;
    const char* remark;  // empty: none
  };
  const auto c = GENERATE(values<Case>({
      {"nothing", "", ConflictPolicy::kWarn, ""},
      {"warn", "warn", ConflictPolicy::kWarn, ""},
      {"strict", "strict", ConflictPolicy::kStrict, ""},
      {"another case", "Strict", ConflictPolicy::kWarn,
       "L2Advertisement ad: annotation stentor.io/address-conflicts: \"Strict\" is neither warn "
       "nor "
       "strict; it counts as warn"},
      {"a space too many", "strict ", ConflictPolicy::kWarn,
       "L2Advertisement ad: annotation stentor.io/address-conflicts: \"strict \" is neither warn "
       "nor "
       "strict; it counts as warn"},
      {"far too much", std::string(100'000, 'x'), ConflictPolicy::kWarn, "xxx\" is neither"},
  }));
  DYNAMIC_SECTION(c.name) {
    L2AdvertisementResource resource = Advertisement("ad");
    resource.address_conflicts = c.text;
    const Config config = Parsed({resource});
    for (const Pool& pool : config.pools) {
      REQUIRE(pool.l2_advertisements.size() == 1);
      CHECK(pool.l2_advertisements[0].conflict_policy == c.policy);
    }
    if (std::string(c.remark).empty()) {
      CHECK(config.remarks.empty());
    } else {
      REQUIRE(config.remarks.size() == 1);  // not one for each pool
      CHECK_THAT(config.remarks[0], Catch::Contains(c.remark));
      CHECK(config.remarks[0].size() < 200);
    }
  }
}

TEST_CASE("What an advertisement says of failing back", "[config]") {
  using std::chrono::milliseconds;
  using std::chrono::seconds;
  struct Case {
    const char* name;
    std::string text;
    FailBackDelay delay;
    const char* remark = "";  // empty: none
  };
  const auto c = GENERATE(values<Case>({
      {"nothing", "", {}},
      {"immediately", "immediately", {}},
      {"never", "never", kNeverFailBack},
      {"minutes", "5m", seconds(300)},
      {"several units", "1h0m1.5s", milliseconds(3'601'500)},
      {"less than a second", "20ms", milliseconds(20)},
      {"no time at all", "0", {}},
      {"longer than can be counted", "99999999h", kNeverFailBack},
      {"another case", "Never", {}, "annotation stentor.io/fail-back: \"Never\" is neither"},
      {"a number without a unit", "5", {}, "\"5\" is neither immediately nor never nor a duration"},
      {"a time that is over", "-1s", {}, "\"-1s\" is neither"},
      {"what only abseil takes for a duration", "inf", {}, "\"inf\" is neither"},
      {"a space too many", " 5m", {}, "\" 5m\" is neither"},
      {"far too much", std::string(100'000, 'x'), {}, "xxx\" is neither"},
  }));
  DYNAMIC_SECTION(c.name) {
    L2AdvertisementResource resource = Advertisement("ad");
    resource.fail_back = c.text;
    const Config config = Parsed({resource});
    for (const Pool& pool : config.pools) {
      REQUIRE(pool.l2_advertisements.size() == 1);
      CHECK(pool.l2_advertisements[0].fail_back == c.delay);
    }
    if (std::string(c.remark).empty()) {
      CHECK(config.remarks.empty());
    } else {
      REQUIRE(config.remarks.size() == 1);  // not one for each pool
      CHECK_THAT(config.remarks[0], Catch::Contains(c.remark));
      CHECK_THAT(config.remarks[0], Catch::EndsWith("it counts as immediately"));
      CHECK(config.remarks[0].size() < 220);
    }
  }
}

TEST_CASE("Preferences are kept with their weights, or refused", "[config]") {
  struct Case {
    const char* name;
    std::vector<model::PreferredNodeSelector> preferences;
    const char* error;  // empty: kept as they are
  };
  const auto c = GENERATE(values<Case>({
      {"none", {}, ""},
      {"one", {{.weight = 100, .preference = Label("disk", "fast")}}, ""},
      {"several, also of the same nodes",
       {{.weight = 1, .preference = Label("disk", "fast")},
        {.weight = 30, .preference = Label("disk", "fast")},
        {.weight = 30, .preference = Label("rack", "1")}},
       ""},
      {"all nodes", {{.weight = 1}}, ""},
      {"an operator that there is not",
       {{.weight = 1,
         .preference = {.requirements = {{.key = "a", .op = kUnknown, .unknown_op = "Gt"}}}}},
       "\"Gt\" is not a valid label selector operator: failed to parse preferred node selectors "
       "for "
       "ad (L2Advertisement ad: spec.preferredNodeSelectors[0])"},
      {"the second has no values",
       {{.weight = 1}, {.weight = 1, .preference = {.requirements = {{.key = "a", .op = kIn}}}}},
       "(L2Advertisement ad: spec.preferredNodeSelectors[1])"},
      {"no weight", {{.weight = 0}}, "weight 0 is not from 1 to 100"},
      {"a negative weight", {{.weight = -1}}, "weight -1 is not from 1 to 100"},
      {"too much weight", {{.weight = 101}}, "weight 101 is not from 1 to 100"},
  }));
  DYNAMIC_SECTION(c.name) {
    L2AdvertisementResource resource = Advertisement("ad");
    resource.preferred_node_selectors = c.preferences;
    const auto config =
        Parse({.pools = {PoolOf("p", "192.0.2.0/24")}, .l2_advertisements = {resource}});
    CHECK(config.ok() == std::string(c.error).empty());
    CHECK_THAT(std::string(config.status().message()), Catch::Contains(c.error));
    if (config.ok()) {
      CHECK(config->pools[0].l2_advertisements.at(0).preferences == c.preferences);
    }
  }
}

TEST_CASE("Preferences of several advertisements stay beside each other", "[config]") {
  L2AdvertisementResource plain = Advertisement("1");
  L2AdvertisementResource fast = Advertisement("2");
  L2AdvertisementResource near = Advertisement("3");
  fast.preferred_node_selectors = {{.weight = 5, .preference = Label("disk", "fast")}};
  near.preferred_node_selectors = fast.preferred_node_selectors;
  std::vector<std::string> of_p = {"1", "2", "3"};
  std::vector<std::string> of_q = {"1", "2", "3"};
  SECTION("of all pools") {}
  SECTION("of one pool by name") {
    near.ip_address_pools = {"p"};
    of_q = {"1", "2"};
  }
  SECTION("of one pool by label") {
    near.ip_address_pool_selectors = {Label("zone", "1")};
    of_q = {"1", "2"};
  }
  SECTION("of no pool") {
    near.ip_address_pools = {"x"};
    of_p = of_q = {"1", "2"};
  }
  const Config config = Parsed({near, fast, plain});
  CHECK(NamesOf(config.pools[0]) == of_p);
  CHECK(NamesOf(config.pools[1]) == of_q);
}

}  // namespace stentor::config
