// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Speakers' membership cores on a LAN in virtual time: loss, delay, duplication and reordering,
/// links cut in either direction, speakers that crash, pause, restart and leave. One seed decides
/// everything; it is printed, and STENTOR_SIM_SEED replays it.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "common/base/time.h"
#include "common/model/objects.h"
#include "common/net/ip_address.h"
#include "speaker/membership/membership.h"
#include "test/support/run_seed.h"

namespace stentor::sim {

/// True where STENTOR_SIM_LONG asks for hours instead of minutes.
[[nodiscard]] bool LongRun();

struct LinkQuality {
  double loss = 0;
  double duplication = 0;
  Duration min_delay = std::chrono::microseconds(100);
  Duration max_delay = std::chrono::milliseconds(1);  ///< Uniform between; so it reorders.
};

/// A change as somebody saw it.
struct Observed {
  TimePoint at{};
  std::size_t observer = 0;
  speaker::Change change;
};

class SimulatedLan {
 public:
  /// `count` speakers node-0, node-1, ..., all stopped. Timers wake up to `timer_jitter` late.
  SimulatedLan(std::size_t count, std::uint64_t seed, LinkQuality quality,
               Duration timer_jitter = std::chrono::milliseconds(2));

  /// Starts the speaker (with a new boot id), listing all others; `secret` as its key.
  void Start(std::size_t node, const std::string& secret = "secret");
  void StartAll();
  /// The whole node dies: nothing arrives, nobody says so.
  void Crash(std::size_t node);
  /// The process dies and the node says so: ICMP port unreachable.
  void Kill(std::size_t node);
  void Leave(std::size_t node);
  /// Gets no time for so long; what arrives meanwhile waits in its socket.
  void Pause(std::size_t node, Duration duration);
  /// Cuts or mends the way from one to the other (one direction).
  void SetLink(std::size_t from, std::size_t to, bool up);
  /// Cuts all links between the two sides, or mends everything.
  void Partition(const std::set<std::size_t>& side);
  void Heal();
  void SetQuality(LinkQuality quality) { quality_ = quality; }
  /// Hands a datagram to a speaker out of nowhere.
  void Inject(std::size_t to, const net::IpAddress& source, std::vector<std::byte> bytes);
  void SetYields(std::size_t node, speaker::YieldReasons yields);

  void RunFor(Duration duration);
  /// Until `condition` holds, at most `limit`; the time that it took, or nothing.
  [[nodiscard]] std::optional<Duration> RunUntil(const std::function<bool()>& condition,
                                                 Duration limit);

  [[nodiscard]] TimePoint now() const { return now_; }
  [[nodiscard]] std::size_t size() const { return nodes_.size(); }
  [[nodiscard]] bool IsRunning(std::size_t node) const;
  [[nodiscard]] const speaker::Membership& At(std::size_t node) const;
  [[nodiscard]] std::string NameOf(std::size_t node) const;
  [[nodiscard]] net::IpAddress AddressOf(std::size_t node) const;

  /// Every running speaker sees exactly the running ones, and is ready.
  [[nodiscard]] bool Converged() const;
  /// The speakers that answer for the simulation's one address now, by their own election.
  [[nodiscard]] std::vector<std::size_t> Owners() const;
  /// For how long, in all, more than one speaker answered for it, or none.
  [[nodiscard]] Duration many_owners() const { return many_owners_; }
  [[nodiscard]] Duration no_owner() const { return no_owner_; }
  void ResetOwnerTimes();
  /// How often this speaker was told to announce again what stays its own.
  [[nodiscard]] std::size_t RivalsMet(std::size_t node) const { return nodes_.at(node).rivals_met; }

  [[nodiscard]] const std::vector<Observed>& observed() const { return observed_; }
  /// How often a speaker that was running and not paused was declared dead.
  [[nodiscard]] std::size_t false_deaths() const { return false_deaths_; }
  /// Every datagram that was sent to `node` so far, where Record() was called before.
  void Record() { recording_ = true; }
  struct Recorded {
    std::size_t to = 0;
    net::IpAddress source;
    std::vector<std::byte> bytes;
  };
  [[nodiscard]] const std::vector<Recorded>& recorded() const { return recorded_; }
  [[nodiscard]] std::uint64_t datagrams() const { return datagrams_; }
  [[nodiscard]] std::mt19937_64& random() { return random_; }

 private:
  struct Event {
    TimePoint at{};
    std::uint64_t order = 0;
    std::size_t to = 0;
    std::size_t from = 0;
    net::IpAddress source;
    std::vector<std::byte> bytes;  // empty: port unreachable, from `from`
    friend bool operator>(const Event& a, const Event& b) {
      return std::tie(a.at, a.order) > std::tie(b.at, b.order);
    }
  };
  struct Node {
    std::unique_ptr<speaker::Membership> membership;
    bool host_up = false;
    TimePoint paused_until{};
    TimePoint wake{};
    bool announces = false;
    std::size_t rivals_met = 0;
    std::vector<Event> socket;  // what arrived during a pause
  };

  void Carry(std::size_t node, speaker::Actions actions);
  void Transmit(std::size_t from, const speaker::OutgoingDatagram& datagram);
  void Deliver(Event event);
  void Step(TimePoint until);
  void AccountOwners(TimePoint until);
  void UpdateAnnounces(std::size_t node);
  void Arm(Node& node);
  [[nodiscard]] bool Chance(double probability);

  std::mt19937_64 random_;
  LinkQuality quality_;
  Duration timer_jitter_;
  TimePoint now_{std::chrono::hours(1)};
  std::vector<Node> nodes_;
  std::vector<model::Node> node_objects_;
  std::vector<std::vector<bool>> link_up_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::uint64_t order_ = 0;
  std::uint64_t datagrams_ = 0;
  std::vector<Observed> observed_;
  std::vector<Recorded> recorded_;
  bool recording_ = false;
  std::size_t false_deaths_ = 0;
  Duration many_owners_{};
  Duration no_owner_{};
};

}  // namespace stentor::sim
