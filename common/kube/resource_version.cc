// SPDX-License-Identifier: Apache-2.0
#include "common/kube/resource_version.h"

#include <algorithm>

namespace stentor::kube {
namespace {

bool IsNumber(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

std::optional<std::strong_ordering> CompareVersions(std::string_view a, std::string_view b) {
  if (a == b) {
    return std::strong_ordering::equal;
  }
  if (!IsNumber(a) || !IsNumber(b)) {
    return std::nullopt;
  }
  // As numbers of any length. None that Kubernetes writes begins with a zero.
  return a.size() != b.size() ? a.size() <=> b.size() : a <=> b;
}

bool IsNewer(std::string_view version, std::string_view than) {
  const auto order = CompareVersions(version, than);
  return !order || *order > 0;
}

}  // namespace stentor::kube
