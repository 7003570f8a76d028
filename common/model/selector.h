// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// LabelSelector (k8s.io/apimachinery meta/v1): the conditions are AND-ed, an empty selector
/// matches everything.

#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/model/types.h"

namespace stentor::model {

enum class SelectorOperator : std::uint8_t { kIn, kNotIn, kExists, kDoesNotExist };

/// One condition on one label.
struct SelectorRequirement {
  std::string key;
  SelectorOperator op = SelectorOperator::kIn;
  std::vector<std::string> values;  ///< For kIn and kNotIn; sorted, without duplicates.

  friend auto operator<=>(const SelectorRequirement&, const SelectorRequirement&) = default;
};

/// matchLabels are held as kIn requirements with one value.
struct LabelSelector {
  std::vector<SelectorRequirement> requirements;

  [[nodiscard]] bool Matches(const Labels& labels) const;

  friend auto operator<=>(const LabelSelector&, const LabelSelector&) = default;
};

/// True where at least one of `selectors` matches; false for none at all.
[[nodiscard]] bool AnyMatches(std::span<const LabelSelector> selectors, const Labels& labels);

}  // namespace stentor::model
