// SPDX-License-Identifier: Apache-2.0
#include "common/io/event_loop.h"

#include <csignal>
#include <utility>

#include "common/io/event_loop_impl.h"

namespace stentor::io {
namespace {

using boost::system::error_code;

void AwaitSignal(boost::asio::signal_set& signals, std::function<void(int)> handler) {
  signals.async_wait([&signals, handler = std::move(handler)](error_code error, int signal) {
    if (!error) {
      handler(signal);
      AwaitSignal(signals, handler);
    }
  });
}

}  // namespace

// Each function gets a turn of the loop of its own.
void EventLoop::Impl::AwaitPosted() {
  posted.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](error_code error) {
    if (error == boost::asio::error::operation_aborted) {
      return;  // `this` may be gone
    }
    for (std::function<void()>& function : inbox.Take()) {
      boost::asio::post(context, std::move(function));
    }
    AwaitPosted();
  });
}

EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) {}
EventLoop::~EventLoop() = default;

TimePoint EventLoop::Now() const { return std::chrono::steady_clock::now(); }
WallTime EventLoop::WallNow() const { return std::chrono::system_clock::now(); }

void EventLoop::Run() {
  impl_->context.restart();
  impl_->context.run();
}

void EventLoop::Stop() { impl_->context.stop(); }

void EventLoop::Post(std::function<void()> function) {
  if (impl_->context.get_executor().running_in_this_thread()) {
    boost::asio::post(impl_->context, std::move(function));
  } else {
    impl_->inbox.Put(std::move(function));
  }
}

void EventLoop::HandleSignals(std::function<void(int signal)> handler) {
  impl_->signals.add(SIGTERM);
  impl_->signals.add(SIGINT);
  AwaitSignal(impl_->signals, std::move(handler));
}

// Shared with the wait under way: a handler that is already queued when the timer is disarmed or
// destroyed sees the other round and does nothing.
struct Timer::Impl {
  explicit Impl(boost::asio::io_context& context) : timer(context) {}

  boost::asio::steady_timer timer;
  std::uint64_t round = 0;
  std::function<void()> callback;
};

Timer::Timer(EventLoop& loop) : impl_(std::make_shared<Impl>(loop.impl_->context)) {}
Timer::~Timer() { Disarm(); }

void Timer::ArmAt(TimePoint deadline, std::function<void()> callback) {
  impl_->callback = std::move(callback);
  const std::uint64_t round = ++impl_->round;
  impl_->timer.expires_at(deadline);
  impl_->timer.async_wait([impl = impl_, round](error_code error) {
    if (!error && impl->round == round) {
      // The callback may arm the timer again, or destroy it.
      const std::function<void()> due = std::exchange(impl->callback, nullptr);
      due();
    }
  });
}

void Timer::ArmAfter(Duration delay, std::function<void()> callback) {
  ArmAt(std::chrono::steady_clock::now() + delay, std::move(callback));
}

void Timer::ArmToTheSecond(Duration delay, std::function<void()> callback) {
  const TimePoint deadline = std::chrono::steady_clock::now() + delay;
  ArmAt(delay < std::chrono::seconds(1)
            ? deadline
            : TimePoint(std::chrono::round<std::chrono::seconds>(deadline.time_since_epoch())),
        std::move(callback));
}

void Timer::Disarm() {
  ++impl_->round;
  impl_->callback = nullptr;
  error_code ignored;  // the round is over, whether or not the wait can be ended
  impl_->timer.cancel(ignored);
}

struct DescriptorWatch::Impl : std::enable_shared_from_this<Impl> {
  Impl(boost::asio::io_context& context, int fd, std::function<void()> callback)
      : descriptor(context, fd), on_readable(std::move(callback)) {}

  void Await() {
    descriptor.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                          [self = shared_from_this()](error_code error) {
                            if (error == boost::asio::error::operation_aborted || self->stopped) {
                              return;
                            }
                            self->on_readable();
                            if (!self->stopped) {
                              self->Await();
                            }
                          });
  }

  boost::asio::posix::stream_descriptor descriptor;
  std::function<void()> on_readable;
  bool stopped = false;
};

DescriptorWatch::DescriptorWatch(EventLoop& loop, int fd, std::function<void()> on_readable)
    : impl_(std::make_shared<Impl>(loop.impl_->context, fd, std::move(on_readable))) {
  impl_->Await();
}

DescriptorWatch::~DescriptorWatch() {
  impl_->stopped = true;
  impl_->descriptor.release();  // ends the wait; the descriptor stays its owner's
}

}  // namespace stentor::io
