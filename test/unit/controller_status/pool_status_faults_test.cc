// SPDX-License-Identifier: Apache-2.0

/// \file
/// The keeper of the pools' status where the API server or its rights fail, and in random runs.

#include <chrono>
#include <cstdint>
#include <random>
#include <string>

#include "controller/status/pool_status_keeper.h"
#include "test/support/catch.h"
#include "test/support/run_seed.h"
#include "test/unit/controller_status/pool_bench.h"

namespace stentor::controller {
namespace {

using namespace std::chrono_literals;
using status::Notice;

}  // namespace

TEST_CASE("What the API does not grant is told once, and tried patiently by one", "[status]") {
  const int code = GENERATE(403, 404, 405);
  DYNAMIC_SECTION("code " << code) {
    PoolBench bench;
    Figures figures;
    for (int i = 0; i < 20; ++i) {
      const std::string name = "p" + std::to_string(i);
      bench.Make(name);
      figures[name] = kFew;
    }
    bench.keeper.SetFigures(figures);
    bench.faults = [code](const kube::Request& /*request*/) {
      return std::optional<Answer>(
          test::CustomResourceServer::Failure(code, "X", "words of the server"));
    };
    bench.Run(1h);
    REQUIRE(bench.notices.size() == 1);
    CHECK(bench.notices[0].kind == Notice::Kind::kRefused);
    CHECK(bench.notices[0].message ==
          "HTTP status " + std::to_string(code) + ": words of the server");
    CHECK(bench.requests >= 10);
    CHECK(bench.requests < 100);
    (void)bench.TakeRequests();
    bench.Run(1h);
    CHECK(bench.requests <= 16);

    bench.faults = nullptr;
    bench.Run(6min);
    for (const auto& [name, wanted] : figures) {
      CHECK(bench.Stored(name) == wanted);
    }
    REQUIRE(bench.notices.size() == 2);
    CHECK(bench.notices[1].kind == Notice::Kind::kAccepted);
  }
}

TEST_CASE("One pool that is refused does not hold up the others", "[status]") {
  const int code = GENERATE(400, 422);
  DYNAMIC_SECTION("code " << code) {
    PoolBench bench;
    bench.Make("a");
    bench.Make("b");
    bench.faults = [code](const kube::Request& request) -> std::optional<Answer> {
      if (request.path.find("/a/") == std::string::npos) {
        return std::nullopt;
      }
      return test::CustomResourceServer::Failure(code, "Invalid", "no");
    };
    bench.keeper.SetFigures({{"a", kFew}, {"b", kFew}});
    bench.Run(10min);
    CHECK(bench.Stored("b") == kFew);
    CHECK(bench.requests <= 12);
    REQUIRE(bench.notices.size() == 1);
    CHECK(bench.notices[0].message ==
          "IPAddressPool a: HTTP status " + std::to_string(code) + ": no");
    bench.faults = nullptr;
    bench.Run(2min);
    CHECK(bench.Stored("a") == kFew);
  }
}

TEST_CASE("A kind whose status has no fields is found out", "[status]") {
  PoolBench bench;
  bench.Make("p");
  bench.keeper.SetFigures({{"p", kFew}});
  bench.faults = [&bench](const kube::Request& /*request*/) {
    return std::optional<Answer>(kube::Response{200, bench.server.Find("p")->dump(), std::nullopt});
  };
  bench.Run(1h);
  REQUIRE(bench.notices.size() == 1);
  CHECK(bench.notices[0].message == "the API server does not keep the status of IPAddressPools");
  CHECK(bench.requests < 20);
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
      {"no connection", absl::UnavailableError("connection refused")},
      {"an answer that is no JSON", kube::Response{200, "}", std::nullopt}},
      {"an answer that is another pool",
       kube::Response{200, R"({"metadata":{"name":"p","uid":"x","resourceVersion":"1"}})",
                      std::nullopt}},
  }));
  DYNAMIC_SECTION(c.name) {
    PoolBench bench;
    bench.Make("p");
    bench.keeper.SetFigures({{"p", kFew}});
    bench.faults = [&c](const kube::Request& /*request*/) {
      return std::optional<Answer>(c.answer);
    };
    bench.Run(10min);
    CHECK(bench.requests > 20);
    CHECK(bench.requests < 60);
    bench.faults = nullptr;
    bench.Run(1min);
    CHECK(bench.Stored("p") == kFew);
    CHECK(bench.notices.empty());
  }
}

