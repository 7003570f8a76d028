// SPDX-License-Identifier: Apache-2.0

/// \file
/// Rights that older manifests don't give: to watch, or to read at all.

#include <string>

#include "common/kube/reflector.h"
#include "test/support/catch.h"

namespace stentor::kube {
namespace {

using nlohmann::json;
using std::chrono::minutes;
using std::chrono::seconds;

double One() { return 1.0; }

const absl::Status kForbidden = absl::PermissionDeniedError("pods is forbidden");

Response Page(const std::string& name, int version) {
  const json item = {
      {"metadata",
       {{"namespace", "d"}, {"name", name}, {"resourceVersion", std::to_string(version)}}}};
  return {
      200,
      json{{"metadata", {{"resourceVersion", std::to_string(version)}}}, {"items", {item}}}.dump(),
      std::nullopt};
}

struct Setup {
  Reflector reflector{{.path = "/api/v1/pods"}, One};
  TimePoint now{};
  int version = 0;

  // What is asked for at the next deadline: "list", "watch" or "".
  std::string Next() {
    if (const auto deadline = reflector.NextDeadline()) {
      now = std::max(now, *deadline);
    }
    const ReflectorAction action = reflector.Next(now);
    return std::holds_alternative<FetchPage>(action)   ? "list"
           : std::holds_alternative<OpenWatch>(action) ? "watch"
                                                       : "";
  }
  ReflectorOutput List(const std::string& name) {
    return reflector.OnPage(now, Page(name, ++version));
  }
  ReflectorOutput RefuseWatch() { return reflector.OnWatchEnd(now, kForbidden, std::nullopt); }
  ReflectorOutput RefuseList() {
    return reflector.OnPage(now, absl::StatusOr<Response>(kForbidden));
  }
};

}  // namespace

TEST_CASE("Where to watch is forbidden, the list is polled", "[reflector]") {
  Setup s;
  REQUIRE(s.Next() == "list");
  CHECK(s.List("a").list_complete);
  REQUIRE(s.Next() == "watch");
  auto output = s.RefuseWatch();
  CHECK_FALSE(output.polling);  // once may be a credential that has just expired
  CHECK_FALSE(output.trouble.has_value());

  REQUIRE(s.Next() == "list");
  CHECK(s.now == TimePoint{} + seconds(1));
  (void)s.List("a");
  REQUIRE(s.Next() == "watch");
  output = s.RefuseWatch();
  CHECK(output.polling);
  CHECK_FALSE(output.trouble.has_value());

  // Two lists until the watch is tried again, then four.
  for (const int polls : {2, 4, 8, 16, 32, 32}) {
    for (int i = 0; i < polls; ++i) {
      const TimePoint before = s.now;
      REQUIRE(s.Next() == "list");
      CHECK(s.now == before + seconds(10));
      CHECK(s.List("a").healthy);
    }
    REQUIRE(s.Next() == "watch");
    CHECK_FALSE(s.RefuseWatch().polling);  // told once
  }
}

TEST_CASE("What a poll finds changed is told, and a grant ends the polling", "[reflector]") {
  Setup s;
  for (int i = 0; i < 2; ++i) {
    REQUIRE(s.Next() == "list");
    (void)s.List("a");
    REQUIRE(s.Next() == "watch");
    (void)s.RefuseWatch();
  }
  REQUIRE(s.Next() == "list");
  const auto output = s.List("b");
  REQUIRE(output.deltas.size() == 2);
  CHECK(std::get<Upsert>(output.deltas[0]).object["metadata"]["name"] == "b");
  CHECK(std::get<Delete>(output.deltas[1]).key.name == "a");
  REQUIRE(s.Next() == "list");
  (void)s.List("b");
  REQUIRE(s.Next() == "watch");
  CHECK(s.reflector.OnWatchOpen(s.now).healthy);
  s.now += minutes(1);
  (void)s.reflector.OnWatchEnd(s.now, absl::OkStatus(), std::nullopt);
  CHECK(s.Next() == "watch");
}

TEST_CASE("A sign of change is a reason to poll now, but not each time", "[reflector]") {
  Setup s;
  REQUIRE(s.Next() == "list");
  (void)s.List("a");
  s.reflector.PollSoon(s.now, seconds(2));  // nothing is polled yet
  REQUIRE(s.Next() == "watch");
  (void)s.RefuseWatch();
  REQUIRE(s.Next() == "list");
  (void)s.List("a");
  REQUIRE(s.Next() == "watch");
  (void)s.RefuseWatch();
  const TimePoint listed = s.now;

  s.reflector.PollSoon(s.now + seconds(1), seconds(2));
  CHECK(s.reflector.NextDeadline() == listed + seconds(2));
  REQUIRE(s.Next() == "list");
  (void)s.List("a");
  s.reflector.PollSoon(s.now, seconds(2));
  s.reflector.PollSoon(s.now, seconds(20));  // not later than it would be anyway
  CHECK(s.reflector.NextDeadline() == s.now + seconds(2));
  s.reflector.PollSoon(s.now + seconds(5), seconds(2));
  CHECK(s.reflector.NextDeadline() == s.now + seconds(2));
}

TEST_CASE("A list that is refused is asked for again soon, or patiently", "[reflector]") {
  Setup s;
  REQUIRE(s.Next() == "list");
  CHECK(s.RefuseList().trouble == kForbidden);
  CHECK(s.reflector.NextDeadline() == s.now + seconds(1));
  for (const int wait : {5, 10, 20, 40, 80, 160, 300, 300}) {
    s.reflector.Postpone(s.now);
    CHECK(s.reflector.NextDeadline() == s.now + seconds(wait));
    REQUIRE(s.Next() == "list");
    (void)s.RefuseList();
  }
  REQUIRE(s.Next() == "list");
  CHECK(s.List("a").healthy);
  s.reflector.Postpone(s.now);  // nothing was refused
  CHECK(s.Next() == "watch");
}

}  // namespace stentor::kube
