// SPDX-License-Identifier: Apache-2.0
#include "speaker/net/membership_socket.h"

#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <system_error>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "speaker/membership/datagram.h"

namespace stentor::speaker {
namespace {

// Class selector 6, network control (RFC 4594): what routing protocols and VRRP use.
constexpr int kDscpNetworkControl = 0xC0;

// Space for the largest error that the kernel queues, cut datagram excluded.
constexpr std::size_t kControlSize = 256;

// Above the descriptors of all packet sockets, below the usual soft limit of 1,024.
constexpr int kHighDescriptor = 900;

std::string ErrnoText(int error) { return std::generic_category().message(error); }

// A socket address of either family, as the system's calls want it.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);

  [[nodiscard]] sockaddr* Generic() { return reinterpret_cast<sockaddr*>(&storage); }
};

SocketAddress ToSocketAddress(const net::IpAddress& address, std::uint16_t port) {
  SocketAddress out;
  if (address.IsIpv4()) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    in.sin_addr.s_addr = htonl(address.ipv4().value());
    std::memcpy(&out.storage, &in, sizeof(in));
    out.size = sizeof(in);
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(port);
    const net::Ipv6Address::Octets octets = address.ipv6().octets();
    std::memcpy(&in.sin6_addr, octets.data(), octets.size());
    std::memcpy(&out.storage, &in, sizeof(in));
    out.size = sizeof(in);
  }
  return out;
}

std::optional<net::IpAddress> ToIpAddress(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &storage, sizeof(in));
    return net::Ipv4Address(ntohl(in.sin_addr.s_addr));
  }
  if (storage.ss_family == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, &storage, sizeof(in));
    net::Ipv6Address::Octets octets{};
    std::memcpy(octets.data(), &in.sin6_addr, octets.size());
    return net::Ipv6Address(octets);
  }
  return std::nullopt;
}

std::uint16_t PortOf(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &storage, sizeof(in));
    return ntohs(in.sin_port);
  }
  sockaddr_in6 in{};
  std::memcpy(&in, &storage, sizeof(in));
  return ntohs(in.sin6_port);
}

bool SetOption(int fd, int level, int name, int value) {
  return ::setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

// The same file under a high number. Of a process that is killed Linux (since 4.4, task_work_run)
// releases the file with the highest number first, and each packet socket takes it some 10 ms:
// until this one is released too, the host does not tell the other speakers that nobody listens.
UniqueFd ToHighDescriptor(UniqueFd fd) {
  UniqueFd high(::fcntl(fd.Get(), F_DUPFD_CLOEXEC, kHighDescriptor));
  return high.IsOpen() ? std::move(high) : std::move(fd);
}

// Port unreachable says that the host lives and the process doesn't. Other errors (no route, host
// unreachable) are what silence looks like from here, and are left to the membership's timers.
bool IsPortUnreachable(const sock_extended_err& error) {
  return (error.ee_origin == SO_EE_ORIGIN_ICMP && error.ee_type == ICMP_DEST_UNREACH &&
          error.ee_code == ICMP_PORT_UNREACH) ||
         (error.ee_origin == SO_EE_ORIGIN_ICMP6 && error.ee_type == ICMPV6_DEST_UNREACH &&
          error.ee_code == ICMPV6_PORT_UNREACH);
}

bool SaysPortUnreachable(msghdr& message) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    const bool is_error = (c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR) ||
                          (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_RECVERR);
    if (!is_error || c->cmsg_len < CMSG_LEN(sizeof(sock_extended_err))) {
      continue;
    }
    sock_extended_err error{};
    std::memcpy(&error, CMSG_DATA(c), sizeof(error));
    if (IsPortUnreachable(error)) {
      return true;
    }
  }
  return false;
}

}  // namespace

MembershipSocket::MembershipSocket(UniqueFd fd, net::IpFamily family, std::uint16_t port)
    : fd_(std::move(fd)), family_(family), port_(port), buffer_(kMaxDatagramSize + 1) {}

