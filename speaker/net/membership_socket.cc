// SPDX-License-Identifier: Apache-2.0
#include "speaker/net/membership_socket.h"

#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "speaker/membership/datagram.h"

namespace stentor::speaker {
namespace {

// Class selector 6, network control (RFC 4594): what routing protocols and VRRP use.
constexpr int kDscpNetworkControl = 0xC0;

// Quiet datagrams that one call of the system takes, and the space for one of any kind: what is
// longer than a member's is cut, but still too long.
constexpr std::size_t kBatch = 8;
constexpr std::size_t kSlot = kMaxDatagramSize + 1;

// Octets: what a node sends that announces from some sixty MACs.
constexpr std::size_t kLongestQuiet = 512;

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

UniqueFd MakeSocket(net::IpFamily family) {
  const bool v4 = family == net::IpFamily::kIpv4;
  UniqueFd fd(::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.IsOpen()) {
    return fd;
  }
  const bool set = v4 ? SetOption(fd.Get(), SOL_IP, IP_RECVERR, 1)
                      : SetOption(fd.Get(), SOL_IPV6, IPV6_RECVERR, 1) &&
                            SetOption(fd.Get(), SOL_IPV6, IPV6_V6ONLY, 1);
  return set ? std::move(fd) : UniqueFd();
}

bool Bind(const UniqueFd& fd, const net::IpAddress& address, std::uint16_t port) {
  SocketAddress local = ToSocketAddress(address, port);
  return ::bind(fd.Get(), local.Generic(), local.size) == 0;
}

bool ShareItsPort(const UniqueFd& fd) { return SetOption(fd.Get(), SOL_SOCKET, SO_REUSEPORT, 1); }

// Of the sockets of the port, number 1 gets quiet datagrams, and number 0 all others; also those
// that are too short, for which the program ends with 0, and too long, of which a few would fill
// the queue. The program sees what UDP carries.
bool SortQuiet(const UniqueFd& fd) {
  std::array<sock_filter, 6> program = {{
      BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, kLongestQuiet, 2, 0),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kQuietOctet),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, kQuietBit, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, 1),
  }};
  const sock_fprog filter{.len = program.size(), .filter = program.data()};
  return ::setsockopt(fd.Get(), SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &filter, sizeof(filter)) == 0;
}

bool Await(const UniqueFd& ready, int operation, const UniqueFd& fd, std::uint32_t events) {
  epoll_event wanted{.events = events, .data = {.fd = fd.Get()}};
  return ::epoll_ctl(ready.Get(), operation, fd.Get(), &wanted) == 0;
}

// By the kernel's stamp (SO_TIMESTAMPNS; it costs a reading of the clock for each packet that the
// host receives, unless it has them anyway: whatever keeps its clock by NTP asks for them, too),
// which is one of the wall clock: 0 where there is none, or
// the clock was set back since.
Duration AgeOf(msghdr& message) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS &&
        c->cmsg_len >= CMSG_LEN(sizeof(timespec))) {
      timespec stamp{};
      std::memcpy(&stamp, CMSG_DATA(c), sizeof(stamp));
      timespec now{};
      (void)::clock_gettime(CLOCK_REALTIME, &now);
      const Duration age = std::chrono::seconds(now.tv_sec - stamp.tv_sec) +
                           std::chrono::nanoseconds(now.tv_nsec - stamp.tv_nsec);
      return std::max(age, Duration());
    }
  }
  return {};
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

MembershipSocket::MembershipSocket(UniqueFd fd, UniqueFd quiet, UniqueFd ready,
                                   net::IpFamily family, std::uint16_t port)
    : fd_(std::move(fd)),
      quiet_(std::move(quiet)),
      ready_(std::move(ready)),
      family_(family),
      port_(port),
      buffer_(kBatch * kSlot) {}

absl::StatusOr<MembershipSocket> MembershipSocket::Open(const net::IpAddress& address,
                                                        std::uint16_t port) {
  const auto refused = [&address, port] {
    return absl::UnavailableError(StrCat("cannot listen for other speakers on ", address.ToString(),
                                         " port ", port, "/udp: ", ErrnoText(errno)));
  };
  UniqueFd fd = MakeSocket(address.family());
  UniqueFd quiet = MakeSocket(address.family());
  // The first one that is bound is number 0. It shares its port only afterwards: so a second
  // speaker can't join the two. A process of the same user that is made for it could.
  const bool open = fd.IsOpen() && quiet.IsOpen() && Bind(fd, address, port) && ShareItsPort(fd) &&
                    ShareItsPort(quiet) && SetOption(quiet.Get(), SOL_SOCKET, SO_TIMESTAMPNS, 1);
  SocketAddress bound;
  if (!open || ::getsockname(fd.Get(), bound.Generic(), &bound.size) != 0 ||
      !Bind(quiet, address, PortOf(bound.storage)) || !SortQuiet(fd)) {
    return refused();
  }
  // Only a wish: heartbeats should pass where a queue is full. The socket's own queue stays as
  // short as the kernel makes it: in a flood, what is honest would wait behind all that is not.
  static_cast<void>(address.IsIpv4()
                        ? SetOption(fd.Get(), SOL_IP, IP_TOS, kDscpNetworkControl)
                        : SetOption(fd.Get(), SOL_IPV6, IPV6_TCLASS, kDscpNetworkControl));
  fd = ToHighDescriptor(std::move(fd));
  quiet = ToHighDescriptor(std::move(quiet));
  UniqueFd ready(::epoll_create1(EPOLL_CLOEXEC));
  // The kernel looks for the socket of an ICMP error by its addresses, so it may be either.
  if (!ready.IsOpen() || !Await(ready, EPOLL_CTL_ADD, fd, EPOLLIN) ||
      !Await(ready, EPOLL_CTL_ADD, quiet, EPOLLERR)) {
    return refused();
  }
  return MembershipSocket(std::move(fd), std::move(quiet), std::move(ready), address.family(),
                          PortOf(bound.storage));
}

