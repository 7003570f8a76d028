// SPDX-License-Identifier: Apache-2.0
#include "common/obs/log.h"

#include <array>
#include <cstddef>

namespace stentor::obs {
namespace {

constexpr std::array kCatalogue = {
#define STENTOR_EVENT(enumerator, id, level, meaning) EventInfo{id, Level::level, meaning},
#include "common/obs/events.def"
#undef STENTOR_EVENT
};

}  // namespace

std::optional<Level> ParseLevel(std::string_view text) noexcept {
  if (text == "all" || text == "debug") {
    return Level::kDebug;
  }
  if (text == "info") {
    return Level::kInfo;
  }
  if (text == "warn") {
    return Level::kWarning;
  }
  if (text == "error") {
    return Level::kError;
  }
  if (text == "none") {
    return Level::kNone;
  }
  return std::nullopt;
}

std::string_view LevelName(Level level) noexcept {
  switch (level) {
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarning:
      return "warn";
    case Level::kError:
      return "error";
    case Level::kNone:
      return "none";
  }
  return "none";
}

const EventInfo& InfoOf(Event event) noexcept {
  return kCatalogue[static_cast<std::size_t>(event)];
}

void Logger::Log(Event event, std::string_view message, const std::vector<Field>& fields) const {
  const EventInfo& info = InfoOf(event);
  if (info.level >= least_) {
    sink_.Write(info.level, info.id, message, fields);
  }
}

}  // namespace stentor::obs
