// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/bytes.h"
#include "common/base/time.h"
#include "common/base/unique_fd.h"
#include "common/net/ip_address.h"

namespace stentor::speaker {

/// The UDP port of the membership, and the ICMP errors that belong to it. Non-blocking; knows no
/// event loop: wait until fd() is readable, then Drain(). Quiet datagrams
/// (speaker/membership/datagram.h) don't make it so: the kernel puts them into a socket of their
/// own, to be drained when there is another reason. Not thread-safe.
class MembershipSocket {
 public:
  /// One datagram; `bytes` are valid until the visitor returns. Those that were too long for any
  /// membership come cut, but longer than kMaxDatagramSize, and are to be dropped. `age`: since
  /// when it has been there; of quiet ones only, else 0.
  using OnDatagram = std::function<void(const net::IpAddress& source, Bytes bytes, Duration age)>;
  /// The host at `destination` says that nobody listens there (ICMP or ICMPv6 port unreachable), to
  /// what was sent to it: `quoted` is as much of it as the error carried, perhaps nothing.
  using OnUnreachable = std::function<void(const net::IpAddress& destination, Bytes quoted)>;

  /// Binds to `address`:`port` (port 0: any, see port()). Errors: Unavailable with the reason (in
  /// use, not an address of this host).
  [[nodiscard]] static absl::StatusOr<MembershipSocket> Open(const net::IpAddress& address,
                                                             std::uint16_t port);

  [[nodiscard]] int fd() const noexcept { return ready_.Get(); }
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

  /// Hands over what has arrived, quiet datagrams first, then errors; at most `limit` of each kind,
  /// so that a flood doesn't keep the caller from its timers. True where more may be waiting.
  bool Drain(const OnDatagram& on_datagram, const OnUnreachable& on_unreachable,
             std::size_t limit = 256);

  /// Sends to `destination` at the port that this socket is bound to. A lost datagram and one that
  /// could not be sent are the same to the membership, so an error is only worth counting:
  /// InvalidArgument for another address family, Unavailable with the system's reason.
  [[nodiscard]] absl::Status Send(const net::IpAddress& destination, Bytes datagram);

 private:
  // More quiet datagrams at a time than members send, who are some ten: a flood, in which what is
  // honest would find the queue full if nobody looked. Then they wake, until so many looks in a row
  // have found fewer.
  static constexpr std::size_t kCrowd = 24;
  static constexpr std::size_t kCrowdLooks = 300;

  MembershipSocket(UniqueFd fd, UniqueFd quiet, UniqueFd ready, net::IpFamily family,
                   std::uint16_t port);

  // What epoll says of both sockets.
  struct Waiting {
    bool datagrams = false;
    bool errors = false;
    bool quiet_errors = false;
  };

  [[nodiscard]] Waiting Look() const;
  void DrainErrors(const UniqueFd& fd, const OnUnreachable& on_unreachable, std::size_t limit);
  std::size_t DrainLoud(const OnDatagram& on_datagram, std::size_t limit);
  std::size_t DrainQuiet(const OnDatagram& on_datagram, std::size_t limit);
  void NoteCrowd(std::size_t quiet);

  UniqueFd fd_;
  UniqueFd quiet_;              // of its queue, only errors wake
  UniqueFd ready_;              // epoll(7) of both
  std::size_t looks_left_ = 0;  // until quiet datagrams don't wake any more
  net::IpFamily family_;
  std::uint16_t port_;
  std::vector<std::byte> buffer_;
};

}  // namespace stentor::speaker
