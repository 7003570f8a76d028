// SPDX-License-Identifier: Apache-2.0
#include "controller/status/pool_status_keeper.h"

#include <chrono>
#include <string>

#include "test/support/catch.h"
#include "test/unit/controller_status/pool_bench.h"

namespace stentor::controller {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

}  // namespace

TEST_CASE("A pool gets its figures, and nothing else of it changes", "[status]") {
  PoolBench bench;
  bench.Make("p");
  const json before = *bench.server.Find("p");
  bench.keeper.SetFigures({{"p", kFew}});
  bench.Run(1h);
  CHECK(bench.TakeRequests() == 1);
  CHECK_FALSE(bench.keeper.NextDeadline());
  json after = *bench.server.Find("p");
  CHECK(after["status"] == json::parse(R"({"assignedIPv4": 1, "assignedIPv6": 0,
                                           "availableIPv4": 255, "availableIPv6": 0})"));
  after.erase("status");
  after["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"];
  CHECK(after == before);
}

TEST_CASE("Who has just got an address is answered before the pool tells of it", "[status]") {
  PoolBench bench;
  bench.Make("p");
  CHECK(bench.keeper.SetFigures({{"p", kFew}}));
  CHECK_FALSE(bench.keeper.SetFigures({{"p", kFew}}));
  bench.keeper.HoldWrites(bench.now);
  bench.Run(29ms);
  CHECK(bench.TakeRequests() == 0);
  bench.Run(1ms);
  CHECK(bench.Stored("p") == kFew);
  // Those that go on being given hold it for 100 ms, and not for longer.
  bench.Run(1s);
  (void)bench.TakeRequests();
  for (std::int64_t i = 2; i < 7; ++i) {
    CHECK(bench.keeper.SetFigures({{"p", {i, 0, 0, 0}}}));
    bench.keeper.HoldWrites(bench.now);
    CHECK(bench.TakeRequests() == 0);
    bench.Run(20ms);
  }
  CHECK(bench.TakeRequests() == 1);
}

TEST_CASE("A wait that is over is over, also where nothing could be written", "[status]") {
  PoolBench bench;
  bench.Make("p");
  const auto give = [&bench](std::int64_t in_use) {
    CHECK(bench.keeper.SetFigures({{"p", {in_use, 0, 0, 0}}}));
    bench.keeper.HoldWrites(bench.now);
  };
  give(1);
  bench.Run(200ms);
  CHECK(bench.TakeRequests() == 1);  // at 30 ms: the next one may go at 530 ms
  SECTION("by its pace") {
    give(2);
    bench.Run(325ms);
    give(3);
    bench.Run(29ms);
    CHECK(bench.TakeRequests() == 0);
    bench.Run(1ms);
    CHECK(bench.Stored("p") == PoolFigures{3, 0, 0, 0});
  }
  SECTION("since another one leads") {
    bench.Run(1s);
    give(2);
    bench.keeper.SetActive(false);
    bench.Run(1s);
    bench.keeper.SetActive(true);
    give(3);
    bench.Run(29ms);
    CHECK(bench.TakeRequests() == 0);
    bench.Run(1ms);
    CHECK(bench.Stored("p") == PoolFigures{3, 0, 0, 0});
  }
}

TEST_CASE("Which pools are written", "[status]") {
  PoolBench bench;
  SECTION("not those that are not in force") {
    bench.Make("p");
    bench.keeper.SetFigures({{"q", kFew}});
    bench.Run(1h);
    CHECK(bench.TakeRequests() == 0);
  }
  SECTION("not those of another namespace") {
    json object = json::parse(R"({"metadata": {"name": "p", "namespace": "other", "uid": "u",
                                               "resourceVersion": "1"}})");
    bench.keeper.SetFigures({{"p", kFew}});
    bench.keeper.PoolSeen(object);
    bench.Run(1h);
    CHECK(bench.TakeRequests() == 0);
    bench.Make("p");
    bench.keeper.PoolGone({"other", "p"});
    bench.Run(1h);
    CHECK(bench.Stored("p") == kFew);
  }
  SECTION("not those that can't be read") {
    bench.keeper.SetFigures({{"p", kFew}});
    bench.keeper.PoolSeen(json::parse(R"({"metadata": {"name": "p", "namespace": "ns"}})"));
    bench.keeper.PoolSeen(json());
    bench.Run(1h);
    CHECK(bench.TakeRequests() == 0);
  }
  SECTION("not those that say it already, as after a restart") {
    bench.Make("p");
    bench.keeper.SetFigures({{"p", kFew}});
    bench.Run(1min);
    PoolStatusKeeper again({.name_space = "ns"}, [] { return 0.5; });
    again.PoolSeen(*bench.server.Find("p"));
    again.SetFigures({{"p", kFew}});
    CHECK(again.Poll(bench.now).requests.empty());
  }
  SECTION("one that is seen after its figures are known") {
    bench.keeper.SetFigures({{"p", kFew}});
    bench.Run(1min);
    bench.Make("p");
    bench.Run(0s);
    CHECK(bench.Stored("p") == kFew);
  }
  SECTION("one that leaves the configuration keeps what it said") {
    bench.Make("p");
    bench.keeper.SetFigures({{"p", kFew}});
    bench.Run(1min);
    bench.keeper.SetFigures({});
    bench.Edit("p", "/status/assignedIPv4", 99);
    bench.Run(1h);
    CHECK(bench.TakeRequests() == 1);
    CHECK_FALSE(bench.keeper.NextDeadline());
  }
}

