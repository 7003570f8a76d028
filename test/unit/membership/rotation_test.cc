// SPDX-License-Identifier: Apache-2.0
#include "speaker/membership/rotation.h"

#include <chrono>
#include <string>
#include <vector>

#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

using Secrets = std::vector<std::string>;
using std::chrono_literals::operator""min;
using std::chrono_literals::operator""s;

constexpr TimePoint kStart{std::chrono::hours(1)};

}  // namespace

TEST_CASE("A new secret seals, the former one still opens", "[membership]") {
  SecretRotation rotation("one");
  CHECK(rotation.secrets() == Secrets{"one"});
  CHECK_FALSE(rotation.Update(kStart, "one"));
  CHECK(rotation.Update(kStart, "two"));
  CHECK(rotation.secrets() == Secrets{"two", "one"});
  SECTION("until all have held the new one for a minute") {
    CHECK_FALSE(rotation.Poll(kStart + 5min, false));
    CHECK_FALSE(rotation.Poll(kStart + 6min, true));
    CHECK_FALSE(rotation.Poll(kStart + 6min + 30s, false));  // somebody came without it
    CHECK_FALSE(rotation.Poll(kStart + 7min, true));
    CHECK_FALSE(rotation.Poll(kStart + 7min + 59s, true));
    CHECK(rotation.Poll(kStart + 8min, true));
  }
  SECTION("for as long as somebody needs it; after a quarter of an hour that is told, once") {
    CHECK_FALSE(rotation.TakeOverdue(kStart + 14min));
    CHECK_FALSE(rotation.Poll(kStart + 15min, false));
    CHECK(rotation.TakeOverdue(kStart + 15min));
    CHECK_FALSE(rotation.TakeOverdue(kStart + 16min));
    CHECK_FALSE(rotation.Poll(kStart + 60min, true));
    CHECK(rotation.Poll(kStart + 61min, true));
  }
  CHECK(rotation.secrets() == Secrets{"two"});
  CHECK_FALSE(rotation.Poll(kStart + 30min, true));
}

TEST_CASE("A third secret replaces the second one, and the second is the former one then",
          "[membership]") {
  SecretRotation rotation("one");
  CHECK(rotation.Update(kStart, "two"));
  CHECK(rotation.Update(kStart + 1min, "three"));
  CHECK(rotation.secrets() == Secrets{"three", "two"});
  CHECK_FALSE(rotation.Poll(kStart + 2min, true));
  CHECK(rotation.Poll(kStart + 3min, true));
}

TEST_CASE("A former secret that the Secret itself names stays as long as it does", "[membership]") {
  SecretRotation rotation("two", "one");
  CHECK(rotation.secrets() == Secrets{"two", "one"});
  CHECK_FALSE(rotation.Poll(kStart + 60min, true));
  CHECK(rotation.Update(kStart + 61min, "two"));
  CHECK(rotation.secrets() == Secrets{"two"});
  CHECK(rotation.Update(kStart + 62min, "three", "two"));
  CHECK(rotation.secrets() == Secrets{"three", "two"});
  CHECK(SecretRotation("same", "same").secrets() == Secrets{"same"});
}

TEST_CASE("An empty secret is not taken", "[membership]") {
  SecretRotation rotation("one");
  CHECK_FALSE(rotation.Update(kStart, ""));
  CHECK(rotation.secrets() == Secrets{"one"});
}

}  // namespace stentor::speaker
