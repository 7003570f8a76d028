// SPDX-License-Identifier: Apache-2.0
#include "common/obs/log.h"

#include <string>
#include <vector>

#include "test/support/catch.h"

namespace stentor::obs {
namespace {

class RecordingSink final : public LogSink {
 public:
  void Write(Level level, std::string_view event_id, std::string_view message,
             std::span<const Field> fields) override {
    lines.push_back(std::string(LevelName(level)) + " " + std::string(event_id) + " " +
                    std::string(message) + " " + std::to_string(fields.size()));
  }
  std::vector<std::string> lines;
};

TEST_CASE("Logger writes events at or above its level", "[log]") {
  RecordingSink sink;
  Logger(sink, Level::kWarning).Log(Event::kReady, "an info event");
  Logger(sink, Level::kWarning).Log(Event::kConfigStale, "an error", {{"error", "bad"}});
  Logger(sink, Level::kDebug).Log(Event::kReady, "an info event");
  Logger(sink, Level::kNone).Log(Event::kConfigStale, "nothing passes none");
  CHECK(sink.lines ==
        std::vector<std::string>{"error configStale an error 1", "info ready an info event 0"});
}

TEST_CASE("Levels are read as MetalLB's flag takes them", "[log]") {
  struct Case {
    const char* text;
    std::optional<Level> want;
  };
  const auto c = GENERATE(values<Case>({{"all", Level::kDebug},
                                        {"debug", Level::kDebug},
                                        {"info", Level::kInfo},
                                        {"warn", Level::kWarning},
                                        {"error", Level::kError},
                                        {"none", Level::kNone},
                                        {"warning", std::nullopt},
                                        {"", std::nullopt}}));
  CHECK(ParseLevel(c.text) == c.want);
}

TEST_CASE("Every event of the catalogue has an id and a meaning", "[log]") {
  CHECK(InfoOf(Event::kStarting).id == "starting");
  CHECK(InfoOf(Event::kMembershipKeyDiffers).id == "membershipKeyDiffers");
  CHECK_FALSE(InfoOf(Event::kAllocated).meaning.empty());
}

}  // namespace
}  // namespace stentor::obs