TEST_CASE("Edits by hand are reverted", "[status]") {
  PoolBench bench;
  bench.Make("p");
  bench.keeper.SetFigures({{"p", kFew}});
  bench.Run(5s);
  (void)bench.TakeRequests();
  struct Case {
    const char* name;
    const char* pointer;
    json value;
    int requests;
  };
  const auto c = GENERATE(values<Case>({
      {"one figure", "/status/assignedIPv4", 99, 1},
      {"one is removed", "/status/availableIPv6", nullptr, 1},
      {"the whole status", "/status", nullptr, 1},
      {"the status is a text", "/status", "x", 1},
      {"a label is none of ours", "/metadata/labels/c", "d", 0},
      {"nor is the spec", "/spec/autoAssign", false, 0},
  }));
  DYNAMIC_SECTION(c.name) {
    bench.Edit("p", c.pointer, c.value);
    bench.Run(1h);
    CHECK(bench.TakeRequests() == c.requests);
    CHECK(bench.Stored("p") == kFew);
  }
}

TEST_CASE("Who insists on an edit is answered less and less often", "[status]") {
  PoolBench bench;
  bench.Make("p");
  bench.keeper.SetFigures({{"p", kFew}});
  bench.Run(5s);
  (void)bench.TakeRequests();
  for (int i = 0; i < 3600; ++i) {
    bench.Edit("p", "/status/assignedIPv4", 99);
    bench.Run(1s);
  }
  CHECK(bench.requests > 15);
  CHECK(bench.requests < 30);
  bench.keeper.SetFigures({{"p", kMore}});
  bench.Run(0s);
  CHECK(bench.Stored("p") == kMore);
}

TEST_CASE("Thousands of changes come to two writes a second, the last one true", "[status]") {
  PoolBench bench;
  bench.Make("p");
  for (std::int64_t i = 1; i <= 6000; ++i) {  // for a minute
    bench.keeper.SetFigures({{"p", {i, 0, 6000 - i, 0}}});
    bench.Run(10ms);
    if (i == 1) {
      CHECK(bench.requests == 1);
    }
  }
  bench.Run(1s);
  CHECK(bench.requests >= 119);
  CHECK(bench.requests <= 122);
  CHECK(bench.Stored("p") == PoolFigures{6000, 0, 0, 0});
}

TEST_CASE("Thousands of edits to the pool itself do not keep the status from being written",
          "[status]") {
  PoolBench bench;
  bench.Make("p");
  for (std::int64_t i = 1; i <= 6000; ++i) {
    bench.Edit("p", "/spec/addresses/0", "192.0.2.0/" + std::to_string(16 + i % 16));
    bench.keeper.SetFigures({{"p", {i, 0, 0, 0}}});
    bench.Run(10ms);
  }
  bench.Run(1s);
  CHECK(bench.requests <= 122);
  CHECK(bench.Stored("p") == PoolFigures{6000, 0, 0, 0});
}

TEST_CASE("A conflict waits for the watch", "[status]") {
  PoolBench bench;
  bench.Make("p");
  bench.watch = false;
  bench.server.Edit("p", "/metadata/labels/c", "d");
  bench.keeper.SetFigures({{"p", kFew}});
  bench.Run(1min);
  CHECK_FALSE(bench.Stored("p"));
  CHECK(bench.requests < 12);
  bench.watch = true;
  bench.Watch("p");
  bench.Run(500ms);  // not the backoff that has grown meanwhile
  CHECK(bench.Stored("p") == kFew);
  CHECK(bench.notices.empty());
}

