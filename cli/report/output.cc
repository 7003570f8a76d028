// SPDX-License-Identifier: Apache-2.0
#include "cli/report/output.h"

#include <algorithm>
#include <cctype>

#include "common/base/strings.h"

namespace stentor::cli {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kGap = 3;

// Characters, not octets: names may be in any script.
std::size_t Width(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80; }));
}

// Words that begin as a word of YAML 1.1 or 1.2 does not, and hold nothing that has a meaning.
bool IsPlain(std::string_view text) {
  constexpr std::string_view kWords[] = {"null", "true", "false", "yes", "no",
                                         "on",   "off",  "y",     "n"};
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (text.empty() || std::ranges::find(kWords, lower) != std::end(kWords) ||
      std::isalpha(static_cast<unsigned char>(text.front())) == 0) {
    return false;
  }
  return text.back() != ' ' && text.find(": ") == std::string_view::npos && text.back() != ':' &&
         text.find(" #") == std::string_view::npos &&
         std::ranges::all_of(text, [](unsigned char c) { return c >= ' ' && c != 0x7f; });
}

std::string Scalar(const ordered_json& json) {
  if (json.is_string() && IsPlain(json.get_ref<const std::string&>())) {
    return json.get<std::string>();
  }
  // JSON's texts are YAML's, in double quotes.
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

void Write(const ordered_json& json, std::size_t indent, std::string* out);

// What stands after "key:" or "-".
void WriteValue(const ordered_json& value, std::size_t indent, std::string* out) {
  if (value.is_structured() && !value.empty()) {
    *out += '\n';
    Write(value, indent, out);
  } else {
    StrAppend(out, " ", Scalar(value), "\n");
  }
}

void Write(const ordered_json& json, std::size_t indent, std::string* out) {
  const std::string margin(indent, ' ');
  if (json.is_object()) {
    for (const auto& [key, value] : json.items()) {
      StrAppend(out, margin, Scalar(key), ":");
      WriteValue(value, indent + (value.is_array() ? 0 : 2), out);
    }
    return;
  }
  for (const ordered_json& element : json) {
    std::string text;
    if (element.is_structured() && !element.empty()) {
      Write(element, indent + 2, &text);
      text.replace(indent, 1, "-");
      *out += text;
    } else {
      StrAppend(out, margin, "- ", Scalar(element), "\n");
    }
  }
}

}  // namespace

void Table::Add(std::vector<std::string> cells) {
  for (std::string& cell : cells) {
    if (cell.empty()) {
      cell = "-";
    }
  }
  cells.resize(header_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::ToString(std::size_t indent) const {
  std::vector<std::size_t> widths(header_.size());
  const auto widen = [&widths](const std::vector<std::string>& cells) {
    for (std::size_t i = 0; i < cells.size(); ++i) {
      widths[i] = std::max(widths[i], Width(cells[i]));
    }
  };
  widen(header_);
  std::ranges::for_each(rows_, widen);
  std::string out;
  const auto print = [&](const std::vector<std::string>& cells) {
    out.append(indent, ' ');
    for (std::size_t i = 0; i < cells.size(); ++i) {
      out += cells[i];
      if (i + 1 < cells.size()) {
        out.append(widths[i] - Width(cells[i]) + kGap, ' ');
      }
    }
    out += '\n';
  };
  print(header_);
  std::ranges::for_each(rows_, print);
  return out;
}

std::string ToYaml(const ordered_json& json) {
  if (!json.is_structured() || json.empty()) {
    return Scalar(json) + "\n";
  }
  std::string out;
  Write(json, 0, &out);
  return out;
}

std::string Join(std::span<const std::string> texts, std::string_view none) {
  std::string out;
  for (const std::string& text : texts) {
    StrAppend(&out, out.empty() ? "" : ", ", text);
  }
  return out.empty() ? std::string(none) : out;
}

std::vector<std::string> ToTexts(std::span<const net::IpAddress> addresses) {
  std::vector<std::string> texts;
  texts.reserve(addresses.size());
  for (const net::IpAddress& address : addresses) {
    texts.push_back(address.ToString());
  }
  return texts;
}

std::string Count(std::size_t number, std::string_view noun) {
  return StrCat(number, " ", noun, number == 1 ? "" : "s");
}

}  // namespace stentor::cli
