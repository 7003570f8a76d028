// SPDX-License-Identifier: Apache-2.0
#include "common/kube/reflector.h"

#include <string>

#include "test/support/catch.h"

namespace stentor::kube {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

double One() { return 1.0; }

json Object(const std::string& name, int version) {
  return {{"metadata",
           {{"namespace", "d"}, {"name", name}, {"resourceVersion", std::to_string(version)}}}};
}

Response Page(const std::vector<json>& items, int version, const std::string& next = "") {
  json list = {{"metadata", {{"resourceVersion", std::to_string(version)}}}, {"items", items}};
  if (!next.empty()) {
    list["metadata"]["continue"] = next;
  }
  return {200, list.dump(), std::nullopt};
}

std::string Event(const char* type, const json& object) {
  return json{{"type", type}, {"object", object}}.dump() + "\n";
}

// Deltas in short: "+name" and "-name".
std::string Short(const ReflectorOutput& output) {
  std::string text;
  for (const Delta& delta : output.deltas) {
    if (const auto* upsert = std::get_if<Upsert>(&delta)) {
      text += "+" + upsert->object["metadata"]["name"].get<std::string>();
    } else {
      text += "-" + std::get<Delete>(delta).key.name;
    }
  }
  return text;
}

// A reflector, its clock, and the steps that most tests need.
struct Setup {
  Reflector reflector{{.path = "/api/v1/services", .field_selector = "spec.type=LoadBalancer"},
                      One};
  TimePoint now{};

  std::string NextList() {
    const ReflectorAction action = reflector.Next(now);
    const auto* page = std::get_if<FetchPage>(&action);
    return page == nullptr ? "" : page->path;
  }
  std::string NextWatch() {
    const ReflectorAction action = reflector.Next(now);
    const auto* watch = std::get_if<OpenWatch>(&action);
    return watch == nullptr ? "" : watch->path;
  }
  bool Waits() { return std::holds_alternative<Wait>(reflector.Next(now)); }
  void Advance() { now = reflector.NextDeadline().value(); }

  // Lists a and b at version 10, and watches.
  void Synced() {
    REQUIRE_FALSE(NextList().empty());
    CHECK(Short(reflector.OnPage(now, Page({Object("a", 3), Object("b", 4)}, 10))) == "+a+b");
    REQUIRE_FALSE(NextWatch().empty());
    CHECK(reflector.OnWatchOpen(now).healthy);
  }
};

}  // namespace

TEST_CASE("Pages, then a watch from the list's version", "[reflector]") {
  Setup s;
  CHECK(s.NextList() == "/api/v1/services?fieldSelector=spec.type%3DLoadBalancer&limit=500");
  CHECK(s.Waits());
  CHECK_FALSE(s.reflector.NextDeadline().has_value());
  auto output = s.reflector.OnPage(s.now, Page({Object("a", 3)}, 10, "t/1"));
  CHECK(Short(output) == "+a");
  CHECK_FALSE(output.list_complete);
  CHECK(s.NextList() ==
        "/api/v1/services?fieldSelector=spec.type%3DLoadBalancer&limit=500&continue=t%2F1");
  output = s.reflector.OnPage(s.now, Page({Object("b", 4)}, 10));
  CHECK(Short(output) == "+b");
  CHECK(output.list_complete);
  CHECK(s.NextWatch() ==
        "/api/v1/services?fieldSelector=spec.type%3DLoadBalancer&watch=true"
        "&allowWatchBookmarks=true&resourceVersion=10&timeoutSeconds=300");
  CHECK(s.reflector.size() == 2);
}

TEST_CASE("Events change, a known version does not", "[reflector]") {
  Setup s;
  s.Synced();
  CHECK(Short(s.reflector.OnWatchBytes(s.now, Event("ADDED", Object("c", 11)) +
                                                  Event("MODIFIED", Object("a", 12)))) == "+c+a");
  CHECK(Short(s.reflector.OnWatchBytes(s.now, Event("MODIFIED", Object("a", 12)))).empty());
  CHECK(Short(s.reflector.OnWatchBytes(s.now, Event("DELETED", Object("b", 13)))) == "-b");
  CHECK(Short(s.reflector.OnWatchBytes(s.now, Event("DELETED", Object("b", 13)))).empty());
  CHECK(Short(s.reflector.OnWatchBytes(s.now, Event("BOOKMARK", Object("", 20)))).empty());
  s.now += seconds(60);
  const auto output = s.reflector.OnWatchEnd(s.now, absl::OkStatus(), std::nullopt);
  CHECK_FALSE(output.trouble.has_value());
  CHECK(s.NextWatch().find("resourceVersion=20&") != std::string::npos);
}

