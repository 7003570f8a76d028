// SPDX-License-Identifier: Apache-2.0
#include "common/kube/text.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/kube/codec.h"

namespace stentor::kube {
namespace {

constexpr std::string_view kEllipsis = "...";

}  // namespace

std::string FitText(std::string_view text, std::size_t max_octets) {
  STENTOR_CHECK(max_octets >= kEllipsis.size()) << "no room for a text";
  // One octet more than fits is enough to know that it has to be cut; a character that is torn
  // there is replaced, and cut off.
  const std::string_view head = text.substr(0, max_octets + 4);
  const auto parsed = ParseJson(DumpJson(nlohmann::json(std::string(head))));
  STENTOR_CHECK(parsed.ok() && parsed->is_string()) << "a text that was just printed";
  std::string fit = parsed->get<std::string>();
  if (fit.size() > max_octets) {
    fit = CutText(std::move(fit), max_octets - kEllipsis.size()).append(kEllipsis);
  }
  return fit;
}

}  // namespace stentor::kube
