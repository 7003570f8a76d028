// SPDX-License-Identifier: Apache-2.0
#include "controller/webhook/bgp_checks.h"

#include <algorithm>
#include <charconv>

namespace stentor::controller {
namespace {

template <typename Number>
bool IsNumber(std::string_view text) {
  Number number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return !text.empty() && parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
}

}  // namespace

CommunityForm FormOf(std::string_view text) {
  std::vector<std::string_view> parts;
  for (std::string_view rest = text;;) {
    const std::size_t colon = rest.find(':');
    parts.push_back(rest.substr(0, colon));
    if (colon == std::string_view::npos) {
      break;
    }
    rest.remove_prefix(colon + 1);
  }
  if (parts.size() == 2) {
    return std::ranges::all_of(parts, IsNumber<std::uint16_t>) ? CommunityForm::kLegacy
                                                               : CommunityForm::kBadValue;
  }
  if (parts.size() == 4) {
    return parts[0] == "large" &&
                   std::all_of(parts.begin() + 1, parts.end(), IsNumber<std::uint32_t>)
               ? CommunityForm::kLarge
               : CommunityForm::kBadValue;
  }
  return CommunityForm::kOtherForm;
}

absl::Status CheckCommunityValue(const std::string& text) {
  return FormOf(text) == CommunityForm::kBadValue
             ? BgpError(StrCat("invalid community value: ", Quoted(text),
                               " is neither <uint16>:<uint16> nor "
                               "large:<uint32>:<uint32>:<uint32>"))
             : absl::OkStatus();
}

bool ShareNode(const std::vector<model::LabelSelector>& a,
               const std::vector<model::LabelSelector>& b,
               const std::map<model::NodeName, model::Labels>& nodes) {
  if (nodes.empty()) {
    return a == b;
  }
  const auto selects = [](const std::vector<model::LabelSelector>& list,
                          const model::Labels& labels) {
    return list.empty() || model::AnyMatches(list, labels);
  };
  return std::ranges::any_of(
      nodes, [&](const auto& node) { return selects(a, node.second) && selects(b, node.second); });
}

}  // namespace stentor::controller
