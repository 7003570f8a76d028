// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/bytes.h"
#include "common/base/unique_fd.h"
#include "common/net/ip_address.h"

namespace stentor::speaker {

/// The UDP socket of the membership, and the ICMP errors that belong to it. Non-blocking; knows no
/// event loop: wait until fd() is readable (or has an error, which epoll reports unasked), then
/// Drain(). Not thread-safe.
class MembershipSocket {
 public:
  /// One datagram; `bytes` are valid until the visitor returns. Those that were too long for any
  /// membership come cut, but longer than kMaxDatagramSize, and are to be dropped.
  using OnDatagram = std::function<void(const net::IpAddress& source, Bytes bytes)>;
  /// The host at `destination` says that nobody listens there (ICMP or ICMPv6 port unreachable), to
  /// what was sent to it: `quoted` is as much of it as the error carried, perhaps nothing.
  using OnUnreachable = std::function<void(const net::IpAddress& destination, Bytes quoted)>;

  /// Binds to `address`:`port` (port 0: any, see port()). Errors: Unavailable with the reason (in
  /// use, not an address of this host).
  [[nodiscard]] static absl::StatusOr<MembershipSocket> Open(const net::IpAddress& address,
                                                             std::uint16_t port);

  [[nodiscard]] int fd() const noexcept { return fd_.Get(); }
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

  /// Hands over what has arrived, errors first, at most `limit` datagrams so that a flood doesn't
  /// keep the caller from its timers. True where more may be waiting.
  bool Drain(const OnDatagram& on_datagram, const OnUnreachable& on_unreachable,
             std::size_t limit = 256);

  /// Sends to `destination` at the port that this socket is bound to. A lost datagram and one that
  /// could not be sent are the same to the membership, so an error is only worth counting:
  /// InvalidArgument for another address family, Unavailable with the system's reason.
  [[nodiscard]] absl::Status Send(const net::IpAddress& destination, Bytes datagram);

 private:
  MembershipSocket(UniqueFd fd, net::IpFamily family, std::uint16_t port);

  void DrainErrors(const OnUnreachable& on_unreachable, std::size_t limit);

  UniqueFd fd_;
  net::IpFamily family_;
  std::uint16_t port_;
  std::vector<std::byte> buffer_;
};

}  // namespace stentor::speaker
