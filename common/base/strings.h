// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Texts. First of all absl::StrCat for code that uses std::string_view. Debian builds abseil with
/// a string_view of its own, to which std::string_view does not convert; use these instead of the
/// functions in absl.

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace stentor {

/// `text` as abseil's own view type.
[[nodiscard]] inline absl::string_view AbslView(std::string_view text) noexcept {
  return {text.data(), text.size()};
}

namespace internal {
inline absl::string_view StrCatArgument(std::string_view text) noexcept { return AbslView(text); }
inline absl::string_view StrCatArgument(const std::string& text) noexcept { return text; }
inline absl::string_view StrCatArgument(const char* text) noexcept { return text; }
template <typename T>
T StrCatArgument(T value) noexcept {  // numbers, and absl::Hex and its like
  return value;
}
}  // namespace internal

/// Concatenates texts and numbers (absl::StrCat's arguments, and std::string_view).
template <typename... Args>
[[nodiscard]] std::string StrCat(const Args&... args) {
  return absl::StrCat(internal::StrCatArgument(args)...);
}

/// Appends the same to `*out`.
template <typename... Args>
void StrAppend(std::string* out, const Args&... args) {
  absl::StrAppend(out, internal::StrCatArgument(args)...);
}

/// The start of `text`, at most `max_octets` of it, up to the end of a character. Octets that are
/// no UTF-8 stay as they are.
[[nodiscard]] std::string CutText(std::string text, std::size_t max_octets);

}  // namespace stentor
