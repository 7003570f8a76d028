// SPDX-License-Identifier: Apache-2.0
#include "common/obs/health.h"

#include <chrono>

#include "common/base/strings.h"

namespace stentor::obs {

void Health::Set(std::string_view condition, bool holds) {
  conditions_.insert_or_assign(std::string(condition), holds);
}

HealthReport Health::Live(TimePoint now) const {
  const Duration silence = now - progress_;
  if (silence <= patience_) {
    return {.ok = true, .text = "ok\n"};
  }
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(silence).count();
  return {.ok = false, .text = StrCat("no timer was served for ", seconds, " s\n")};
}

HealthReport Health::Ready() const {
  HealthReport report{.ok = true, .text = ""};
  for (const auto& [condition, holds] : conditions_) {
    if (!holds) {
      report.ok = false;
      StrAppend(&report.text, "not yet: ", condition, "\n");
    }
  }
  if (report.ok) {
    report.text = "ok\n";
  }
  return report;
}

}  // namespace stentor::obs
