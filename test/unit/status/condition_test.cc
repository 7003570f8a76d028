// SPDX-License-Identifier: Apache-2.0
#include "common/status/condition.h"

#include <string>
#include <vector>

#include "test/support/catch.h"

namespace stentor::status {
namespace {

Condition Make(const std::string& type, bool holds, const std::string& reason,
               const std::string& message, bool is_verdict = true) {
  return {
      .type = type, .holds = holds, .reason = reason, .message = message, .is_verdict = is_verdict};
}

}  // namespace

TEST_CASE("ReconcilerCondition speaks as MetalLB's reconcilers", "[status]") {
  struct Case {
    const char* name;
    absl::Status outcome;
    bool holds;
    const char* reason;
    const char* message;
  };
  const auto c = GENERATE(values<Case>({
      {"accepted", absl::OkStatus(), true, "Reconciled", ""},
      {"refused", absl::InvalidArgumentError("missing pool name"), false, "ConfigurationError",
       "configuration error: missing pool name"},
      {"the API server does not answer", absl::UnavailableError("connection refused"), false,
       "UnknownError", "connection refused"},
      {"no right to read", absl::PermissionDeniedError("forbidden"), false, "UnknownError",
       "forbidden"},
  }));
  DYNAMIC_SECTION(c.name) {
    const Condition condition = ReconcilerCondition(kPoolReconcilerValid, c.outcome);
    CHECK(condition == Make("poolReconcilerValid", c.holds, c.reason, c.message));
    CHECK(IsConditionReason(condition.reason));
  }
}

TEST_CASE("VerdictOf follows MetalLB's rules, and remarks count for nothing", "[status]") {
  struct Case {
    const char* name;
    std::vector<Condition> conditions;
    const char* result;
    const char* summary;
  };
  const auto c = GENERATE(values<Case>({
      {"no conditions", {}, "Unknown", ""},
      {"one holds", {Make("a", true, "Reconciled", "")}, "Valid", ""},
      {"one has a configuration error",
       {Make("a", false, "ConfigurationError", "configuration error: x")},
       "Invalid",
       "configuration error: x"},
      {"an unknown error is no proof", {Make("a", false, "UnknownError", "x")}, "Valid", ""},
      {"two errors, in order",
       {Make("a", false, "ConfigurationError", "x"), Make("b", false, "ConfigurationError", "y")},
       "Invalid",
       "x\ny"},
      {"an error before one that holds",
       {Make("a", false, "ConfigurationError", "x"), Make("b", true, "Reconciled", "")},
       "Invalid",
       "x"},
      {"an error after one that holds",
       {Make("a", true, "Reconciled", ""), Make("b", false, "ConfigurationError", "x")},
       "Invalid",
       "x"},
      {"errors without words",
       {Make("a", false, "ConfigurationError", ""), Make("b", false, "ConfigurationError", "y")},
       "Invalid",
       "\ny"},
      {"holds, with the reason of an error",
       {Make("a", true, "ConfigurationError", "x")},
       "Valid",
       ""},
      {"only a remark", {Make("bgpAnnounced", false, "NotSupported", "x", false)}, "Unknown", ""},
      {"a remark beside a verdict",
       {Make("a", true, "Reconciled", ""), Make("b", false, "ConfigurationError", "x", false)},
       "Valid",
       ""},
  }));
  DYNAMIC_SECTION(c.name) {
    const Verdict verdict = VerdictOf(c.conditions);
    CHECK(verdict.result == c.result);
    CHECK(verdict.error_summary == c.summary);
  }
}

TEST_CASE("LegacyCondition carries all remarks", "[status]") {
  CHECK(LegacyCondition(config::OlderForm::kConfigMap, {"one", "two"}) ==
        Make("legacyConfiguration", true, "ConfigMap", "one\ntwo", false));
  CHECK(LegacyCondition(config::OlderForm::kAddressPool, {"one"}) ==
        Make("legacyConfiguration", true, "AddressPool", "one", false));
}

TEST_CASE("IsConditionReason is metav1.Condition's pattern", "[status]") {
  struct Case {
    const char* name;
    std::string text;
    bool want;
  };
  const auto c = GENERATE(values<Case>({
      {"a word", "Reconciled", true},
      {"a letter", "R", true},
      {"signs within", "A_b,c:D9", true},
      {"an underscore last", "A_", true},
      {"empty", "", false},
      {"a digit first", "9A", false},
      {"an underscore first", "_A", false},
      {"a comma last", "A,", false},
      {"a colon last", "A:", false},
      {"a space", "A b", false},
      {"a dash", "A-b", false},
      {"not ASCII", "\xc3\x84rger", false},
      {"longest", std::string(1024, 'a'), true},
      {"too long", std::string(1025, 'a'), false},
  }));
  DYNAMIC_SECTION(c.name) { CHECK(IsConditionReason(c.text) == c.want); }
}

}  // namespace stentor::status
