// SPDX-License-Identifier: Apache-2.0
#include "common/obs/health.h"

#include <chrono>

#include "test/support/catch.h"

namespace stentor::obs {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kStart{1000s};

TEST_CASE("Live as long as the last progress is recent", "[health]") {
  Health health(kStart, 10s);
  CHECK(health.Live(kStart) == HealthReport{.ok = true, .text = "ok\n"});
  CHECK(health.Live(kStart + 10s).ok);
  CHECK(health.Live(kStart + 10s + 1ns) ==
        HealthReport{.ok = false, .text = "no timer was served for 10 s\n"});

  health.Progress(kStart + 25s);
  CHECK(health.Live(kStart + 35s).ok);
  CHECK_FALSE(health.Live(kStart + 36s).ok);
}

TEST_CASE("Ready when every condition holds; what does not is named", "[health]") {
  Health health(kStart, 10s);
  CHECK(health.Ready().ok);

  health.Set("services read", false);
  health.Set("pools read", false);
  CHECK(health.Ready() ==
        HealthReport{.ok = false, .text = "not yet: pools read\nnot yet: services read\n"});
  health.Set("pools read", true);
  CHECK(health.Ready() == HealthReport{.ok = false, .text = "not yet: services read\n"});
  health.Set("services read", true);
  CHECK(health.Ready() == HealthReport{.ok = true, .text = "ok\n"});

  health.Set("pools read", false);
  CHECK_FALSE(health.Ready().ok);
}

TEST_CASE("Being ready does not make live, nor the reverse", "[health]") {
  Health health(kStart, 1s);
  health.Set("services read", false);
  CHECK(health.Live(kStart).ok);
  CHECK_FALSE(health.Ready().ok);
  health.Set("services read", true);
  CHECK_FALSE(health.Live(kStart + 2s).ok);
  CHECK(health.Ready().ok);
}

}  // namespace
}  // namespace stentor::obs
