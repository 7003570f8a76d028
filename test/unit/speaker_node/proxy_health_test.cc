// SPDX-License-Identifier: Apache-2.0
#include "speaker/node/proxy_health.h"

#include <string>
#include <vector>

#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr TimePoint kStart{std::chrono::hours(1)};

ProxyAnswer AnswerOf(char letter) {
  switch (letter) {
    case '+':
      return ProxyAnswer::kHealthy;
    case '5':
      return ProxyAnswer::kUnhealthy;
    case 'l':
      return ProxyAnswer::kNodeLeaving;
    case 'r':
      return ProxyAnswer::kRefused;
    default:
      return ProxyAnswer::kSilent;
  }
}

}  // namespace

TEST_CASE("What kube-proxy's answers mean", "[proxy_health]") {
  struct Case {
    const char* name;
    int code;
    const char* body;
    ProxyAnswer want;
  };
  const auto c = GENERATE(values<Case>({
      {"healthy", 200, R"({"lastUpdated": "2026-01-01 00:00:00", "nodeEligible": true})",
       ProxyAnswer::kHealthy},
      {"without a body", 200, "", ProxyAnswer::kHealthy},
      {"another good code", 204, "", ProxyAnswer::kHealthy},
      {"rules are out of date", 503,
       R"({"lastUpdated": "a","currentTime": "b", "nodeEligible": true})", ProxyAnswer::kUnhealthy},
      {"an older kube-proxy", 503, R"({"lastUpdated": "a","currentTime": "b"})",
       ProxyAnswer::kUnhealthy},
      {"the node is about to be deleted", 503,
       R"({"lastUpdated": "a","currentTime": "b", "nodeEligible": false})",
       ProxyAnswer::kNodeLeaving},
      {"the same, printed tightly", 503, R"({"nodeEligible":false})", ProxyAnswer::kNodeLeaving},
      {"the same with another code", 500, R"({"nodeEligible": false})", ProxyAnswer::kUnhealthy},
      {"a good code counts", 200, R"({"nodeEligible": false})", ProxyAnswer::kHealthy},
      {"cut off", 503, R"({"nodeEligible":)", ProxyAnswer::kUnhealthy},
      {"cut off after spaces", 503, R"({"nodeEligible":   )", ProxyAnswer::kUnhealthy},
      {"another server", 404, "page not found", ProxyAnswer::kUnhealthy},
      {"a redirection", 301, "", ProxyAnswer::kUnhealthy},
  }));
  DYNAMIC_SECTION(c.name) { CHECK(JudgeProxyAnswer(c.code, c.body) == c.want); }
}

TEST_CASE("What a probe without an answer means", "[proxy_health]") {
  CHECK(JudgeProxyFailure(absl::NotFoundError("")) == ProxyAnswer::kRefused);
  CHECK(JudgeProxyFailure(absl::DeadlineExceededError("")) == ProxyAnswer::kSilent);
  CHECK(JudgeProxyFailure(absl::UnavailableError("")) == ProxyAnswer::kSilent);
  CHECK(JudgeProxyFailure(absl::DataLossError("")) == ProxyAnswer::kSilent);
}

