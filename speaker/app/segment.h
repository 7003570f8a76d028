// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/io/event_loop.h"
#include "common/net/mac_address.h"
#include "common/obs/log.h"
#include "speaker/announce/announcer.h"
#include "speaker/announce/links.h"
#include "speaker/net/link_monitor.h"
#include "speaker/net/neighbor_monitor.h"
#include "speaker/net/packet_ports.h"

namespace stentor::speaker {

struct SegmentHandlers {
  std::function<void()> before_frames;  ///< Before anything is answered or sent.
  std::function<void()> on_links;       ///< Links or their addresses may have changed.
  /// Addresses were found free, or have to be withheld (policy strict).
  std::function<void()> on_states;
  std::function<void(const std::vector<ConflictNotice>&)> on_conflicts;
  /// Addresses that were left to another node are silent now.
  std::function<void(const std::vector<HandOverEnd>&)> on_handed_over;
};

/// The node's side towards the segment: its links and neighbours as the kernel tells of them, the
/// announcer, and the packet ports. Lives on the event loop's thread; loop and log must outlive it.
class Segment {
 public:
  Segment(io::EventLoop& loop, const obs::Logger& log, NameFilter excluded,
          const AnnouncerOptions& options, SegmentHandlers handlers);
  ~Segment();
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  /// Begins to follow the links. Errors: what can't be opened.
  [[nodiscard]] absl::Status Start();

  /// See Announcer::SetAnnounced() and SetUnboundedHandOvers().
  AnnouncementChange SetAnnounced(const Announcements& announcements,
                                  const std::set<net::IpAddress>& handed_over,
                                  std::set<net::IpAddress> unbounded);
  void AnnounceAgain();
  /// See Announcer::SetPaused().
  void SetPaused(bool paused);

  /// Who is no stranger: the MACs of other speakers, and the addresses of nodes.
  void SetSpeakerMacs(std::set<net::MacAddress> macs);
  void SetNodeAddresses(const std::set<net::IpAddress>& addresses);
  /// Of the pools that may be announced: their ports are open before an address comes.
  void SetFamilies(const std::set<net::IpFamily>& families) { ports_.SetStandby(families); }
  /// Interfaces that advertisements name: these may answer also where they are enslaved.
  void SetNamed(std::set<std::string> names) { named_ = std::move(names); }

  [[nodiscard]] const Links& links() const noexcept { return links_; }
  [[nodiscard]] const Announcer& announcer() const noexcept { return announcer_; }
  [[nodiscard]] const PacketPorts& ports() const noexcept { return ports_; }
  /// Once all links are known.
  [[nodiscard]] bool Known() const { return link_monitor_ && link_monitor_->synced(); }
  /// Names that an advertisement may use: of all links but the excluded ones.
  [[nodiscard]] std::set<std::string> InterfaceNames() const;
  /// From which this node announces, or may.
  [[nodiscard]] std::set<net::MacAddress> Macs() const;
  /// Whether frames can leave on a link that may answer.
  [[nodiscard]] bool HasCarrier() const;

 private:
  void OnLinks();
  void AwaitDump();
  void ReopenLinks();
  void SetKnownMacs();
  void AfterFrames();

  io::EventLoop& loop_;
  const obs::Logger& log_;
  const SegmentHandlers handlers_;
  Links links_;
  Announcer announcer_;
  PacketPorts ports_;
  std::unique_ptr<LinkMonitor> link_monitor_;
  std::unique_ptr<io::DescriptorWatch> link_watch_;
  bool awaits_dump_ = false;
  io::Timer link_timer_;
  std::set<std::string> named_;
  std::set<net::MacAddress> speaker_macs_;
  std::set<net::MacAddress> node_macs_;
  NeighborMonitor neighbors_;
};

}  // namespace stentor::speaker