bool MembershipSocket::Drain(const OnDatagram& on_datagram, const OnUnreachable& on_unreachable,
                             std::size_t limit) {
  const std::size_t quiet = DrainQuiet(on_datagram, limit);
  NoteCrowd(quiet);
  const Waiting waiting = Look();
  if (waiting.errors) {
    DrainErrors(fd_, on_unreachable, limit);
  }
  if (waiting.quiet_errors) {
    DrainErrors(quiet_, on_unreachable, limit);
  }
  const std::size_t loud = waiting.datagrams ? DrainLoud(on_datagram, limit) : 0;
  return quiet == limit || loud == limit;
}

MembershipSocket::Waiting MembershipSocket::Look() const {
  std::array<epoll_event, 2> events{};
  const int count = ::epoll_wait(ready_.Get(), events.data(), static_cast<int>(events.size()), 0);
  if (count < 0) {
    return {.datagrams = true, .errors = true, .quiet_errors = true};  // then all are asked
  }
  Waiting waiting;
  for (const epoll_event& event : std::span(events).first(static_cast<std::size_t>(count))) {
    const bool error = (event.events & EPOLLERR) != 0;
    if (event.data.fd == quiet_.Get()) {
      waiting.quiet_errors = error;
    } else {
      waiting.errors = error;
      waiting.datagrams = true;  // an error can hide them
    }
  }
  return waiting;
}

std::size_t MembershipSocket::DrainLoud(const OnDatagram& on_datagram, std::size_t limit) {
  for (std::size_t i = 0; i < limit; ++i) {
    SocketAddress source;
    const ssize_t size =
        ::recvfrom(fd_.Get(), buffer_.data(), kSlot, 0, source.Generic(), &source.size);
    if (size < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return i;
      }
      continue;  // an error that arrived meanwhile: it waits in its own queue
    }
    if (const auto address = ToIpAddress(source.storage)) {
      on_datagram(*address, Bytes(buffer_).first(static_cast<std::size_t>(size)), {});
    }
  }
  return limit;
}

void MembershipSocket::NoteCrowd(std::size_t quiet) {
  const std::size_t left =
      quiet >= kCrowd ? kCrowdLooks : looks_left_ - std::min<std::size_t>(looks_left_, 1);
  const bool crowded = left > 0;
  if (crowded == (looks_left_ > 0) ||
      Await(ready_, EPOLL_CTL_MOD, quiet_, crowded ? EPOLLIN : EPOLLERR)) {
    looks_left_ = left;
  }
}

std::size_t MembershipSocket::DrainQuiet(const OnDatagram& on_datagram, std::size_t limit) {
  std::size_t taken = 0;
  while (taken < limit) {
    std::array<SocketAddress, kBatch> sources;
    std::array<iovec, kBatch> parts{};
    std::array<mmsghdr, kBatch> batch{};
    struct alignas(cmsghdr) Control {
      std::array<std::byte, CMSG_SPACE(sizeof(timespec))> bytes;
    };
    std::array<Control, kBatch> controls;
    for (std::size_t i = 0; i < kBatch; ++i) {
      parts[i] = {.iov_base = &buffer_[i * kSlot], .iov_len = kSlot};
      msghdr& message = batch[i].msg_hdr;
      message.msg_name = sources[i].Generic();
      message.msg_namelen = sources[i].size;
      message.msg_iov = &parts[i];
      message.msg_iovlen = 1;
      message.msg_control = controls[i].bytes.data();
      message.msg_controllen = controls[i].bytes.size();
    }
    const std::size_t wanted = std::min(kBatch, limit - taken);
    const int count =
        ::recvmmsg(quiet_.Get(), batch.data(), static_cast<unsigned>(wanted), 0, nullptr);
    if (count < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return taken;
      }
      ++taken;  // an error, as in DrainLoud()
      continue;
    }
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      if (const auto address = ToIpAddress(sources[i].storage)) {
        on_datagram(*address, Bytes(buffer_).subspan(i * kSlot, batch[i].msg_len),
                    AgeOf(batch[i].msg_hdr));
      }
    }
    taken += static_cast<std::size_t>(count);
    if (static_cast<std::size_t>(count) < wanted) {
      return taken;
    }
  }
  return limit;
}

// The queue gives back the address that the datagram was sent to, so a router that forwards the
// error makes no difference.
void MembershipSocket::DrainErrors(const UniqueFd& fd, const OnUnreachable& on_unreachable,
                                   std::size_t limit) {
  for (std::size_t i = 0; i < limit; ++i) {
    SocketAddress destination;
    alignas(cmsghdr) std::array<std::byte, kControlSize> control;
    iovec part{.iov_base = buffer_.data(), .iov_len = kSlot};
    msghdr message{};
    message.msg_name = destination.Generic();
    message.msg_namelen = destination.size;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t size = ::recvmsg(fd.Get(), &message, MSG_ERRQUEUE);
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
