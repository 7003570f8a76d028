// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What this node announces: which addresses, on which links, when the segment is told without
/// having asked (gratuitous ARP, unsolicited neighbour advertisements), and what is done about
/// others who claim the same addresses. Pure: facts, frames and time go in; decisions and frames
/// come out. Nothing is sent where nothing changes.

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/base/bytes.h"
#include "common/base/time.h"
#include "common/net/arp.h"
#include "common/net/ip_address.h"
#include "speaker/announce/allowed_interfaces.h"
#include "speaker/announce/announcer_pace.h"
#include "speaker/announce/arp_responder.h"
#include "speaker/announce/conflict.h"
#include "speaker/announce/conflict_guard.h"
#include "speaker/announce/gratuitous.h"
#include "speaker/announce/hand_over.h"
#include "speaker/announce/links.h"
#include "speaker/announce/ndp_responder.h"

namespace stentor::speaker {

/// How one address is to be announced.
struct AnnouncementSpec {
  AllowedInterfaces interfaces;
  ConflictPolicy policy = ConflictPolicy::kWarn;
  /// The address is new in the cluster: probe for another owner before (kStrict) or while (kWarn)
  /// it is announced. Looked at only when the address is added; never set it on a fail-over.
  bool probe = false;

  friend bool operator==(const AnnouncementSpec&, const AnnouncementSpec&) = default;
};

/// The desired state: every address that this node is to announce.
using Announcements = std::map<net::IpAddress, AnnouncementSpec>;

/// What changed, sorted; for the log.
struct AnnouncementChange {
  std::vector<net::IpAddress> added;      ///< Answered for from now on.
  std::vector<net::IpAddress> withdrawn;  ///< Silent from now on.
  std::vector<net::IpAddress> changed;    ///< Other interfaces or another policy than before.
  std::vector<net::IpAddress> waiting;    ///< Will be answered for once a probe found them free.
  /// Are handed over: still answered, until their successors have announced them.
  std::vector<net::IpAddress> leaving = {};

  friend bool operator==(const AnnouncementChange&, const AnnouncementChange&) = default;
};

/// Per announced address; starts at zero with the announcement and goes away with it.
struct AddressCounters {
  std::uint64_t requests_received = 0;
  std::uint64_t responses_sent = 0;
  std::uint64_t gratuitous_sent = 0;  ///< Frames, in whatever form; defences too, probes not.

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
  /// Every address is told again at this interval, give or take a quarter, for as long as it is
  /// announced; zero: never. At least a second.
  Duration refresh_interval{};
  /// Bound on all frames that are not answers: 1,000 addresses taken over at once are told in about
  /// 40 ms.
  std::uint32_t frames_per_second = 20'000;
  std::uint32_t burst_frames = 200;  ///< That many may leave at once; at least 1.
  std::uint64_t jitter_seed = 0;     ///< Random, so that nodes don't repeat in step.
  ConflictOptions conflict;
  /// An address that is handed over is answered for so long at most.
  Duration hand_over_bound = std::chrono::seconds(3);
};

/// A frame that is to leave on `link`.
struct OutgoingFrame {
  IfIndex link{};
  net::IpAddress address;  ///< What it is about.
  std::vector<std::byte> bytes;
  bool probe = false;  ///< Asks whether somebody else has it: see Announcer::OnNotSent().

  /// Whether the link's ARP port sends it or its NDP port.
  [[nodiscard]] net::IpFamily family() const noexcept { return address.family(); }

  friend bool operator==(const OutgoingFrame&, const OutgoingFrame&) = default;
};

/// What a link's ports must be able to receive.
struct WantedPort {
  IfIndex link{};
  bool arp = false;
  bool ndp = false;

