// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Speakers' membership cores on a LAN in virtual time. Each speaker also holds the election for a
/// number of addresses, so that what is judged is what clients see (addresses.h). One seed decides
/// everything; it is printed, and STENTOR_SIM_SEED replays it.

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "common/base/time.h"
#include "common/net/ip_address.h"
#include "speaker/membership/membership.h"
#include "test/sim/membership/lan/addresses.h"

namespace stentor::sim {

struct LinkQuality {
  double loss = 0;
  double duplication = 0;
  Duration min_delay = std::chrono::microseconds(100);
  Duration max_delay = std::chrono::milliseconds(1);  ///< Uniform between; so it reorders.
};

struct LanOptions {
  std::size_t speakers = 3;
  std::size_t addresses = 20;
  std::size_t staying = 0;  ///< Of so many addresses the owners stay where they are.
  std::uint64_t seed = 0;
  speaker::Profile profile = speaker::LanProfile();
  LinkQuality quality;
  Duration timer_jitter = std::chrono::milliseconds(2);  ///< Timers are late by up to so much.
};

struct StartOptions {
  std::vector<std::string> secrets = {"secret"};
  Duration listed_after{};  ///< So late it learns who the others are: no saved state, slow API.
  Duration starting_for{};  ///< So long it yields because it has not read everything.
};

/// A change as somebody saw it.
struct Observed {
  TimePoint at{};
  std::size_t observer = 0;
  speaker::Change change;
};

class SimulatedLan {
 public:
  /// Speakers node-0, node-1, ..., all stopped.
  explicit SimulatedLan(const LanOptions& options);
  SimulatedLan(const SimulatedLan&) = delete;  // what is due later refers to it
  SimulatedLan& operator=(const SimulatedLan&) = delete;

  // --- faults; each is a cause (addresses.h) ---

  /// Starts the speaker (with a new boot id), listing whom SetListed() said; all others at first.
  void Start(std::size_t node, const StartOptions& options = {});
  /// The whole node dies: nothing arrives, nobody says so.
  void Crash(std::size_t node);
  /// The process dies and the node says so: ICMP port unreachable.
  void Kill(std::size_t node);
  void Leave(std::size_t node);
  /// Gets no time for so long; what arrives meanwhile waits in its socket, as far as it fits.
  void Pause(std::size_t node, Duration duration);
  /// Likewise, but its clock stands still meanwhile: a virtual machine that its host suspends.
  void Suspend(std::size_t node, Duration duration);
  /// Cuts or mends the way from one to the other (one direction).
  void SetLink(std::size_t from, std::size_t to, bool up);
  /// Cuts all links between different parts; who is in none is linked to all.
  void Partition(const std::vector<std::set<std::size_t>>& parts);
  /// Mends all links.
  void Heal();
  /// Cuts or mends all links of a node to others, from others, or both.
  void SetSending(std::size_t node, bool up);
  void SetReceiving(std::size_t node, bool up);
  void SetQuality(LinkQuality quality);
  void SetYields(std::size_t node, speaker::YieldReasons yields);
  /// This node gives back what stays with it: it claims no address any more that it announces now.
  void Release(std::size_t node);
  /// This node claims so many other addresses, of which the one with this number has changed
  /// `change` times. No cause: nobody looks at them.
  void SetOtherClaims(std::size_t node, std::size_t count, std::size_t change);
  /// The Secret is replaced at this node: no restart, and no cause while all still understand each
  /// other.
  void SetSecrets(std::size_t node, const std::vector<std::string>& secrets);
  /// What the API tells this speaker of the others, until it hears of one that is not listed and
  /// asks again.
  void SetListed(std::size_t node, const std::set<std::size_t>& listed);

  // --- what strangers do; no cause ---

  /// Hands a datagram to a speaker out of nowhere.
  void Inject(std::size_t to, const net::IpAddress& source, std::vector<std::byte> bytes);
  /// An ICMP error that nobody's host sent.
  void ForgeUnreachable(std::size_t to, std::size_t about);

