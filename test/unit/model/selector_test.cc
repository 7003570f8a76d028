// SPDX-License-Identifier: Apache-2.0
#include "common/model/selector.h"

#include <string>
#include <vector>

#include "test/support/catch.h"

namespace stentor::model {
namespace {

using enum SelectorOperator;

LabelSelector One(SelectorOperator op, std::vector<std::string> values = {}) {
  return {.requirements = {{.key = "tier", .op = op, .values = std::move(values)}}};
}

}  // namespace

TEST_CASE("Selectors are printed as kubectl writes them", "[selector]") {
  const LabelSelector selector{
      .requirements = {{.key = "rack", .op = kEquals, .values = {"1"}},
                       {.key = "zone", .op = kIn, .values = {"a", "b"}},
                       {.key = "zone", .op = kNotIn, .values = {"c"}},
                       {.key = "tier", .op = kExists},
                       {.key = "old", .op = kDoesNotExist},
                       {.key = "size", .op = kUnknown, .values = {"3"}, .unknown_op = "Gt"}}};
  CHECK(ToString(selector) == "rack=1,zone in (a,b),zone notin (c),tier,!old,size Gt (3)");
  CHECK(ToString(LabelSelector{}).empty());
}

TEST_CASE("matchLabels and unknown operators", "[selector]") {
  CHECK(One(kEquals, {"b"}).Matches({{"tier", "b"}}));
  CHECK_FALSE(One(kEquals, {"b"}).Matches({{"tier", "c"}}));
  CHECK_FALSE(One(kEquals, {"b"}).Matches({}));
  LabelSelector unknown = One(kUnknown, {"b"});
  CHECK_FALSE(unknown.Matches({{"tier", "b"}}));
  CHECK_FALSE(unknown.Matches({}));
}

TEST_CASE("LabelSelector matches as apimachinery's", "[selector]") {
  struct Case {
    const char* name;
    LabelSelector selector;
    Labels labels;
    bool matches;
  };
  const Labels gold = {{"tier", "gold"}, {"zone", "a"}};
  const auto c = GENERATE_COPY(values<Case>({
      {"empty selector, no labels", {}, {}, true},
      {"empty selector, labels", {}, gold, true},
      {"In, listed", One(kIn, {"gold", "silver"}), gold, true},
      {"In, not listed", One(kIn, {"silver"}), gold, false},
      {"In, absent", One(kIn, {"gold"}), {{"zone", "gold"}}, false},
      {"In, empty value", One(kIn, {""}), {{"tier", ""}}, true},
      {"In, empty value is not absence", One(kIn, {""}), {}, false},
      {"In, case counts", One(kIn, {"Gold"}), gold, false},
      {"NotIn, listed", One(kNotIn, {"gold"}), gold, false},
      {"NotIn, not listed", One(kNotIn, {"silver"}), gold, true},
      {"NotIn, absent", One(kNotIn, {"gold"}), {}, true},
      {"Exists, present", One(kExists), gold, true},
      {"Exists, present and empty", One(kExists), {{"tier", ""}}, true},
      {"Exists, absent", One(kExists), {{"tie", "r"}}, false},
      {"DoesNotExist, present", One(kDoesNotExist), gold, false},
      {"DoesNotExist, absent", One(kDoesNotExist), {{"zone", "a"}}, true},
      {"all conditions hold",
       {.requirements = {{"tier", kIn, {"gold"}}, {"zone", kIn, {"a"}}, {"x", kDoesNotExist, {}}}},
       gold,
       true},
      {"one condition fails",
       {.requirements = {{"tier", kIn, {"gold"}}, {"zone", kIn, {"b"}}}},
       gold,
       false},
      {"contradiction",
       {.requirements = {{"tier", kIn, {"gold"}}, {"tier", kNotIn, {"gold"}}}},
       gold,
       false},
  }));
  DYNAMIC_SECTION(c.name) { CHECK(c.selector.Matches(c.labels) == c.matches); }
}

TEST_CASE("AnyMatches is the OR of its selectors", "[selector]") {
  const Labels gold = {{"tier", "gold"}};
  const std::vector<LabelSelector> none;
  const std::vector<LabelSelector> wrong = {One(kIn, {"silver"}), One(kDoesNotExist)};
  const std::vector<LabelSelector> second = {One(kIn, {"silver"}), One(kIn, {"gold"})};
  const std::vector<LabelSelector> empty = {LabelSelector{}};
  CHECK_FALSE(AnyMatches(none, gold));
  CHECK_FALSE(AnyMatches(wrong, gold));
  CHECK(AnyMatches(second, gold));
  CHECK(AnyMatches(empty, {}));
}

TEST_CASE("ObjectKey prints as Kubernetes tools do", "[types]") {
  CHECK(ObjectKey{"default", "web"}.ToString() == "default/web");
  CHECK(ObjectKey{"", "worker-1"}.ToString() == "worker-1");
  CHECK(ObjectKey{"a", "z"} < ObjectKey{"b", "a"});
}

}  // namespace stentor::model
