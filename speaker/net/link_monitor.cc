// SPDX-License-Identifier: Apache-2.0
#include "speaker/net/link_monitor.h"

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"

namespace stentor::speaker {
namespace {

// The pure rooms have their own names for the kernel's numbers.
static_assert(net::kLinkUp == IFF_UP && net::kLinkBroadcast == IFF_BROADCAST &&
              net::kLinkRunning == IFF_RUNNING && net::kLinkNoArp == IFF_NOARP &&
              net::kLinkLowerUp == IFF_LOWER_UP);
static_assert(net::kAddressTentative == IFA_F_TENTATIVE &&
              net::kAddressDadFailed == IFA_F_DADFAILED);

// The kernel builds dumps in portions of at most 32 KiB.
constexpr std::size_t kBufferOctets = 32'768;
// Where interfaces come and go by the hundred, the rest of the loop has its turn in between.
constexpr int kMaxDatagramsPerWake = 256;

absl::Status SocketError(std::string_view what) {
  return absl::UnavailableError(
      StrCat("rtnetlink: ", what, ": ", std::generic_category().message(errno)));
}

bool Watch(int epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

}  // namespace

LinkMonitor::LinkMonitor(UniqueFd socket, UniqueFd timer, UniqueFd both, Links& links)
    : socket_(std::move(socket)),
      timer_(std::move(timer)),
      both_(std::move(both)),
      sync_(links),
      buffer_(kBufferOctets) {}

absl::StatusOr<std::unique_ptr<LinkMonitor>> LinkMonitor::Open(Links& links,
                                                               const LinkMonitorOptions& options) {
  UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd.IsOpen()) {
    return SocketError("socket");
  }
  const int octets = options.receive_buffer_octets;
  if (setsockopt(fd.Get(), SOL_SOCKET, SO_RCVBUF, &octets, sizeof(octets)) != 0) {
    return SocketError("SO_RCVBUF");
  }
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
  if (bind(fd.Get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return SocketError("bind");
  }
  UniqueFd timer(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!timer.IsOpen()) {
    return SocketError("timerfd_create");
  }
  UniqueFd both(epoll_create1(EPOLL_CLOEXEC));
  if (!both.IsOpen() || !Watch(both.Get(), fd.Get()) || !Watch(both.Get(), timer.Get())) {
    return SocketError("epoll");
  }
  std::unique_ptr<LinkMonitor> monitor(
      new LinkMonitor(std::move(fd), std::move(timer), std::move(both), links));
  STENTOR_RETURN_IF_ERROR(monitor->StartDump());
  return monitor;
}

absl::Status LinkMonitor::OnReadable(std::vector<LinkEvent>* events) {
  std::uint64_t expirations = 0;
  if (armed_ && read(timer_.Get(), &expirations, sizeof(expirations)) > 0) {
    armed_ = false;
    if (sync_.WantsDump()) {
      STENTOR_RETURN_IF_ERROR(StartDump());
    }
  }
  STENTOR_RETURN_IF_ERROR(Read(events));
  return sync_.WantsDump() ? ArmTimer() : absl::OkStatus();
}

absl::Status LinkMonitor::StartDump() {
  next_dump_ = std::chrono::steady_clock::now() + kDumpInterval;
  ++dumps_;
  return SendRequest(sync_.Start());
}

absl::Status LinkMonitor::ArmTimer() {
  if (armed_) {
    return absl::OkStatus();
  }
  // A time that has passed is due at once; none at all would disarm it.
  const Duration wait =
      std::max(Duration(next_dump_ - std::chrono::steady_clock::now()), Duration(1));
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(wait);
  itimerspec time{};
  time.it_value.tv_sec = seconds.count();
  time.it_value.tv_nsec = (wait - seconds).count();
  if (timerfd_settime(timer_.Get(), 0, &time, nullptr) != 0) {
    return SocketError("timerfd_settime");
  }
  armed_ = true;
  return absl::OkStatus();
}

absl::Status LinkMonitor::Read(std::vector<LinkEvent>* events) {
  for (int i = 0; i < kMaxDatagramsPerWake; ++i) {
    sockaddr_nl sender{};
    iovec part{.iov_base = buffer_.data(), .iov_len = buffer_.size()};
    msghdr message{};
    message.msg_name = &sender;
    message.msg_namelen = sizeof(sender);
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    const ssize_t length = recvmsg(socket_.Get(), &message, 0);
    absl::Status status;
    if (length < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return absl::OkStatus();
      }
      if (errno == EINTR) {
        continue;
      }
      if (errno != ENOBUFS) {
        return SocketError("recvmsg");
      }
      sync_.OnOverrun();
    } else if (sender.nl_pid != 0) {
      continue;  // from another process, not the kernel
    } else if ((message.msg_flags & MSG_TRUNC) != 0) {
      sync_.OnOverrun();
    } else {
      status = Take(sync_.OnDatagram(std::span(buffer_).first(static_cast<std::size_t>(length))),
                    events);
    }
    if (!status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

absl::Status LinkMonitor::Take(LinkSync::Result result, std::vector<LinkEvent>* events) {
  events->insert(events->end(), std::make_move_iterator(result.events.begin()),
                 std::make_move_iterator(result.events.end()));
  if (!result.status.ok()) {
    return result.status;
  }
  return result.request ? SendRequest(*result.request) : absl::OkStatus();
}

absl::Status LinkMonitor::SendRequest(const std::vector<std::byte>& request) {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  const ssize_t sent = sendto(socket_.Get(), request.data(), request.size(), 0,
                              reinterpret_cast<const sockaddr*>(&kernel), sizeof(kernel));
  return sent < 0 ? SocketError("sendto") : absl::OkStatus();
}

}  // namespace stentor::speaker
