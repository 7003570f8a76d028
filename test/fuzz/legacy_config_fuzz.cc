// SPDX-License-Identifier: Apache-2.0

/// \file
/// The ConfigMap of MetalLB 0.12 and before: any text makes a valid configuration, of which the
/// pools are disjoint, or an error that names the ConfigMap.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/config/config.h"
#include "common/config/legacy.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace config = stentor::config;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const stentor::model::ObjectKey key{"metallb-system", "config"};
  const auto legacy = config::ParseLegacyConfig(text, key);
  const auto names_it = [&key](const absl::Status& status) {
    return status.message().find("ConfigMap " + key.ToString()) != absl::string_view::npos;
  };
  if (!legacy.ok()) {
    if (!names_it(legacy.status())) {
      std::abort();
    }
    return 0;
  }
  const auto parsed = config::Parse({.legacy = *legacy});
  if (!parsed.ok()) {
    if (!names_it(parsed.status())) {
      std::abort();
    }
    return 0;
  }
  for (const config::Pool& pool : parsed->pools) {
    if (pool.name.empty() || pool.ranges.empty() ||
        parsed->FindPool(pool.ranges.front().first) != &pool) {
      std::abort();
    }
  }
  return 0;
}
