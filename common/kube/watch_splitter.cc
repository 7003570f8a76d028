// SPDX-License-Identifier: Apache-2.0
#include "common/kube/watch_splitter.h"

#include <utility>

#include "common/base/strings.h"

namespace stentor::kube {
namespace {

bool IsBlank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> WatchSplitter::Feed(std::string_view chunk) {
  std::vector<std::string> lines;
  while (!broken_) {
    const std::size_t end = chunk.find('\n');
    const std::string_view piece = chunk.substr(0, end);
    if (piece.size() > max_line_bytes_ - rest_.size()) {
      broken_ = true;
      rest_.clear();
      rest_.shrink_to_fit();
      break;
    }
    rest_.append(piece);
    if (end == std::string_view::npos) {
      return lines;
    }
    if (!IsBlank(rest_)) {
      lines.push_back(std::exchange(rest_, std::string()));
    }
    rest_.clear();
    chunk.remove_prefix(end + 1);
  }
  return absl::DataLossError(
      StrCat("a line of the watch is longer than ", max_line_bytes_, " octets"));
}

void WatchSplitter::Reset() {
  rest_.clear();
  broken_ = false;
}

}  // namespace stentor::kube
