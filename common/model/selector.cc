// SPDX-License-Identifier: Apache-2.0
#include "common/model/selector.h"

#include <algorithm>

#include "absl/strings/str_join.h"
#include "common/base/strings.h"

namespace stentor::model {
namespace {

bool Holds(const SelectorRequirement& requirement, const Labels& labels) {
  const auto it = labels.find(requirement.key);
  const bool present = it != labels.end();
  const bool listed =
      present && std::ranges::find(requirement.values, it->second) != requirement.values.end();
  switch (requirement.op) {
    case SelectorOperator::kEquals:
    case SelectorOperator::kIn:
      return listed;
    case SelectorOperator::kNotIn:
      return !listed;
    case SelectorOperator::kExists:
      return present;
    case SelectorOperator::kDoesNotExist:
      return !present;
    case SelectorOperator::kUnknown:
      break;
  }
  return false;
}

std::string ToString(const SelectorRequirement& requirement) {
  const std::string values = absl::StrJoin(requirement.values, ",");
  switch (requirement.op) {
    case SelectorOperator::kEquals:
      return StrCat(requirement.key, "=", values);
    case SelectorOperator::kIn:
      return StrCat(requirement.key, " in (", values, ")");
    case SelectorOperator::kNotIn:
      return StrCat(requirement.key, " notin (", values, ")");
    case SelectorOperator::kExists:
      return requirement.key;
    case SelectorOperator::kDoesNotExist:
      return StrCat("!", requirement.key);
    case SelectorOperator::kUnknown:
      break;
  }
  return StrCat(requirement.key, " ", requirement.unknown_op, " (", values, ")");
}

}  // namespace

std::string ToString(const LabelSelector& selector) {
  return absl::StrJoin(selector.requirements, ",",
                       [](std::string* out, const SelectorRequirement& requirement) {
                         *out += ToString(requirement);
                       });
}

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