TEST_CASE("410 makes a new list, which tells only what changed", "[reflector]") {
  Setup s;
  s.Synced();
  const json gone = {{"code", 410}, {"reason", "Expired"}, {"message", "too old"}};
  const auto how = GENERATE(0, 1);
  DYNAMIC_SECTION((how == 0 ? "as an event" : "as an answer")) {
    const auto output =
        how == 0 ? s.reflector.OnWatchBytes(s.now, Event("ERROR", gone))
                 : s.reflector.OnWatchEnd(s.now, absl::OutOfRangeError("gone"), std::nullopt);
    CHECK_FALSE(output.trouble.has_value());
    CHECK(s.NextList() == "/api/v1/services?fieldSelector=spec.type%3DLoadBalancer&limit=500");
    const auto listed = s.reflector.OnPage(s.now, Page({Object("b", 4), Object("c", 30)}, 40));
    CHECK(Short(listed) == "+c-a");
    CHECK(listed.list_complete);
  }
}

TEST_CASE("A server that expires everything is not asked in a loop", "[reflector]") {
  Setup s;
  s.Synced();
  const json gone = {{"code", 410}};
  (void)s.reflector.OnWatchBytes(s.now, Event("ERROR", gone));
  REQUIRE_FALSE(s.NextList().empty());
  (void)s.reflector.OnPage(s.now, Page({}, 50));
  REQUIRE_FALSE(s.NextWatch().empty());
  (void)s.reflector.OnWatchBytes(s.now, Event("ERROR", gone));
  CHECK(s.Waits());
  CHECK(s.reflector.NextDeadline() == s.now + milliseconds(100));
}

TEST_CASE("410 between two pages begins the list again", "[reflector]") {
  Setup s;
  (void)s.NextList();
  (void)s.reflector.OnPage(s.now, Page({Object("a", 3)}, 10, "t"));
  (void)s.NextList();
  const auto output = s.reflector.OnPage(s.now, Response{410, "", std::nullopt});
  CHECK_FALSE(output.trouble.has_value());
  CHECK(s.NextList().find("continue") == std::string::npos);
  CHECK(Short(s.reflector.OnPage(s.now, Page({Object("b", 12)}, 13))) == "+b-a");
}

TEST_CASE("A list that expires again and again between its pages is asked for in one piece",
          "[reflector]") {
  Setup s;
  for (int i = 0; i < 3; ++i) {
    CHECK(s.NextList().find("limit=500") != std::string::npos);
    (void)s.reflector.OnPage(s.now, Page({Object("a", 3)}, 10 + i, "t"));
    REQUIRE_FALSE(s.NextList().empty());
    // Its token to go on with would join pages of different times.
    const json expired = {{"code", 410}, {"metadata", {{"continue", "inconsistent"}}}};
    CHECK_FALSE(
        s.reflector.OnPage(s.now, Response{410, expired.dump(), std::nullopt}).trouble.has_value());
    s.Advance();
  }
  CHECK(s.NextList() == "/api/v1/services?fieldSelector=spec.type%3DLoadBalancer&limit=0");
  const auto output = s.reflector.OnPage(s.now, Page({Object("b", 12)}, 13));
  CHECK(Short(output) == "+b-a");
  CHECK(output.list_complete);
  REQUIRE_FALSE(s.NextWatch().empty());
  CHECK(s.reflector.OnWatchOpen(s.now).healthy);
  // The next list is in pages again.
  (void)s.reflector.OnWatchBytes(s.now, Event("ERROR", json{{"code", 410}}));
  s.Advance();
  CHECK(s.NextList().find("limit=500") != std::string::npos);
}

TEST_CASE("A watch that would be refused for ever makes a new list", "[reflector]") {
  struct Case {
    const char* name;
    int code;
    const char* body;
    bool lists;
  };
  const auto c = GENERATE(values<Case>({
      {"invalid version", 400, "{}", true},
      {"unprocessable", 422, "{}", true},
      {"the kind is gone", 404, "{}", true},
      {"expired", 410, "{}", true},
      {"a version of the future", 504,
       R"({"details":{"causes":[{"reason":"ResourceVersionTooLarge"}]}})", true},
      {"the same, before it had a cause", 504,
       R"({"message":"Too large resource version: 9, current: 5"})", true},
      {"a gateway's timeout", 504, "upstream timed out", false},
      {"too many requests", 429, "{}", false},
      {"unavailable", 503, "{}", false},
  }));
  DYNAMIC_SECTION(c.name) {
    Setup s;
    s.Synced();
    s.now += seconds(100);
    (void)s.reflector.OnWatchEnd(s.now, absl::OkStatus(), std::nullopt);
    REQUIRE_FALSE(s.NextWatch().empty());
    (void)s.reflector.OnWatchEnd(s.now, StatusFromHttp(c.code, c.body), std::nullopt);
    s.Advance();
    CHECK(s.NextList().empty() == !c.lists);
    if (c.lists) {
      CHECK(Short(s.reflector.OnPage(s.now, Page({Object("a", 3), Object("c", 1)}, 2))) == "+c-b");
    }
  }
}

