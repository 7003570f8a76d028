// SPDX-License-Identifier: Apache-2.0
#include "common/model/selector.h"

#include <algorithm>

namespace stentor::model {
namespace {

bool Holds(const SelectorRequirement& requirement, const Labels& labels) {
  const auto it = labels.find(requirement.key);
  const bool present = it != labels.end();
  const bool listed =
      present && std::ranges::find(requirement.values, it->second) != requirement.values.end();
  switch (requirement.op) {
    case SelectorOperator::kIn:
      return listed;
    case SelectorOperator::kNotIn:
      return !listed;
    case SelectorOperator::kExists:
      return present;
    case SelectorOperator::kDoesNotExist:
      return !present;
  }
  return false;
}

}  // namespace

bool LabelSelector::Matches(const Labels& labels) const {
  return std::ranges::all_of(requirements, [&labels](const SelectorRequirement& requirement) {
    return Holds(requirement, labels);
  });
}

bool AnyMatches(std::span<const LabelSelector> selectors, const Labels& labels) {
  return std::ranges::any_of(
      selectors, [&labels](const LabelSelector& selector) { return selector.Matches(labels); });
}

}  // namespace stentor::model
