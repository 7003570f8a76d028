// SPDX-License-Identifier: Apache-2.0
#include "common/kube/text.h"

#include <string>

#include "test/support/catch.h"

namespace stentor::kube {

TEST_CASE("FitText makes a text that the API takes and gives back", "[kube]") {
  struct Case {
    const char* name;
    std::string text;
    std::size_t max;
    std::string want;
  };
  const auto c = GENERATE(values<Case>({
      {"empty", "", 8, ""},
      {"fits", "12345678", 8, "12345678"},
      {"one too long", "123456789", 8, "12345..."},
      {"much too long", std::string(100'000, 'x'), 8, "xxxxx..."},
      {"two octets a character, cut between", "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4", 8,
       "\xc3\xa4\xc3\xa4..."},
      {"four octets a character", "a\xf0\x9f\x8e\x89\xf0\x9f\x8e\x89\xf0\x9f\x8e\x89", 9,
       "a\xf0\x9f\x8e\x89..."},
      {"as long as fits, in characters", "\xf0\x9f\x8e\x89\xf0\x9f\x8e\x89", 8,
       "\xf0\x9f\x8e\x89\xf0\x9f\x8e\x89"},
      {"not UTF-8",
       "a\xff"
       "b",
       8,
       "a\xef\xbf\xbd"
       "b"},
      {"ends within a character", "a\xc3", 8, "a\xef\xbf\xbd"},
      {"grows by what is replaced", "\xff\xff\xff\xff", 8, "\xef\xbf\xbd..."},
      {"no room but for the mark", "12345", 3, "..."},
      {"quotes, ends of line and zero", std::string("\"\n\\\0x", 5), 8,
       std::string("\"\n\\\0x", 5)},
      {"looks like JSON", "[[[[[[", 8, "[[[[[["},
  }));
  DYNAMIC_SECTION(c.name) {
    CHECK(FitText(c.text, c.max) == c.want);
    CHECK(FitText(c.want, c.max) == c.want);
  }
}

}  // namespace stentor::kube
