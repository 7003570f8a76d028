// SPDX-License-Identifier: Apache-2.0
#include "common/config/checks.h"

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace stentor::config {
namespace {

using model::SelectorOperator;
using model::SelectorRequirement;

constexpr std::size_t kMaxLabel = 63;    // of a value, and of a key's name
constexpr std::size_t kMaxPrefix = 253;  // of a key

// k8s.io/apimachinery, util/validation: whoever knows these errors from kubectl knows them here.
constexpr std::string_view kNameForm =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character";

bool IsAlphanumeric(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)); }

// ([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]
bool IsLabelName(std::string_view text) {
  return !text.empty() && IsAlphanumeric(text.front()) && IsAlphanumeric(text.back()) &&
         std::ranges::all_of(
             text, [](char c) { return IsAlphanumeric(c) || c == '-' || c == '_' || c == '.'; });
}

// RFC 1123 labels of lower case, with points between them.
bool IsSubdomain(std::string_view text) {
  const auto is_end = [](char c) { return IsAlphanumeric(c) && !(c >= 'A' && c <= 'Z'); };
  for (std::string_view rest = text;;) {
    const std::size_t point = rest.find('.');
    const std::string_view label = rest.substr(0, point);
    if (label.empty() || !is_end(label.front()) || !is_end(label.back()) ||
        !std::ranges::all_of(label, [&](char c) { return is_end(c) || c == '-'; })) {
      return false;
    }
    if (point == std::string_view::npos) {
      return true;
    }
    rest.remove_prefix(point + 1);
  }
}

absl::Status CheckKey(const std::string& key) {
  const auto error = [&key](std::string_view what) {
    return Invalid(StrCat("key: Invalid value: \"", key, "\": ", what));
  };
  std::string_view name = key;
  if (const std::size_t slash = name.find('/'); slash != std::string_view::npos) {
    const std::string_view prefix = name.substr(0, slash);
    name.remove_prefix(slash + 1);
    if (prefix.empty()) {
      return error("prefix part must be non-empty");
    }
    if (prefix.size() > kMaxPrefix) {
      return error("prefix part must be no more than 253 bytes");
    }
    if (!IsSubdomain(prefix)) {
      return error("prefix part must be a lowercase RFC 1123 subdomain");
    }
  }
  if (name.empty()) {
    return error("name part must be non-empty");
  }
  if (name.size() > kMaxLabel) {
    return error("name part must be no more than 63 bytes");
  }
  return IsLabelName(name) ? absl::OkStatus() : error(StrCat("name part ", kNameForm));
}

absl::Status CheckValue(const SelectorRequirement& requirement, const std::string& value) {
  const auto error = [&](std::string_view what) {
    return Invalid(StrCat("values[", requirement.key, "]: Invalid value: \"", value, "\": ", what));
  };
  if (value.size() > kMaxLabel) {
    return error("must be no more than 63 bytes");
  }
  return value.empty() || IsLabelName(value)
             ? absl::OkStatus()
             : error(StrCat("a valid label must be an empty string or ", kNameForm));
}

absl::Status CheckRequirement(const SelectorRequirement& requirement) {
  STENTOR_RETURN_IF_ERROR(CheckKey(requirement.key));
  switch (requirement.op) {
    case SelectorOperator::kIn:
    case SelectorOperator::kNotIn:
      if (requirement.values.empty()) {
        return Invalid(StrCat("key \"", requirement.key,
                              "\": for 'in', 'notin' operators, values set can't be empty"));
      }
      break;
    case SelectorOperator::kExists:
    case SelectorOperator::kDoesNotExist:
      if (!requirement.values.empty()) {
        return Invalid(StrCat("key \"", requirement.key,
                              "\": values set must be empty for exists and does not exist"));
      }
      break;
    case SelectorOperator::kUnknown:
      return Invalid(
          StrCat("\"", requirement.unknown_op, "\" is not a valid label selector operator"));
    case SelectorOperator::kEquals:
      break;
  }
  for (const std::string& value : requirement.values) {
    STENTOR_RETURN_IF_ERROR(CheckValue(requirement, value));
  }
  return absl::OkStatus();
}

// MetalLB compares expressions with each other, but not with matchLabels.
absl::Status CheckRepetitions(const model::LabelSelector& selector) {
  std::set<SelectorRequirement> seen;
  for (const SelectorRequirement& requirement : selector.requirements) {
    if (const auto repeated = FirstRepeated(requirement.values)) {
      return Invalid(StrCat("duplicate definition of match expression value in label selector \"",
                            requirement.values[*repeated], "\""));
    }
    if (!seen.insert(requirement).second) {
      return Invalid(StrCat("duplicate definition of match expressions \"",
                            model::ToString({.requirements = {requirement}}), "\""));
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string Place::Text() const { return StrCat(" (", object, ": ", field, ")"); }

std::string Place::Text(std::size_t index) const {
  return StrCat(" (", object, ": ", field, "[", index, "])");
}

std::optional<std::size_t> FirstRepeated(const std::vector<std::string>& values) {
  std::set<std::string_view> seen;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!seen.insert(values[i]).second) {
      return i;
    }
  }
  return std::nullopt;
}

absl::Status CheckRepeated(const std::vector<std::string>& values, std::string_view what,
                           const Place& place) {
  const auto repeated = FirstRepeated(values);
  return repeated ? Invalid(StrCat("duplicate definition of ", what, " \"", values[*repeated], "\"",
                                   place.Text(*repeated)))
                  : absl::OkStatus();
}

absl::Status CheckSelector(const model::LabelSelector& selector, std::string_view context,
                           const std::string& place) {
  for (const SelectorRequirement& requirement : selector.requirements) {
    if (const absl::Status status = CheckRequirement(requirement); !status.ok()) {
      return Invalid(StrCat(std::string(status.message()), ": ", context, place));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckSelectors(const std::vector<model::LabelSelector>& selectors,
                            std::string_view what, std::string_view context, const Place& place) {
  std::set<model::LabelSelector> seen;
  for (std::size_t i = 0; i < selectors.size(); ++i) {
    if (const absl::Status status = CheckRepetitions(selectors[i]); !status.ok()) {
      return Invalid(StrCat(std::string(status.message()), place.Text(i)));
    }
    if (!seen.insert(selectors[i]).second) {
      return Invalid(StrCat("duplicate definition of ", what, " \"", model::ToString(selectors[i]),
                            "\"", place.Text(i)));
    }
  }
  for (std::size_t i = 0; i < selectors.size(); ++i) {
    STENTOR_RETURN_IF_ERROR(CheckSelector(selectors[i], context, place.Text(i)));
  }
  return absl::OkStatus();
}

}  // namespace stentor::config
