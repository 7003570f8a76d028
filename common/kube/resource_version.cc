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

bool IsNewer(std::string_view version, std::string_view than) {
  if (!IsNumber(version) || !IsNumber(than)) {
    return version != than;
  }
  return version.size() != than.size() ? version.size() > than.size() : version > than;
}

}  // namespace stentor::kube
