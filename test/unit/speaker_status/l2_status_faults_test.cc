// SPDX-License-Identifier: Apache-2.0

/// \file
/// What a ServiceL2StatusKeeper makes of servers that refuse, fail, forget and lie.

#include <chrono>
#include <string>
#include <vector>

#include "test/support/catch.h"
#include "test/unit/speaker_status/l2_bench.h"

namespace stentor::speaker {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using Texts = std::vector<std::string>;
using Kind = status::Notice::Kind;

Answer Code(int code, std::optional<Duration> retry_after = std::nullopt) {
  return kube::Response{code, R"({"kind":"Status","message":"because"})", retry_after};
}
const Answer kNobody = absl::UnavailableError("connection refused");

bool IsStatus(const kube::Request& request) {
  return request.path.find("/status") != std::string::npos;
}

std::vector<Kind> KindsOf(const L2Bench& bench) {
  std::vector<Kind> kinds;
  for (const status::Notice& notice : bench.speakers[0].notices) {
    kinds.push_back(notice.kind);
  }
  return kinds;
}

}  // namespace

TEST_CASE("Manifests without the kind, or the right to read it", "[l2_status]") {
  L2Bench bench;
  bench.keeper().SetAnnounced({{kWeb, {}}});
  for (int i = 0; i < 20; ++i) {
    bench.keeper().WatchRefused(bench.now, absl::NotFoundError("no such kind"));
    bench.Run(5min);
  }
  CHECK(bench.TakeRequests() == 0);
  CHECK_FALSE(bench.keeper().Known(kWeb));
  REQUIRE(KindsOf(bench) == std::vector{Kind::kRefused});
  CHECK(bench.speakers[0].notices[0].message == "no such kind");
  bench.Sync();
  bench.Run(1s);
  CHECK(KindsOf(bench) == std::vector{Kind::kRefused, Kind::kAccepted});
  CHECK(bench.Stored(kWeb) == Texts{"n1"});
}

TEST_CASE("Rights that are missing: one notice, then few attempts, until they are there",
          "[l2_status]") {
  struct Case {
    const char* name;
    std::function<bool(const kube::Request&)> refused;
    int code;
    int most_requests;
    Texts meanwhile;
  };
  const auto c = GENERATE(values<Case>({
      {"all of them", [](const kube::Request&) { return true; }, 403, 100, {"n2"}},
      {"to create", [](const kube::Request& r) { return r.method == "POST"; }, 403, 100, {}},
      {"to write a status", [](const kube::Request& r) { return IsStatus(r); }, 403, 120, {""}},
      {"to delete",
       [](const kube::Request& r) { return r.method == "DELETE"; },
       403,
       100,
       {"n1", "n2"}},
      {"the kind is gone", [](const kube::Request&) { return true; }, 404, 100, {"n2"}},
      {"the kind has no status",
       [](const kube::Request& r) { return IsStatus(r); },
       404,
       120,
       {""}},
      {"an unusual refusal",
       [](const kube::Request& r) { return r.method == "POST"; },
       405,
       100,
       {}},
  }));
  DYNAMIC_SECTION(c.name) {
    L2Bench bench;
    bench.server.Store(L2Object("l2-a", kWeb, "n2"));
    bench.Start();
    bench.faults = [&c](const kube::Request& request) -> std::optional<Answer> {
      return c.refused(request) ? std::optional(Code(c.code)) : std::nullopt;
    };
    bench.keeper().SetAnnounced({{kWeb, {}}});
    bench.Run(1h);
    CHECK(bench.TakeRequests() <= c.most_requests);
    CHECK(bench.Stored(kWeb) == c.meanwhile);
    CHECK(KindsOf(bench) == std::vector{Kind::kRefused});
    bench.faults = nullptr;
    bench.Run(10min);
    CHECK(bench.Stored(kWeb) == Texts{"n1"});
    CHECK(KindsOf(bench) == std::vector{Kind::kRefused, Kind::kAccepted});
  }
}

