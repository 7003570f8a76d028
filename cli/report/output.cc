// SPDX-License-Identifier: Apache-2.0
#include "cli/report/output.h"

#include <algorithm>
#include <cctype>
#include <cstdint>

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

// The code point at the begin of `text` and its octets; as U+FFFFFFFF what is not UTF-8 (RFC 3629).
struct CodePoint {
  std::uint32_t value = 0xffffffffU;
  std::size_t octets = 1;
};
CodePoint FirstOf(std::string_view text) {
  const auto octet = [&text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = octet(0);
  if (first < 0x80U) {
    return {.value = first, .octets = 1};
  }
  const std::size_t octets = first >= 0xf0U ? 4 : first >= 0xe0U ? 3 : 2;
  if (first < 0xc2U || first > 0xf4U || text.size() < octets) {
    return {};
  }
  std::uint32_t value = first & (0x7fU >> octets);
  for (std::size_t i = 1; i < octets; ++i) {
    if ((octet(i) & 0xc0U) != 0x80U) {
      return {};
    }
    value = value << 6U | (octet(i) & 0x3fU);
  }
  constexpr std::uint32_t kLeast[] = {0, 0, 0x80U, 0x800U, 0x10000U};
  const bool surrogate = value >= 0xd800U && value <= 0xdfffU;
  if (value < kLeast[octets] || value > 0x10ffffU || surrogate) {
    return {};
  }
  return {.value = value, .octets = octets};
}

// https://www.unicode.org/reports/tr9/ (directional formatting characters), and U+FEFF, which
// nobody sees.
bool IsHarmless(std::uint32_t c) {
  const bool control = c < 0x20U || (c >= 0x7fU && c < 0xa0U);
  const bool separator = c == 0x2028U || c == 0x2029U;
  const bool direction = c == 0x061cU || c == 0x200eU || c == 0x200fU ||
                         (c >= 0x202aU && c <= 0x202eU) || (c >= 0x2066U && c <= 0x2069U);
  return !control && !separator && !direction && c != 0xfeffU && c <= 0x10ffffU;
}

std::string Escape(std::uint32_t value, std::size_t digits) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out += '\\';
  out += digits == 2 ? 'x' : 'u';
  for (std::size_t i = digits; i-- > 0;) {
    out += kDigits[value >> (4 * i) & 0xfU];
  }
  return out;
}

bool IsPrintable(std::string_view text) {
  while (!text.empty()) {
    const CodePoint first = FirstOf(text);
    if (!IsHarmless(first.value)) {
      return false;
    }
    text.remove_prefix(first.octets);
  }
  return true;
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
         text.find(" #") == std::string_view::npos && IsPrintable(text);
}

std::string Dump(const ordered_json& json, int indent) {
  const std::string plain = json.dump(indent, ' ', false, ordered_json::error_handler_t::replace);
  // Not nlohmann's ensure_ascii: of what is beyond 16 bits it makes pairs, which YAML doesn't know.
  std::string out;
  for (std::string_view rest = plain; !rest.empty();) {
    const CodePoint first = FirstOf(rest);
    if (first.value == '\n' || IsHarmless(first.value) || first.value > 0xffffU) {
      out += rest.substr(0, first.octets);
    } else {
      out += Escape(first.value, 4);
    }
    rest.remove_prefix(first.octets);
  }
  return out;
}

std::string Scalar(const ordered_json& json) {
  if (json.is_string() && IsPlain(json.get_ref<const std::string&>())) {
    return json.get<std::string>();
  }
  // JSON's texts are YAML's, in double quotes.
  return Dump(json, -1);
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
      text[indent] = '-';  // instead of the first blank of the margin
      *out += text;
    } else {
      StrAppend(out, margin, "- ", Scalar(element), "\n");
    }
  }
}

}  // namespace

std::string Printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const CodePoint first = FirstOf(text);
    if (IsHarmless(first.value)) {
      out += text.substr(0, first.octets);
    } else if (first.value <= 0xffffU) {
      out += Escape(first.value, first.value <= 0xffU ? 2 : 4);
    } else {
      out += Escape(static_cast<unsigned char>(text.front()), 2);
    }
    text.remove_prefix(first.octets);
  }
  return out;
}

std::string PrintableLines(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    out += Printable(text.substr(0, end));
    if (end == std::string_view::npos) {
      break;
    }
    out += '\n';
    text.remove_prefix(end + 1);
  }
  return out;
}

std::string ToPrettyJson(const ordered_json& json) { return Dump(json, 2); }

void Table::Add(std::vector<std::string> cells) {
  for (std::string& cell : cells) {
    if (cell.empty()) {
      cell.push_back('-');
    } else {
      cell = Printable(cell);
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
