// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The routing socket that keeps announce's Links true: one dump, then notifications, no polling.
/// Needs no capability.

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"
#include "speaker/announce/link_sync.h"
#include "speaker/announce/links.h"

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

  /// Readable when messages wait. Owned by this object.
  [[nodiscard]] int fd() const noexcept { return socket_.Get(); }

  /// Reads all that waits into Links and appends what changed to `*events`, also where it returns
  /// an error. After lost messages (ENOBUFS) it asks for everything again by itself. An error means
  /// that the socket is of no use any more: open a new monitor on the same Links, after a pause.
  [[nodiscard]] absl::Status OnReadable(std::vector<LinkEvent>* events);

  /// True once the first dump is complete.
  [[nodiscard]] bool synced() const noexcept { return sync_.synced(); }

 private:
  LinkMonitor(UniqueFd socket, Links& links);

  [[nodiscard]] absl::Status Take(LinkSync::Result result, std::vector<LinkEvent>* events);
  [[nodiscard]] absl::Status SendRequest(const std::vector<std::byte>& request);

  UniqueFd socket_;
  LinkSync sync_;
  std::vector<std::byte> buffer_;
};

}  // namespace stentor::speaker
