// SPDX-License-Identifier: Apache-2.0
#include "cli/report/complete.h"

#include "test/support/catch.h"

namespace stentor::cli {

TEST_CASE("Words of the command line are completed", "[cli]") {
  struct Case {
    const char* name;
    std::vector<std::string> words;
    Completions want;
  };
  const auto c = GENERATE(values<Case>({
      {"nothing yet",
       {""},
       {{"status", "explain", "why", "what-if", "validate", "convert", "completion"}}},
      {"no word at all",
       {},
       {{"status", "explain", "why", "what-if", "validate", "convert", "completion"}}},
      {"a beginning", {"wh"}, {{"why", "what-if"}}},
      {"a flag", {"status", "--w"}, {{"--watch"}}},
      {"the kind", {"explain", ""}, {{"service"}}},
      {"past a flag with a value", {"-n", "why", "explain", "s"}, {{"service"}}},
      {"a flag with its value in one word", {"what-if", "--context=x", "n"}, {{"node"}}},
      {"what happens to the node", {"what-if", "node", "node-1", ""}, {{"gone"}}},
      {"the format", {"status", "-o", ""}, {{"json", "yaml"}}},
      {"a file", {"validate", "-f", "x"}, {{}, true}},
      {"a name that only the cluster knows", {"explain", "service", ""}, {}},
      {"a shell", {"completion", "z"}, {{"zsh"}}},
      {"an unknown command", {"frobnicate", ""}, {}},
  }));
  DYNAMIC_SECTION(c.name) {
    const Completions got = Complete(c.words);
    CHECK(got.words == c.want.words);
    CHECK(got.files == c.want.files);
  }
}

}  // namespace stentor::cli
