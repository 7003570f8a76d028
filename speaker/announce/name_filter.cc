// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/name_filter.h"

#include <algorithm>

#include "common/base/strings.h"

namespace stentor::speaker {
namespace {

constexpr std::size_t kMaxNameLength = 15;  // IFNAMSIZ without the final zero

}  // namespace

const std::vector<std::string>& DefaultExcludedInterfaces() {
  static const std::vector<std::string> patterns = {
      "^docker.*",    "^cbr.*", "^dummy.*",        "^virbr.*", "^lxcbr.*",
      "^veth.*",      "^lo$",   "^cali.*",         "^tunl.*",  "^flannel.*",
      "^kube-ipvs.*", "^cni.*", "^nodelocaldns.*", "^lxc.*"};
  return patterns;
}

absl::StatusOr<NameFilter> NameFilter::Compile(const std::vector<std::string>& patterns) {
  if (patterns.size() > kMaxPatterns) {
    return absl::InvalidArgumentError(StrCat("too many excluded interfaces: ", patterns.size(),
                                             " patterns, at most ", kMaxPatterns));
  }
  NameFilter filter;
  for (const std::string& pattern : patterns) {
    if (pattern.size() > kMaxPatternLength) {
      return absl::InvalidArgumentError(StrCat("excluded interface pattern of ", pattern.size(),
                                               " characters, at most ", kMaxPatternLength, ": \"",
                                               pattern.substr(0, 32), "...\""));
    }
    try {
      filter.patterns_.emplace_back(pattern, std::regex::ECMAScript | std::regex::optimize);
    } catch (const std::regex_error& error) {
      return absl::InvalidArgumentError(
          StrCat("invalid excluded interface pattern \"", pattern, "\": ", error.what()));
    }
  }
  return filter;
}

bool NameFilter::Matches(std::string_view name) const {
  if (name.size() > kMaxNameLength) {
    return true;
  }
  return std::any_of(patterns_.begin(), patterns_.end(), [name](const std::regex& pattern) {
    try {
      return std::regex_search(name.begin(), name.end(), pattern);
    } catch (const std::regex_error&) {
      return true;  // too complex even for 15 characters: rather silent than on a wrong interface
    }
  });
}

}  // namespace stentor::speaker