  friend bool operator==(const WantedPort&, const WantedPort&) = default;
};

/// How an address that is to be announced stands.
enum class AddressState : std::uint8_t {
  kAnnounced,  ///< Answered for, on whatever links it may be.
  kWaiting,    ///< Silent until its first probe is over (kStrict).
  kWithheld,   ///< Silent because another host has it (kStrict).
};

/// Not thread-safe.
class Announcer {
 public:
  /// `links` must outlive this object; it is read at every call.
  Announcer(const Links& links, const AnnouncerOptions& options);
  Announcer(const Announcer&) = delete;
  Announcer& operator=(const Announcer&) = delete;

  /// Replaces the desired state. What is new is announced (or probed), what is gone is silent from
  /// now on, unless it is in `handed_over`: another node is to announce it. Then it is answered as
  /// before, but nothing is said of it unasked, until a host with a known MAC is heard to announce
  /// it, `hand_over_bound` has passed, or it is not in `handed_over` any more. Where such a host
  /// was heard just now it is silent at once. None of these addresses counts as announced.
  AnnouncementChange SetAnnounced(const Announcements& desired,
                                  const std::set<net::IpAddress>& handed_over, TimePoint now);
  AnnouncementChange SetAnnounced(const Announcements& desired, TimePoint now) {
    return SetAnnounced(desired, {}, now);
  }

  /// What of `handed_over`, now and in calls of SetAnnounced() to come, is answered until a
  /// successor is heard, for however long: HandOvers::SetUnbounded().
  void SetUnboundedHandOvers(std::set<net::IpAddress> addresses) {
    hand_overs_.SetUnbounded(std::move(addresses));
  }

  /// Adds or changes one address. True if that changed anything.
  bool Announce(const net::IpAddress& address, const AnnouncementSpec& spec, TimePoint now);

  /// Takes one address away, silent from now on. True if it was there.
  bool Withdraw(const net::IpAddress& address);

  /// Paused, it answers nothing and sends nothing, but keeps everything in mind: somebody else may
  /// announce the same addresses until it is known that nobody does.
  void SetPaused(bool paused) noexcept { paused_ = paused; }
  [[nodiscard]] bool paused() const noexcept { return paused_; }

  /// Tells the segment everything again, as on take-over: another speaker may have claimed the same
  /// addresses.
  void AnnounceAgain(TimePoint now);

  /// Takes note of what Links reported, after Links has changed: a link that is new, has another
  /// MAC or link-local address or has its carrier back gets its announcements again. Call it after
  /// every change of Links, also where that reported nothing: the MACs of all of them are ours.
  void OnLinkEvents(std::span<const LinkEvent> events, TimePoint now);

  /// The MACs of speakers and of the nodes' own addresses: they are never foreign. Conflicts with
  /// only such hosts are over at once. This node's own links need not be among them.
  void SetKnownMacs(std::set<net::MacAddress> known, TimePoint now);

  /// Whether this node answers for `address` on `link`, now.
  [[nodiscard]] bool Contains(const net::IpAddress& address, IfIndex link) const noexcept;

  /// Decides on a frame that arrived on `link`, counts it and takes note of what it says about
  /// others who claim our addresses. The caller sends the answer at once, and when it has no more
  /// frames looks at revision() and NextDeadline(), which may have changed.
  [[nodiscard]] ArpDecision OnArpFrame(IfIndex link, Bytes frame, TimePoint now);
  [[nodiscard]] NdDecision OnNdFrame(IfIndex link, Bytes frame, TimePoint now);

  /// The frames that are due: gratuitous ones, defences, probes. Call it after every change and at
  /// NextDeadline(), each time after the filters have been renewed where revision() has changed.
  [[nodiscard]] std::vector<OutgoingFrame> Poll(TimePoint now);

  /// A frame of the last Poll() did not leave, since its link has no open port: a probe that nobody
  /// could hear has found nothing. Not for frames that were lost otherwise. OnLinkEvents() must
  /// tell of the link when it has a port.
  void OnNotSent(const OutgoingFrame& frame) {
    if (frame.probe) {
      guard_.OnProbeNotSent(frame.address);
    }
  }

  /// When Poll() has something to do next; nothing where all is said.
  [[nodiscard]] std::optional<TimePoint> NextDeadline() const;

