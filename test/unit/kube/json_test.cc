// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/kube/codec.h"
#include "common/kube/fast_json.h"
#include "test/support/catch.h"

namespace stentor::kube {
namespace {

using nlohmann::json;

json Whole(const std::string& text) {
  const auto parsed = ParseJson(text);
  REQUIRE(parsed.ok());
  return *parsed;
}

json Api(const std::string& text) {
  const auto parsed = ParseApiJson(text);
  REQUIRE(parsed.ok());
  return *parsed;
}

TEST_CASE("JSON is bounded", "[json]") {
  CHECK(ParseJson("{\"a\":[1,\"[[[[\"]}", {.max_bytes = 100, .max_depth = 2}).ok());
  CHECK(absl::IsDataLoss(ParseJson("[[[1]]]", {.max_bytes = 100, .max_depth = 2}).status()));
  CHECK(absl::IsDataLoss(ParseJson("[1,2,3]", {.max_bytes = 3, .max_depth = 2}).status()));
  CHECK(ParseJson("[1,2,3]", {.max_values = 4}).ok());
  CHECK(absl::IsDataLoss(ParseJson("[1,2,3]", {.max_values = 3}).status()));
  CHECK(absl::IsDataLoss(ParseJson("{\"a\":{},\"b\":{}}", {.max_values = 2}).status()));
  CHECK(absl::IsDataLoss(ParseJson("").status()));
  CHECK(absl::IsDataLoss(ParseJson("{} {}").status()));
  CHECK(absl::IsDataLoss(ParseJson("[1e999]").status()));
  CHECK(absl::IsDataLoss(ParseJson("\"\xff\"").status()));
  CHECK(absl::IsDataLoss(ParseJson(std::string(1 << 20, '[')).status()));
  CHECK(DumpJson("\xff") == "\"\xEF\xBF\xBD\"");
}

TEST_CASE("JSON is built as it is written", "[json]") {
  const std::string text = R"({"a": [null, true, -1, 18446744073709551615, 0.5, "\u00e9", [], {}],
      "metadata": {"managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {".": {}}}}]},
      "b": {"c": [[{"d": [1, {"e": "f"}, 2]}, 3], 4]}, "a twice": 1, "a twice": {"g": 2}, "h": 5})";
  CHECK(Whole(text) == json::parse(text));
  for (const char* scalar : {"null", "false", "1", "\"a\"", "1.5"}) {
    CHECK(Whole(scalar) == json::parse(scalar));
  }
}

// Some by simdjson, some by the library's own parser: nobody may see which.
TEST_CASE("Whatever parses a JSON text, it means the same", "[json]") {
  const std::string nul("[1]\0", 4);  // the library's parser ends there
  for (const std::string& text : std::vector<std::string>{
           "[0, -0, -0.0, 1e2, 1E-7, 0.1, -1.5, 123456789012345680000, 5e-324]",
           "[9223372036854775807, 9223372036854775808, 18446744073709551615, 18446744073709551616]",
           "[-9223372036854775808, -9223372036854775809]",
           R"(["\"\\\/\b\f\n\r\t", "\u0000", "\u00e9\ud83d\ude00", "Grüße 😀"])",
           R"({"": {"": []}, "a": 1, "a": [2], "\u0061": {"b": "c"}, "b": {"a": {}}})", nul,
           "\xEF\xBB\xBF[true]", " \t\r\n{} \n", "[" + std::string(3 << 20, ' ') + "1]",
           "\"" + std::string(3 << 20, 'x') + "\""}) {
    INFO(text.substr(0, 200));
    CHECK(DumpJson(Whole(text)) == DumpJson(json::parse(text)));
    CHECK(Whole(text) == json::parse(text));
  }
  for (const std::string& text : std::vector<std::string>{"",
                                                          " ",
                                                          "[1,]",
                                                          "{,}",
                                                          "{\"a\"}",
                                                          "{\"a\": 1,}",
                                                          "[01]",
                                                          "[1.]",
                                                          "[.5]",
                                                          "[+1]",
                                                          "[1e]",
                                                          "[-]",
                                                          "[NaN]",
                                                          "nul",
                                                          "[\"\t\"]",
                                                          R"(["\x"])",
                                                          R"(["\ud800"])",
                                                          R"(["\udc00"])",
                                                          R"(["\udc00x"])",
                                                          "[\"\xED\xA0\x80\"]",
                                                          "[\"\xC0\x80\"]",
                                                          "[\"\xF4\x90\x80\x80\"]",
                                                          "[1] 2",
                                                          "[1]]",
                                                          "\"",
                                                          "[1e999]",
                                                          "/* */ 1"}) {
    INFO(text);
    CHECK_FALSE(json::accept(text));
    CHECK(absl::IsDataLoss(ParseJson(text).status()));
  }
}

