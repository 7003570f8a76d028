// SPDX-License-Identifier: Apache-2.0
#include "common/config/legacy.h"

#include <string>

#include "test/support/catch.h"

namespace stentor::config {
namespace {

const model::ObjectKey kMap{"metallb-system", "config"};

// As users wrote it: the comment, the order of keys and the empty lines are theirs.
constexpr const char* kComplete = R"(
# pools of the laboratory
peers:
- peer-address: 192.0.2.1
  peer-asn: 64512
  my-asn: 64513
address-pools:
- name: default
  protocol: layer2
  addresses:
  - 192.0.2.16/28
  - 192.0.2.240-192.0.2.250
- protocol: bgp
  name: routed
  auto-assign: false
  avoid-buggy-ips: true
  addresses: ["198.51.100.0/24"]
  bgp-advertisements:
  - aggregation-length: 32
    communities: [no-advertise]
bgp-communities: {no-advertise: "65535:65282"}
)";

}  // namespace

TEST_CASE("The ConfigMap of MetalLB 0.9 is understood as it is", "[legacy]") {
  const auto config = ParseLegacyConfig(kComplete, kMap);
  REQUIRE(config.ok());
  CHECK(config->config_map == kMap);
  REQUIRE(config->pools.size() == 2);
  CHECK(config->pools[0].key == model::ObjectKey{"metallb-system", "default"});
  CHECK(config->pools[0].protocol == "layer2");
  CHECK(config->pools[0].addresses ==
        std::vector<std::string>{"192.0.2.16/28", "192.0.2.240-192.0.2.250"});
  CHECK(config->pools[0].auto_assign);
  CHECK_FALSE(config->pools[0].avoid_buggy_ips);
  CHECK(config->pools[1].protocol == "bgp");
  CHECK_FALSE(config->pools[1].auto_assign);
  CHECK(config->pools[1].avoid_buggy_ips);
  CHECK(config->ignored == std::vector<std::string>{"bgp-communities", "peers"});
}

TEST_CASE("What YAML 1.1 takes for text or truth", "[legacy]") {
  struct Case {
    const char* name;
    const char* value;
    bool auto_assign;
  };
  const auto c = GENERATE(values<Case>({{"true", "true", true},
                                        {"yes", "yes", true},
                                        {"On", "On", true},
                                        {"no", "no", false},
                                        {"OFF", "OFF", false},
                                        {"n", "n", false},
                                        {"nothing", "", true}}));
  DYNAMIC_SECTION(c.name) {
    const std::string text =
        "address-pools: [{name: 7, auto-assign: " + std::string(c.value) + "}]";
    const auto config = ParseLegacyConfig(text, kMap);
    REQUIRE(config.ok());
    CHECK(config->pools[0].auto_assign == c.auto_assign);
    CHECK(config->pools[0].key.name == "7");
  }
}

TEST_CASE("An empty configuration has no pools", "[legacy]") {
  for (const char* text : {"", "# nothing\n", "address-pools:\n", "address-pools: []", "{}"}) {
    const auto config = ParseLegacyConfig(text, kMap);
    REQUIRE(config.ok());
    CHECK(config->pools.empty());
  }
}

TEST_CASE("What is wrong is told with ConfigMap and field", "[legacy]") {
  struct Case {
    const char* name;
    const char* text;
    const char* words;
  };
  const auto c = GENERATE(values<Case>(
      {{"no YAML", "address-pools: [", "could not parse config: line 1"},
       {"a tab", "address-pools:\n\t- name: a", "could not parse config: line 2"},
       {"text only", "layer2", "could not parse config: expected address-pools"},
       {"an unknown key", "adress-pools: []", "unknown field \"adress-pools\""},
       {"pools that are none", "address-pools: {a: b}", "address-pools: expected a list"},
       {"a pool that is none", "address-pools: [a]",
        "parsing address pool #1: address-pools[0]: expected an object"},
       {"a mistyped key", "address-pools: [{name: a}, {auto_assign: false}]",
        "parsing address pool #2: address-pools[1]: unknown field \"auto_assign\""},
       {"one address", "address-pools: [{addresses: 192.0.2.0/24}]",
        "address-pools[0].addresses: expected a list"},
       {"an address that is a list", "address-pools: [{addresses: [[a]]}]",
        "address-pools[0].addresses[0]: expected text"},
       {"a name that is a number with a point", "address-pools: [{name: 1.10}]",
        "address-pools[0].name: expected text; put it in quotes"},
       {"a truth that is none", "address-pools: [{auto-assign: perhaps}]",
        "address-pools[0].auto-assign: expected true or false"},
       {"a key twice", "address-pools: []\naddress-pools: []", "is repeated"},
       {"a token that opens nothing", ", a", "more than one YAML document"},
       {"two documents", "address-pools: []\n---\npeers: []", "more than one YAML document"}}));
  DYNAMIC_SECTION(c.name) {
    const auto config = ParseLegacyConfig(c.text, kMap);
    REQUIRE_FALSE(config.ok());
    const std::string message(config.status().message());
    CHECK(message.rfind("ConfigMap metallb-system/config, entry \"config\": ", 0) == 0);
    CHECK_THAT(message, Catch::Contains(c.words));
  }
}

}  // namespace stentor::config
