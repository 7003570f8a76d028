// SPDX-License-Identifier: Apache-2.0
#include "cli/report/output.h"

#include <string>

#include "common/base/strings.h"
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

TEST_CASE("What could steer a terminal is escaped", "[cli]") {
  struct Case {
    const char* name;
    std::string text;
    const char* printable;
  };
  const auto c = GENERATE(values<Case>({
      {"plain", "längst 日本 😀", "längst 日本 😀"},
      {"C0", "a\x1b[31m\tb\nc\r", "a\\x1b[31m\\x09b\\x0ac\\x0d"},
      {"NUL", std::string("a\0b", 3), "a\\x00b"},
      {"DEL", "a\x7f", "a\\x7f"},
      {"C1",
       "a\xc2\x9b"
       "31m\xc2\x85",
       "a\\x9b31m\\x85"},
      {"separators", "\xe2\x80\xa8\xe2\x80\xa9", "\\u2028\\u2029"},
      {"directions", "\xe2\x80\xae\xe2\x81\xa6\xe2\x80\x8f\xd8\x9c",
       "\\u202e\\u2066\\u200f\\u061c"},
      {"not UTF-8", "a\xff\x9b\xc3", "a\\xff\\x9b\\xc3"},
      {"overlong", "\xc0\x9b\xe0\x82\x9b", "\\xc0\\x9b\\xe0\\x82\\x9b"},
      {"a surrogate", "\xed\xa0\x80", "\\xed\\xa0\\x80"},
  }));
  DYNAMIC_SECTION(c.name) {
    CHECK(Printable(c.text) == c.printable);
    Table table({"A"});
    table.Add({c.text});
    CHECK(table.ToString() == StrCat("A\n", c.printable, "\n"));
    // For programs it is the same text, in characters that a terminal shows.
    const ordered_json json{{"key", c.text}};
    for (const std::string& text : {ToYaml(json), ToPrettyJson(json)}) {
      CHECK(PrintableLines(text) == text);
    }
  }
  CHECK(PrintableLines("a\n\x1b\n") == "a\n\\x1b\n");
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
                                    "*x", "plain", "default/web", "with \"quotes\"", "é",
                                    "a\xc2\x85"
                                    "b",
                                    "a\xe2\x80\xa8"
                                    "b",
                                    "a\xc2\x9b"
                                    "b",
                                    "a\xef\xbb\xbf"
                                    "b");
  const ordered_json json{{"key", text}, {"list", {text, {{"deep", text}}}}};
  const auto read = config::ParseYaml(ToYaml(json));
  INFO(ToYaml(json));
  REQUIRE(read.ok());
  CHECK(*read == nlohmann::json(json));
}

TEST_CASE("What could steer a terminal is escaped in JSON and YAML as both have it", "[cli]") {
  const nlohmann::ordered_json json{{"text", "😀\xe2\x80\xae\x7f\n"}};
  CHECK(ToPrettyJson(json) == "{\n  \"text\": \"😀\\u202e\\u007f\\n\"\n}");
  CHECK(ToYaml(json) == "text: \"😀\\u202e\\u007f\\n\"\n");
}

}  // namespace stentor::cli
