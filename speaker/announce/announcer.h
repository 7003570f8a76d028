// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What this node announces: which addresses, on which links, and when the segment is told without
/// having asked (gratuitous ARP). Pure: facts, frames and time go in; frames come out. Nothing is
/// sent where nothing changes.

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/base/bytes.h"
#include "common/base/time.h"
#include "common/net/arp.h"
#include "common/net/ip_address.h"
#include "speaker/announce/arp_responder.h"
#include "speaker/announce/links.h"

namespace stentor::speaker {

/// The names of the interfaces that may announce an address; absent: all that are eligible.
using AllowedInterfaces = std::optional<std::set<std::string>>;

/// The desired state: every address that this node is to announce.
using Announcements = std::map<net::IpAddress, AllowedInterfaces>;

/// What SetAnnounced() changed, sorted; for the log.
struct AnnouncementChange {
  std::vector<net::IpAddress> added;
  std::vector<net::IpAddress> withdrawn;
  std::vector<net::IpAddress> changed;  ///< Other interfaces than before.

  friend bool operator==(const AnnouncementChange&, const AnnouncementChange&) = default;
};

/// Per announced address; starts at zero with the announcement and goes away with it.
struct AddressCounters {
  std::uint64_t requests_received = 0;
  std::uint64_t responses_sent = 0;
  std::uint64_t gratuitous_sent = 0;

  friend bool operator==(const AddressCounters&, const AddressCounters&) = default;
};

struct AnnouncerOptions {
  /// The first gratuitous frame goes out at once; repeats follow at this interval, give or take a
  /// quarter, until the period has passed.
  Duration repeat_interval = std::chrono::seconds(1);
  Duration takeover_period = std::chrono::seconds(5);
  /// After carrier-up a switch may drop frames for 30 s (spanning tree); past `takeover_period` the
  /// interval is five times as long.
  Duration carrier_period = std::chrono::seconds(30);
  /// Bound on gratuitous frames: 1,000 addresses taken over at once are told in about 40 ms.
  std::uint32_t frames_per_second = 20'000;
  std::uint32_t burst_frames = 200;  ///< That many may leave at once; at least 1.
  std::uint64_t jitter_seed = 0;     ///< Random, so that nodes don't repeat in step.
};

/// A frame that is to leave on `link`.
struct OutgoingFrame {
  IfIndex link{};
  net::IpAddress address;  ///< What it is about.
  std::vector<std::byte> bytes;

  friend bool operator==(const OutgoingFrame&, const OutgoingFrame&) = default;
};

/// Not thread-safe. IPv6 addresses are kept and counted, but nothing is sent for them yet.
class Announcer {
 public:
  /// `links` must outlive this object; it is read at every call.
  Announcer(const Links& links, const AnnouncerOptions& options);
  Announcer(const Announcer&) = delete;
  Announcer& operator=(const Announcer&) = delete;

  /// Replaces the desired state. What is new is announced, what is gone is silent from now on.
  AnnouncementChange SetAnnounced(const Announcements& desired, TimePoint now);

  /// Adds or changes one address. True if that changed anything.
  bool Announce(const net::IpAddress& address, const AllowedInterfaces& allowed, TimePoint now);

  /// Takes one address away. True if it was announced.
  bool Withdraw(const net::IpAddress& address);

  /// Tells the segment everything again, as on take-over: another speaker may have claimed the same
  /// addresses.
  void AnnounceAgain(TimePoint now);

  /// Takes note of what Links reported, after Links has changed: a link that is new, has another
  /// MAC or has its carrier back gets its announcements again.
  void OnLinkEvents(std::span<const LinkEvent> events, TimePoint now);

  /// Whether this node answers for `address` on `link`, now.
  [[nodiscard]] bool Contains(const net::IpAddress& address, IfIndex link) const noexcept;

  /// Decides on a frame that arrived on `link` and counts it. The caller sends the answer.
  [[nodiscard]] ArpDecision OnArpFrame(IfIndex link, Bytes frame) noexcept;

  /// The gratuitous frames that are due. Call it after every change and at NextDeadline().
  [[nodiscard]] std::vector<OutgoingFrame> Poll(TimePoint now);

  /// When Poll() has something to do next; nothing where all is said.
  [[nodiscard]] std::optional<TimePoint> NextDeadline() const;

  /// The IPv4 addresses that `link` answers for, ascending: for BuildArpFilter().
  [[nodiscard]] std::vector<net::Ipv4Address> Ipv4AddressesOn(IfIndex link) const;

  /// Changes whenever Ipv4AddressesOn() may have changed for any link: then filters must be
  /// rebuilt, before Poll() is called, so that no answer to a gratuitous frame is missed.
  [[nodiscard]] std::uint64_t revision() const noexcept { return revision_; }

  /// Null where the address is not announced.
  [[nodiscard]] const AddressCounters* Counters(const net::IpAddress& address) const;
  [[nodiscard]] std::uint64_t Drops(DropReason reason) const noexcept {
    return drops_[static_cast<std::size_t>(reason)];
  }

  /// Every announced address, ascending.
  [[nodiscard]] std::vector<net::IpAddress> Announced() const;

  /// The eligible links that `address` is announced on, by name, sorted; empty where none.
  [[nodiscard]] std::vector<std::string> InterfacesOf(const net::IpAddress& address) const;

 private:
  struct Entry {
    AllowedInterfaces allowed;
    AddressCounters counters;
  };
  // One address on one link, or on all of its links (kAllLinks).
  using Target = std::pair<net::IpAddress, IfIndex>;
  static constexpr IfIndex kAllLinks{0};

  // A run of gratuitous announcements. First the request form, urgently and alone, so that of many
  // addresses taken over at once each is told once before any is told twice.
  struct Run {
    enum class Step : std::uint8_t { kFirstRequest, kFirstReply, kRepeat };
    Step step = Step::kFirstRequest;
    TimePoint started;
    Duration period{};
    TimePoint due;
  };

  [[nodiscard]] static bool Allows(const Entry& entry, const Link& link);
  void StartRun(const Target& target, Duration period, TimePoint now);
  void StartRunsOn(IfIndex index, Duration period, TimePoint now);
  void StopRuns(const net::IpAddress& address);
  void Refill(TimePoint now);
  void Send(const Target& target, Run::Step step, std::vector<OutgoingFrame>* out);
  void SendOn(const Link& link, Entry* entry, const net::IpAddress& address, Run::Step step,
              std::vector<OutgoingFrame>* out);
  void Advance(const Target& target, TimePoint now);
  [[nodiscard]] Duration Jittered(Duration interval);

  const Links& links_;
  AnnouncerOptions options_;
  absl::flat_hash_map<net::IpAddress, Entry> entries_;
  std::map<Target, Run> runs_;
  std::deque<Target> urgent_;                       // runs at kFirstRequest, in order of arrival
  std::set<std::pair<TimePoint, Target>> waiting_;  // all other runs, by due time
  double credit_ = 0;                               // frames that may leave; below zero: overdrawn
  std::optional<TimePoint> refilled_;
  std::uint64_t jitter_state_ = 0;
  std::uint64_t revision_ = 0;
  std::array<std::uint64_t, kDropReasonCount> drops_{};
};

}  // namespace stentor::speaker
