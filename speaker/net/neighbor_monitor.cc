// SPDX-License-Identifier: Apache-2.0
#include "speaker/net/neighbor_monitor.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"

namespace stentor::speaker {
namespace {

using namespace std::chrono_literals;

// The kernel builds dumps in portions of at most 32 KiB.
constexpr std::size_t kBufferOctets = 32'768;
constexpr Duration kRetryAfter = 1s;
// Between two dumps: while entries change faster than we read, one would follow the other.
constexpr Duration kDumpInterval = 1s;
// A scan of the segment changes thousands of entries: the rest of the loop has its turn in between.
constexpr int kMaxDatagramsPerWake = 64;

absl::Status SocketError(std::string_view what) {
  return absl::UnavailableError(
      StrCat("rtnetlink, neighbours: ", what, ": ", std::generic_category().message(errno)));
}

}  // namespace

NeighborMonitor::NeighborMonitor(io::EventLoop& loop, Observer observer,
                                 const NeighborMonitorOptions& options)
    : loop_(loop), observer_(std::move(observer)), options_(options), timer_(loop) {}

NeighborMonitor::~NeighborMonitor() = default;

void NeighborMonitor::SetNodeAddresses(const std::set<net::IpAddress>& addresses) {
  const auto request = macs_.SetAddresses(addresses);
  if (!socket_.IsOpen()) {
    if (!addresses.empty() && !failing_) {
      Open();
    }
  } else if (request) {
    Ask(*request);
  }
  Tell();
}

void NeighborMonitor::Open() {
  if (const absl::Status status = TryOpen(); !status.ok()) {
    Fail(status);
  }
}

absl::Status NeighborMonitor::TryOpen() {
  UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd.IsOpen()) {
    return SocketError("socket");
  }
  const int octets = options_.receive_buffer_octets;
  if (setsockopt(fd.Get(), SOL_SOCKET, SO_RCVBUF, &octets, sizeof(octets)) != 0) {
    return SocketError("SO_RCVBUF");
  }
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_NEIGH;
  if (bind(fd.Get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return SocketError("bind");
  }
  socket_ = std::move(fd);
  Ask(macs_.Start());
  watch_ = std::make_unique<io::DescriptorWatch>(loop_, socket_.Get(), [this] { OnReadable(); });
  return absl::OkStatus();
}

void NeighborMonitor::OnReadable() {
  const absl::Status status = Read();
  Tell();
  if (!status.ok()) {
    Fail(status);
    return;
  }
  failing_ = false;
}

absl::Status NeighborMonitor::Read() {
  std::vector<std::byte> buffer(kBufferOctets);
  for (int i = 0; i < kMaxDatagramsPerWake; ++i) {
    sockaddr_nl sender{};
    iovec part{.iov_base = buffer.data(), .iov_len = buffer.size()};
    msghdr message{};
    message.msg_name = &sender;
    message.msg_namelen = sizeof(sender);
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    const ssize_t length = recvmsg(socket_.Get(), &message, 0);
    NodeMacs::Result result;
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
      result = macs_.OnOverrun();
    } else if (sender.nl_pid != 0) {
      continue;  // from another process, not the kernel
    } else if ((message.msg_flags & MSG_TRUNC) != 0) {
      result = macs_.OnOverrun();
    } else {
      result = macs_.OnDatagram(std::span(buffer).first(static_cast<std::size_t>(length)));
    }
    STENTOR_RETURN_IF_ERROR(result.status);
    if (result.request) {
      Ask(*result.request);
    }
  }
  return absl::OkStatus();
}

void NeighborMonitor::Ask(const std::vector<std::byte>& request) {
  timer_.ArmAt(next_dump_, [this, request] {
    next_dump_ = loop_.Now() + kDumpInterval;
    sockaddr_nl kernel{};
    kernel.nl_family = AF_NETLINK;
    if (sendto(socket_.Get(), request.data(), request.size(), 0,
               reinterpret_cast<const sockaddr*>(&kernel), sizeof(kernel)) < 0) {
      Fail(SocketError("sendto"));
    }
  });
}

void NeighborMonitor::Fail(const absl::Status& why) {
  watch_.reset();
  socket_.Reset();
  if (!std::exchange(failing_, true)) {
    observer_.on_failed(why);
  }
  timer_.ArmAfter(kRetryAfter, [this] { Open(); });
}

void NeighborMonitor::Tell() {
  if (std::exchange(told_revision_, macs_.revision()) != macs_.revision()) {
    observer_.on_macs(macs_.Macs());
  }
}

}  // namespace stentor::speaker
