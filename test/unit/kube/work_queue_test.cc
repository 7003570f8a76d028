// SPDX-License-Identifier: Apache-2.0
#include "common/kube/work_queue.h"

#include <string>

#include "common/kube/transport.h"
#include "common/kube/watch_splitter.h"
#include "test/support/catch.h"

namespace stentor::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Keys = std::vector<model::ObjectKey>;

const model::ObjectKey kA{"d", "a"};
const model::ObjectKey kB{"d", "b"};
const TimePoint kStart{};

// All of the backoff, no jitter.
double One() { return 1.0; }

WorkQueue Queue(std::size_t max_in_flight = 8) {
  return {{.max_in_flight = max_in_flight, .backoff = {milliseconds(100), seconds(1)}}, One};
}

}  // namespace

TEST_CASE("A key is due once, in the order of Add()", "[queue]") {
  WorkQueue queue = Queue();
  queue.Add(kB, kStart);
  queue.Add(kA, kStart);
  queue.Add(kB, kStart);
  CHECK(queue.NextDeadline() == kStart);
  CHECK(queue.Take(kStart) == Keys{kB, kA});
  CHECK(queue.Take(kStart).empty());
  CHECK_FALSE(queue.NextDeadline().has_value());
}

TEST_CASE("What is added in flight is due again afterwards", "[queue]") {
  WorkQueue queue = Queue();
  queue.Add(kA, kStart);
  CHECK(queue.Take(kStart) == Keys{kA});
  queue.Add(kA, kStart);
  CHECK(queue.Take(kStart).empty());
  queue.Succeeded(kA, kStart);
  CHECK(queue.Take(kStart) == Keys{kA});
  queue.Succeeded(kA, kStart);
  CHECK(queue.Take(kStart).empty());
}

TEST_CASE("Failures back off to a maximum; a success forgets them", "[queue]") {
  WorkQueue queue = Queue();
  TimePoint now = kStart;
  queue.Add(kA, now);
  for (const int count : {100, 200, 400, 800, 1000, 1000}) {
    const milliseconds want(count);
    REQUIRE(queue.Take(now) == Keys{kA});
    queue.Failed(kA, now);
    queue.Add(kA, now);  // does not shorten the wait
    CHECK(queue.Take(now + want - milliseconds(1)).empty());
    CHECK(queue.NextDeadline() == now + want);
    now += want;
  }
  REQUIRE(queue.Take(now) == Keys{kA});
  queue.Succeeded(kA, now);
  queue.Add(kA, now);
  REQUIRE(queue.Take(now) == Keys{kA});
  queue.Failed(kA, now);
  CHECK(queue.NextDeadline() == now + milliseconds(100));
}

TEST_CASE("Retry-After lengthens the wait, never shortens it", "[queue]") {
  WorkQueue queue = Queue();
  queue.Add(kA, kStart);
  (void)queue.Take(kStart);
  queue.Failed(kA, kStart, seconds(7));
  const TimePoint due = kStart + milliseconds(10'500);  // at most a half more
  CHECK(queue.NextDeadline() == due);
  (void)queue.Take(due);
  queue.Failed(kA, due, milliseconds(1));
  CHECK(queue.NextDeadline() == due + milliseconds(200));
}

TEST_CASE("What is told the same Retry-After comes back spread over time", "[queue]") {
  constexpr int kKeys = 100;
  double random = 0;
  WorkQueue queue({.max_in_flight = kKeys, .backoff = {milliseconds(100), seconds(1)}},
                  [&random] { return random; });
  for (int i = 0; i < kKeys; ++i) {
    queue.Add({"d", std::to_string(i)}, kStart);
  }
  const Keys all = queue.Take(kStart);
  REQUIRE(all.size() == kKeys);
  for (const model::ObjectKey& key : all) {
    random = static_cast<double>(std::stoi(key.name)) / kKeys;
    queue.Failed(key, kStart, seconds(1));
  }
  CHECK(queue.Take(kStart + milliseconds(999)).empty());
  std::size_t most = 0;
  for (int at = 1000; at < 1500; at += 50) {
    most = std::max(most, queue.Take(kStart + milliseconds(at + 49)).size());
  }
  CHECK(most == 10);
  CHECK(queue.waiting() == 0);
}

TEST_CASE("No more are in flight than allowed", "[queue]") {
  WorkQueue queue = Queue(1);
  queue.Add(kA, kStart);
  queue.Add(kB, kStart);
  CHECK(queue.Take(kStart) == Keys{kA});
  CHECK_FALSE(queue.NextDeadline().has_value());
  queue.Succeeded(kA, kStart);
  CHECK(queue.NextDeadline() == kStart);
  CHECK(queue.Take(kStart) == Keys{kB});
}

TEST_CASE("Jitter takes between a half and all of the backoff", "[queue]") {
  CHECK(Backoff({seconds(1), seconds(8)}, 1, [] { return 0.0; }) == milliseconds(500));
  CHECK(Backoff({seconds(1), seconds(8)}, 2, One) == seconds(2));
  CHECK(Backoff({seconds(1), seconds(8)}, 1'000'000, One) == seconds(8));
}

TEST_CASE("Retry-After is a number of seconds", "[queue]") {
  struct Case {
    const char* name;
    const char* text;
    std::optional<Duration> want;
  };
  const auto c = GENERATE(values<Case>({
      {"one", "1", seconds(1)},
      {"none", "0", seconds(0)},
      {"longer than anybody waits", "86400", seconds(3600)},
      {"more than an int", "99999999999999999999", seconds(3600)},
      {"negative", "-1", std::nullopt},
      {"very negative", "-99999999999999999999", std::nullopt},
      {"empty", "", std::nullopt},
      {"a date", "Fri, 31 Dec 1999 23:59:59 GMT", std::nullopt},
      {"with a unit", "1s", std::nullopt},
  }));
  DYNAMIC_SECTION(c.name) { CHECK(ParseRetryAfter(c.text) == c.want); }
}

TEST_CASE("Lines come out whole", "[splitter]") {
  WatchSplitter splitter(8);
  CHECK(splitter.Feed("ab")->empty());
  CHECK(*splitter.Feed("c\n\r\nde\nf") == std::vector<std::string>{"abc", "de"});
  CHECK(*splitter.Feed("\n") == std::vector<std::string>{"f"});
  CHECK(*splitter.Feed("12345678\n") == std::vector<std::string>{"12345678"});
  CHECK(splitter.Feed("1234")->empty());
  CHECK(absl::IsDataLoss(splitter.Feed("56789").status()));
  CHECK(absl::IsDataLoss(splitter.Feed("\n").status()));
  splitter.Reset();
  CHECK(*splitter.Feed("ok\n") == std::vector<std::string>{"ok"});
}

}  // namespace stentor::kube
