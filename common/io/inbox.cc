// SPDX-License-Identifier: Apache-2.0
#include "common/io/inbox.h"

#include <sys/eventfd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace stentor::io {

Inbox::Inbox() : waiting_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (!waiting_.IsOpen()) {
    throw std::system_error(errno, std::generic_category(), "eventfd");
  }
}

void Inbox::Put(std::function<void()> function) {
  bool first = false;
  {
    const std::scoped_lock lock(mutex_);
    if (closed_) {
      return;
    }
    first = functions_.empty();
    functions_.push_back(std::move(function));
  }
  if (first) {  // of the others, somebody has told or is about to
    (void)::eventfd_write(waiting_.Get(), 1);
  }
}

std::vector<std::function<void()>> Inbox::Take() {
  // Reset before: what comes in between makes it readable once more.
  eventfd_t count = 0;
  (void)::eventfd_read(waiting_.Get(), &count);
  const std::scoped_lock lock(mutex_);
  return std::exchange(functions_, {});
}

void Inbox::Close() {
  {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
  }
  (void)Take();  // whatever goes with a function may put another one
}

}  // namespace stentor::io