  /// What Poll(), OnArpFrame(), OnNdFrame() and SetKnownMacs() changed since the last call, sorted:
  /// strict addresses that were found free (`added`), or were withheld (`withdrawn`).
  [[nodiscard]] AnnouncementChange TakeChanges();

  /// The hand-overs that ended since the last call, by a successor or by time, in order. Those that
  /// ended otherwise (the address came back, or nothing can be answered any more) are not told.
  [[nodiscard]] std::vector<HandOverEnd> TakeHandOverEnds() { return hand_overs_.TakeEnds(); }

  /// What is worth telling about conflicts since the last call. At most one for each address, MAC
  /// and kind in ten minutes, under a cap for all together.
  [[nodiscard]] std::vector<ConflictNotice> TakeConflictNotices();

  /// The ports that are needed: links where something is to be announced or probed for, in order.
  [[nodiscard]] std::vector<WantedPort> WantedPorts() const;

  /// The addresses whose ARP must reach OnArpFrame() on `link`, ascending: for BuildArpFilter().
  /// Those that are waiting, withheld or handed over too, and beside any also 192.0.0.8, which no
  /// host has (RFC 7600): whoever is suspected to be a proxy is asked for it, and no filter has to
  /// change for that.
  [[nodiscard]] std::vector<net::Ipv4Address> Ipv4AddressesOn(IfIndex link) const;

  /// Likewise for BuildNdpFilter(); the address that no host has is 100::1 (RFC 6666).
  [[nodiscard]] std::vector<net::Ipv6Address> Ipv6AddressesOn(IfIndex link) const;

  /// The solicited-node groups that `link` must be a member of, ascending. 100::1 needs none: who
  /// answers for it answers to all nodes.
  [[nodiscard]] std::vector<net::Ipv6Address> GroupsOn(IfIndex link) const;

  /// Changes whenever one of the four above may have changed for any link: then ports, groups and
  /// filters must be renewed, before Poll() is called, so that no answer to a frame is missed. Of
  /// addresses that were handed over only the last one counts, for all of them: what is let in too
  /// much meanwhile is dropped here.
  [[nodiscard]] std::uint64_t revision() const noexcept { return revision_; }

  /// Null where the address is not to be announced (any more).
  [[nodiscard]] const AddressCounters* Counters(const net::IpAddress& address) const;

  /// Frames that got no answer: IPv4 is ARP, IPv6 is NDP.
  [[nodiscard]] std::uint64_t Drops(net::IpFamily family, DropReason reason) const noexcept;

  /// Every announced address, ascending; not those that are waiting or withheld.
  [[nodiscard]] std::vector<net::IpAddress> Announced() const;

  /// The others, ascending.
  [[nodiscard]] std::vector<net::IpAddress> Unannounced() const;

  /// The addresses that are being handed over, ascending: in none of the other lists.
  [[nodiscard]] std::vector<net::IpAddress> Leaving() const { return hand_overs_.UnderWay(); }
  [[nodiscard]] bool AnyLeaving() const noexcept { return !hand_overs_.empty(); }
  [[nodiscard]] const HandOverTotals& hand_over_totals() const noexcept {
    return hand_overs_.totals();
  }

  /// Nothing where the address is not to be announced.
  [[nodiscard]] std::optional<AddressState> StateOf(const net::IpAddress& address) const;

  /// The links that `address` is announced on now, by name, sorted; empty where none.
  [[nodiscard]] std::vector<std::string> InterfacesOf(const net::IpAddress& address) const;

  /// The addresses that others claim, as far as they are known not to be over.
  [[nodiscard]] std::map<net::IpAddress, AddressConflict> Conflicts() const;

  /// Changes whenever Conflicts() does, but for times and counts. Notices may be suppressed where
  /// something changes again and again; this never is.
  [[nodiscard]] std::uint64_t conflict_revision() const noexcept { return guard_.revision(); }

  [[nodiscard]] const ConflictTotals& conflict_totals() const noexcept { return guard_.totals(); }

