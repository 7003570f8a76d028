// SPDX-License-Identifier: Apache-2.0

/// \file
/// The keeper of a ConfigurationState where the watch, the API server or its rights fail.

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "common/status/configuration_state_keeper.h"
#include "test/support/catch.h"
#include "test/unit/status/state_bench.h"

namespace stentor::status {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

const absl::Status kBad = absl::InvalidArgumentError("missing pool name");

}  // namespace

TEST_CASE("Without a watch the object is asked for", "[status]") {
  StateBench bench;
  bench.watch = false;
  bench.Verdict(absl::OkStatus());
  SECTION("there is none") {
    bench.Run(1999ms);
    CHECK(bench.TakeLog().empty());
    CHECK_FALSE(bench.keeper.Recorded(kPoolReconcilerValid));
    bench.Run(1h);
    CHECK(bench.TakeLog() == Log{"GET", "POST", "PATCH status"});
  }
  SECTION("there is one") {
    bench.server.Store({{"metadata", {{"name", "controller"}, {"namespace", "ns"}}}});
    bench.Run(1h);
    CHECK(bench.TakeLog() == Log{"GET", "PATCH", "PATCH status"});
  }
  SECTION("it changes unseen: the conflict tells") {
    bench.Run(1min);
    (void)bench.TakeLog();
    bench.Edit("/metadata/labels/theirs", "x");
    bench.Verdict(kBad);
    bench.Run(1min);
    CHECK(bench.TakeLog() == Log{"PATCH status", "GET", "PATCH status"});
  }
  SECTION("it is deleted unseen") {
    bench.Run(1min);
    (void)bench.TakeLog();
    bench.Delete();
    bench.Verdict(kBad);
    bench.Run(1min);
    CHECK(bench.TakeLog() == Log{"PATCH status", "GET", "POST", "PATCH status"});
    CHECK(bench.notices.empty());
  }
  CHECK(bench.Short() != "-");
}

TEST_CASE("Conflicts", "[status]") {
  StateBench bench;
  bench.Sync();
  SECTION("somebody else makes the object first") {
    bench.watch = false;
    bench.server.Store({{"metadata", {{"name", "controller"}, {"namespace", "ns"}}}});
    bench.Verdict(absl::OkStatus());
    bench.Run(1min);
    CHECK(bench.TakeLog() == Log{"POST", "GET", "PATCH", "PATCH status"});
  }
  SECTION("the watch shows the other write before the answer") {
    bench.Verdict(absl::OkStatus());
    bench.Run(5s);
    (void)bench.TakeLog();
    bench.Verdict(kBad);
    const StatusActions under_way = bench.keeper.Poll(bench.now);
    bench.Edit("/metadata/labels/theirs", "x");
    bench.keeper.OnAnswer(bench.now, under_way.requests.at(0).ticket,
                          bench.server.Handle(under_way.requests.at(0).request));
    bench.Run(1min);
    CHECK(bench.TakeLog() == Log{"PATCH status"});  // nothing had to be asked for
  }
  SECTION("a storm: somebody edits all the time") {
    bench.Verdict(absl::OkStatus());
    bench.Run(5s);
    (void)bench.TakeLog();
    int edits = 0;
    bench.faults = [&](const kube::Request& request) -> std::optional<Answer> {
      if (request.method == "PATCH" && edits < 1000) {
        bench.server.Edit("controller", "/metadata/labels/theirs", std::to_string(++edits));
      }
      return std::nullopt;
    };
    bench.Verdict(kBad);
    bench.Run(1min);
    CHECK(bench.log.size() <= 130);
    bench.faults = nullptr;
    bench.Run(1min);
  }
  CHECK((bench.Short() == "Valid poolReconcilerValid=True" ||
         bench.Short() == "Invalid poolReconcilerValid=False"));
  CHECK(bench.notices.empty());
}

