// SPDX-License-Identifier: Apache-2.0

/// \file
/// Pools of kind AddressPool and of the legacy ConfigMap, alone and beside each other and
/// IPAddressPools.

#include <string>

#include "common/config/config.h"
#include "test/support/catch.h"

namespace stentor::config {
namespace {

using model::AddressPoolResource;

AddressPoolResource PoolOf(std::string name, std::string protocol, std::string addresses) {
  return {.key = {"m", std::move(name)},
          .protocol = std::move(protocol),
          .addresses = {std::move(addresses)}};
}

model::IpAddressPoolResource NewPoolOf(std::string name, std::string addresses) {
  model::IpAddressPoolResource pool;
  pool.key = {"m", std::move(name)};
  pool.addresses = {std::move(addresses)};
  return pool;
}

LegacyConfig MapOf(std::vector<AddressPoolResource> pools) {
  return {.config_map = {"m", "config"}, .pools = std::move(pools), .ignored = {}};
}

const Pool& Named(const Config& config, const std::string& name) {
  for (const Pool& pool : config.pools) {
    if (pool.name == name) {
      return pool;
    }
  }
  FAIL("there is no pool " << name);
  return config.pools.front();
}

bool Remarks(const Config& config, const std::string& words) {
  for (const std::string& remark : config.remarks) {
    if (remark.find(words) != std::string::npos) {
      return true;
    }
  }
  return false;
}

Config Valid(const Resources& resources) {
  auto config = Parse(resources);
  REQUIRE(config.ok());
  return *std::move(config);
}

std::string Refusal(const Resources& resources) {
  const auto config = Parse(resources);
  REQUIRE_FALSE(config.ok());
  CHECK(config.status().code() == absl::StatusCode::kInvalidArgument);
  return std::string(config.status().message());
}

}  // namespace

TEST_CASE("Protocol layer2 is announced everywhere, bgp nowhere", "[config]") {
  std::vector<AddressPoolResource> pools = {PoolOf("b", "bgp", "198.51.100.0/24"),
                                            PoolOf("a", "layer2", "192.0.2.0/28")};
  pools[1].auto_assign = false;
  pools[1].avoid_buggy_ips = true;
  const bool legacy = GENERATE(false, true);
  const Config config = legacy ? Valid({.legacy = MapOf(pools)}) : Valid({.address_pools = pools});
  REQUIRE(config.pools.size() == 2);
  CHECK(config.pools[0].name == "a");
  CHECK_FALSE(config.pools[0].auto_assign);
  CHECK(config.pools[0].avoid_buggy_ips);
  CHECK(config.pools[0].l2_advertisements ==
        std::vector<L2Advertisement>{{.name = "a"}});  // all nodes, interfaces and Services
  CHECK(config.pools[1].l2_advertisements.empty());
  CHECK(Remarks(config, "pool \"b\" has protocol bgp"));
  CHECK_FALSE(Remarks(config, "pool \"a\" has"));
  CHECK(Remarks(config, "ConfigMap m/config") == legacy);
}

TEST_CASE("An L2Advertisement adds to what a protocol implies", "[config]") {
  model::L2AdvertisementResource all;
  all.key = {"m", "all"};
  model::L2AdvertisementResource named;
  named.key = {"m", "named"};
  named.ip_address_pools = {"b"};
  named.interfaces = {"eth1"};
  const Config config = Valid({.l2_advertisements = {all, named},
                               .address_pools = {PoolOf("a", "layer2", "192.0.2.0/28"),
                                                 PoolOf("b", "bgp", "198.51.100.0/24")}});
  CHECK(Named(config, "a").l2_advertisements.size() == 1);  // the same again counts once
  const auto& b = Named(config, "b").l2_advertisements;
  REQUIRE(b.size() == 2);
  CHECK(b[0].name == "all");
  CHECK(b[1].name == "named");
}

TEST_CASE("Older pools that are not valid are refused in MetalLB's words", "[config]") {
  struct Case {
    const char* name;
    AddressPoolResource pool;
    const char* words;
    const char* field;  // within an AddressPool, and within the ConfigMap
    const char* legacy_field;
  };
  const auto c = GENERATE(values<Case>(
      {{"no protocol", PoolOf("p", "", "192.0.2.0/28"),
        "address pool is missing the protocol field", "(AddressPool p: spec.protocol)",
        "(ConfigMap m/config: address-pools[0].protocol)"},
       {"unknown protocol", PoolOf("p", "arp", "192.0.2.0/28"), "unknown protocol \"arp\"",
        "(AddressPool p: spec.protocol)", "(ConfigMap m/config: address-pools[0].protocol)"},
       {"no addresses",
        {.key = {"m", "p"}, .protocol = "layer2", .addresses = {}},
        "pool has no prefixes defined",
        "(AddressPool p: spec.addresses)",
        "(ConfigMap m/config: address-pools[0].addresses)"},
       {"no address", PoolOf("p", "layer2", "192.0.2.0/99"),
        "invalid CIDR \"192.0.2.0/99\" in pool \"p\"", "(AddressPool p: spec.addresses[0])",
        "(ConfigMap m/config: address-pools[0].addresses[0])"}}));
  DYNAMIC_SECTION(c.name) {
    const std::string message = Refusal({.address_pools = {c.pool}});
    CHECK_THAT(message, Catch::StartsWith("parsing address pool p: ") && Catch::Contains(c.words) &&
                            Catch::Contains(c.field));
    const std::string of_map = Refusal({.legacy = MapOf({c.pool})});
    CHECK_THAT(of_map, Catch::StartsWith("parsing address pool p: ") && Catch::Contains(c.words) &&
                           Catch::Contains(c.legacy_field));
  }
}

TEST_CASE("Two pools of one name, or with one address, are refused", "[config]") {
  const auto pool = PoolOf("p", "layer2", "192.0.2.0/28");
  CHECK_THAT(Refusal({.pools = {NewPoolOf("p", "198.51.100.0/24")}, .address_pools = {pool}}),
             Catch::Contains("duplicate definition of pool \"p\""));
  CHECK_THAT(Refusal({.pools = {NewPoolOf("q", "192.0.2.8/32")}, .address_pools = {pool}}),
             Catch::Contains("overlaps with already defined CIDR"));
  CHECK_THAT(Refusal({.legacy = MapOf({pool, PoolOf("p", "layer2", "198.51.100.0/24")})}),
             Catch::StartsWith("duplicate definition of pool \"p\""));
  CHECK_THAT(Refusal({.legacy = MapOf({pool, PoolOf("q", "layer2", "192.0.2.8/32")})}),
             Catch::Contains("overlaps with already defined CIDR"));
  CHECK_THAT(Refusal({.legacy = MapOf({PoolOf("", "layer2", "192.0.2.8/32")})}),
             Catch::Contains("missing pool name"));
}

TEST_CASE("An AddressPool that was converted may still be there", "[config]") {
  const auto older = PoolOf("p", "layer2", "192.0.2.0/28");
  const std::vector<L2Advertisement> implied{{.name = "p"}};
  SECTION("what its protocol implies holds until it is deleted") {
    const Config config =
        Valid({.pools = {NewPoolOf("p", "192.0.2.0-192.0.2.15")}, .address_pools = {older}});
    REQUIRE(config.pools.size() == 1);
    CHECK(config.pools[0].l2_advertisements == implied);
    CHECK(Remarks(config, "AddressPool p is left out"));
    CHECK(config.older_form == OlderForm::kAddressPool);
  }
  SECTION("its advertisement is the same, and counts once") {
    model::L2AdvertisementResource advertisement;
    advertisement.key = {"m", "p"};
    advertisement.ip_address_pools = {"p"};
    const Config config = Valid({.pools = {NewPoolOf("p", "192.0.2.0/28")},
                                 .l2_advertisements = {advertisement},
                                 .address_pools = {older}});
    CHECK(config.pools[0].l2_advertisements == implied);
  }
  SECTION("it may have become larger") {
    const Config config =
        Valid({.pools = {NewPoolOf("p", "192.0.2.0/24")}, .address_pools = {older}});
    CHECK(config.pools.size() == 1);
  }
  SECTION("an item that gives no address may be in both") {
    model::AddressPoolResource mixed = older;
    mixed.addresses.emplace_back("192.0.2.1-2001:db8::1");
    model::IpAddressPoolResource newer = NewPoolOf("p", "192.0.2.0/28");
    newer.addresses.emplace_back("192.0.2.1-2001:db8::1");
    CHECK(Valid({.pools = {newer}, .address_pools = {mixed}}).pools.size() == 1);
  }
  SECTION("protocol bgp implies nothing") {
    const Config config = Valid({.pools = {NewPoolOf("p", "192.0.2.0/28")},
                                 .address_pools = {PoolOf("p", "bgp", "192.0.2.0/28")}});
    CHECK(config.pools[0].l2_advertisements.empty());
  }
  SECTION("another name, or a part of its addresses only, is no conversion") {
    CHECK_THAT(Refusal({.pools = {NewPoolOf("q", "192.0.2.0/28")}, .address_pools = {older}}),
               Catch::Contains("overlaps with already defined CIDR"));
    CHECK_THAT(Refusal({.pools = {NewPoolOf("p", "192.0.2.0/29")}, .address_pools = {older}}),
               Catch::Contains("duplicate definition of pool \"p\""));
    CHECK_THAT(Refusal({.pools = {NewPoolOf("p", "no address")}, .address_pools = {older}}),
               Catch::Contains("invalid CIDR"));
  }
}

TEST_CASE("Custom resources come before a ConfigMap that was left behind", "[config]") {
  const LegacyConfig map = MapOf({PoolOf("moved", "layer2", "192.0.2.16-192.0.2.80"),
                                  PoolOf("same", "layer2", "192.0.2.0/28"),
                                  PoolOf("other", "layer2", "203.0.113.0/24")});
  Resources resources{
      .pools = {NewPoolOf("new", "192.0.2.0/26"), NewPoolOf("same", "192.0.2.64/26")},
      .legacy = map};
  SECTION("what they define is left out, the rest gives nothing by itself") {
    const Config config = Valid(resources);
    CHECK(config.pools.size() == 3);
    CHECK(Remarks(config, "pool \"same\" of the ConfigMap m/config is left out"));
    CHECK(Remarks(config, "pool \"moved\" of the ConfigMap m/config is left out"));
    CHECK_FALSE(Named(config, "other").auto_assign);
    CHECK(Named(config, "other").l2_advertisements.size() == 1);
    CHECK(Remarks(config, "gives addresses only to Services that ask for them"));
    CHECK(Named(config, "new").auto_assign);
  }
  SECTION("a pool of which they define a part is neither") {
    resources.pools[1].addresses = {"192.0.2.64/28"};
    CHECK_THAT(Refusal(resources), Catch::Contains("ConfigMap m/config") &&
                                       Catch::Contains("pool \"moved\": custom resources define "
                                                       "some of its addresses"));
  }
  SECTION("nor is one whose name they give to other addresses") {
    resources.legacy = MapOf({PoolOf("new", "layer2", "203.0.113.0/24")});
    CHECK_THAT(Refusal(resources), Catch::Contains("duplicate definition of pool \"new\""));
  }
  SECTION("unless --config says that it is meant") {
    resources.legacy_named = true;
    const Config config = Valid(resources);
    CHECK(config.pools.size() == 3);
    CHECK(Named(config, "other").auto_assign);
  }
  SECTION("alone it is meant") {
    const Config config = Valid({.legacy = MapOf({PoolOf("other", "layer2", "203.0.113.0/24")})});
    CHECK(Named(config, "other").auto_assign);
  }
}

TEST_CASE("Keys of the ConfigMap that have no effect are reported", "[config]") {
  LegacyConfig map = MapOf({});
  map.ignored = {"bgp-communities", "peers"};
  const Config config = Valid({.legacy = map});
  CHECK(config.pools.empty());
  CHECK(Remarks(config, "bgp-communities, peers, which have no effect"));
}

TEST_CASE("The older form that is in use", "[config]") {
  const auto older = PoolOf("older", "layer2", "192.0.2.0/28");
  const auto newer = NewPoolOf("newer", "198.51.100.0/28");
  LegacyConfig peers = MapOf({});
  peers.ignored = {"peers"};
  struct Case {
    const char* name;
    Resources resources;
    OlderForm want;
  };
  const auto c = GENERATE_COPY(values<Case>({
      {"none", {.pools = {newer}}, OlderForm::kNone},
      {"none, but a remark",
       {.pools = {NewPoolOf("both", "192.0.2.0-2001:db8::1")}},
       OlderForm::kNone},
      {"AddressPool", {.address_pools = {older}}, OlderForm::kAddressPool},
      {"ConfigMap", {.legacy = MapOf({older})}, OlderForm::kConfigMap},
      {"ConfigMap without pools", {.pools = {newer}, .legacy = MapOf({})}, OlderForm::kNone},
      {"ConfigMap with peers only", {.legacy = peers}, OlderForm::kConfigMap},
      {"ConfigMap whose pool is left out",
       {.pools = {NewPoolOf("all", "192.0.2.0/24")}, .legacy = MapOf({older})},
       OlderForm::kConfigMap},
      {"both", {.address_pools = {older}, .legacy = MapOf({older})}, OlderForm::kConfigMap},
  }));
  DYNAMIC_SECTION(c.name) { CHECK(Valid(c.resources).older_form == c.want); }
}

}  // namespace stentor::config
