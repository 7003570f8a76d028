// SPDX-License-Identifier: Apache-2.0
#include "common/kube/json_member.h"

#include <string>

#include "test/support/catch.h"

namespace stentor::kube {

using nlohmann::json;

TEST_CASE("Members of what may not be an object", "[kube]") {
  struct Case {
    const char* name;
    const char* object;
    const char* member;
    const char* text;
  };
  const auto c = GENERATE(values<Case>({
      {"a text", R"({"a": "x"})", R"("x")", "x"},
      {"an object", R"({"a": {"b": 1}})", R"({"b": 1})", ""},
      {"null", R"({"a": null})", "null", ""},
      {"a number", R"({"a": 7})", "7", ""},
      {"absent", R"({"b": "x"})", "null", ""},
      {"of a list", R"(["a"])", "null", ""},
      {"of a text", R"("a")", "null", ""},
      {"of nothing", "null", "null", ""},
  }));
  DYNAMIC_SECTION(c.name) {
    const json object = json::parse(c.object);
    CHECK(Member(object, "a") == json::parse(c.member));
    CHECK(TextMember(object, "a") == c.text);
  }
}

TEST_CASE("The uid of an object", "[kube]") {
  CHECK(UidOf(json::parse(R"({"metadata": {"uid": "u1"}})")) == "u1");
  for (const char* const without :
       {"{}", "7", R"({"metadata": []})", R"({"metadata": {"uid": 7}})", R"({"uid": "u1"})"}) {
    CHECK(UidOf(json::parse(without)).empty());
  }
}

}  // namespace stentor::kube