TEST_CASE("A stale word of the watch does no harm", "[status]") {
  StateBench bench;
  bench.Sync();
  bench.Verdict(kBad);
  bench.Run(5s);
  const json old = *bench.Object();
  bench.Verdict(absl::OkStatus());
  bench.Run(5s);
  (void)bench.TakeLog();
  SECTION("an older state") {
    bench.keeper.Seen(old);
    bench.Run(1min);
    CHECK(bench.TakeLog().empty());
  }
  SECTION("the same state again, as a new list repeats it") {
    bench.keeper.Seen(*bench.Object());
    bench.Run(1min);
    CHECK(bench.TakeLog().empty());
  }
  SECTION("the deletion of a former object of that name") {
    bench.keeper.Gone();
    SECTION("while the watch shows the one that is there") {
      bench.Run(1min);
      CHECK(bench.TakeLog() == Log{"POST"});
    }
    SECTION("without a watch") {
      bench.watch = false;
      bench.Run(1min);
      CHECK(bench.TakeLog() == Log{"POST", "GET"});
    }
  }
  SECTION("another object") {
    json other = *bench.Object();
    other["metadata"]["name"] = "speaker-x";
    other["metadata"]["resourceVersion"] = "9999";
    bench.keeper.Seen(other);
    bench.Run(1min);
    CHECK(bench.TakeLog().empty());
  }
  SECTION("nonsense") {
    bench.keeper.Seen(json::parse(R"({"metadata": [], "status": 1})"));
    bench.keeper.Seen(json());
    bench.Run(1min);
    CHECK(bench.TakeLog().empty());
  }
}

TEST_CASE("The watch may be faster than the answer", "[status]") {
  StateBench bench;
  bench.watch_first = true;
  bench.Sync();
  bench.Verdict(absl::OkStatus());
  bench.Run(5s);
  bench.Verdict(kBad);
  bench.Run(1h);
  CHECK(bench.TakeLog() == Log{"POST", "PATCH status", "PATCH status"});
}

TEST_CASE("What the API does not grant is told once, and tried patiently", "[status]") {
  struct Case {
    const char* name;
    int code;
    const char* method;  // that is refused
  };
  const auto c = GENERATE(values<Case>({
      {"no right to create", 403, "POST"},
      {"no such kind", 404, "POST"},
      {"no right to patch", 403, "PATCH"},
      {"no such subresource", 404, "PATCH"},
      {"the status is invalid", 422, "PATCH"},
      {"a bad request", 400, "PATCH"},
      {"too large", 413, "PATCH"},
  }));
  DYNAMIC_SECTION(c.name) {
    StateBench bench;
    bench.Sync();
    bench.faults = [&c](const kube::Request& request) -> std::optional<Answer> {
      if (request.method == c.method) {
        return test::CustomResourceServer::Failure(c.code, "X", "words of the server");
      }
      return std::nullopt;
    };
    bench.Verdict(absl::OkStatus());
    bench.Run(1h);
    REQUIRE(bench.notices.size() == 1);
    CHECK(bench.notices[0].kind == Notice::Kind::kRefused);
    CHECK(bench.notices[0].message ==
          "HTTP status " + std::to_string(c.code) + ": words of the server");
    CHECK(bench.log.size() < 50);
    CHECK(bench.log.size() >= 10);
    if (std::string(c.method) == "POST") {
      CHECK(bench.keeper.Recorded(kPoolReconcilerValid) == false);
    }
    // Changes that go on make no more of it.
    (void)bench.TakeLog();
    for (int i = 0; i < 60; ++i) {
      bench.Verdict(absl::InvalidArgumentError("error " + std::to_string(i)));
      bench.Run(1s);
    }
    CHECK(bench.log.size() <= 4);
    CHECK(bench.notices.size() == 1);

    bench.faults = nullptr;
    bench.Run(10min);
    CHECK(bench.Short() == "Invalid poolReconcilerValid=False");
    REQUIRE(bench.notices.size() == 2);
    CHECK(bench.notices[1].kind == Notice::Kind::kAccepted);
  }
}