TEST_CASE("Most texts are parsed fast", "[json]") {
  const std::string text =
      R"({"metadata": {"name": "a", "managedFields": [1]}, "spec": [[2], {}]})";
  CHECK(ParseFast(text, 4, ManagedFields::kKeep) == json::parse(text));
  CHECK(ParseFast(text, 4, ManagedFields::kLeaveOut) ==
        json::parse(R"({"metadata": {"name": "a"}, "spec": [[2], {}]})"));
  // These the other parser judges.
  CHECK_FALSE(ParseFast(text, 3, ManagedFields::kKeep));
  CHECK_FALSE(ParseFast("[]", 0, ManagedFields::kKeep));
  CHECK_FALSE(ParseFast("[18446744073709551616]", 3, ManagedFields::kKeep));
  CHECK_FALSE(ParseFast("[1", 3, ManagedFields::kKeep));
  CHECK_FALSE(ParseFast("[" + std::string(3 << 20, ' ') + "]", 3, ManagedFields::kKeep));
}

TEST_CASE("The API's objects are read without managedFields", "[json]") {
  const std::string service =
      R"({"metadata": {"name": "a", "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:metadata":
         {"f:labels": {".": {}, "f:x": {}}}}}, {"manager": "m"}], "uid": "u"}, "spec": {"type": "b"}})";
  const json expected = {{"metadata", {{"name", "a"}, {"uid", "u"}}}, {"spec", {{"type", "b"}}}};
  CHECK(Api(service) == expected);
  CHECK(Api(R"({"type": "ADDED", "object": )" + service + "}") ==
        json({{"type", "ADDED"}, {"object", expected}}));
  CHECK(Api(R"({"metadata": {"continue": "c"}, "items": [)" + service + "," + service + "]}") ==
        json({{"metadata", {{"continue", "c"}}}, {"items", {expected, expected}}}));
}

TEST_CASE("What merely has the name of managedFields stays", "[json]") {
  for (const char* text :
       {R"({"metadata": {"labels": {"managedFields": "a", "metadata": "b"}, "name": "c"}})",
        R"({"managedFields": {"metadata": 1}, "spec": {"managedFields": [1]}})",
        R"({"metadata": [{"managedFields": 1}], "a": {"managedFields": 2}})",
        R"({"metadata": "a", "b": {"managedFields": 2}})",
        R"({"metadata": {"name": "managedFields", "a": ["managedFields"]}})"}) {
    CHECK(Api(text) == json::parse(text));
  }
}

TEST_CASE("managedFields of any shape are left out, and are JSON within the bounds", "[json]") {
  for (const char* value : {"null", "1", "\"a\"", "[]", "{}", R"({"metadata": {"b": [[]]}})"}) {
    CHECK(Api(std::string(R"({"metadata": {"managedFields": )") + value + R"(, "z": 1}})") ==
          json({{"metadata", {{"z", 1}}}}));
  }
  CHECK_FALSE(ParseApiJson(R"({"metadata": {"managedFields": [}, "z": 1}})").ok());
  CHECK_FALSE(ParseApiJson(R"({"metadata": {"managedFields": [[[]]]}})", {.max_depth = 4}).ok());
  CHECK_FALSE(ParseApiJson(R"({"metadata": {"managedFields": [1, 2]}})", {.max_values = 4}).ok());
}

}  // namespace
}  // namespace stentor::kube
