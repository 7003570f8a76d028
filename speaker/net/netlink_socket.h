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

namespace stentor::speaker {

/// A routing socket (rtnetlink(7)): requests to the kernel, its answers and its notifications.
/// Needs no capability. Not thread-safe. Errors are Unavailable: the socket is of no use any more.
class NetlinkSocket {
 public:
  /// `groups` are RTMGRP_ bits; `receive_buffer_octets` as far as net.core.rmem_max allows.
  [[nodiscard]] static absl::StatusOr<NetlinkSocket> Open(std::uint32_t groups,
                                                          int receive_buffer_octets);

  /// Readable when messages wait. Owned by this object.
  [[nodiscard]] int fd() const noexcept { return socket_.Get(); }

  [[nodiscard]] absl::Status Send(const std::vector<std::byte>& request) const;

  struct Handlers {
    /// One datagram of the kernel, valid during the call. What is not OK ends the reading.
    std::function<absl::Status(Bytes)> on_datagram;
    std::function<absl::Status()> on_overrun;  ///< Messages were lost.
  };
  /// Reads what waits, at most `max_datagrams`: of more, the descriptor stays readable. What other
  /// processes send is left out.
  [[nodiscard]] absl::Status Receive(int max_datagrams, const Handlers& handlers);

 private:
  explicit NetlinkSocket(UniqueFd socket);

  UniqueFd socket_;
  std::vector<std::byte> buffer_;
};

}  // namespace stentor::speaker
