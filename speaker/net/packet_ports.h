// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/io/event_loop.h"
#include "speaker/announce/announcer.h"
#include "speaker/announce/links.h"
#include "speaker/net/multicast_groups.h"
#include "speaker/net/packet_io.h"
#include "speaker/net/port_progress.h"

namespace stentor::speaker {

/// The packet ports of the node: one for ARP and one for NDP on each link where the announcer wants
/// them, their kernel filters and the solicited-node groups kept in step with what is announced
/// there. Carries frames between the ports and the announcer. Lives on the event loop's thread; all
/// that it borrows must outlive it.
///
/// Opening a port takes the kernel some 10 ms and closing it 30 ms, in which the whole program
/// stands still: so ports are opened and closed one in a turn of the loop, and a port that is no
/// longer wanted stays for a while, with a filter that lets nothing in.
class PacketPorts {
 public:
  struct Observer {
    /// Called before frames are answered or sent; may change what the announcer announces, and call
    /// Update().
    std::function<void()> before_frames;
    /// Called after frames were read or sent: the announcer's TakeChanges() and
    /// TakeConflictNotices() may have something. May call Update() where they had. May be empty.
    std::function<void()> after_frames;
    std::function<void(const std::string& interface, net::IpFamily)> on_opened;
    std::function<void(const std::string& interface, net::IpFamily)> on_closed;
    /// A port can't be opened or has failed, or its groups can't be joined. Tried again by itself;
    /// told once until it has worked in between.
    std::function<void(const std::string& interface, net::IpFamily, const absl::Status&)> on_failed;
  };

  /// What the kernel counted on one port since it was opened.
  struct PortStats {
    std::string interface;
    net::IpFamily family{};
    std::uint64_t received = 0;  ///< Passed the kernel filter.
    std::uint64_t dropped = 0;   ///< Of these: lost, because we were too slow.
  };

  PacketPorts(io::EventLoop& loop, const Links& links, Announcer& announcer, Observer observer);
  ~PacketPorts();
  PacketPorts(const PacketPorts&) = delete;
  PacketPorts& operator=(const PacketPorts&) = delete;

  /// After Links has changed: closes, opens, and lets the announcer tell the segment.
  void OnLinkEvents(std::span<const LinkEvent> events);

  /// After the announcer has changed: opens and closes ports, joins and leaves groups, renews the
  /// filters, then sends what is due. Where that takes long (very many links and addresses) and is
  /// asked for in quick succession, some of it happens a moment later.
  void Update();

  /// Families for which ports are kept open on links that answer without being named (at most
  /// kMaxStandbyLinks), also while nothing is announced there: then taking an address over needs no
  /// new port. Meant for the families that the configuration has pools of.
  void SetStandby(const std::set<net::IpFamily>& families);
  static constexpr std::size_t kMaxStandbyLinks = 16;

  /// OK where every port that the announcer wants is open; otherwise names one that is not.
  /// Interfaces that libpcap can't serve at all (not Ethernet) don't count. Cheap.
  [[nodiscard]] absl::Status Ready() const;

  /// OK while frames arrive where the kernel counts some. A port that is stuck is first opened
  /// again; not OK where that did not help, so that only a restart is left. Cheap: it tells what a
  /// look every two seconds has found.
  [[nodiscard]] absl::Status Progress() const { return progress_; }

  [[nodiscard]] std::vector<PortStats> Stats() const;

 private:
  struct Key {
    IfIndex link{};
    net::IpFamily family{};

    friend auto operator<=>(const Key&, const Key&) = default;
  };

  struct Port {
    std::string name;
    std::unique_ptr<PacketIo> io;
    std::unique_ptr<io::DescriptorWatch> watch;  // after `io`, so that it goes first
    std::optional<std::size_t> filtered;         // hash of the addresses that are let in
    std::uint64_t taken = 0;                     // frames that were read
    PortProgress progress;
    std::optional<TimePoint> unwanted_since;
  };

  // A port that should be open but isn't, or groups that are not all joined.
  struct Trouble {
    absl::Status why;
    int attempts = 0;
    TimePoint next_attempt;
  };
  using Troubles = std::map<Key, Trouble>;

  // packet_ports.cc: frames, and what they need to arrive
  [[nodiscard]] bool MustWait();
  void Renew();
  void FindWanted();
  [[nodiscard]] absl::Status SetFilter(const Key& key, PacketIo& io,
                                       std::optional<std::size_t>* filtered) const;
  template <typename Addresses, typename Build>
  [[nodiscard]] absl::Status SetFilter(const Addresses& addresses, Build build, PacketIo& io,
                                       std::optional<std::size_t>* filtered) const;
  void RenewFilters();
  void JoinGroups();
  void JoinGroupsOf(const Key& key);
  void SendDue();
  void ArmSendTimer();
  void OnReadable(Key key);
  void OnFrame(const Key& key, PacketIo& io, Bytes frame);
  [[nodiscard]] std::string NameOf(IfIndex link) const;

  // port_keeping.cc: opened, closed, tried again, looked after
  void OpenNext();
  [[nodiscard]] std::optional<Key> NextToOpen(TimePoint now) const;
  [[nodiscard]] bool Open(const Key& key);
  [[nodiscard]] PacketIoOptions OptionsOf(const Key& key) const;
  void ArmOpenTimer();
  void Fail(const Key& key, const absl::Status& why);
  void NoteTrouble(const Key& key, const std::string& name, const absl::Status& why,
                   Troubles* troubles);
  void RetryNow(IfIndex link);
  void CloseLink(IfIndex link);
  void CloseUnwanted();
  void Bury(const Key& key);
  void CloseNextBuried();
  void Look();
  void ArmLook();

  io::EventLoop& loop_;
  const Links& links_;
  Announcer& announcer_;
  const Observer observer_;
  MulticastGroups groups_;
  io::Timer renew_timer_;
  io::Timer send_timer_;
  io::Timer open_timer_;
  io::Timer bury_timer_;
  io::Timer look_timer_;
  TimePoint next_renewal_;
  std::optional<TimePoint> send_at_;  // what send_timer_ is armed for
  std::set<net::IpFamily> standby_;
  std::set<Key> wanted_;   // by the announcer
  std::set<Key> kept_;     // for what may come, besides
  std::set<Key> unheard_;  // frames were due there while no port was open
  std::set<IfIndex> with_groups_;
  std::map<Key, Port> ports_;
  Troubles port_troubles_;
  Troubles group_troubles_;
  std::vector<Port> buried_;  // at rest, to be closed one by one, the oldest first
  bool burying_ = false;      // bury_timer_ is armed
  std::set<Key> reopened_;    // were stuck once
  absl::Status progress_;
  std::optional<std::uint64_t> renewed_revision_;  // none: links have changed
  bool looking_ = false;
};

}  // namespace stentor::speaker
