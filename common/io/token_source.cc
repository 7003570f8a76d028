// SPDX-License-Identifier: Apache-2.0
#include "common/io/token_source.h"

#include <utility>

#include "common/base/strings.h"
#include "common/io/read_file.h"

namespace stentor::io {
namespace {

constexpr std::size_t kMaxTokenBytes = std::size_t{64} << 10U;

// Whether `token` can stand in a header: visible ASCII only (RFC 6750, 2.1).
bool IsToken(const std::string& token) {
  for (const char c : token) {
    if (c <= ' ' || c > '~') {
      return false;
    }
  }
  return !token.empty();
}

}  // namespace

TokenSource::TokenSource(std::string token, std::string file, Duration max_age)
    : token_(file.empty() ? std::move(token) : std::string()),
      file_(std::move(file)),
      max_age_(max_age) {}

absl::Status TokenSource::Read(TimePoint now) {
  absl::StatusOr<std::string> content = ReadFile(file_, kMaxTokenBytes);
  if (!content.ok()) {
    return content.status();
  }
  content->erase(content->find_last_not_of(" \r\n\t") + 1);
  if (!IsToken(*content)) {
    return absl::FailedPreconditionError(StrCat(file_, " does not hold a bearer token"));
  }
  token_ = *std::move(content);
  read_at_ = now;
  return absl::OkStatus();
}

absl::StatusOr<std::string> TokenSource::Get(TimePoint now) {
  if (!file_.empty() && (!read_at_ || now - *read_at_ >= max_age_)) {
    if (const absl::Status status = Read(now); !status.ok() && token_.empty()) {
      return absl::FailedPreconditionError(status.message());
    }
  }
  return token_;
}

void TokenSource::Refresh(TimePoint now) {
  if (!file_.empty()) {
    (void)Read(now);  // what is wrong with it is told where there never was a token
  }
}

}  // namespace stentor::io
