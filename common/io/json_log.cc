// SPDX-License-Identifier: Apache-2.0
#include "common/io/json_log.h"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <nlohmann/json.hpp>
#include <utility>

namespace stentor::io {
namespace {

// Text from outside may hold octets that are not UTF-8: they are replaced, never thrown over.
std::string Dump(const nlohmann::ordered_json& line) {
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace

struct JsonLog::Impl {
  explicit Impl(std::string name)
      : caller(std::move(name)), logger(caller, std::make_shared<spdlog::sinks::stdout_sink_st>()) {
    logger.set_level(spdlog::level::trace);  // obs::Logger has already filtered
    logger.flush_on(spdlog::level::trace);
    // The time stamp is the formatter's, so that no clock is asked here: {"ts":"...","level":...}
    logger.set_formatter(std::make_unique<spdlog::pattern_formatter>(
        R"({"ts":"%Y-%m-%dT%H:%M:%S.%eZ",%v)", spdlog::pattern_time_type::utc));
  }

  std::string caller;
  spdlog::logger logger;
};

JsonLog::JsonLog(std::string caller) : impl_(std::make_unique<Impl>(std::move(caller))) {}
JsonLog::~JsonLog() = default;

void JsonLog::Write(obs::Level level, std::string_view event_id, std::string_view message,
                    std::span<const obs::Field> fields) {
  nlohmann::ordered_json line;
  line["level"] = obs::LevelName(level);
  line["caller"] = impl_->caller;
  line["event"] = event_id;
  line["msg"] = message;
  for (const obs::Field& field : fields) {
    std::visit([&](const auto& value) { line[std::string(field.key)] = value; }, field.value);
  }
  impl_->logger.log(spdlog::level::info, spdlog::string_view_t(Dump(line).substr(1)));
}

}  // namespace stentor::io
