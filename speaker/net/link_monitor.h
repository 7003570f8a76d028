// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The routing socket that keeps announce's Links true: one dump, then notifications, no polling.
/// Needs no capability.

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/base/unique_fd.h"
#include "speaker/announce/link_sync.h"
#include "speaker/announce/links.h"
#include "speaker/net/netlink_socket.h"

namespace stentor::speaker {

struct LinkMonitorOptions {
  int receive_buffer_octets = 1024 * 1024;  ///< As far as net.core.rmem_max allows.
};

/// Not thread-safe.
class LinkMonitor {
 public:
  /// Opens the socket and asks for the first dump, which arrives through OnReadable(). `links` must
  /// outlive the monitor.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<LinkMonitor>> Open(
      Links& links, const LinkMonitorOptions& options = {});

  /// Readable when messages wait or a dump is due. Owned by this object.
  [[nodiscard]] int fd() const noexcept { return both_.Get(); }

  /// Reads what waits into Links and appends what changed to `*events`, also where it returns an
  /// error; of very much only a part: the descriptor stays readable. After lost messages (ENOBUFS)
  /// it asks for everything again by itself, kDumpInterval after the last time or later. An error
  /// means that the socket is of no use any more: open a new monitor on the same Links, after a
  /// pause.
  [[nodiscard]] absl::Status OnReadable(std::vector<LinkEvent>* events);

  static constexpr Duration kDumpInterval = std::chrono::milliseconds(100);

  /// As LinkSync::dumping(): open a new monitor on the same Links where it stays so.
  [[nodiscard]] bool dumping() const noexcept { return sync_.dumping(); }

  /// True once the first dump is complete.
  [[nodiscard]] bool synced() const noexcept { return sync_.synced(); }

  /// How often everything was asked for, for tests.
  [[nodiscard]] std::uint64_t dumps() const noexcept { return dumps_; }

 private:
  LinkMonitor(NetlinkSocket socket, UniqueFd timer, UniqueFd both, Links& links);

  [[nodiscard]] absl::Status Read(std::vector<LinkEvent>* events);
  [[nodiscard]] absl::Status Take(LinkSync::Result result, std::vector<LinkEvent>* events);
  [[nodiscard]] absl::Status StartDump();
  [[nodiscard]] absl::Status ArmTimer();

  NetlinkSocket socket_;
  UniqueFd timer_;  // of the next dump
  UniqueFd both_;   // an epoll of the two
  TimePoint next_dump_;
  bool armed_ = false;
  std::uint64_t dumps_ = 0;
  LinkSync sync_;
};

}  // namespace stentor::speaker
