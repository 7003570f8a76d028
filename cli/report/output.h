// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// How reports are printed: columns for people, YAML for programs that prefer it to JSON.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/net/ip_address.h"

namespace stentor::cli {

/// `text` as one line that a terminal shows as it is: whoever may create objects must not steer the
/// terminal of whoever looks at them. Control characters (C0, DEL, C1), line and paragraph
/// separators, characters that change the direction of writing, and octets that are not UTF-8
/// become escapes: "\x1b", "\u202e".
[[nodiscard]] std::string Printable(std::string_view text);
/// The same line by line.
[[nodiscard]] std::string PrintableLines(std::string_view text);

/// JSON over several lines; what is not Printable() in it is escaped as JSON has it.
[[nodiscard]] std::string ToPrettyJson(const nlohmann::ordered_json& json);

/// Aligned columns, as kubectl prints them: a header, three spaces between columns, none at the end
/// of a line.
class Table {
 public:
  explicit Table(std::vector<std::string> header) : header_(std::move(header)) {}

  /// As many cells as the header has; an empty one is printed as "-", all others as Printable().
  void Add(std::vector<std::string> cells);
  /// Header and rows, each line with `indent` spaces before it.
  [[nodiscard]] std::string ToString(std::size_t indent = 0) const;
  [[nodiscard]] bool empty() const { return rows_.empty(); }

 private:
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

/// `json` as one YAML document in block style, in the order of `json`. Texts that YAML could take
/// for something else are quoted.
[[nodiscard]] std::string ToYaml(const nlohmann::ordered_json& json);

/// "a, b, c"; `none` where there is nothing.
[[nodiscard]] std::string Join(std::span<const std::string> texts, std::string_view none = "");

[[nodiscard]] std::vector<std::string> ToTexts(std::span<const net::IpAddress> addresses);

/// "1 Service", "2 Services".
[[nodiscard]] std::string Count(std::size_t number, std::string_view noun);

}  // namespace stentor::cli
