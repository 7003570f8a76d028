// SPDX-License-Identifier: Apache-2.0
#include "cli/report/output.h"

#include <string>

#include "common/config/yaml.h"
#include "test/support/catch.h"

namespace stentor::cli {
namespace {

using nlohmann::ordered_json;

}  // namespace

TEST_CASE("Columns are aligned by characters, and empty cells shown", "[cli]") {
  Table table({"A", "NAME"});
  table.Add({"längst", "x"});
  table.Add({"", "y"});
  CHECK(table.ToString(1) == " A        NAME\n längst   x\n -        y\n");
}

TEST_CASE("YAML is in block style", "[cli]") {
  CHECK(
      ToYaml(ordered_json{{"a", {1, ordered_json{{"b", "c"}, {"d", {"e"}}}, ordered_json::array()}},
                          {"f", ordered_json::object()},
                          {"g", {{"h", nullptr}}}}) ==
      "a:\n- 1\n- b: c\n  d:\n  - e\n- []\nf: {}\ng:\n  h: null\n");
}

TEST_CASE("What YAML could take for something else is quoted", "[cli]") {
  const char* const text = GENERATE("", "true", "No", "y", "null", "1.5", "0x1", "-", "a: b",
                                    "a #b", "tail ", "colon:", "192.0.2.10", "2026-01-01", "a\nb",
                                    "*x", "plain", "default/web", "with \"quotes\"", "é");
  const ordered_json json{{"key", text}, {"list", {text, {{"deep", text}}}}};
  const auto read = config::ParseYaml(ToYaml(json));
  INFO(ToYaml(json));
  REQUIRE(read.ok());
  CHECK(*read == nlohmann::json(json));
}

}  // namespace stentor::cli
