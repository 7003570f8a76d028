// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/time.h"

namespace stentor::io {

/// The bearer token: a fixed one, or that of a file which somebody else replaces (the kubelet does,
/// long before a service account's token expires). Not thread-safe.
class TokenSource {
 public:
  /// `file` wins over `token`; both empty: no token. A file is read again after `max_age`.
  TokenSource(std::string token, std::string file, Duration max_age);

  /// The token; empty for none. While the file can't be read the last one goes on being used;
  /// FailedPrecondition where there never was one.
  [[nodiscard]] absl::StatusOr<std::string> Get(TimePoint now);
  /// Reads the file at once; where it can't be read, the last token goes on being used.
  void Refresh(TimePoint now);

 private:
  absl::Status Read(TimePoint now);

  std::string token_;
  const std::string file_;
  const Duration max_age_;
  std::optional<TimePoint> read_at_;
};

}  // namespace stentor::io
