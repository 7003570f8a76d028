// SPDX-License-Identifier: Apache-2.0
#include "common/kube/resource_version.h"

#include "test/support/catch.h"

namespace stentor::kube {

TEST_CASE("Which of two resourceVersions is later", "[kube]") {
  constexpr auto kEarlier = std::strong_ordering::less;
  constexpr auto kLater = std::strong_ordering::greater;
  struct Case {
    const char* name;
    const char* a;
    const char* b;
    std::optional<std::strong_ordering> want;
  };
  const auto c = GENERATE_COPY(values<Case>({
      {"same", "7", "7", std::strong_ordering::equal},
      {"same words", "abc", "abc", std::strong_ordering::equal},
      {"greater", "8", "7", kLater},
      {"less", "7", "8", kEarlier},
      {"more digits", "10", "9", kLater},
      {"fewer digits", "9", "10", kEarlier},
      {"beyond 64 bits", "99999999999999999999", "100000000000000000000", kEarlier},
      {"two words", "abc", "abd", std::nullopt},
      {"a word and a number", "abc", "7", std::nullopt},
      {"a number and a word", "7", "7a", std::nullopt},
      {"a negative number", "-7", "7", std::nullopt},
      {"nothing and a number", "", "7", std::nullopt},
  }));
  DYNAMIC_SECTION(c.name) { CHECK((CompareVersions(c.a, c.b) == c.want)); }
}

TEST_CASE("IsNewer orders resourceVersions", "[kube]") {
  struct Case {
    const char* name;
    const char* version;
    const char* than;
    bool want;
  };
  const auto c = GENERATE(values<Case>({
      {"same", "7", "7", false},
      {"greater", "8", "7", true},
      {"less", "7", "8", false},
      {"more digits", "10", "9", true},
      {"fewer digits", "9", "10", false},
      {"beyond 64 bits", "100000000000000000000", "99999999999999999999", true},
      {"than nothing", "7", "", true},
      {"same words", "abc", "abc", false},
      {"another word", "abc", "abd", true},
      {"a word after a number", "abc", "7", true},
      {"a number after a word", "7", "abc", true},
  }));
  DYNAMIC_SECTION(c.name) { CHECK(IsNewer(c.version, c.than) == c.want); }
}

}  // namespace stentor::kube
