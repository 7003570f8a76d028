// SPDX-License-Identifier: Apache-2.0
#include "speaker/net/link_monitor.h"

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <iterator>
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

// Where interfaces come and go by the hundred, the rest of the loop has its turn in between.
constexpr int kMaxDatagramsPerWake = 256;

absl::Status SystemError(std::string_view what) {
  return absl::UnavailableError(
      StrCat("links: ", what, ": ", std::generic_category().message(errno)));
}

bool Watch(int epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

}  // namespace

LinkMonitor::LinkMonitor(NetlinkSocket socket, UniqueFd timer, UniqueFd both, Links& links)
    : socket_(std::move(socket)), timer_(std::move(timer)), both_(std::move(both)), sync_(links) {}

absl::StatusOr<std::unique_ptr<LinkMonitor>> LinkMonitor::Open(Links& links,
                                                               const LinkMonitorOptions& options) {
  STENTOR_ASSIGN_OR_RETURN(
      NetlinkSocket socket,
      NetlinkSocket::Open(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
                          options.receive_buffer_octets));
  UniqueFd timer(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!timer.IsOpen()) {
    return SystemError("timerfd_create");
  }
  UniqueFd both(epoll_create1(EPOLL_CLOEXEC));
  if (!both.IsOpen() || !Watch(both.Get(), socket.fd()) || !Watch(both.Get(), timer.Get())) {
    return SystemError("epoll");
  }
  std::unique_ptr<LinkMonitor> monitor(
      new LinkMonitor(std::move(socket), std::move(timer), std::move(both), links));
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
  return socket_.Send(sync_.Start());
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
    return SystemError("timerfd_settime");
  }
  armed_ = true;
  return absl::OkStatus();
}

absl::Status LinkMonitor::Read(std::vector<LinkEvent>* events) {
  return socket_.Receive(
      kMaxDatagramsPerWake,
      {.on_datagram = [this,
                       events](Bytes datagram) { return Take(sync_.OnDatagram(datagram), events); },
       .on_overrun =
           [this] {
             sync_.OnOverrun();
             return absl::OkStatus();
           }});
}

absl::Status LinkMonitor::Take(LinkSync::Result result, std::vector<LinkEvent>* events) {
  events->insert(events->end(), std::make_move_iterator(result.events.begin()),
                 std::make_move_iterator(result.events.end()));
  if (!result.status.ok()) {
    return result.status;
  }
  return result.request ? socket_.Send(*result.request) : absl::OkStatus();
}

}  // namespace stentor::speaker
