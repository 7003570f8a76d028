// SPDX-License-Identifier: Apache-2.0
#include "common/kube/codec_parts.h"

#include <charconv>
#include <chrono>

namespace stentor::kube::parts {
namespace {

// The digits of `text` from `at` on; nothing where they aren't all digits.
std::optional<int> Number(std::string_view text, std::size_t at, std::size_t digits) noexcept {
  int value = 0;
  const char* const begin = text.data() + at;
  const auto [end, error] = std::from_chars(begin, begin + digits, value);
  return error == std::errc{} && end == begin + digits && *begin != '-' ? std::optional(value)
                                                                        : std::nullopt;
}

}  // namespace

std::vector<std::string> Strings(const JsonCursor& list) {
  std::vector<std::string> strings;
  list.ForEach([&](const JsonCursor& element) { strings.push_back(element.String()); });
  return strings;
}

model::Labels StringMap(const JsonCursor& object) {
  model::Labels map;
  object.ForEachMember(
      [&](const std::string& key, const JsonCursor& value) { map.emplace(key, value.String()); });
  return map;
}

model::ObjectKey Key(const JsonCursor& metadata) {
  return {metadata.At("namespace").String(), metadata.At("name").String()};
}

std::optional<WallTime> ParseTime(std::string_view text) noexcept {
  constexpr std::string_view kShape = "0000-00-00T00:00:00Z";
  if (text.size() != kShape.size() || text[4] != '-' || text[7] != '-' || text[10] != 'T' ||
      text[13] != ':' || text[16] != ':' || text[19] != 'Z') {
    return std::nullopt;
  }
  const auto year = Number(text, 0, 4);
  const auto month = Number(text, 5, 2);
  const auto day = Number(text, 8, 2);
  const auto hour = Number(text, 11, 2);
  const auto minute = Number(text, 14, 2);
  const auto second = Number(text, 17, 2);
  if (!year || !month || !day || !hour || !minute || !second || *hour > 23 || *minute > 59 ||
      *second > 60) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  // WallTime counts nanoseconds: beyond these years it would overflow.
  if (!date.ok() || *year < 1900 || *year > 2200) {
    return std::nullopt;
  }
  return std::chrono::sys_days(date) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
         std::chrono::seconds(*second);
}

}  // namespace stentor::kube::parts
