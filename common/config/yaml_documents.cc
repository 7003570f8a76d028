// SPDX-License-Identifier: Apache-2.0
#include "common/config/yaml_documents.h"

#include <cstddef>
#include <string>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/config/yaml.h"

namespace stentor::config {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxBytes = std::size_t{16} << 20U;
constexpr std::size_t kMaxDocuments = 10'000;

// Whether `line` begins with a marker. At a line's start it is one wherever it stands: YAML 1.2.2,
// 9.1.4, forbids it within any scalar.
bool Marks(std::string_view line, std::string_view marker) {
  return line.substr(0, 3) == marker &&
         (line.size() == 3 || line[3] == ' ' || line[3] == '\t' || line[3] == '\r');
}

class Splitter {
 public:
  absl::Status Add(std::string_view line) {
    ++line_;
    const bool start = Marks(line, "---");
    if (start || Marks(line, "...")) {
      STENTOR_RETURN_IF_ERROR(Finish());
      line.remove_prefix(3);
    } else if (!started_ && line.substr(0, 1) == "%") {
      line = {};  // a directive; the two that there are change nothing here
    }
    started_ = start || (started_ && !Marks(line, "..."));
    StrAppend(&document_, line, "\n");
    return absl::OkStatus();
  }

  absl::Status Finish() {
    const std::string text = std::exchange(document_, "");
    const std::size_t first = std::exchange(first_, line_);
    auto document = ParseYaml(text);
    if (!document.ok()) {
      return Annotate(document.status(), StrCat("document that begins at line ", first));
    }
    if (document->is_null()) {
      return absl::OkStatus();
    }
    if (documents_.size() >= kMaxDocuments) {
      return absl::InvalidArgumentError(StrCat("more than ", kMaxDocuments, " documents"));
    }
    documents_.push_back(*std::move(document));
    return absl::OkStatus();
  }

  std::vector<json> Take() { return std::move(documents_); }

 private:
  std::string document_;
  std::size_t line_ = 0;
  std::size_t first_ = 1;
  bool started_ = false;  // after "---", where a % is text
  std::vector<json> documents_;
};

}  // namespace

absl::StatusOr<std::vector<json>> ParseYamlDocuments(std::string_view text) {
  if (text.size() > kMaxBytes) {
    return absl::InvalidArgumentError(StrCat("longer than ", kMaxBytes, " octets"));
  }
  Splitter splitter;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    STENTOR_RETURN_IF_ERROR(splitter.Add(text.substr(0, end)));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  STENTOR_RETURN_IF_ERROR(splitter.Finish());
  return splitter.Take();
}

}  // namespace stentor::config