// Each letter is an answer, the moment that it is due: + healthy, 5 unhealthy, l leaving, r
// refused, s silent.
TEST_CASE("When the proxy counts as unhealthy", "[proxy_health]") {
  struct Case {
    const char* name;
    const char* answers;
    ProxyState want;
  };
  const auto c = GENERATE(values<Case>({
      {"nobody was ever there", "rrrrrrrrrrrrrrrrrrrrrrrrrrrrrr", ProxyState::kAbsent},
      {"nor did who was there ever do well", "5555555555ssssssllllll", ProxyState::kAbsent},
      {"the first good answer counts", "rrr+", ProxyState::kHealthy},
      {"one failure", "+5", ProxyState::kHealthy},
      {"three within two seconds", "+555", ProxyState::kHealthy},
      {"three seconds of them", "+5555", ProxyState::kUnhealthy},
      {"with a good one between", "+555+55", ProxyState::kHealthy},
      {"it restarts", "+rrrrrrrrrr+", ProxyState::kHealthy},
      {"it is gone for less than 15 seconds", "+rrrrrrrrrrrrrrr", ProxyState::kHealthy},
      {"for 15 seconds", "+rrrrrrrrrrrrrrrr", ProxyState::kGone},
      {"silent for 15 seconds", "+ssssssssssssssss", ProxyState::kGone},
      {"gone, then back and bad", "+rrrrr5", ProxyState::kUnhealthy},
      {"bad, then gone", "+5555r", ProxyState::kGone},
      {"the node leaves", "+llll", ProxyState::kNodeLeaving},
      {"the node leaves, then the proxy ends", "+llllr", ProxyState::kGone},
      {"one good answer is not enough", "+5555+", ProxyState::kUnhealthy},
      {"nor are two with a bad one between", "+5555+5+", ProxyState::kUnhealthy},
      {"two in succession are", "+5555++", ProxyState::kHealthy},
      {"and it takes as many failures again", "+5555++555", ProxyState::kHealthy},
      {"the taint was taken away", "+llll++", ProxyState::kHealthy},
  }));
  DYNAMIC_SECTION(c.name) {
    ProxyHealth health({});
    TimePoint now = kStart;
    ProxyState told = health.state();
    for (const char letter : std::string(c.answers)) {
      now = std::max(now, health.NextDeadline().value());
      REQUIRE(health.TakeProbe(now));
      const ProxyState before = health.state();
      const bool changed = health.OnAnswer(now, AnswerOf(letter));
      CHECK(changed == (before != health.state()));
      told = changed ? health.state() : told;
    }
    CHECK(told == health.state());
    CHECK(ProxyStateName(health.state()) == ProxyStateName(c.want));
    CHECK(health.Yields() == (c.want != ProxyState::kAbsent && c.want != ProxyState::kHealthy));
  }
}

TEST_CASE("How often the proxy is asked", "[proxy_health]") {
  ProxyHealth health({});
  TimePoint now = kStart;
  const auto answer = [&](char letter) {
    REQUIRE(health.TakeProbe(now));
    CHECK_FALSE(health.NextDeadline());  // one at a time
    CHECK_FALSE(health.TakeProbe(now + std::chrono::hours(1)));
    (void)health.OnAnswer(now, AnswerOf(letter));
    const Duration wait = *health.NextDeadline() - now;
    CHECK_FALSE(health.TakeProbe(now + wait - milliseconds(1)));
    now += wait;
    return wait;
  };
  CHECK(answer('r') == seconds(10));
  CHECK(answer('+') == seconds(2));
  CHECK(answer('+') == seconds(2));
  for (int i = 0; i < 4; ++i) {
    CHECK(answer('5') == seconds(1));
  }
  CHECK(answer('+') == seconds(1));
  CHECK(answer('+') == seconds(2));
}

TEST_CASE("A late answer counts from when it came", "[proxy_health]") {
  ProxyHealth health({});
  REQUIRE(health.TakeProbe(kStart));
  (void)health.OnAnswer(kStart + seconds(1), ProxyAnswer::kHealthy);
  CHECK(health.NextDeadline() == kStart + seconds(3));
  CHECK_FALSE(health.OnAnswer(kStart + seconds(2), ProxyAnswer::kUnhealthy));  // nobody asked
  CHECK(health.NextDeadline() == kStart + seconds(3));
}

TEST_CASE("Health that is off asks nobody", "[proxy_health]") {
  ProxyHealth health({.enabled = false});
  CHECK(health.state() == ProxyState::kOff);
  CHECK_FALSE(health.Yields());
  CHECK_FALSE(health.TakeProbe(kStart));
  CHECK_FALSE(health.NextDeadline());
  CHECK_FALSE(health.OnAnswer(kStart, ProxyAnswer::kUnhealthy));
}

TEST_CASE("Names for logs and metrics", "[proxy_health]") {
  std::vector<std::string> names;
  for (const ProxyState state :
       {ProxyState::kOff, ProxyState::kAbsent, ProxyState::kHealthy, ProxyState::kUnhealthy,
        ProxyState::kGone, ProxyState::kNodeLeaving}) {
    names.emplace_back(ProxyStateName(state));
  }
  CHECK(names ==
        std::vector<std::string>{"off", "absent", "healthy", "unhealthy", "gone", "nodeLeaving"});
  names.clear();
  for (const ProxyAnswer answer :
       {ProxyAnswer::kHealthy, ProxyAnswer::kUnhealthy, ProxyAnswer::kNodeLeaving,
        ProxyAnswer::kRefused, ProxyAnswer::kSilent}) {
    names.emplace_back(ProxyAnswerName(answer));
  }
  CHECK(names ==
        std::vector<std::string>{"healthy", "unhealthy", "nodeLeaving", "refused", "silent"});
}

}  // namespace stentor::speaker
