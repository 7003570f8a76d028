// SPDX-License-Identifier: Apache-2.0
#include "common/io/event_loop.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/unique_fd.h"
#include "test/component/io/fixture.h"
#include "test/support/catch.h"

namespace stentor::io {

using test::RunUntil;

TEST_CASE("A timer fires once, not when disarmed, rearmed or destroyed", "[loop]") {
  EventLoop loop;
  Timer timer(loop);
  Timer rearmed(loop);
  auto destroyed = std::make_unique<Timer>(loop);
  int fired = 0;
  int wrong = 0;
  rearmed.ArmAfter(std::chrono::milliseconds(1), [&] { ++wrong; });
  destroyed->ArmAfter(Duration::zero(), [&] { ++wrong; });
  // All are due at once: what runs first prevents the others, which are queued already.
  timer.ArmAfter(Duration::zero(), [&] {
    ++fired;
    rearmed.ArmAfter(Duration::zero(), [&] { ++fired; });
  });
  destroyed.reset();
  CHECK(fired == 0);  // never from within the call
  CHECK(RunUntil(loop, [&] { return fired == 2; }));
  timer.ArmAfter(Duration::zero(), [&] { ++wrong; });
  timer.Disarm();
  CHECK(RunUntil(loop, [] { return true; }));
  CHECK(wrong == 0);
}

TEST_CASE("Timers to the second wait for the nearest one", "[loop]") {
  using std::chrono::milliseconds;
  struct Case {
    const char* name;
    milliseconds from;  // of a second of the clock, when they are armed
    milliseconds to;
    std::vector<std::string> order;
  };
  const auto c = GENERATE(values<Case>({
      {"up", milliseconds(550), milliseconds(650), {"too short", "exact", "rounded"}},
      {"down", milliseconds(150), milliseconds(250), {"too short", "rounded", "exact"}},
  }));
  DYNAMIC_SECTION(c.name) {
    EventLoop loop;
    const auto fraction = [&loop] {
      return loop.Now().time_since_epoch() % std::chrono::seconds(1);
    };
    while (fraction() < c.from || fraction() > c.to) {
      std::this_thread::sleep_for(milliseconds(20));
    }
    Timer rounded(loop);
    Timer exact(loop);
    Timer too_short(loop);
    std::vector<std::string> order;
    rounded.ArmToTheSecond(std::chrono::seconds(1), [&] { order.emplace_back("rounded"); });
    exact.ArmAfter(std::chrono::seconds(1), [&] { order.emplace_back("exact"); });
    too_short.ArmToTheSecond(milliseconds(100), [&] { order.emplace_back("too short"); });
    CHECK(RunUntil(loop, [&] { return order.size() == 3; }));
    CHECK(order == c.order);
  }
}

TEST_CASE("A timer's callback may destroy the timer", "[loop]") {
  EventLoop loop;
  auto timer = std::make_unique<Timer>(loop);
  bool fired = false;
  timer->ArmAfter(Duration::zero(), [&] {
    timer.reset();
    fired = true;
  });
  CHECK(RunUntil(loop, [&] { return fired; }));
}

TEST_CASE("A descriptor calls while it is readable, and stays open", "[loop]") {
  EventLoop loop;
  std::array<int, 2> ends{};
  REQUIRE(pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) == 0);
  const UniqueFd in(ends[0]);
  const UniqueFd out(ends[1]);
  int calls = 0;
  std::unique_ptr<DescriptorWatch> watch;
  watch = std::make_unique<DescriptorWatch>(loop, in.Get(), [&] {
    std::array<char, 1> octet{};
    calls += static_cast<int>(read(in.Get(), octet.data(), 1));
    if (calls == 3) {
      watch.reset();  // also from its own callback
    }
  });
  REQUIRE(write(out.Get(), "abcd", 4) == 4);
  CHECK(RunUntil(loop, [&] { return calls == 3; }));
  CHECK(RunUntil(loop, [] { return true; }));
  CHECK(calls == 3);
  CHECK(fcntl(in.Get(), F_GETFD) >= 0);
}

TEST_CASE("SIGTERM reaches the handler", "[loop]") {
  EventLoop loop;
  int seen = 0;
  loop.HandleSignals([&](int signal) { seen = signal; });
  raise(SIGTERM);
  CHECK(RunUntil(loop, [&] { return seen == SIGTERM; }));
}

TEST_CASE("What threads post runs on the loop's, all of it, in each one's order", "[loop]") {
  constexpr int kEach = 20'000;
  EventLoop loop;
  std::array<int, 3> next{};
  bool in_order = true;
  const std::thread::id here = std::this_thread::get_id();
  const auto take = [&](std::size_t who, int number) {
    in_order &= next[who]++ == number && std::this_thread::get_id() == here;
  };
  loop.Post([&] { take(0, 0); });  // before it runs
  std::vector<std::thread> threads;
  for (const std::size_t who : {1U, 2U}) {
    threads.emplace_back([&, who] {
      for (int number = 0; number < kEach; ++number) {
        loop.Post([&, who, number] {
          take(who, number);
          if (who == 1) {
            loop.Post([&, number] { take(0, number + 1); });  // from the loop's own
          }
        });
      }
    });
  }
  CHECK(RunUntil(loop, [&] { return next == std::array{kEach + 1, kEach, kEach}; }));
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(in_order);
}

TEST_CASE("Stop leaves what is posted to the next run", "[loop]") {
  EventLoop loop;
  int calls = 0;
  for (int i = 0; i < 3; ++i) {
    loop.Post([&] {
      ++calls;
      loop.Stop();
    });
  }
  for (int expected = 1; expected <= 3; ++expected) {
    loop.Run();
    CHECK(calls == expected);
  }
}

TEST_CASE("What is posted and never runs goes with the loop, and may post", "[loop]") {
  bool destroyed = false;
  {
    auto loop = std::make_unique<EventLoop>();
    const std::shared_ptr<int> posts_at_its_end(new int, [&, raw = loop.get()](const int* value) {
      delete value;
      raw->Post([&] { destroyed = false; });
      destroyed = true;
    });
    loop->Post([posts_at_its_end] {});
  }
  CHECK(destroyed);
}

TEST_CASE("What is taken in and never runs goes with the loop, and may post", "[loop]") {
  bool destroyed = false;
  {
    auto loop = std::make_unique<EventLoop>();
    std::shared_ptr<int> posts_at_its_end(new int, [&, raw = loop.get()](const int* value) {
      delete value;
      raw->Post([&] { destroyed = false; });
      destroyed = true;
    });
    loop->Post([raw = loop.get()] { raw->Stop(); });
    loop->Post([posts_at_its_end] {});
    posts_at_its_end.reset();
    loop->Run();
    CHECK_FALSE(destroyed);
  }
  CHECK(destroyed);
}

}  // namespace stentor::io
