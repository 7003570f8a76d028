// SPDX-License-Identifier: Apache-2.0
#include "common/io/paced_task.h"

#include <time.h>

#include <chrono>
#include <vector>

#include "test/component/io/fixture.h"
#include "test/support/catch.h"

namespace stentor::io {
namespace {

using std::chrono::milliseconds;
using test::RunUntil;

// Uses the processor for 5 ms, however many others want it too.
void Work() {
  const auto used = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  };
  for (const auto until = used() + milliseconds(5); used() < until;) {
  }
}

}  // namespace

TEST_CASE("A task that many ask for is done once, and never from within the call", "[loop]") {
  EventLoop loop;
  int runs = 0;
  PacedTask task(loop, 3, [&runs] { ++runs; });
  for (int i = 0; i < 3; ++i) {
    task.Schedule();
  }
  CHECK(runs == 0);
  const TimePoint until = loop.Now() + milliseconds(20);
  CHECK(RunUntil(loop, [&] { return loop.Now() >= until; }));
  CHECK(runs == 1);
  task.Schedule();
  CHECK(RunUntil(loop, [&] { return runs == 2; }));
}

TEST_CASE("A task that takes long rests, in proportion and not for ever", "[loop]") {
  EventLoop loop;
  struct Case {
    int rest;
    Duration least;
  };
  const auto c = GENERATE(Case{0, Duration::zero()}, Case{3, milliseconds(15)},
                          Case{1'000'000, milliseconds(100)});
  std::vector<TimePoint> begun;
  std::vector<TimePoint> ended;
  PacedTask task(loop, c.rest, [&] {
    begun.push_back(loop.Now());
    Work();
    ended.push_back(loop.Now());
  });
  for (std::size_t runs = 1; runs <= 2; ++runs) {
    task.Schedule();
    REQUIRE(RunUntil(loop, [&] { return ended.size() == runs; }));
  }
  CHECK(begun[1] - ended[0] >= c.least);
}

TEST_CASE("A task that asks for itself rests, too", "[loop]") {
  EventLoop loop;
  std::vector<TimePoint> begun;
  PacedTask task(loop, 3, [&] {
    begun.push_back(loop.Now());
    if (begun.size() < 3) {
      task.Schedule();
    }
    Work();
  });
  task.Schedule();
  REQUIRE(RunUntil(loop, [&] { return begun.size() == 3; }));
  CHECK(begun[1] - begun[0] >= milliseconds(20));
  CHECK(begun[2] - begun[1] >= milliseconds(20));
  const TimePoint until = loop.Now() + milliseconds(40);
  CHECK(RunUntil(loop, [&] { return loop.Now() >= until; }));
  CHECK(begun.size() == 3);
}

TEST_CASE("A task that is gone is not done", "[loop]") {
  EventLoop loop;
  int runs = 0;
  {
    PacedTask posted(loop, 3, [&runs] { ++runs; });
    posted.Schedule();
    PacedTask resting(loop, 1'000'000, [&runs] {
      ++runs;
      Work();
    });
    resting.Schedule();
    REQUIRE(RunUntil(loop, [&] { return runs == 2; }));
    posted.Schedule();
    resting.Schedule();
  }
  const TimePoint until = loop.Now() + milliseconds(150);
  CHECK(RunUntil(loop, [&] { return loop.Now() >= until; }));
  CHECK(runs == 2);
}

}  // namespace stentor::io