TEST_CASE("A thousand Services and no right to write: one attempt in minutes", "[l2_status]") {
  L2Bench bench;
  bench.Start();
  bench.latency = 5ms;
  bench.faults = [](const kube::Request&) { return std::optional(Code(403)); };
  ServiceInterfaces all;
  for (int i = 0; i < 1000; ++i) {
    all[{"default", "s" + std::to_string(i)}] = {};
  }
  bench.keeper().SetAnnounced(all);
  bench.Run(10s);
  CHECK(bench.TakeRequests() <= 34);  // those under way when it was found out
  bench.Run(1h);
  CHECK(bench.TakeRequests() <= 30);
  CHECK(KindsOf(bench) == std::vector{Kind::kRefused});
  bench.faults = nullptr;
  bench.Run(6min);
  CHECK(bench.keeper().pending() == 0);
  CHECK(bench.server.names.size() == 1000);
}

TEST_CASE("An object that the server finds wrong does not stop the others", "[l2_status]") {
  L2Bench bench;
  bench.Start();
  const int code = GENERATE(400, 422);
  bench.faults = [code](const kube::Request& request) -> std::optional<Answer> {
    return request.body.find("\"web\"") != std::string::npos ? std::optional(Code(code))
                                                             : std::nullopt;
  };
  bench.keeper().SetAnnounced({{kWeb, {}}, {kDns, {}}});
  bench.Run(1h);
  CHECK(bench.Stored(kDns) == Texts{"n1"});
  CHECK(bench.TakeRequests() < 30);
  const std::vector<status::Notice>& notices = bench.speakers[0].notices;
  REQUIRE_FALSE(notices.empty());
  CHECK(notices.size() <= 7);
  CHECK(notices[0].message ==
        "ServiceL2Status of default/web: HTTP status " + std::to_string(code) + ": because");
  bench.faults = nullptr;
  bench.Run(6min);
  CHECK(bench.Stored(kWeb) == Texts{"n1"});
}

TEST_CASE("A server that does not keep the status is told of", "[l2_status]") {
  L2Bench bench;
  bench.Start();
  bench.faults = [&bench](const kube::Request& request) -> std::optional<Answer> {
    if (!IsStatus(request)) {
      return std::nullopt;
    }
    const json* const object = bench.server.objects.Find(L2Server::NameOf(request));
    return kube::Response{200, object->dump(), std::nullopt};
  };
  bench.keeper().SetAnnounced({{kWeb, {}}});
  bench.Run(1h);
  CHECK(bench.TakeRequests() < 30);
  REQUIRE(bench.speakers[0].notices.size() == 1);
  CHECK(bench.speakers[0].notices[0].message ==
        "the API server does not keep the status of ServiceL2Statuses");
}

TEST_CASE("The API server is away", "[l2_status]") {
  struct Case {
    const char* name;
    Answer answer;
  };
  const auto c = GENERATE(values<Case>({
      {"nobody listens", kNobody},
      {"it can't just now", Code(503)},
      {"its webhook fails", Code(500)},
      {"too many requests", Code(429, 1s)},
      {"the token is old", Code(401)},
      {"no answer in time", absl::DeadlineExceededError("slow")},
  }));
  DYNAMIC_SECTION(c.name) {
    L2Bench bench;
    bench.Start();
    ServiceInterfaces all;
    for (int i = 0; i < 300; ++i) {
      all[{"default", "s" + std::to_string(i)}] = {};
      bench.Store(
          L2Object("l2-old" + std::to_string(i), {"default", "s" + std::to_string(i)}, "n2"));
    }
    bench.latency = 1ms;
    bench.faults = [&c](const kube::Request&) { return std::optional(c.answer); };
    bench.keeper().SetAnnounced(all);
    bench.Run(10min);
    const int attempts = bench.TakeRequests();
    CHECK(attempts > 10);
    CHECK(attempts < 32 + 2 * 600);  // one at a time, about two a second
    CHECK(bench.speakers[0].notices.empty());
    // Meanwhile things change.
    all.erase({"default", "s0"});
    all[kWeb] = {"eth0"};
    bench.keeper().SetAnnounced(all);
    bench.faults = nullptr;
    bench.Run(3s);
    CHECK(bench.Stored(kWeb) == Texts{"n1: eth0"});
    CHECK(bench.Stored({"default", "s0"}) == Texts{"n2"});
    CHECK(bench.Stored({"default", "s299"}) == Texts{"n1"});
    bench.Run(1min);
    CHECK(bench.keeper().pending() == 0);
    CHECK(bench.server.names.size() == 301);
  }
}