  // --- time ---

  void RunFor(Duration duration);
  /// Until `condition` holds, at most `limit`; the time that it took, or nothing. The condition is
  /// looked at after whatever changes a view.
  [[nodiscard]] std::optional<Duration> RunUntil(const std::function<bool()>& condition,
                                                 Duration limit);
  /// Calls `what` after so long. It may call this again.
  void After(Duration delay, std::function<void()> what);

  [[nodiscard]] TimePoint now() const { return now_; }
  [[nodiscard]] TimePoint last_cause() const { return last_cause_; }

  /// When some speaker's view changed last.
  [[nodiscard]] TimePoint last_view_change() const { return last_view_change_; }

  // --- to look at ---

  [[nodiscard]] const LanOptions& options() const { return options_; }
  [[nodiscard]] std::size_t size() const { return nodes_.size(); }
  [[nodiscard]] bool IsRunning(std::size_t node) const;
  [[nodiscard]] bool IsAwake(std::size_t node) const;
  [[nodiscard]] const speaker::Membership& At(std::size_t node) const;
  [[nodiscard]] net::IpAddress AddressOf(std::size_t node) const;
  /// Every speaker that is awake sees exactly those that it can reach, as they do, and is ready.
  [[nodiscard]] bool Converged();
  /// Why not; for messages.
  [[nodiscard]] std::string Views() const;
  [[nodiscard]] const Addresses& addresses() const { return addresses_; }
  /// Counts anew what clients see, and changes.
  void ResetCounts();
  /// Off: who answers what is not followed, until it is switched on again.
  void FollowAddresses(bool on);
  /// Doesn't judge what this speaker sees and announces, for instance because it hears but isn't
  /// heard.
  void Excuse(std::size_t node, bool excused);

  /// How often a change of this kind was told.
  [[nodiscard]] std::uint64_t CountOf(speaker::ChangeKind kind) const {
    return counts_[static_cast<std::size_t>(kind)];
  }
  /// How often a speaker was declared dead that could be reached all the time.
  [[nodiscard]] std::uint64_t false_deaths() const { return false_deaths_; }
  /// How often this speaker was told to announce again what stays its own.
  [[nodiscard]] std::uint64_t RivalsMet(std::size_t node) const;
  /// When somebody declared `node` dead, first and last since it was last started.
  [[nodiscard]] std::optional<TimePoint> FirstDeath(std::size_t node) const;
  [[nodiscard]] std::optional<TimePoint> LastDeath(std::size_t node) const;
  [[nodiscard]] std::uint64_t datagrams() const { return datagrams_; }
  [[nodiscard]] std::uint64_t octets() const { return octets_; }
  [[nodiscard]] std::mt19937_64& random() { return random_; }
  [[nodiscard]] Duration RandomSpan(Duration below);

  /// Called with every change that a speaker tells.
  void SetObserver(std::function<void(const Observed&)> observer) {
    observer_ = std::move(observer);
  }
  struct Carried {
    std::size_t to = 0;
    net::IpAddress source;
    std::vector<std::byte> bytes;
  };
  /// Called with every datagram that is sent.
  void SetTap(std::function<void(const Carried&)> tap) { tap_ = std::move(tap); }

