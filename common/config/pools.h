// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The pools of a configuration, from each of the ways in which MetalLB's versions wrote them.
/// Internal to common/config.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/config/config.h"

namespace stentor::config {

struct ParsedPool {
  Pool pool;             ///< With the advertisement that its protocol implies, if any.
  model::Labels labels;  ///< For ipAddressPoolSelectors.
};

struct ParsedPools {
  std::vector<ParsedPool> pools;  ///< By name.
  std::vector<std::string> remarks;
  OlderForm older_form = OlderForm::kNone;
};

/// As Parse(), without the advertisements.
[[nodiscard]] absl::StatusOr<ParsedPools> ParsePools(const Resources& resources);

}  // namespace stentor::config
