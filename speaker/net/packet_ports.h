// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "common/io/event_loop.h"
#include "speaker/announce/announcer.h"
#include "speaker/announce/links.h"
#include "speaker/net/packet_io.h"

namespace stentor::speaker {

/// One packet port for each link that answers ARP: opened and closed as links come and go, its
/// kernel filter kept in step with what is announced there. Carries frames between the ports and
/// the announcer. Lives on the event loop's thread; all that it borrows must outlive it.
class PacketPorts {
 public:
  struct Observer {
    /// Called before frames are answered or sent; may change what the announcer announces, and call
    /// Update().
    std::function<void()> before_frames;
    std::function<void(const std::string& interface)> on_opened;
    std::function<void(const std::string& interface)> on_closed;
    std::function<void(const std::string& interface, const absl::Status&)> on_failed;
  };

  PacketPorts(io::EventLoop& loop, const Links& links, Announcer& announcer, Observer observer);
  ~PacketPorts();
  PacketPorts(const PacketPorts&) = delete;
  PacketPorts& operator=(const PacketPorts&) = delete;

  /// After Links has changed: opens, closes, and lets the announcer tell the segment.
  void OnLinkEvents(std::span<const LinkEvent> events);

  /// After the announcer has changed: renews the filters, then sends what is due.
  void Update();

 private:
  struct Port {
    std::string name;
    std::unique_ptr<PacketIo> io;
    std::unique_ptr<io::DescriptorWatch> watch;  // null: failed; after `io`, so that it goes first
  };

  void Open(IfIndex index);
  void Close(IfIndex index);
  void Fail(IfIndex index, const absl::Status& why);
  void ReopenLater();
  void RenewFilters();
  [[nodiscard]] absl::Status SetFilter(IfIndex index, PacketIo& io) const;
  void SendDue();
  void OnReadable(IfIndex index);
  void OnFrame(IfIndex index, PacketIo& io, Bytes frame);

  io::EventLoop& loop_;
  const Links& links_;
  Announcer& announcer_;
  const Observer observer_;
  io::Timer send_timer_;
  io::Timer reopen_timer_;
  std::map<IfIndex, Port> ports_;
  std::uint64_t filtered_revision_ = 0;
};

}  // namespace stentor::speaker
