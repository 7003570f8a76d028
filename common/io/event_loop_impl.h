// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What EventLoop hides. Internal to common/io.

#include "common/io/asio.h"
#include "common/io/event_loop.h"
#include "common/io/inbox.h"

namespace stentor::io {

struct EventLoop::Impl {
  Impl() { AwaitPosted(); }
  ~Impl() {
    inbox.Close();
    posted.release();  // ends the wait; the descriptor stays the inbox's
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void AwaitPosted();

  Inbox inbox;  // outlives what the context destroys, which may post
  boost::asio::io_context context{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{
      context.get_executor()};
  boost::asio::signal_set signals{context};
  boost::asio::posix::stream_descriptor posted{context, inbox.fd()};
};

}  // namespace stentor::io
