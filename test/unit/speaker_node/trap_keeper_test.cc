// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include "speaker/node/traps.h"
#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

using std::chrono::seconds;

Trap Make(const std::string& subject, TrapSeverity severity = TrapSeverity::kNotice,
          const std::string& message = "") {
  return {.kind = TrapKind::kAddressOnInterface,
          .subject = subject,
          .severity = severity,
          .message = message.empty() ? "about " + subject : message};
}

struct Fixture {
  // "+ subject", "- subject"
  std::vector<std::string> Update(std::vector<Trap> found) {
    std::vector<std::string> told;
    for (const TrapChange& change : keeper.Update(now, std::move(found))) {
      told.push_back((change.present ? "+ " : "- ") + change.trap.subject);
    }
    return told;
  }
  TrapKeeper keeper;
  TimePoint now{std::chrono::hours(1)};
};

using Texts = std::vector<std::string>;
constexpr auto kWarning = TrapSeverity::kWarning;

}  // namespace

TEST_CASE("A trap is told once when it appears, and once when it is gone", "[trap_keeper]") {
  Fixture f;
  CHECK(f.Update({}).empty());
  CHECK(f.Update({Make("a"), Make("b")}) == Texts{"+ a", "+ b"});
  CHECK(f.Update({Make("a"), Make("b")}).empty());
  CHECK_FALSE(f.keeper.NextDeadline());
  CHECK(f.Update({Make("b")}).empty());
  REQUIRE(f.keeper.NextDeadline() == f.now + TrapKeeper::kGoneAfter);
  CHECK(f.keeper.Count(TrapKind::kAddressOnInterface) == 2);
  f.now += TrapKeeper::kGoneAfter - std::chrono::milliseconds(1);
  CHECK(f.Update({Make("b")}).empty());
  f.now = *f.keeper.NextDeadline();
  CHECK(f.Update({Make("b")}) == Texts{"- a"});
  CHECK_FALSE(f.keeper.NextDeadline());
  CHECK(f.keeper.Count(TrapKind::kAddressOnInterface) == 1);
  CHECK(f.keeper.Count(TrapKind::kProxyUnhealthy) == 0);
  CHECK(f.Update({Make("a"), Make("b")}) == Texts{"+ a"});
}

TEST_CASE("What comes and goes is told once", "[trap_keeper]") {
  Fixture f;
  CHECK(f.Update({Make("a")}) == Texts{"+ a"});
  for (int i = 0; i < 100; ++i) {
    f.now += seconds(1);
    CHECK(f.Update(i % 2 == 0 ? std::vector<Trap>() : std::vector<Trap>{Make("a")}).empty());
  }
  CHECK_FALSE(f.keeper.NextDeadline());
}

TEST_CASE("A trap that gets worse is told again", "[trap_keeper]") {
  Fixture f;
  CHECK(f.Update({Make("a")}) == Texts{"+ a"});
  CHECK(f.Update({Make("a", TrapSeverity::kNotice, "other words")}).empty());
  CHECK(f.Update({Make("a", kWarning)}) == Texts{"+ a"});
  CHECK(f.Update({Make("a", kWarning)}).empty());
  CHECK(f.Update({Make("a")}).empty());  // it gets better, and is still there
  CHECK(f.Update({Make("a", kWarning)}) == Texts{"+ a"});
}

TEST_CASE("Kinds are apart", "[trap_keeper]") {
  Fixture f;
  Trap other = Make("a");
  other.kind = TrapKind::kOutsideSubnets;
  CHECK(f.Update({Make("a"), other}) == Texts{"+ a", "+ a"});
  CHECK(f.keeper.Count(TrapKind::kOutsideSubnets) == 1);
}

TEST_CASE("What is told of one that is gone is what was known last", "[trap_keeper]") {
  TrapKeeper keeper;
  const TimePoint now{seconds(7)};
  (void)keeper.Update(now, {Make("a")});
  (void)keeper.Update(now, {Make("a", TrapSeverity::kNotice, "later")});
  (void)keeper.Update(now, {});
  CHECK(keeper.Update(now + TrapKeeper::kGoneAfter, {}) ==
        std::vector<TrapChange>{
            {.trap = Make("a", TrapSeverity::kNotice, "later"), .present = false}});
}

TEST_CASE("All traps that there are, by kind and subject", "[trap_keeper]") {
  Fixture f;
  CHECK(f.keeper.Present().empty());
  Trap other = Make("a");
  other.kind = TrapKind::kIpvsWithoutStrictArp;
  (void)f.Update({Make("c", kWarning), Make("b"), other});
  const std::vector<Trap> all = {other, Make("b"), Make("c", kWarning)};
  CHECK(f.keeper.Present() == all);
  (void)f.Update({});
  CHECK(f.keeper.Present() == all);  // about to be gone
  f.now += TrapKeeper::kGoneAfter;
  (void)f.Update({});
  CHECK(f.keeper.Present().empty());
}

TEST_CASE("Names of traps", "[trap_keeper]") {
  CHECK(TrapName(TrapKind::kIpvsWithoutStrictArp) == "ipvsWithoutStrictARP");
  CHECK(TrapName(TrapKind::kAddressOnInterface) == "addressOnInterface");
  CHECK(TrapName(TrapKind::kOutsideSubnets) == "poolOutsideSubnets");
  CHECK(TrapName(TrapKind::kProxyUnhealthy) == "proxyUnhealthy");
}

}  // namespace stentor::speaker
