// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The conversation with the kernel that keeps Links true: a dump of links, one of addresses, then
/// notifications; again from the start whenever messages were lost. Pure:
/// speaker/net/link_monitor.h owns the socket.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "common/base/bytes.h"
#include "speaker/announce/links.h"

namespace stentor::speaker {

/// Not thread-safe.
class LinkSync {
 public:
  struct Result {
    std::vector<LinkEvent> events;
    std::optional<std::vector<std::byte>> request;  ///< To be sent to the kernel, at once.
    absl::Status
        status;  ///< Not OK: the kernel refused the dump; open a new socket and start again.
  };

  /// `links` must outlive this object.
  explicit LinkSync(Links& links) noexcept : links_(links) {}

  /// The first request of a dump. Call it once per socket, after the socket has joined its groups,
  /// and again where WantsDump().
  [[nodiscard]] std::vector<std::byte> Start();

  /// One datagram from the kernel.
  [[nodiscard]] Result OnDatagram(Bytes datagram);

  /// The socket lost messages (ENOBUFS, or a datagram that did not fit the buffer).
  void OnOverrun() noexcept;

  /// Messages were lost, or the last dump was not of one moment: Start() is to be called again, but
  /// not at once after the last time. While links churn, dumps would follow each other without end.
  [[nodiscard]] bool WantsDump() const noexcept { return dump_again_ && !dumping(); }

  /// A dump is under way. One that does not end within a second or two never will: what ends it may
  /// have been lost. Open a new socket then.
  [[nodiscard]] bool dumping() const noexcept { return phase_ != Phase::kIdle; }

  /// True from the end of the first complete dump on: Links knows all there is.
  [[nodiscard]] bool synced() const noexcept { return synced_; }

 private:
  enum class Phase : std::uint8_t { kIdle, kLinks, kAddresses };

  void OnDumpEnd(const net::RtnetlinkMessage& message, Result* result);

  Links& links_;
  Phase phase_ = Phase::kIdle;
  std::uint32_t sequence_ = 0;
  bool dump_again_ = false;  // messages were lost, or the dump is not of one moment
  bool synced_ = false;
};

}  // namespace stentor::speaker
