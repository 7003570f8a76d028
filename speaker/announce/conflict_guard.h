// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Whether an address of ours is somebody else's too: probes, claims, defence, and when an address
/// is withheld (RFC 5227; for IPv6 likewise, with the frames of RFC 4862). Pure; knows neither
/// links nor frames: Announcer does.
///
/// An address that is new is probed. Somebody who answers, or who probes for it at the same time,
/// is its owner, unless he answers for an address that nobody can have as well: then he is a proxy.
/// While an address is announced, whoever says that it is at his MAC claims it. It is defended once
/// in ten seconds, and with kStrict a second claim within that time makes this node give way. An
/// answer that nobody has asked for just now is such a claim. The conflict is over when a probe,
/// sent when it has been quiet for a while, finds no other owner.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/base/time.h"
#include "common/net/ip_address.h"
#include "common/net/mac_address.h"
#include "common/net/rtnetlink.h"
#include "speaker/announce/announcer_pace.h"
#include "speaker/announce/conflict.h"
#include "speaker/announce/conflict_notices.h"
#include "speaker/announce/conflict_proxies.h"

namespace stentor::speaker {

/// How a foreign host said that it has an address.
enum class ClaimForm : std::uint8_t {
  kAnswer,       ///< To a question, if it was asked just now: a proxy might have said it.
  kMaybeAnswer,  ///< An answer if a probe is under way, or else a claim.
  kClaim,        ///< Unasked, or as the sender of a question.
  kProbe,        ///< It only asks whether it may have the address.
};

/// Not thread-safe. Memory is bounded by the number of addresses that are or were probed or
/// claimed, which are among those that were given to Add(): at most four MACs each, and
/// kMaxSuspects on a segment.
class ConflictGuard {
 public:
  using Segment = ConflictProxies::Segment;
  static constexpr std::size_t kMaxForeign = 4;  ///< MACs remembered for each address.

  enum class TaskKind : std::uint8_t {
    kProbe,    ///< Ask for `address` on every link where it may be announced.
    kDefend,   ///< Announce `address` once, on `link` or on all its links (IfIndex 0).
    kControl,  ///< Ask on `link` for `address`, which nobody has.
  };
  struct Task {
    TaskKind kind{};
    net::IpAddress address;
    net::IfIndex link{};
  };

  /// A strict address that fell silent, or need not be silent any longer.
  struct Turn {
    net::IpAddress address;
    bool silent = false;
  };

  /// `jitter` must outlive this object.
  ConflictGuard(const ConflictOptions& options, Jitter& jitter);

  /// An address is to be announced that was not before. True if it must be silent for now.
  [[nodiscard]] bool Add(const net::IpAddress& address, ConflictPolicy policy, bool probe,
                         TimePoint now);
  void Remove(const net::IpAddress& address);

  /// Another policy for an address that was added. With kWarn it is not silent.
  void SetPolicy(const net::IpAddress& address, ConflictPolicy policy, TimePoint now);

  /// A link became usable, for all addresses or for one: probes that had none begin, those under
  /// way begin anew (but not again and again), so that the owners there are asked too.
  void OnLinkUsable(TimePoint now);
  void OnLinkUsable(const net::IpAddress& address, TimePoint now);

  /// Forgets what the hosts for which `known` is true have claimed.
  void Forget(const std::function<bool(const net::MacAddress&)>& known, TimePoint now);

  /// A foreign host spoke of `address`, which was added and has this policy.
  void OnClaim(const net::IpAddress& address, ConflictPolicy policy, net::IfIndex link,
               const net::MacAddress& mac, ClaimForm form, TimePoint now);

  /// A foreign host answered for the address that nobody has.
  void OnControlAnswer(const Segment& segment, const net::MacAddress& mac, TimePoint now);

  using PolicyOf = std::function<ConflictPolicy(const net::IpAddress&)>;
  /// Does what needs no frame, as of `now`. Tasks may come of it. `policy_of` knows the present
  /// policy of every address that was added.
  void Advance(TimePoint now, const PolicyOf& policy_of);

  /// The next thing that needs a frame, in order; OnTaskDone() must follow. HasTask() may be true
  /// where none is left that is still wanted.
  [[nodiscard]] bool HasTask() const noexcept { return !tasks_.empty(); }
  [[nodiscard]] std::optional<Task> TakeTask();

  /// `frames` left because of `task`. None: no link could carry any.
  void OnTaskDone(const Task& task, std::size_t frames, TimePoint now);

