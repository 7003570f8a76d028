// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace stentor::kube {

/// Cuts a watch's bytes, which arrive in chunks of any size, into its lines (one JSON document
/// each). An object in etcd has at most 1.5 MiB, its JSON a small multiple; the cap is well above
/// that.
class WatchSplitter {
 public:
  static constexpr std::size_t kMaxLineBytes = std::size_t{16} << 20U;

  explicit WatchSplitter(std::size_t max_line_bytes = kMaxLineBytes)
      : max_line_bytes_(max_line_bytes) {}

  /// The lines that `chunk` completes, without their line feeds; blank ones are left out. DataLoss
  /// once a line is longer than the cap; then nothing is of use but Reset().
  [[nodiscard]] absl::StatusOr<std::vector<std::string>> Feed(std::string_view chunk);

  /// Forgets the unfinished line: a new stream begins.
  void Reset();

 private:
  std::size_t max_line_bytes_;
  std::string rest_;
  bool broken_ = false;
};

}  // namespace stentor::kube
