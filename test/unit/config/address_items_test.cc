// SPDX-License-Identifier: Apache-2.0

/// \file
/// Which items of spec.addresses are accepted: the rows of address_items.json, with which the lab
/// (test/lab/test_crds.py) asks the schema the same. They are what Go's net package, and so
/// MetalLB, makes of each.

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "common/config/config.h"
#include "test/support/catch.h"

namespace stentor::config {

TEST_CASE("The parser accepts the items that MetalLB accepts, and no other", "[config]") {
  std::ifstream file(ADDRESS_ITEMS);
  const nlohmann::json rows = nlohmann::json::parse(file);
  REQUIRE(rows.size() > 100);
  int accepted = 0;
  for (const nlohmann::json& row : rows) {
    INFO(row);
    model::IpAddressPoolResource pool;
    pool.key = {.name_space = "m", .name = "p"};
    pool.addresses = {row.at("item").get<std::string>()};
    const auto config = Parse({.pools = {pool}});
    const std::string refused = row.value("refused", "");
    CHECK(config.ok() == refused.empty());
    accepted += static_cast<int>(config.ok());
    if (!refused.empty()) {
      CHECK_THAT(std::string(config.status().message()),
                 Catch::StartsWith("parsing address pool p: invalid CIDR \"" + pool.addresses[0] +
                                   "\" in pool \"p\": ") &&
                     Catch::Contains(refused) &&
                     Catch::EndsWith("(IPAddressPool p: spec.addresses[0])"));
    }
  }
  CHECK(accepted > 40);
}

}  // namespace stentor::config
