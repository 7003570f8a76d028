// SPDX-License-Identifier: Apache-2.0
#include "speaker/net/link_monitor.h"

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>
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
constexpr std::size_t kBufferOctets = 65'536;

absl::Status SocketError(std::string_view what) {
  return absl::UnavailableError(
      StrCat("rtnetlink: ", what, ": ", std::generic_category().message(errno)));
}

}  // namespace

LinkMonitor::LinkMonitor(UniqueFd socket, Links& links)
    : socket_(std::move(socket)), sync_(links), buffer_(kBufferOctets) {}

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
  std::unique_ptr<LinkMonitor> monitor(new LinkMonitor(std::move(fd), links));
  STENTOR_RETURN_IF_ERROR(monitor->SendRequest(monitor->sync_.Start()));
  return monitor;
}

absl::Status LinkMonitor::OnReadable(std::vector<LinkEvent>* events) {
  for (;;) {
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
      status = Take(sync_.OnOverrun(), events);
    } else if (sender.nl_pid != 0) {
      continue;  // from another process, not the kernel
    } else if ((message.msg_flags & MSG_TRUNC) != 0) {
      status = Take(sync_.OnOverrun(), events);
    } else {
      status = Take(sync_.OnDatagram(std::span(buffer_).first(static_cast<std::size_t>(length))),
                    events);
    }
    if (!status.ok()) {
      return status;
    }
  }
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