  /// One of the frames of the last probe for `address` did not leave after all. Where none did, it
  /// is as if no link could carry any.
  void OnProbeNotSent(const net::IpAddress& address);

  /// When Advance() has something to do next.
  [[nodiscard]] std::optional<TimePoint> NextTimer() const;

  /// What happened since the last call, in order.
  [[nodiscard]] std::vector<Turn> TakeTurns();
  [[nodiscard]] std::vector<ConflictNotice> TakeNotices() { return notices_.Take(); }

  /// Whether a proxy is being looked for there, so that its answers matter.
  [[nodiscard]] bool ControlActive(const Segment& segment) const {
    return proxies_.Active(segment);
  }

  /// Whether the address is silent because of a conflict (and does not only wait for a probe).
  [[nodiscard]] bool Withheld(const net::IpAddress& address) const;
  [[nodiscard]] std::map<net::IpAddress, AddressConflict> Conflicts() const;
  /// Changes whenever Conflicts() does, but for times and counts.
  [[nodiscard]] std::uint64_t revision() const noexcept { return revision_; }
  [[nodiscard]] const ConflictTotals& totals() const noexcept { return totals_; }

 private:
  enum class Phase : std::uint8_t {
    kProbing,  // a frame is due or queued, or the last answer is awaited
    kNoLink,   // likewise, as soon as there is a link
    kResting,  // in conflict; to be probed (again) later
  };
  enum class Timer : std::uint8_t { kProbe, kDefend };

  // Only for addresses that are probed or in conflict.
  struct State {
    ConflictPolicy policy{};
    Phase phase = Phase::kProbing;
    bool silent = false;
    bool in_conflict = false;  // then `facts` are true
    bool probe_queued = false;
    bool defence_queued = false;
    std::uint8_t probes_sent = 0;
    std::size_t probe_frames = 0;           // of the last probe
    TimePoint probing_since;                // links that came later have not moved it
    std::optional<TimePoint> probe_timer;   // the next step; in kResting the next probe
    std::optional<TimePoint> defend_timer;  // of a defence that has to wait
    std::optional<TimePoint> defended;      // the last one
    net::MacAddress defended_against;
    net::IfIndex defend_link{};
    Duration recheck{};  // the present interval; zero before the first conflict
    AddressConflict facts;
  };

  // The intervals of a conflict that is over.
  struct Past {
    Duration recheck{};
    bool silent = false;
    TimePoint over;
  };

  [[nodiscard]] bool AskedJustNow(const net::IpAddress& address, TimePoint now) const;
  void Ask(const Segment& segment);
  void SetTimer(const net::IpAddress& address, State* state, Timer timer,
                std::optional<TimePoint> at);
  void Drop(const net::IpAddress& address);
  void StartProbe(const net::IpAddress& address, State* state, TimePoint now);
  void ProbeNewLink(const net::IpAddress& address, State* state, TimePoint now);
  void OnProbeTimer(const net::IpAddress& address, State* state, TimePoint now);
  void Conclude(const net::IpAddress& address, State* state, TimePoint now);
  void Confirm(const net::IpAddress& address, ConflictPolicy policy, net::IfIndex link,
               const net::MacAddress& mac, ClaimForm form, TimePoint now);
  void Record(State* state, net::IfIndex link, const net::MacAddress& mac, TimePoint now);
  void Rest(const net::IpAddress& address, State* state, TimePoint now);
  void Withhold(const net::IpAddress& address, State* state);
  void Defend(const net::IpAddress& address, State* state, net::IfIndex link,
              const net::MacAddress& mac, TimePoint now);
  void QueueDefence(const net::IpAddress& address, State* state, TimePoint now);
  void Tell(const net::IpAddress& address, const State& state, ConflictKind kind,
            const ForeignClaim& who, TimePoint now);

  ConflictOptions options_;
  Jitter& jitter_;
  absl::flat_hash_map<net::IpAddress, State> states_;
  std::set<std::tuple<TimePoint, net::IpAddress, Timer>> timers_;
  std::deque<Task> tasks_;  // some may not be wanted any more: TakeTask() skips them
  absl::flat_hash_map<net::IpAddress, TimePoint> last_probes_;
  absl::flat_hash_map<net::IpAddress, Past> past_;
  ConflictProxies proxies_;
  ConflictNotices notices_;
  std::vector<Turn> turns_;
  ConflictTotals totals_;
  std::uint64_t revision_ = 0;
};

}  // namespace stentor::speaker
