// SPDX-License-Identifier: Apache-2.0
#include "common/io/read_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "common/base/strings.h"
#include "common/base/unique_fd.h"

namespace stentor::io {
namespace {

absl::Status ErrnoStatus(const std::string& path, int error) {
  const std::string message =
      StrCat("cannot read ", path, ": ", std::generic_category().message(error));
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(message);
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(message);
    default:
      return absl::FailedPreconditionError(message);
  }
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path, std::size_t max_bytes) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.IsOpen()) {
    return ErrnoStatus(path, errno);
  }
  std::string content;
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t count = read(file.Get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return ErrnoStatus(path, errno);
    }
    if (count == 0) {
      return content;
    }
    content.append(buffer.data(), static_cast<std::size_t>(count));
    if (content.size() > max_bytes) {
      return absl::FailedPreconditionError(
          StrCat("cannot read ", path, ": it is longer than ", max_bytes, " octets"));
    }
  }
}

}  // namespace stentor::io
