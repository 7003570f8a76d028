// SPDX-License-Identifier: Apache-2.0
#include "cli/report/complete.h"

#include <algorithm>
#include <string_view>

namespace stentor::cli {
namespace {

using Words = std::vector<std::string>;

const Words& ClusterFlags() {
  static const Words kFlags{"--context",         "--kubeconfig", "--namespace",         "--output",
                            "--request-timeout", "--server",     "--stentor-namespace", "--help"};
  return kFlags;
}

Words With(Words more) {
  more.insert(more.end(), ClusterFlags().begin(), ClusterFlags().end());
  return more;
}

// Words that may follow these commands; flags begin with a dash.
Words After(const Words& commands) {
  const std::string_view first = commands.empty() ? std::string_view() : commands[0];
  if (first.empty()) {
    return {"status",  "explain",    "why",    "what-if",  "validate",
            "convert", "completion", "--help", "--version"};
  }
  if (first == "status") {
    return With({"--watch"});
  }
  if (first == "explain") {
    return commands.size() == 1 ? Words{"service", "--help"} : ClusterFlags();
  }
  if (first == "why") {
    return ClusterFlags();
  }
  if (first == "what-if") {
    if (commands.size() == 1) {
      return With({"node", "--filename"});
    }
    return commands.size() == 3 ? With({"gone"}) : ClusterFlags();
  }
  if (first == "validate" || first == "convert") {
    return {"--filename", "--output", "--stentor-namespace", "--help"};
  }
  return first == "completion" && commands.size() == 1 ? Words{"bash", "zsh"} : Words{};
}

bool TakesValue(std::string_view flag) {
  static const Words kSwitches{"--watch", "-w", "--help", "-h", "--version"};
  return flag.starts_with("-") && flag.find('=') == std::string_view::npos &&
         std::ranges::find(kSwitches, flag) == kSwitches.end();
}

}  // namespace

Completions Complete(const Words& words) {
  const std::string last = words.empty() ? std::string() : words.back();
  Words commands;
  std::string_view flag;  // that waits for its value
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    if (!flag.empty()) {
      flag = {};
    } else if (TakesValue(words[i])) {
      flag = words[i];
    } else if (!words[i].starts_with("-")) {
      commands.push_back(words[i]);
    }
  }
  Completions completions;
  if (!flag.empty()) {
    if (flag == "-o" || flag == "--output") {
      completions.words = {"json", "yaml"};
    }
    completions.files = flag == "-f" || flag == "--filename" || flag == "--kubeconfig";
  } else {
    completions.words = After(commands);
  }
  std::erase_if(completions.words, [&last](const std::string& word) {
    return !word.starts_with(last) || (last.empty() && word.starts_with("-"));
  });
  return completions;
}

}  // namespace stentor::cli
