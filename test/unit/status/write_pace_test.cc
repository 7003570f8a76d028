// SPDX-License-Identifier: Apache-2.0
#include "common/status/write_pace.h"

#include <chrono>

#include "test/support/catch.h"

namespace stentor::status {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kStart(1h);

double Most() { return 0.999999999; }

WritePace Pace() { return WritePace({.interval = 1s}); }

}  // namespace

TEST_CASE("WritePace: the first write is never late", "[status]") {
  CHECK(Pace().NotBefore(false) <= kStart);
  CHECK(Pace().NotBefore(true) <= kStart);
}

TEST_CASE("WritePace: writes keep their distance", "[status]") {
  WritePace pace = Pace();
  pace.Sent(kStart, false);
  pace.Succeeded();
  CHECK(pace.NotBefore(false) == kStart + 1s);
  CHECK(pace.NotBefore(true) == kStart + 1s);
}

TEST_CASE("WritePace: one that nothing is left of is like a new one", "[status]") {
  WritePace pace = Pace();
  CHECK(pace.IsIdle(kStart));
  pace.Sent(kStart, false);
  CHECK_FALSE(pace.IsIdle(kStart + 999ms));
  CHECK(pace.IsIdle(kStart + 1s));
  pace.Failed(kStart, std::nullopt, Most);
  CHECK_FALSE(pace.IsIdle(kStart + 1h));
  pace.Succeeded();
  CHECK(pace.IsIdle(kStart + 1h));
  pace.Sent(kStart + 1h, true);
  CHECK_FALSE(pace.IsIdle(kStart + 2h));
}

TEST_CASE("WritePace: who insists on restoring waits longer each time", "[status]") {
  WritePace pace = Pace();
  TimePoint now = kStart;
  for (const Duration wait : {1s, 2s, 4s, 8s, 16s, 32s, 64s, 128s, 256s, 300s, 300s}) {
    pace.Sent(now, true);
    pace.Succeeded();
    CHECK(pace.NotBefore(true) == now + wait);
    CHECK(pace.NotBefore(false) == now + 1s);  // what is new does not wait for that
    now = pace.NotBefore(true);
  }
  SECTION("a new content does not end the quarrel") {
    pace.Sent(now, false);
    now = pace.NotBefore(true);
    pace.Sent(now, true);
    CHECK(pace.NotBefore(true) == now + 300s);
  }
  SECTION("a quiet time does") {
    now += 11min;
    CHECK(pace.NotBefore(true) <= now);
    pace.Sent(now, true);
    CHECK(pace.NotBefore(true) == now + 1s);
  }
}

TEST_CASE("WritePace: failures back off, and the server is heard", "[status]") {
  WritePace pace = Pace();
  pace.Sent(kStart, false);
  SECTION("doubling, up to half a minute") {
    TimePoint now = kStart + 2s;  // the distance plays no part
    for (const Duration wait :
         {250ms, 500ms, 1000ms, 2000ms, 4000ms, 8000ms, 16000ms, 30000ms, 30000ms}) {
      pace.Failed(now, std::nullopt, Most);
      CHECK(pace.NotBefore(false) <= now + wait);
      CHECK(pace.NotBefore(false) >= now + wait - 1us);
      now += 1h;
    }
    pace.Succeeded();
    CHECK(pace.NotBefore(false) == kStart + 1s);
    pace.Failed(now, std::nullopt, Most);
    CHECK(pace.NotBefore(false) <= now + 250ms);
  }
  SECTION("Retry-After") {
    pace.Failed(kStart, 20s, Most);
    CHECK(pace.NotBefore(false) == kStart + 20s);
  }
  SECTION("Retry-After that is shorter than the backoff") {
    pace.Failed(kStart + 2s, 0s, Most);
    CHECK(pace.NotBefore(false) > kStart + 2s);
  }
  SECTION("Retry-After of a day") {
    pace.Failed(kStart, 24h, Most);
    CHECK(pace.NotBefore(false) == kStart + 5min);
  }
}