TEST_CASE("Where only the owner is refused, that is told, and its end", "[status]") {
  StateBench bench;
  bench.Sync();
  bench.Verdict(absl::OkStatus());
  bench.Run(5s);
  std::function<std::optional<Answer>(const kube::Request&)> faults;  // none
  bench.faults = [](const kube::Request& request) -> std::optional<Answer> {
    if (request.body.find("ownerReferences") == std::string::npos) {
      return std::nullopt;
    }
    return test::CustomResourceServer::Failure(403, "Forbidden", "no");
  };
  for (int i = 0; i < 2; ++i) {
    bench.keeper.SetOwner({"pod", "uid-" + std::to_string(i)});
    bench.Run(1h);
    REQUIRE(bench.notices.size() == 1);
    CHECK(bench.notices[0].kind == Notice::Kind::kRefused);
    std::swap(bench.faults, faults);
    bench.Run(10min);
    CHECK(bench.Object()->at("metadata").at("ownerReferences").size() == 1);
    REQUIRE(bench.notices.size() == 2);
    CHECK(bench.notices[1].kind == Notice::Kind::kAccepted);
    bench.notices.clear();
    std::swap(bench.faults, faults);
  }
}

TEST_CASE("A kind that has no fields for the status is found out", "[status]") {
  StateBench bench;
  bench.Sync();
  bench.faults = [&bench](const kube::Request& request) -> std::optional<Answer> {
    if (request.path.find("/status") == std::string::npos) {
      return std::nullopt;
    }
    kube::Response answer = bench.server.Handle(request);
    if (bench.server.Find("controller")->contains("status")) {
      bench.server.Edit("controller", "/status", nullptr);
    }
    answer.body = bench.Object()->dump();
    return Answer(answer);
  };
  bench.Verdict(absl::OkStatus());
  bench.Run(1h);
  REQUIRE(bench.notices.size() == 1);
  CHECK(bench.notices[0].message ==
        "the API server does not keep the status of ConfigurationStates");
  CHECK(bench.log.size() < 30);
}

TEST_CASE("What fails for now is tried again soon, and not told", "[status]") {
  struct Case {
    const char* name;
    Answer answer;
  };
  const auto c = GENERATE(values<Case>({
      {"500", kube::Response{500, "", std::nullopt}},
      {"429", kube::Response{429, "", std::nullopt}},
      {"401, while a token is being rotated", kube::Response{401, "", std::nullopt}},
      {"408", kube::Response{408, "", std::nullopt}},
      {"no connection", absl::UnavailableError("connection refused")},
      {"an answer that is no JSON", kube::Response{200, "{", std::nullopt}},
      {"an answer that is another object",
       kube::Response{200, R"({"metadata":{"name":"x","resourceVersion":"1"}})", std::nullopt}},
      {"an answer without a version",
       kube::Response{200, R"({"metadata":{"name":"controller"}})", std::nullopt}},
  }));
  DYNAMIC_SECTION(c.name) {
    StateBench bench;
    bench.Sync();
    bench.faults = [&c](const kube::Request& /*request*/) {
      return std::optional<Answer>(c.answer);
    };
    bench.Verdict(absl::OkStatus());
    bench.Run(10min);
    CHECK(bench.log.size() > 20);
    CHECK(bench.log.size() < 120);
    bench.faults = nullptr;
    bench.Run(1min);
    CHECK(bench.Short() == "Valid poolReconcilerValid=True");
    CHECK(bench.notices.empty());
  }
}

TEST_CASE("Retry-After is heard", "[status]") {
  StateBench bench;
  bench.Sync();
  bench.faults = [](const kube::Request& /*request*/) {
    return std::optional<Answer>(kube::Response{429, "", 20s});
  };
  bench.Verdict(absl::OkStatus());
  bench.Run(19s);
  CHECK(bench.log.size() == 1);
  bench.Run(2s);
  CHECK(bench.log.size() == 2);
}

TEST_CASE("An answer that never comes", "[status]") {
  StateBench bench;
  bench.Sync();
  bench.Verdict(absl::OkStatus());
  const StatusActions lost = bench.keeper.Poll(bench.now);
  REQUIRE(lost.requests.size() == 1);
  CHECK(bench.keeper.Poll(bench.now).requests.empty());  // one is under way at most
  CHECK(bench.keeper.NextDeadline() == bench.now + 30s);
  bench.Run(29s);
  CHECK(bench.TakeLog().empty());
  bench.Run(5s);
  CHECK(bench.TakeLog() == Log{"POST", "PATCH status"});
  // It comes after all.
  bench.keeper.OnAnswer(bench.now, lost.requests[0].ticket, kube::Response{403, "", std::nullopt});
  bench.Run(1min);
  CHECK(bench.TakeLog().empty());
  CHECK(bench.notices.empty());
}

}  // namespace stentor::status