absl::StatusOr<MembershipSocket> MembershipSocket::Open(const net::IpAddress& address,
                                                        std::uint16_t port) {
  const bool v4 = address.IsIpv4();
  const std::string where =
      StrCat("cannot listen for other speakers on ", address.ToString(), " port ", port, "/udp: ");
  UniqueFd fd(::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.IsOpen()) {
    return absl::UnavailableError(StrCat(where, ErrnoText(errno)));
  }
  const bool set = v4 ? SetOption(fd.Get(), SOL_IP, IP_RECVERR, 1)
                      : SetOption(fd.Get(), SOL_IPV6, IPV6_RECVERR, 1) &&
                            SetOption(fd.Get(), SOL_IPV6, IPV6_V6ONLY, 1);
  if (!set) {
    return absl::UnavailableError(StrCat(where, ErrnoText(errno)));
  }
  // Only a wish: heartbeats should pass where a queue is full. The socket's own queue stays as
  // short as the kernel makes it: in a flood, what is honest would wait behind all that is not.
  static_cast<void>(v4 ? SetOption(fd.Get(), SOL_IP, IP_TOS, kDscpNetworkControl)
                       : SetOption(fd.Get(), SOL_IPV6, IPV6_TCLASS, kDscpNetworkControl));
  SocketAddress local = ToSocketAddress(address, port);
  if (::bind(fd.Get(), local.Generic(), local.size) != 0) {
    return absl::UnavailableError(StrCat(where, ErrnoText(errno)));
  }
  SocketAddress bound;
  if (::getsockname(fd.Get(), bound.Generic(), &bound.size) != 0) {
    return absl::UnavailableError(StrCat(where, ErrnoText(errno)));
  }
  return MembershipSocket(ToHighDescriptor(std::move(fd)), address.family(), PortOf(bound.storage));
}

bool MembershipSocket::Drain(const OnDatagram& on_datagram, const OnUnreachable& on_unreachable,
                             std::size_t limit) {
  DrainErrors(on_unreachable, limit);
  for (std::size_t i = 0; i < limit; ++i) {
    SocketAddress source;
    const ssize_t size =
        ::recvfrom(fd_.Get(), buffer_.data(), buffer_.size(), 0, source.Generic(), &source.size);
    if (size < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return false;
      }
      continue;  // an error that arrived meanwhile: it waits in its own queue
    }
    if (const auto address = ToIpAddress(source.storage)) {
      on_datagram(*address, Bytes(buffer_).first(static_cast<std::size_t>(size)));
    }
  }
  return true;
}

// The queue gives back the address that the datagram was sent to, so a router that forwards the
// error makes no difference.
void MembershipSocket::DrainErrors(const OnUnreachable& on_unreachable, std::size_t limit) {
  for (std::size_t i = 0; i < limit; ++i) {
    SocketAddress destination;
    alignas(cmsghdr) std::array<std::byte, kControlSize> control;
    iovec part{.iov_base = buffer_.data(), .iov_len = buffer_.size()};
    msghdr message{};
    message.msg_name = destination.Generic();
    message.msg_namelen = destination.size;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t size = ::recvmsg(fd_.Get(), &message, MSG_ERRQUEUE);
    if (size < 0) {
      return;
    }
    const auto address = ToIpAddress(destination.storage);
    if (address && SaysPortUnreachable(message)) {
      on_unreachable(*address, Bytes(buffer_).first(static_cast<std::size_t>(size)));
    }
  }
}

absl::Status MembershipSocket::Send(const net::IpAddress& destination, Bytes datagram) {
  if (destination.family() != family_) {
    return absl::InvalidArgumentError(
        StrCat("cannot send to ", destination.ToString(), ": the socket is of the other family"));
  }
  SocketAddress to = ToSocketAddress(destination, port_);
  int error = 0;
  // An ICMP error for an earlier datagram, to whomever, is reported by the next call: try again.
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (::sendto(fd_.Get(), datagram.data(), datagram.size(), MSG_NOSIGNAL, to.Generic(),
                 to.size) >= 0) {
      return absl::OkStatus();
    }
    error = errno;
  }
  return absl::UnavailableError(
      StrCat("cannot send to ", destination.ToString(), ": ", ErrnoText(error)));
}

}  // namespace stentor::speaker