TEST_CASE("IsRefusal tells what lasts from what passes", "[status]") {
  for (const int code : {400, 403, 404, 405, 413, 415, 422}) {
    CHECK(IsRefusal(code));
  }
  for (const int code : {0, 200, 302, 401, 408, 409, 429, 500, 503}) {
    CHECK_FALSE(IsRefusal(code));
  }
}

TEST_CASE("RefusalGate believes the second refusal, and tells it once", "[status]") {
  RefusalGate gate;
  const absl::Status why = absl::PermissionDeniedError("may not");
  CHECK(gate.IsOpen(kStart));
  CHECK_FALSE(gate.refused());

  CHECK_FALSE(gate.Refused(kStart, why, Most));
  CHECK(gate.refused());
  CHECK_FALSE(gate.IsOpen(kStart));
  CHECK(*gate.NotBefore() == kStart + 1s);

  TimePoint now = kStart + 1s;
  REQUIRE(gate.IsOpen(now));
  const auto notice = gate.Refused(now, why, Most);
  REQUIRE(notice);
  CHECK(notice->kind == Notice::Kind::kRefused);
  CHECK(notice->message == "may not");
  for (const Duration wait : {1min, 2min, 4min, 5min, 5min}) {
    CHECK(*gate.NotBefore() <= now + wait);
    CHECK(*gate.NotBefore() > now + wait - 1ms);
    now += wait;
    CHECK_FALSE(gate.Refused(now, why, Most));
  }

  const auto accepted = gate.Accepted();
  REQUIRE(accepted);
  CHECK(accepted->kind == Notice::Kind::kAccepted);
  CHECK(gate.IsOpen(now));
  CHECK_FALSE(gate.refused());
  CHECK_FALSE(gate.Accepted());
}

TEST_CASE("RefusalGate: a refusal that was not told needs no all-clear", "[status]") {
  RefusalGate gate;
  CHECK_FALSE(gate.Refused(kStart, absl::NotFoundError("x"), Most));
  CHECK_FALSE(gate.Accepted());
  CHECK_FALSE(gate.Refused(kStart, absl::NotFoundError("x"), Most));  // counted anew
}

TEST_CASE("RefusalGate: requests that were under way together count once", "[status]") {
  RefusalGate gate;
  for (int i = 0; i < 8; ++i) {
    CHECK_FALSE(gate.Refused(kStart, absl::PermissionDeniedError("x"), Most));
  }
  CHECK(*gate.NotBefore() == kStart + 1s);
}

TEST_CASE("WriteHold: writes wait for those who were given something, and not for ever",
          "[status]") {
  WriteHold hold;
  CHECK(hold.Until() <= kStart);
  CHECK_FALSE(hold.Deadline());
  hold.Hold(kStart);
  CHECK(hold.Deadline() == kStart + 30ms);
  CHECK(hold.Until() == kStart + 30ms);
  hold.EndIfOver(kStart + 29ms);
  hold.Hold(kStart + 29ms);
  CHECK(hold.Until() == kStart + 59ms);
  SECTION("who goes on has 100 ms") {
    hold.Hold(kStart + 58ms);
    hold.Hold(kStart + 87ms);
    CHECK(hold.Until() == kStart + 100ms);
    hold.Hold(kStart + 150ms);  // nobody had the time to write
    CHECK(hold.Until() == kStart + 100ms);
  }
  SECTION("once writes may begin, the next one waits anew") {
    hold.EndIfOver(kStart + 59ms);
    CHECK_FALSE(hold.Deadline());
    hold.Hold(kStart + 60ms);
    CHECK(hold.Until() == kStart + 90ms);
    hold.Hold(kStart + 85ms);
    CHECK(hold.Until() == kStart + 115ms);
  }
}

}  // namespace stentor::status
