// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Interfaces that layer 2 never uses, whatever the L2Advertisements say: the list of regular
/// expressions in excludel2.yaml (key announcedInterfacesToExclude) of ConfigMap metallb-excludel2.

#include <regex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace stentor::config {

/// A set of expressions; an interface is excluded where any of them is found in its name
/// (unanchored, as in MetalLB: write "^eth0$" for exactly eth0). Default: excludes nothing.
class InterfaceExcludes {
 public:
  InterfaceExcludes() = default;

  /// InvalidArgument, naming the expression, where one is not a regular expression (ECMAScript
  /// syntax, which has all that such lists use of Go's), or is longer than 256 characters.
  [[nodiscard]] static absl::StatusOr<InterfaceExcludes> Compile(
      std::span<const std::string> expressions);

  [[nodiscard]] bool Matches(std::string_view interface) const;

 private:
  std::vector<std::regex> expressions_;
};

}  // namespace stentor::config