TEST_CASE("The watch that comes back ends the wait", "[l2_status]") {
  L2Bench bench;
  bench.Start();
  bench.faults = [](const kube::Request&) { return std::optional(Code(429, 4min)); };
  bench.keeper().SetAnnounced({{kWeb, {}}});
  bench.Run(1s);
  CHECK(bench.TakeRequests() == 1);
  bench.faults = nullptr;
  bench.Run(1min);
  CHECK(bench.TakeRequests() == 0);  // as it was asked for
  bench.Sync();
  bench.keeper().Announce(kDns, {});
  bench.Run(1s);
  CHECK(bench.Stored(kDns) == Texts{"n1"});
}

TEST_CASE("Answers that make no sense", "[l2_status]") {
  const std::string body = GENERATE(as<std::string>(), "", "{", "null", "[]", R"({"metadata":{}})",
                                    R"({"metadata":{"name":"x","namespace":"ns","uid":"u",
                                        "resourceVersion":"1"}})");
  DYNAMIC_SECTION(body) {
    L2Bench bench;
    bench.Start();
    bench.Store(L2Object("l2-a", kDns, "n1"));
    bench.faults = [&body](const kube::Request&) {
      return std::optional(Answer(kube::Response{200, body, std::nullopt}));
    };
    bench.keeper().SetAnnounced({{kWeb, {}}, {kDns, {"eth0"}}});
    bench.Run(1h);
    CHECK(bench.TakeRequests() < 600);
    bench.faults = nullptr;
    bench.Run(2min);
    CHECK(bench.Stored(kWeb) == Texts{"n1"});
    CHECK(bench.Stored(kDns) == Texts{"n1: eth0"});
  }
}

TEST_CASE("Answers to nothing", "[l2_status]") {
  L2Bench bench;
  bench.Start();
  bench.keeper().OnAnswer(bench.now, 7, Code(200));
  bench.keeper().OnAnswer(bench.now, 7, kNobody);
  bench.hold = true;
  bench.keeper().SetAnnounced({{kWeb, {}}});
  bench.Run(31s);  // the first one is given up
  REQUIRE(bench.held.size() == 2);
  const std::vector<L2Bench::Sent> both = bench.held;
  bench.hold = false;
  bench.held = {both[1]};
  bench.AnswerHeld();
  bench.keeper().OnAnswer(bench.now, both[0].request.ticket, Code(403));  // too late
  bench.Run(1s);
  CHECK(bench.Stored(kWeb) == Texts{"n1"});
  CHECK(bench.speakers[0].notices.empty());
}

TEST_CASE("What changes while a request is under way", "[l2_status]") {
  L2Bench bench;
  bench.Start();
  bench.hold = true;
  bench.keeper().SetAnnounced({{kWeb, {}}});
  bench.Run(0s);
  REQUIRE(bench.held.size() == 1);
  SECTION("it is announced no more") {
    bench.keeper().Withdraw(kWeb);
    bench.hold = false;
    bench.AnswerHeld();
    bench.Run(1s);
    CHECK(bench.Stored(kWeb).empty());
  }
  SECTION("and then again") {
    bench.keeper().Withdraw(kWeb);
    bench.keeper().Announce(kWeb, {"eth0"});
    bench.hold = false;
    bench.AnswerHeld();
    bench.Run(1s);
    CHECK(bench.Stored(kWeb) == Texts{"n1: eth0"});
  }
  SECTION("another's object comes") {
    bench.Store(L2Object("l2-a", kWeb, "n2"));
    bench.hold = false;
    bench.AnswerHeld();
    bench.Run(1s);
    CHECK(bench.Stored(kWeb) == Texts{"n1"});
  }
  CHECK(bench.held.empty());
}

}  // namespace stentor::speaker