 private:
  enum class EventKind : std::uint8_t { kDatagram, kRefused, kWake, kResume, kCall };
  struct Event {
    TimePoint at{};
    std::uint64_t order = 0;
    EventKind kind = EventKind::kWake;
    std::size_t to = 0;
    std::size_t from = 0;
    std::vector<std::byte> bytes;
  };
  struct Node {
    std::string name;
    std::unique_ptr<speaker::Membership> membership;
    std::map<std::size_t, std::vector<std::byte>> last_sent;  // to each other one
    std::uint64_t run = 0;  // which start this is: calls of an earlier one are void
    bool host_up = false;
    bool leaving = false;
    bool excused = false;
    bool relisting = false;                  // asks the API who the others are
    bool follow = false;                     // its announcements are to be worked out again
    std::set<speaker::AddressKey> released;  // announced, and not claimed any more
    speaker::Claims others;                  // claims that nobody looks at
    std::vector<std::string> secrets;
    std::set<std::size_t> listed;
    bool knows_others = false;  // has been told its list
    TimePoint paused_until{};
    Duration clock_behind{};    // of the LAN's time
    TimePoint wake{};           // when its timer is due
    TimePoint queued{};         // the earliest wake-up that is in the queue, and
    TimePoint queued_for{};     // for when it was meant
    TimePoint steady_since{};   // running, awake
    std::vector<Event> socket;  // what arrived during a pause
    std::vector<Event> quiet;   // datagrams that wake nobody
    std::uint64_t rivals_met = 0;
    std::optional<TimePoint> first_death;
    std::optional<TimePoint> last_death;
  };

  void Push(Event event);
  bool Step(TimePoint until);
  void Deliver(Event event);
  [[nodiscard]] static bool IsQuiet(const Event& event);
  void ReadQuiet(std::size_t node);
  void Resume(std::size_t node);
  void Freeze(std::size_t node, Duration duration, Duration clock_stops_for);
  void Stop(std::size_t node);
  void Carry(std::size_t node, speaker::Actions actions);
  void Tell(std::size_t node, speaker::Change change);
  void Transmit(std::size_t from, speaker::OutgoingDatagram datagram);
  void Arm(std::size_t node);
  void List(std::size_t node);
  void LookForOthers(std::size_t node);
  void Cause();
  [[nodiscard]] std::vector<int> Groups() const;
  void TrackPairs(const std::vector<int>& groups);
  [[nodiscard]] TimePoint TogetherSince(std::size_t a, std::size_t b) const;
  [[nodiscard]] bool Linked(std::size_t a, std::size_t b) const;
  [[nodiscard]] bool Judged(std::size_t node) const;
  [[nodiscard]] bool ShutOut(std::size_t node) const;
  void FollowSoon(std::size_t node);
  void FollowChanged();
  [[nodiscard]] bool ComputeConverged() const;
  [[nodiscard]] TimePoint LocalTime(std::size_t node) const {
    return now_ - nodes_[node].clock_behind;
  }
  [[nodiscard]] std::size_t IndexOf(const std::string& name) const;
  [[nodiscard]] bool Chance(double probability);

  LanOptions options_;
  std::mt19937_64 random_;
  LinkQuality quality_;
  TimePoint now_{std::chrono::hours(1000)};
  TimePoint last_cause_ = now_;
  TimePoint last_view_change_ = now_;
  std::vector<Node> nodes_;
  std::vector<std::vector<bool>> link_up_;
  std::size_t cut_links_ = 0;
  std::set<std::size_t> odd_;  // whose secrets or list are not as everybody's
  std::vector<int> groups_;
  bool uniform_ = true;  // at the last cause: no links cut, nobody odd
  TimePoint uniform_since_ = now_;
  std::vector<TimePoint> grouped_since_;  // by pair, unless uniform
  Addresses addresses_;
  bool follow_ = true;
  std::vector<std::size_t> to_follow_;
  std::vector<Event> events_;  // a heap
  std::uint64_t order_ = 0;
  std::map<std::uint64_t, std::function<void()>> calls_;  // by order
  std::uint64_t datagrams_ = 0;
  std::uint64_t octets_ = 0;
  std::uint64_t changes_ = 0;  // of views and causes
  std::uint64_t judged_at_ = ~std::uint64_t{0};
  bool converged_ = false;
  std::array<std::uint64_t, 32> counts_{};
  std::uint64_t false_deaths_ = 0;
  std::function<void(const Observed&)> observer_;
  std::function<void(const Carried&)> tap_;
};

}  // namespace stentor::sim
