// SPDX-License-Identifier: Apache-2.0
#include "common/obs/health.h"

#include <chrono>
#include <string>

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

TEST_CASE("What is stuck is told by the liveness probe, in one line", "[health]") {
  Health health(kStart, 10s);
  health.SetStuck("eth0:\nno frame arrives");
  CHECK(health.Live(kStart) == HealthReport{.ok = false, .text = "eth0: no frame arrives\n"});
  CHECK(health.Ready().ok);
  health.SetStuck("");
  CHECK(health.Live(kStart).ok);
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

TEST_CASE("What does not hold says why, in one line of bounded length", "[health]") {
  struct Case {
    const char* name;
    std::string why_not;
    std::string text;
  };
  const auto c = GENERATE(values<Case>({
      {"no reason", "", "not yet: webhooks\n"},
      {"a reason", "no certificate", "not yet: webhooks: no certificate\n"},
      {"of several lines", "no\ncertificate\r\n\tyet", "not yet: webhooks: no certificate   yet\n"},
      {"with a zero", std::string("a\0b\x7f", 4), "not yet: webhooks: a b \n"},
      {"in UTF-8", "für niemand", "not yet: webhooks: für niemand\n"},
      {"as long as may be", std::string(Health::kMaxReason, 'x'),
       "not yet: webhooks: " + std::string(Health::kMaxReason, 'x') + "\n"},
      {"too long", std::string(Health::kMaxReason + 1, 'x'),
       "not yet: webhooks: " + std::string(Health::kMaxReason, 'x') + "\n"},
  }));
  DYNAMIC_SECTION(c.name) {
    Health health(kStart, 10s);
    health.Set("webhooks", false, c.why_not);
    CHECK(health.Ready() == HealthReport{.ok = false, .text = c.text});
  }
}

TEST_CASE("A reason is that of the last time, and none where the condition holds", "[health]") {
  Health health(kStart, 10s);
  health.Set("webhooks", false, "no certificate");
  health.Set("webhooks", false, "port 9443 is taken");
  CHECK(health.Ready().text == "not yet: webhooks: port 9443 is taken\n");
  health.Set("webhooks", true, "nobody asks any more");
  CHECK(health.Ready() == HealthReport{.ok = true, .text = "ok\n"});
  health.Set("webhooks", false);
  CHECK(health.Ready().text == "not yet: webhooks\n");
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
