// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "common/config/config.h"

namespace stentor::config {

/// Entry of the ConfigMap that holds the configuration.
inline constexpr const char* kLegacyEntry = "config";

/// Reads the YAML of MetalLB's ConfigMap, versions 0.9 to 0.12: `address-pools` with name,
/// protocol, addresses, auto-assign, avoid-buggy-ips and bgp-advertisements; peers,
/// bgp-communities and bfd-profiles are known, and of no effect. As MetalLB did, it refuses keys
/// that it does not know: a mistyped auto-assign would else give out what was to be kept.
/// InvalidArgument, with ConfigMap and field; ParseYaml()'s bounds.
[[nodiscard]] absl::StatusOr<LegacyConfig> ParseLegacyConfig(std::string_view yaml,
                                                             const model::ObjectKey& config_map);

}  // namespace stentor::config
