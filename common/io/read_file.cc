// SPDX-License-Identifier: Apache-2.0
#include "common/io/read_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <system_error>
#include <utility>

#include "common/base/strings.h"
#include "common/base/unique_fd.h"
#include "common/crypto/secret.h"

namespace stentor::io {
namespace {

constexpr std::size_t kFirstOctets = 4096;

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

// It may be a key's.
void WipeAndFree(std::string& text) {
  crypto::Wipe(std::as_writable_bytes(std::span(text)));
  text = {};
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path, std::size_t max_bytes) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.IsOpen()) {
    return ErrnoStatus(path, errno);
  }
  std::string content(kFirstOctets, '\0');
  std::size_t size = 0;
  for (;;) {
    const ssize_t count = read(file.Get(), content.data() + size, content.size() - size);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      absl::Status status = ErrnoStatus(path, errno);
      WipeAndFree(content);
      return status;
    }
    size += static_cast<std::size_t>(count);
    if (size > max_bytes) {
      WipeAndFree(content);
      return absl::FailedPreconditionError(
          StrCat("cannot read ", path, ": it is longer than ", max_bytes, " octets"));
    }
    if (count == 0) {
      content.resize(size);
      return content;
    }
    if (size == content.size()) {
      std::string larger(2 * size, '\0');
      std::ranges::copy(content, larger.begin());
      WipeAndFree(content);
      content = std::move(larger);
    }
  }
}

}  // namespace stentor::io
