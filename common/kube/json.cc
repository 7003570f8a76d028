// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "common/base/strings.h"
#include "common/kube/codec.h"

namespace stentor::kube {
namespace {

using nlohmann::json;

// Deepest nesting of `text`. Brackets within strings don't count; text that is no JSON may give any
// number, and is refused by the parser.
std::size_t Depth(std::string_view text) {
  std::size_t depth = 0;
  std::size_t deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}

}  // namespace

absl::StatusOr<json> ParseJson(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return absl::DataLossError(StrCat("JSON text is longer than ", limits.max_bytes, " octets"));
  }
  // Each value but the first has a comma or an opening bracket before it. Those in strings are
  // counted too, which does no harm: texts are far from the limit.
  const auto values =
      std::ranges::count_if(text, [](char c) { return c == ',' || c == '[' || c == '{'; });
  if (static_cast<std::size_t>(values) > limits.max_values) {
    return absl::DataLossError(StrCat("JSON text has more than ", limits.max_values, " values"));
  }
  if (Depth(text) > limits.max_depth) {
    return absl::DataLossError(
        StrCat("JSON text is nested deeper than ", limits.max_depth, " levels"));
  }
  json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) {
    return absl::DataLossError("not a JSON text");
  }
  return parsed;
}

std::string DumpJson(const json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace stentor::kube
