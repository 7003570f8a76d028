// SPDX-License-Identifier: Apache-2.0
#include "common/base/unique_fd.h"

#include <unistd.h>

namespace stentor {

void UniqueFd::Reset(int fd) noexcept {
  if (fd_ >= 0) {
    ::close(fd_);
  }
  fd_ = fd;
}

}  // namespace stentor
