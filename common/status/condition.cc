// SPDX-License-Identifier: Apache-2.0
#include "common/status/condition.h"

#include "absl/strings/ascii.h"
#include "common/base/strings.h"

namespace stentor::status {

Condition ReconcilerCondition(std::string_view type, const absl::Status& outcome) {
  Condition condition{.type = std::string(type)};
  if (outcome.ok()) {
    condition.holds = true;
    condition.reason = kReconciled;
  } else if (absl::IsInvalidArgument(outcome)) {
    condition.reason = kConfigurationError;
    condition.message = StrCat("configuration error: ", std::string(outcome.message()));
  } else {
    condition.reason = kUnknownError;
    condition.message = std::string(outcome.message());
  }
  return condition;
}

Condition LegacyCondition(config::OlderForm form, const std::vector<std::string>& remarks) {
  Condition condition{.type = std::string(kLegacyConfiguration),
                      .holds = true,
                      .reason = form == config::OlderForm::kConfigMap ? "ConfigMap" : "AddressPool",
                      .is_verdict = false};
  for (const std::string& remark : remarks) {
    StrAppend(&condition.message, condition.message.empty() ? "" : "\n", remark);
  }
  return condition;
}

Verdict VerdictOf(const std::vector<Condition>& conditions) {
  Verdict verdict{.result = "Unknown"};
  bool first = true;
  for (const Condition& condition : conditions) {
    if (!condition.is_verdict) {
      continue;
    }
    if (!condition.holds && condition.reason == kConfigurationError) {
      verdict.result = "Invalid";
      StrAppend(&verdict.error_summary, first ? "" : "\n", condition.message);
      first = false;
    } else if (verdict.result == "Unknown") {
      verdict.result = "Valid";
    }
  }
  return verdict;
}

bool IsConditionReason(std::string_view text) {
  const auto within = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_';
  };
  if (text.empty() || text.size() > kMaxReasonLength ||
      !absl::ascii_isalpha(static_cast<unsigned char>(text.front())) || !within(text.back())) {
    return false;
  }
  for (const char c : text) {
    if (!within(c) && c != ',' && c != ':') {
      return false;
    }
  }
  return true;
}

}  // namespace stentor::status