 private:
  // Addresses mostly share the interfaces that they may be announced on: kept once, with the number
  // of addresses of each family.
  using Scopes = std::map<AllowedInterfaces, std::array<std::size_t, 2>>;
  using Scope = Scopes::value_type;
  // A known host, not this one, said that it has an address.
  struct PeerClaim {
    net::MacAddress mac;
    IfIndex link{};
    TimePoint at;
  };
  struct Entry {
    Scope* scope = nullptr;  // null only while it is being added
    ConflictPolicy policy{};
    bool silent = false;   // the guard says so
    bool leaving = false;  // it is among hand_overs_, and neither the guard's nor the schedule's
    std::optional<PeerClaim> peer;  // the latest
    AddressCounters counters;
  };
  using Entries = absl::flat_hash_map<net::IpAddress, Entry>;
  using Frames = std::vector<OutgoingFrame>;

  static std::size_t Slot(net::IpFamily family) noexcept {
    return static_cast<std::size_t>(family);
  }
  static bool Allows(const Scope& scope, const Link& link, net::IpFamily family);
  void Join(const AllowedInterfaces& interfaces, net::IpFamily family, Entry* entry);
  void Leave(net::IpFamily family, Entry* entry);
  void Reach(const net::IpAddress& address, Entry* entry, const AllowedInterfaces& interfaces,
             TimePoint now);
  [[nodiscard]] std::vector<net::IpAddress> AddressesOn(IfIndex index, net::IpFamily family) const;
  void StartRunsOn(IfIndex index, net::IpFamily family, Duration period, TimePoint now);
  void ApplyGuard(TimePoint now);
  void Silence(Entries::iterator entry);

  // announcer_hand_over.cc
  [[nodiscard]] bool IsHeardFrom(const net::IpAddress& address, const Entry& entry) const;
  // False where it is silent at once.
  bool HandOver(const net::IpAddress& address, TimePoint now);
  void NotePeerClaim(Entries::iterator entry, IfIndex link, const net::MacAddress& mac,
                     TimePoint now);
  void ExpireHandOvers(TimePoint now);
  void DropUnheardHandOvers();
  void RemoveHandedOver(const net::IpAddress& address);

  // announcer_receive.cc
  void LearnOwnMacs();
  [[nodiscard]] bool IsForeign(const net::MacAddress& mac) const;
  void NoteClaims(const Link& link, const net::ArpPacket& packet, TimePoint now);
  void NoteClaims(const Link& link, const net::NdPacket& packet, TimePoint now);
  void NoteClaim(const net::IpAddress& address, const Link& link, const net::MacAddress& mac,
                 ClaimForm form, TimePoint now);
  void CountRequest(const net::IpAddress& address);
  DropReason CountDrop(net::IpFamily family, DropReason reason);

  // announcer_send.cc
  std::size_t SendGratuitous(const GratuitousSchedule::Due& due, Frames* out);
  std::size_t SendTask(const ConflictGuard::Task& task, Frames* out);
  static void SendAnnouncement(const net::IpAddress& address, const Link& link,
                               net::GratuitousArp form, Frames* out);
  template <typename Send>
  void ForLinks(const net::IpAddress& address, const Entry& entry, IfIndex index, Send send) const;

  const Links& links_;
  AnnouncerOptions options_;
  Entries entries_;
  Scopes scopes_;
  Jitter jitter_;  // before those who borrow it
  FramePace pace_;
  GratuitousSchedule schedule_;
  ConflictGuard guard_;
  HandOvers hand_overs_;
  std::set<net::MacAddress> known_macs_;
  std::set<net::MacAddress> own_macs_;  // of all links
  AnnouncementChange changes_;
  TimePoint latest_;  // the last time that was heard of
  bool paused_ = false;
  std::uint64_t revision_ = 0;
  std::array<std::array<std::uint64_t, kDropReasonCount>, 2> drops_{};
};

}  // namespace stentor::speaker
