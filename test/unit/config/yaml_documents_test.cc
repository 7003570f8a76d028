// SPDX-License-Identifier: Apache-2.0
#include "common/config/yaml_documents.h"

#include <string>
#include <vector>

#include "test/support/catch.h"

namespace stentor::config {
namespace {

using Catch::Matchers::Contains;

TEST_CASE("YAML is split into its documents") {
  struct Case {
    std::string name;
    std::string text;
    std::string expected;
  };
  const auto test = GENERATE(
      values<Case>({{"empty", "", "[]"},
                    {"comments", "# one\n---\n# two\n---\n", "[]"},
                    {"one, unmarked", "a: 1", "[{\"a\":1}]"},
                    {"one, marked", "---\na: 1\n", "[{\"a\":1}]"},
                    {"two", "a: 1\n---\nb: 2\n", "[{\"a\":1},{\"b\":2}]"},
                    {"content beside the marker", "--- {a: 1}\n--- [2]\n", "[{\"a\":1},[2]]"},
                    {"ended", "a: 1\n...\n---\nb: 2\n...\n", "[{\"a\":1},{\"b\":2}]"},
                    {"directive", "%YAML 1.2\n---\na: 1\n", "[{\"a\":1}]"},
                    {"carriage returns", "a: 1\r\n---\r\nb: 2\r\n", "[{\"a\":1},{\"b\":2}]"},
                    {"dashes within a text", "a: |\n  ---\n  x\nb: a---b\n",
                     "[{\"a\":\"---\\nx\\n\",\"b\":\"a---b\"}]"},
                    {"longer dashes", "a: 1\n----: 2\n", "[{\"----\":2,\"a\":1}]"},
                    {"no YAML", "a: [\n---\nb: 1\n", ""},
                    {"JSON", "{\"a\": [1, true]}", "[{\"a\":[1,true]}]"}}));
  DYNAMIC_SECTION(test.name) {
    const auto documents = ParseYamlDocuments(test.text);
    if (test.expected.empty()) {
      CHECK_FALSE(documents.ok());
    } else {
      INFO(documents.status());
      REQUIRE(documents.ok());
      CHECK(nlohmann::json(*documents).dump() == test.expected);
    }
  }
}

TEST_CASE("Errors say in which document they are") {
  const auto documents = ParseYamlDocuments("a: 1\n---\nb: 1\nb: 2\n");
  CHECK(documents.status().code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(documents.status().message()),
             Contains("document that begins at line 2: line 3: the key \"b\" is repeated"));
}

TEST_CASE("YAML is bounded") {
  std::string many;
  for (int i = 0; i <= 10'000; ++i) {
    many += "--- 1\n";
  }
  CHECK_THAT(std::string(ParseYamlDocuments(many).status().message()),
             Contains("more than 10000 documents"));
  CHECK_FALSE(ParseYamlDocuments(std::string((16U << 20U) + 1, '\n')).ok());
}

}  // namespace
}  // namespace stentor::config