TEST_CASE("Retry-After holds up all", "[status]") {
  PoolBench bench({.name_space = "ns", .max_in_flight = 2});
  Figures figures;
  for (int i = 0; i < 10; ++i) {
    const std::string name = "p" + std::to_string(i);
    bench.Make(name);
    figures[name] = kFew;
  }
  bench.keeper.SetFigures(figures);
  const TimePoint start = bench.now;
  bench.faults = [&bench, start](const kube::Request& /*request*/) -> std::optional<Answer> {
    if (bench.now < start + 20s) {
      return kube::Response{429, "", 20s};
    }
    return std::nullopt;
  };
  bench.Run(19s);
  CHECK(bench.TakeRequests() == 2);
  bench.Run(2s);
  CHECK(bench.TakeRequests() == 10);
}

TEST_CASE("Whatever happens, the status is true in the end", "[status]") {
  const std::uint64_t seed = sim::RunSeed();
  for (std::uint64_t run = 0; run < 200; ++run) {
    DYNAMIC_SECTION("run " << run) {
      std::mt19937_64 random(seed + run);
      const auto pick = [&random](std::uint64_t below) { return random() % below; };
      PoolBench bench({.name_space = "ns", .max_in_flight = 1 + pick(3)});
      Figures figures;
      bench.faults = [&](const kube::Request& request) -> std::optional<Answer> {
        switch (pick(8)) {
          case 0:
            return kube::Response{static_cast<int>(500 + pick(4)), "", std::nullopt};
          case 1:
            return kube::Response{429, "", std::chrono::seconds(pick(3))};
          case 2:  // done, but the answer is lost
            (void)bench.server.Handle(request);
            return absl::UnavailableError("connection reset");
          case 3:  // somebody was faster
            if (const std::string name = PoolBench::NameOf(request); bench.server.Find(name)) {
              bench.Edit(name, "/status/assignedIPv4", pick(9));
            }
            return std::nullopt;
          case 4:
            return kube::Response{403, "", std::nullopt};
          default:
            return std::nullopt;
        }
      };
      for (int step = 0; step < 100; ++step) {
        const std::string name = "p" + std::to_string(pick(4));
        switch (pick(6)) {
          case 0:
            figures[name] = {static_cast<std::int64_t>(pick(5)), 0, 7, 0};
            bench.keeper.SetFigures(figures);
            break;
          case 1:
            figures.erase(name);
            bench.keeper.SetFigures(figures);
            break;
          case 2:
            bench.server.Delete(name);
            bench.Make(name);
            break;
          case 3:
            bench.Delete(name);
            break;
          case 4:
            if (bench.server.Find(name) != nullptr) {
              bench.watch = pick(2) == 0;
              bench.Edit(name, "/spec/autoAssign", pick(2) == 0);
              bench.watch = true;
            }
            break;
          default:
            bench.hold = pick(2) == 0;
            if (!bench.hold) {
              bench.AnswerAll();
            }
            bench.Run(std::chrono::milliseconds(pick(3000)));
        }
      }
      bench.faults = nullptr;
      bench.hold = false;
      bench.AnswerAll();
      for (int i = 0; i < 4; ++i) {
        bench.Watch("p" + std::to_string(i));
      }
      bench.Run(20min);
      for (const auto& [name, wanted] : figures) {
        if (bench.server.Find(name) != nullptr) {
          CHECK(bench.Stored(name) == wanted);
        }
      }
      CHECK_FALSE(bench.keeper.NextDeadline());
    }
  }
}

}  // namespace stentor::controller
