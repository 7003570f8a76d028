// SPDX-License-Identifier: Apache-2.0
#include "common/obs/health.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/base/strings.h"

namespace stentor::obs {
namespace {

std::string OneLine(std::string_view text) {
  std::string line(text.substr(0, Health::kMaxReason));
  std::ranges::replace_if(
      line, [](unsigned char octet) { return octet < ' ' || octet == 0x7f; }, ' ');
  return line;
}

}  // namespace

void Health::Set(std::string_view condition, bool holds, std::string_view why_not) {
  std::optional<std::string> missing;
  if (!holds) {
    missing = OneLine(why_not);
  }
  conditions_.insert_or_assign(std::string(condition), std::move(missing));
}

void Health::SetStuck(std::string_view why) { stuck_ = OneLine(why); }

HealthReport Health::Live(TimePoint now) const {
  const Duration silence = now - progress_;
  if (silence <= patience_) {
    return stuck_.empty() ? HealthReport{.ok = true, .text = "ok\n"}
                          : HealthReport{.ok = false, .text = stuck_ + "\n"};
  }
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(silence).count();
  return {.ok = false, .text = StrCat("no timer was served for ", seconds, " s\n")};
}

HealthReport Health::Ready() const {
  HealthReport report{.ok = true, .text = ""};
  for (const auto& [condition, missing] : conditions_) {
    if (missing.has_value()) {
      report.ok = false;
      StrAppend(&report.text, "not yet: ", condition, missing->empty() ? "" : ": ", *missing, "\n");
    }
  }
  if (report.ok) {
    report.text = "ok\n";
  }
  return report;
}

}  // namespace stentor::obs