TEST_CASE("What happens to a pool while its write is under way", "[status]") {
  PoolBench bench;
  bench.Make("p");
  bench.keeper.SetFigures({{"p", kFew}});
  bench.hold = true;
  bench.Run(0s);
  REQUIRE(bench.held.size() == 1);
  SECTION("its figures change") {
    bench.keeper.SetFigures({{"p", kMore}});
    bench.Run(1s);
    CHECK(bench.held.size() == 1);
    bench.hold = false;
    bench.AnswerAll();
    bench.Run(1s);
    CHECK(bench.TakeRequests() == 2);
    CHECK(bench.Stored("p") == kMore);
  }
  SECTION("somebody changes it") {
    bench.Edit("p", "/metadata/labels/c", "d");
    bench.hold = false;
    bench.AnswerAll();
    bench.Run(1s);
    CHECK(bench.Stored("p") == kFew);
  }
  SECTION("it is deleted") {
    bench.Delete("p");
    bench.hold = false;
    bench.AnswerAll();
    bench.Run(1h);
    CHECK(bench.TakeRequests() == 1);
    CHECK(bench.notices.empty());
  }
  SECTION("it is deleted, and leaves the configuration, and both come back") {
    bench.Delete("p");
    bench.keeper.SetFigures({});
    bench.Make("p");
    bench.keeper.SetFigures({{"p", kMore}});
    const status::StatusActions next = bench.keeper.Poll(bench.now);
    REQUIRE(next.requests.size() == 1);  // another pool, although of that name
    bench.keeper.OnAnswer(bench.now, bench.held[0].ticket,
                          bench.server.Handle(bench.held[0].request));
    bench.now += 10s;  // it is no answer about the new one, which is still under way
    CHECK(bench.keeper.Poll(bench.now).requests.empty());
    bench.keeper.OnAnswer(bench.now, next.requests[0].ticket,
                          bench.server.Handle(next.requests[0].request));
    CHECK(bench.Stored("p") == kMore);
  }
  SECTION("it is made anew under its name") {
    bench.server.Delete("p");
    bench.Make("p");
    bench.hold = false;
    bench.AnswerAll();  // a conflict: the uid is another
    bench.Run(1s);
    CHECK(bench.Stored("p") == kFew);
  }
  SECTION("the answer never comes") {
    const std::uint64_t lost = bench.held[0].ticket;
    bench.held.clear();
    bench.under_way.clear();
    bench.hold = false;
    bench.Run(31s);
    CHECK(bench.TakeRequests() == 2);
    CHECK(bench.Stored("p") == kFew);
    bench.keeper.OnAnswer(bench.now, lost, kube::Response{403, "", std::nullopt});
    bench.keeper.SetFigures({{"p", kMore}});
    bench.Run(1s);
    CHECK(bench.Stored("p") == kMore);
  }
}

TEST_CASE("Many pools: few at a time, all in the end", "[status]") {
  PoolBench bench;
  Figures figures;
  for (int i = 0; i < 1000; ++i) {
    const std::string name = "p" + std::to_string(i);
    bench.Make(name);
    figures[name] = kFew;
  }
  bench.keeper.SetFigures(figures);
  bench.hold = true;
  bench.Run(0s);
  CHECK(bench.held.size() == 8);
  CHECK(bench.keeper.NextDeadline());
  bench.hold = false;
  bench.AnswerAll();
  bench.Run(0s);
  CHECK(bench.TakeRequests() == 1000);
  CHECK(bench.most_under_way == 8);
  CHECK_FALSE(bench.keeper.NextDeadline());
  for (const auto& [name, wanted] : figures) {
    CHECK(bench.Stored(name) == wanted);
  }
}

TEST_CASE("A stale word of the watch does no harm", "[status]") {
  PoolBench bench;
  bench.Make("p");
  const json old = *bench.server.Find("p");
  bench.keeper.SetFigures({{"p", kFew}});
  bench.Run(5s);
  (void)bench.TakeRequests();
  bench.keeper.PoolSeen(old);
  bench.keeper.PoolSeen(*bench.server.Find("p"));
  bench.Run(1h);
  CHECK(bench.TakeRequests() == 0);
}

TEST_CASE("Only who is active writes", "[status]") {
  PoolBench bench;
  bench.keeper.SetActive(false);
  bench.Make("p");
  bench.keeper.SetFigures({{"p", kFew}});
  bench.Run(1h);
  CHECK(bench.TakeRequests() == 0);
  CHECK_FALSE(bench.keeper.NextDeadline());
  bench.keeper.SetActive(true);
  bench.hold = true;
  bench.Run(0s);
  REQUIRE(bench.held.size() == 1);
  SECTION("what was under way when leadership ended is of no interest") {
    bench.keeper.SetActive(false);
    bench.keeper.OnAnswer(bench.now, bench.held[0].ticket, kube::Response{403, "", std::nullopt});
    bench.held.clear();
    bench.under_way.clear();
    bench.hold = false;
    bench.Run(1h);
    CHECK(bench.TakeRequests() == 1);
    bench.keeper.SetActive(true);
    bench.Run(1h);
    CHECK(bench.TakeRequests() == 0);  // its figures were those of its term
    bench.keeper.SetFigures({{"p", kFew}});
    bench.Run(1s);
    CHECK(bench.TakeRequests() == 1);
  }
  bench.hold = false;
  bench.AnswerAll();
  bench.Run(1s);
  CHECK(bench.Stored("p") == kFew);
  CHECK(bench.notices.empty());
}

}  // namespace stentor::controller
