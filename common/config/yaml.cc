// SPDX-License-Identifier: Apache-2.0
#include "common/config/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <charconv>
#include <cstdint>
#include <sstream>
#include <string>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"

namespace stentor::config {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxBytes = std::size_t{1} << 20U;
constexpr int kMaxDepth = 64;
constexpr std::size_t kMaxValues = 100'000;

template <typename Number>
bool ReadNumber(std::string_view text, Number& number) {
  if (!text.empty() && text.front() == '+') {
    text.remove_prefix(1);
  }
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
}

// A plain scalar, as https://yaml.org/spec/1.2.2/#103-core-schema reads it.
json Scalar(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") {
    return nullptr;
  }
  if (text == "true" || text == "True" || text == "TRUE") {
    return true;
  }
  if (text == "false" || text == "False" || text == "FALSE") {
    return false;
  }
  const std::size_t digits = text.find_first_not_of("+-.");
  if (digits != std::string::npos && digits <= 2 && text[digits] >= '0' && text[digits] <= '9') {
    if (std::int64_t integer = 0; ReadNumber(text, integer)) {
      return integer;
    }
    if (double real = 0; ReadNumber(text, real)) {
      return real;
    }
  }
  return text;
}

// Nodes of an alias are visited each time they are used: that bounds what a small text can grow to.
class Converter {
 public:
  absl::StatusOr<json> Convert(const YAML::Node& node, int depth) {
    if (depth > kMaxDepth) {
      return Error(node, StrCat("nested deeper than ", kMaxDepth, " levels"));
    }
    if (++values_ > kMaxValues) {
      return Error(node, StrCat("more than ", kMaxValues, " values"));
    }
    if (node.IsScalar()) {
      STENTOR_RETURN_IF_ERROR(Count(node));
    }
    switch (node.Type()) {
      case YAML::NodeType::Scalar:
        // Tag "!" marks a quoted scalar, "!!str" one that is declared a string.
        return node.Tag() == "!" || node.Tag() == "tag:yaml.org,2002:str" ? json(node.Scalar())
                                                                          : Scalar(node.Scalar());
      case YAML::NodeType::Sequence:
        return Sequence(node, depth);
      case YAML::NodeType::Map:
        return Map(node, depth);
      case YAML::NodeType::Null:
      case YAML::NodeType::Undefined:
        break;
    }
    return json(nullptr);
  }

 private:
  static absl::Status Error(const YAML::Node& node, const std::string& what) {
    return absl::InvalidArgumentError(StrCat("line ", node.Mark().line + 1, ": ", what));
  }

  absl::Status Count(const YAML::Node& scalar) {
    octets_ += scalar.Scalar().size();
    return octets_ <= kMaxBytes
               ? absl::OkStatus()
               : Error(scalar, StrCat("aliases repeat more than ", kMaxBytes, " octets"));
  }

  absl::StatusOr<json> Sequence(const YAML::Node& node, int depth) {
    json list = json::array();
    for (const YAML::Node& element : node) {
      STENTOR_ASSIGN_OR_RETURN(json value, Convert(element, depth + 1));
      list.push_back(std::move(value));
    }
    return list;
  }

  absl::StatusOr<json> Map(const YAML::Node& node, int depth) {
    json object = json::object();
    for (const auto& member : node) {
      if (!member.first.IsScalar()) {
        return Error(member.first, "a key that is not a scalar");
      }
      STENTOR_RETURN_IF_ERROR(Count(member.first));
      if (object.contains(member.first.Scalar())) {
        return Error(member.first, StrCat("the key \"", member.first.Scalar(), "\" is repeated"));
      }
      STENTOR_ASSIGN_OR_RETURN(json value, Convert(member.second, depth + 1));
      object[member.first.Scalar()] = std::move(value);
    }
    return object;
  }

  std::size_t values_ = 0;
  std::size_t octets_ = 0;
};

// Whether something follows the first document. YAML::LoadAll would tell, but never ends where that
// begins with a token that opens nothing, such as a comma.
bool HasSecondDocument(const std::string& text) {
  class Ignore final : public YAML::EventHandler {
    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
    void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
    void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  const std::string&) override {}
    void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                         YAML::EmitterStyle::value) override {}
    void OnSequenceEnd() override {}
    void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                    YAML::EmitterStyle::value) override {}
    void OnMapEnd() override {}
  };
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  Ignore ignore;
  return parser.HandleNextDocument(ignore) && parser.HandleNextDocument(ignore);
}

// yaml-cpp builds its tree by recursion: flow collections and block indentation both nest. This
// bounds them before it sees the text. Brackets within strings count too; none has so many.
bool NestsTooDeep(std::string_view text) {
  int flow = 0;
  std::size_t dashes = 0;
  for (const char c : text) {
    if (c == '[' || c == '{') {
      ++flow;
    } else if ((c == ']' || c == '}') && flow > 0) {
      --flow;
    }
    // "- - - -" opens a block sequence with each dash.
    dashes = c == '\n' ? 0 : dashes + (c == '-' || c == '?' ? 1U : 0U);
    if (flow > 4 * kMaxDepth || dashes > 1024) {
      return true;
    }
  }
  return false;
}

}  // namespace

absl::StatusOr<json> ParseYaml(std::string_view text) {
  if (text.size() > kMaxBytes) {
    return absl::InvalidArgumentError(StrCat("longer than ", kMaxBytes, " octets"));
  }
  if (NestsTooDeep(text)) {
    return absl::InvalidArgumentError(StrCat("nested deeper than ", kMaxDepth, " levels"));
  }
  try {
    const std::string copy(text);
    if (HasSecondDocument(copy)) {
      return absl::InvalidArgumentError("more than one YAML document");
    }
    return Converter().Convert(YAML::Load(copy), 0);
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(StrCat("line ", error.mark.line + 1, ": ", error.msg));
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(StrCat("not YAML: ", error.what()));
  }
}

}  // namespace stentor::config
