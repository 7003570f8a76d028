// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace stentor::cli {

/// What a word of the command line could become.
struct Completions {
  std::vector<std::string> words;
  bool files = false;  ///< File names as well.

  friend bool operator==(const Completions&, const Completions&) = default;
};

/// For the last of `words`, which may be empty; those before it stand after "kubectl stentor".
[[nodiscard]] Completions Complete(const std::vector<std::string>& words);

}  // namespace stentor::cli