TEST_CASE("Without bookmarks a version grows old: nothing is missed or told twice", "[reflector]") {
  Setup s;
  s.Synced();
  for (int i = 0; i < 3; ++i) {  // silence, and a server that has nothing to say
    s.Advance();
    CHECK(s.NextWatch().find("resourceVersion=10&") != std::string::npos);
    CHECK(s.reflector.OnWatchOpen(s.now).healthy);
  }
  const json gone = {{"code", 410}, {"reason", "Expired"}};
  CHECK_FALSE(s.reflector.OnWatchBytes(s.now, Event("ERROR", gone)).trouble.has_value());
  REQUIRE_FALSE(s.NextList().empty());
  CHECK(Short(s.reflector.OnPage(s.now, Page({Object("a", 3), Object("b", 4)}, 900))).empty());
  CHECK(s.NextWatch().find("resourceVersion=900&") != std::string::npos);
  CHECK(s.reflector.OnWatchOpen(s.now).healthy);
  // What the list has told already, and then something new.
  CHECK(Short(s.reflector.OnWatchBytes(
            s.now, Event("MODIFIED", Object("a", 3)) + Event("ADDED", Object("c", 901)))) == "+c");
}

TEST_CASE("Failures back off; refusals slower; Retry-After is honoured", "[reflector]") {
  Setup s;
  (void)s.NextList();
  auto output = s.reflector.OnPage(s.now, absl::UnavailableError("refused"));
  CHECK(output.trouble == absl::UnavailableError("refused"));
  CHECK(s.Waits());
  CHECK(s.reflector.NextDeadline() == s.now + milliseconds(100));
  s.Advance();
  (void)s.NextList();
  (void)s.reflector.OnPage(s.now, Response{429, "", seconds(9)});
  CHECK(s.reflector.NextDeadline() == s.now + milliseconds(13'500));  // at most a half more
  s.Advance();
  (void)s.NextList();
  output = s.reflector.OnPage(s.now, Response{404, "", std::nullopt});
  CHECK(absl::IsNotFound(*output.trouble));
  CHECK(s.reflector.NextDeadline() == s.now + seconds(4));
  s.Advance();
  (void)s.NextList();
  CHECK(s.reflector.OnPage(s.now, Page({}, 1)).healthy);
}

TEST_CASE("A watch that can't be opened is trouble and keeps its place", "[reflector]") {
  Setup s;
  s.Synced();
  s.now += seconds(100);
  CHECK_FALSE(s.reflector.OnWatchEnd(s.now, absl::UnavailableError("reset"), std::nullopt)
                  .trouble.has_value());
  REQUIRE_FALSE(s.NextWatch().empty());  // at once
  const auto output =
      s.reflector.OnWatchEnd(s.now, absl::UnavailableError("refused"), std::nullopt);
  CHECK(output.trouble == absl::UnavailableError("refused"));
  CHECK(s.Waits());
  s.Advance();
  CHECK(s.NextWatch().find("resourceVersion=10&") != std::string::npos);
  CHECK(s.reflector.OnWatchOpen(s.now).healthy);
}

TEST_CASE("Short streams that bring nothing back off", "[reflector]") {
  Setup s;
  s.Synced();
  (void)s.reflector.OnWatchEnd(s.now, absl::OkStatus(), std::nullopt);
  CHECK(s.reflector.NextDeadline() == s.now + milliseconds(100));
  s.Advance();
  (void)s.NextWatch();
  (void)s.reflector.OnWatchOpen(s.now);
  (void)s.reflector.OnWatchEnd(s.now, absl::OkStatus(), std::nullopt);
  CHECK(s.reflector.NextDeadline() == s.now + milliseconds(200));
}

TEST_CASE("Silence: an open watch is resumed, an unanswered one gives way to a list",
          "[reflector]") {
  Setup s;
  s.Synced();
  CHECK(s.reflector.NextDeadline() == s.now + seconds(120));
  s.Advance();
  REQUIRE(s.NextWatch().find("resourceVersion=10&") != std::string::npos);
  CHECK(s.reflector.NextDeadline() == s.now + seconds(30));
  s.Advance();
  CHECK_FALSE(s.NextList().empty());
}

TEST_CASE("What can't be read makes a new list", "[reflector]") {
  struct Case {
    const char* name;
    std::string line;
  };
  const auto c = GENERATE(values<Case>({
      {"no JSON", "{\"type\":\n"},
      {"no object", "{\"type\":\"ADDED\"}\n"},
      {"no name", "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"1\"}}}\n"},
      {"no version", "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"x\"}}}\n"},
      {"unknown type", Event("MOVED", Object("a", 11))},
      {"a number", "5\n"},
  }));
  DYNAMIC_SECTION(c.name) {
    Setup s;
    s.Synced();
    const auto output = s.reflector.OnWatchBytes(s.now, c.line);
    CHECK(output.trouble.has_value());
    CHECK(s.Waits());
    s.Advance();
    CHECK_FALSE(s.NextList().empty());
  }
}

}  // namespace stentor::kube
