// SPDX-License-Identifier: Apache-2.0
#include "common/io/inbox.h"

#include <sys/eventfd.h>

#include <cerrno>
#include <utility>

namespace stentor::io {
namespace {

int MakeEventFd() {
  const int fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd < 0) {
    throw boost::system::system_error(errno, boost::system::system_category(), "eventfd");
  }
  return fd;
}

}  // namespace

Inbox::Inbox(boost::asio::io_context& context)
    : context_(context), waiting_(context, MakeEventFd()) {
  Await();
}

Inbox::~Inbox() {
  // Whatever goes with a function may put another one.
  while (!Take().empty()) {
  }
}

void Inbox::Put(std::function<void()> function) {
  bool first = false;
  {
    const std::scoped_lock lock(mutex_);
    first = functions_.empty();
    functions_.push_back(std::move(function));
  }
  if (first) {  // of the others, somebody has told or is about to
    (void)::eventfd_write(waiting_.native_handle(), 1);
  }
}

std::vector<std::function<void()>> Inbox::Take() {
  const std::scoped_lock lock(mutex_);
  return std::exchange(functions_, {});
}

void Inbox::Await() {
  waiting_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                      [this](boost::system::error_code error) {
                        if (error == boost::asio::error::operation_aborted) {
                          return;  // `this` may be gone
                        }
                        // Reset before they are taken: what comes in between wakes once more.
                        eventfd_t count = 0;
                        (void)::eventfd_read(waiting_.native_handle(), &count);
                        for (std::function<void()>& function : Take()) {
                          boost::asio::post(context_, std::move(function));
                        }
                        Await();
                      });
}

}  // namespace stentor::io
