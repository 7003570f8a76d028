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

/// kEquals is a member of matchLabels; kUnknown is what a user made up.
enum class SelectorOperator : std::uint8_t {
  kEquals,
  kIn,
  kNotIn,
  kExists,
  kDoesNotExist,
  kUnknown
};

/// One condition on one label, as it is written: what is wrong with it, common/config says.
struct SelectorRequirement {
  std::string key;
  SelectorOperator op = SelectorOperator::kIn;
  std::vector<std::string> values;  ///< For kIn and kNotIn, sorted; one for kEquals.
  std::string unknown_op = {};      ///< The operator's text where it is kUnknown, else empty.

  friend auto operator<=>(const SelectorRequirement&, const SelectorRequirement&) = default;
};

/// matchLabels, then matchExpressions. A condition whose operator is unknown holds for nothing.
struct LabelSelector {
  std::vector<SelectorRequirement> requirements;

  [[nodiscard]] bool Matches(const Labels& labels) const;

  friend auto operator<=>(const LabelSelector&, const LabelSelector&) = default;
};

/// As kubectl writes it: "rack=1,zone in (a,b),zone notin (c),tier,!old".
[[nodiscard]] std::string ToString(const LabelSelector& selector);

/// True where at least one of `selectors` matches; false for none at all.
[[nodiscard]] bool AnyMatches(std::span<const LabelSelector> selectors, const Labels& labels);

}  // namespace stentor::model
