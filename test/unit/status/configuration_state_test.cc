// SPDX-License-Identifier: Apache-2.0
#include "common/status/configuration_state.h"

#include <string>

#include "absl/strings/str_join.h"
#include "test/support/catch.h"

namespace stentor::status {
namespace {

using nlohmann::json;

const json kMetadata = {{"name", "controller"}, {"namespace", "ns"}, {"resourceVersion", "7"}};

// All that was read, in one line.
std::string Summary(const ConfigurationState& state) {
  std::string out = state.uid + "|";
  for (const auto& [key, value] : state.labels) {
    out += key + "=" + value + ",";
  }
  out += "|" + std::to_string(state.owners.size()) + "|" + state.result + "|" +
         state.error_summary + "|";
  for (const SeenCondition& c : state.conditions) {
    out += c.type + ":" + c.status + ":" + c.reason + ":" + c.message + ":" +
           c.last_transition_time + ",";
  }
  return out;
}

}  // namespace

TEST_CASE("DecodeConfigurationState reads what it can", "[status]") {
  struct Case {
    const char* name;
    const char* patch;
    const char* want;
  };
  const auto c = GENERATE(values<Case>({
      {"new, without a status", R"({"metadata":{"uid":"u"}})", "u||0|||"},
      {"all of it",
       R"({"metadata":{"uid":"u","labels":{"a":"b"},"ownerReferences":[{"kind":"Pod"}]},
           "status":{"result":"Invalid","errorSummary":"e","conditions":[
             {"type":"t","status":"False","reason":"R","message":"m",
              "lastTransitionTime":"2026-01-01T00:00:00Z"}]}})",
       "u|a=b,|1|Invalid|e|t:False:R:m:2026-01-01T00:00:00Z,"},
      {"status is a text", R"({"status":"x"})", "||0|||"},
      {"conditions are an object", R"({"status":{"result":"Valid","conditions":{"type":"t"}}})",
       "||0|Valid||"},
      {"a condition is a number, another has no type",
       R"({"status":{"conditions":[1,{"status":"True"},{"type":"t"}]}})", "||0|||t::::,"},
      {"fields of a condition are numbers",
       R"({"status":{"conditions":[{"type":"t","status":true,"reason":1,"message":[]}]}})",
       "||0|||t::::,"},
      {"a type twice: the first one",
       R"({"status":{"conditions":[{"type":"t","reason":"A"},{"type":"t","reason":"B"}]}})",
       "||0|||t::A::,"},
      {"labels that are no texts", R"({"metadata":{"labels":{"a":1,"b":"c"}}})", "|b=c,|0|||"},
      {"owners that are no objects", R"({"metadata":{"ownerReferences":["x",{},null]}})", "||1|||"},
      {"owners are an object", R"({"metadata":{"ownerReferences":{"uid":"x"}}})", "||0|||"},
      {"nulls", R"({"metadata":{"labels":null,"ownerReferences":null},"status":null})", "||0|||"},
  }));
  DYNAMIC_SECTION(c.name) {
    json object = {{"metadata", kMetadata}};
    object.merge_patch(json::parse(c.patch));
    const auto state = DecodeConfigurationState(object);
    REQUIRE(state.ok());
    CHECK(state->key == model::ObjectKey{"ns", "controller"});
    CHECK(state->resource_version == "7");
    CHECK(Summary(*state) == c.want);
  }
}

TEST_CASE("DecodeConfigurationState refuses what nobody could write to", "[status]") {
  struct Case {
    const char* name;
    const char* object;
  };
  const auto c = GENERATE(values<Case>({
      {"null", "null"},
      {"a list", "[]"},
      {"no metadata", "{}"},
      {"metadata is a text", R"({"metadata":"x"})"},
      {"no name", R"({"metadata":{"resourceVersion":"7"}})"},
      {"no resourceVersion", R"({"metadata":{"name":"x"}})"},
      {"resourceVersion is a number", R"({"metadata":{"name":"x","resourceVersion":7}})"},
  }));
  DYNAMIC_SECTION(c.name) {
    CHECK(absl::IsInvalidArgument(DecodeConfigurationState(json::parse(c.object)).status()));
  }
}

TEST_CASE("DecodeConfigurationState keeps a bounded number of conditions", "[status]") {
  json conditions = json::array();
  for (int i = 0; i < 1000; ++i) {
    conditions.push_back({{"type", "t" + std::to_string(i)}});
  }
  const auto state =
      DecodeConfigurationState({{"metadata", kMetadata}, {"status", {{"conditions", conditions}}}});
  REQUIRE(state.ok());
  CHECK(state->conditions.size() == 64);
  CHECK(state->Find("t63") != nullptr);
  CHECK(state->Find("t64") == nullptr);
}

TEST_CASE("Paths of ConfigurationStates", "[status]") {
  CHECK(ConfigurationStatePath({"metallb-system", "speaker-n1"}) ==
        "/apis/metallb.io/v1beta1/namespaces/metallb-system/configurationstates/speaker-n1");
}

}  // namespace stentor::status
