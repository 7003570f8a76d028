// SPDX-License-Identifier: Apache-2.0
#include "common/config/checks.h"

#include "common/base/strings.h"

namespace stentor::config {

absl::Status CheckSelectors(const std::vector<model::LabelSelector>& selectors,
                            std::string_view field) {
  if (HasDuplicates(selectors)) {
    return Invalid(StrCat("duplicate definition of ", field));
  }
  for (const model::LabelSelector& selector : selectors) {
    for (const model::SelectorRequirement& requirement : selector.requirements) {
      const bool takes_values = requirement.op == model::SelectorOperator::kIn ||
                                requirement.op == model::SelectorOperator::kNotIn;
      if (requirement.key.empty()) {
        return Invalid(StrCat("invalid label selector in ", field, ": a key is empty"));
      }
      if (takes_values == requirement.values.empty()) {
        return Invalid(StrCat(
            "invalid label selector in ", field, ": key \"", requirement.key, "\": ",
            takes_values ? "In and NotIn need values" : "Exists and DoesNotExist take no values"));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace stentor::config
