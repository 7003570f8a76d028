// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Which interfaces the operator excludes by name (excludel2.yaml).

#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace stentor::speaker {

/// MetalLB's list, for where no file gives another.
[[nodiscard]] const std::vector<std::string>& DefaultExcludedInterfaces();

/// A list of regular expressions (ECMAScript), compiled once. As in MetalLB they match anywhere in
/// the name unless they say ^ and $.
class NameFilter {
 public:
  static constexpr std::size_t kMaxPatterns = 256;
  static constexpr std::size_t kMaxPatternLength = 256;

  /// Matches nothing.
  NameFilter() = default;

  /// InvalidArgument, with the pattern, where one can't be compiled or a limit is passed.
  [[nodiscard]] static absl::StatusOr<NameFilter> Compile(const std::vector<std::string>& patterns);

  /// Whether a pattern matches `name`. Names longer than an interface name can be (15) match.
  [[nodiscard]] bool Matches(std::string_view name) const;

 private:
  std::vector<std::regex> patterns_;
};

}  // namespace stentor::speaker
