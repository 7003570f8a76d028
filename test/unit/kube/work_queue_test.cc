// SPDX-License-Identifier: Apache-2.0
#include "common/kube/work_queue.h"

#include <string>

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
  CHECK(queue.NextDeadline() == kStart + seconds(7));
  (void)queue.Take(kStart + seconds(7));
  queue.Failed(kA, kStart + seconds(7), milliseconds(1));
  CHECK(queue.NextDeadline() == kStart + seconds(7) + milliseconds(200));
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
