// SPDX-License-Identifier: Apache-2.0
#include "speaker/net/netlink_socket.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"

namespace stentor::speaker {
namespace {

// The kernel builds dumps in portions of at most 32 KiB.
constexpr std::size_t kBufferOctets = 32'768;

absl::Status SocketError(std::string_view what) {
  return absl::UnavailableError(
      StrCat("rtnetlink: ", what, ": ", std::generic_category().message(errno)));
}

}  // namespace

NetlinkSocket::NetlinkSocket(UniqueFd socket)
    : socket_(std::move(socket)), buffer_(kBufferOctets) {}

absl::StatusOr<NetlinkSocket> NetlinkSocket::Open(std::uint32_t groups, int receive_buffer_octets) {
  UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd.IsOpen()) {
    return SocketError("socket");
  }
  if (setsockopt(fd.Get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer_octets,
                 sizeof(receive_buffer_octets)) != 0) {
    return SocketError("SO_RCVBUF");
  }
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = groups;
  if (bind(fd.Get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return SocketError("bind");
  }
  return NetlinkSocket(std::move(fd));
}

absl::Status NetlinkSocket::Send(const std::vector<std::byte>& request) const {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  const ssize_t sent = sendto(socket_.Get(), request.data(), request.size(), 0,
                              reinterpret_cast<const sockaddr*>(&kernel), sizeof(kernel));
  return sent < 0 ? SocketError("sendto") : absl::OkStatus();
}

absl::Status NetlinkSocket::Receive(int max_datagrams, const Handlers& handlers) {
  for (int i = 0; i < max_datagrams; ++i) {
    sockaddr_nl sender{};
    iovec part{.iov_base = buffer_.data(), .iov_len = buffer_.size()};
    msghdr message{};
    message.msg_name = &sender;
    message.msg_namelen = sizeof(sender);
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    const ssize_t length = recvmsg(socket_.Get(), &message, 0);
    if (length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      return absl::OkStatus();
    }
    if (length < 0 && errno == EINTR) {
      continue;
    }
    if (length < 0 && errno != ENOBUFS) {
      return SocketError("recvmsg");
    }
    if (length >= 0 && sender.nl_pid != 0) {
      continue;  // from another process, not the kernel
    }
    const bool lost = length < 0 || (message.msg_flags & MSG_TRUNC) != 0;
    STENTOR_RETURN_IF_ERROR(
        lost ? handlers.on_overrun()
             : handlers.on_datagram(std::span(buffer_).first(static_cast<std::size_t>(length))));
  }
  return absl::OkStatus();
}

}  // namespace stentor::speaker
