// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What is logged, and the facade through which shells log it. Pure rooms do not log: their results
/// carry reasons. Where lines go is the sink's affair (common/io/json_log.h).

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace stentor::obs {

/// By meaning: error, a promise to a user is broken now; warning, outside the expected flow but
/// self-healing; info, a change of ownership, allocation, configuration, membership or start-up
/// phase; debug, why a decision came out so.
enum class Level : std::uint8_t { kDebug, kInfo, kWarning, kError, kNone };

/// Reads MetalLB's --log-level: all, debug, info, warn, error, none.
[[nodiscard]] std::optional<Level> ParseLevel(std::string_view text) noexcept;

/// "debug", "info", "warn" or "error", as MetalLB's log lines have it.
[[nodiscard]] std::string_view LevelName(Level level) noexcept;

/// The catalogue of events.def.
enum class Event : std::uint8_t {
#define STENTOR_EVENT(enumerator, id, level, meaning) enumerator,
#include "common/obs/events.def"
#undef STENTOR_EVENT
};

/// What the catalogue says of an event. The texts have static storage.
struct EventInfo {
  std::string_view id;
  Level level = Level::kInfo;
  std::string_view meaning;
};
[[nodiscard]] const EventInfo& InfoOf(Event event) noexcept;

/// One key and its value in a log line. Keys are spelled alike everywhere: service, address, pool,
/// node, interface, mac, error.
struct Field {
  std::string_view key;
  std::variant<std::string, std::int64_t, double> value;
};

/// Where log lines go. Not thread-safe: called on the logic thread only.
class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual void Write(Level level, std::string_view event_id, std::string_view message,
                     std::span<const Field> fields) = 0;
};

/// Drops what is below the wanted level and gives the rest to the sink, which must outlive it.
class Logger {
 public:
  Logger(LogSink& sink, Level least) noexcept : sink_(sink), least_(least) {}

  /// One line. `message` is for people; whatever a program may want goes into `fields`.
  void Log(Event event, std::string_view message, const std::vector<Field>& fields = {}) const;

 private:
  LogSink& sink_;
  Level least_;
};

}  // namespace stentor::obs
