// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Checks that pools and advertisements share. Internal to common/config.

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/model/selector.h"

namespace stentor::config {

/// What a user wrote is wrong, and how.
[[nodiscard]] inline absl::Status Invalid(const std::string& message) {
  return absl::InvalidArgumentError(message);
}

template <typename T>
[[nodiscard]] bool HasDuplicates(std::vector<T> values) {
  std::ranges::sort(values);
  return std::ranges::adjacent_find(values) != values.end();
}

/// That `selectors` are valid and none is repeated; `field` is the last part of their path.
[[nodiscard]] absl::Status CheckSelectors(const std::vector<model::LabelSelector>& selectors,
                                          std::string_view field);

}  // namespace stentor::config
