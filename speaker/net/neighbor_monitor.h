// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "absl/status/status.h"
#include "common/io/event_loop.h"
#include "speaker/announce/node_macs.h"
#include "speaker/net/netlink_socket.h"

namespace stentor::speaker {

struct NeighborMonitorOptions {
  int receive_buffer_octets = 256 * 1024;  ///< As far as net.core.rmem_max allows.
};

/// Follows the kernel's neighbour tables (ARP and NDP) for the addresses of the cluster's nodes, by
/// rtnetlink: a dump, then notifications, no polling. Needs no capability. Opens its socket by
/// itself, and again after an error. Lives on the event loop's thread; `loop` must outlive it.
class NeighborMonitor {
 public:
  struct Observer {
    /// The MACs of nodes that are known now; after every change.
    std::function<void(std::set<net::MacAddress> macs)> on_macs;
    /// Can't read the table; it is tried again. Told once, until it has worked in between.
    std::function<void(const absl::Status&)> on_failed;
  };

  NeighborMonitor(io::EventLoop& loop, Observer observer,
                  const NeighborMonitorOptions& options = {});
  ~NeighborMonitor();
  NeighborMonitor(const NeighborMonitor&) = delete;
  NeighborMonitor& operator=(const NeighborMonitor&) = delete;

  /// Replaces the addresses that belong to nodes. Nothing is opened before the first of them.
  void SetNodeAddresses(const std::set<net::IpAddress>& addresses);

 private:
  void Open();
  [[nodiscard]] absl::Status TryOpen();
  void OnReadable();
  [[nodiscard]] absl::Status Read();
  void Ask(const std::vector<std::byte>& request);
  void Fail(const absl::Status& why);
  void Tell();

  io::EventLoop& loop_;
  const Observer observer_;
  const NeighborMonitorOptions options_;
  NodeMacs macs_;
  std::optional<NetlinkSocket> socket_;
  std::unique_ptr<io::DescriptorWatch> watch_;  // after `socket_`, so that it goes first
  io::Timer timer_;                             // of the next dump, or of the next try to open
  TimePoint next_dump_;
  std::uint64_t told_revision_ = 0;
  bool failing_ = false;
};

}  // namespace stentor::speaker
