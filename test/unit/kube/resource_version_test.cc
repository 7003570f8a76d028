// SPDX-License-Identifier: Apache-2.0
#include "common/kube/resource_version.h"

#include "test/support/catch.h"

namespace stentor::kube {

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
