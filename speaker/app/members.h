// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/io/event_loop.h"
#include "common/net/mac_address.h"
#include "common/obs/histogram.h"
#include "common/obs/log.h"
#include "speaker/app/member_secret.h"
#include "speaker/claims/claims.h"
#include "speaker/election/election.h"
#include "speaker/membership/membership.h"
#include "speaker/net/membership_socket.h"

namespace stentor::speaker {

struct MembersOptions {
  model::NodeName node;      ///< This one.
  std::string bind_address;  ///< As the flag has it.
  std::uint16_t port = 0;
  std::string key_folder;  ///< As MemberSecret has it.
  std::string key;         ///< Where there is no folder; empty: datagrams are not sealed.
  Profile profile;
};

struct MembersHandlers {
  std::function<void()> on_view;  ///< Ready() or Speakers() is not what it was.
  /// Only what speakers claim is not what it was (this one's included). Nobody waits for it: it may
  /// be looked at later, together with others. Once for all datagrams that arrived together.
  std::function<void()> on_claims;
  std::function<void()> on_rival;           ///< Announce again: Actions::rival_met.
  std::function<void()> on_macs;            ///< PeerMacs() is not what it was.
  std::function<void()> on_unknown_sender;  ///< Somebody is not on the list of speakers (yet).
  std::function<void()> on_left;            ///< All have heard the goodbye, or had their time.
};

/// Buckets of what a death takes, in seconds: of 25 ms heartbeats and of 1 s ones.
inline constexpr std::array<double, 12> kDetectionBounds = {0.025, 0.05, 0.1, 0.15, 0.2, 0.3,
                                                            0.4,   0.5,  1,   2,    5,   10};

/// What has been seen of other speakers since the start.
struct MemberTotals {
  std::array<std::uint64_t, kChangeKindCount> changes{};  ///< By ChangeKind.
  std::uint64_t rivals = 0;  ///< Actions::rival_met: two may have announced for a while.
  /// Seconds from the last sign of life of a speaker to the moment that it was declared dead.
  obs::Histogram detection{kDetectionBounds};
};

/// Carries datagrams and time into Membership, and out again what it says. Lives on the event
/// loop's thread; loop and log must outlive it.
class Members {
 public:
  Members(io::EventLoop& loop, const obs::Logger& log, MembersOptions options,
          MembersHandlers handlers);
  ~Members();
  Members(const Members&) = delete;
  Members& operator=(const Members&) = delete;

  /// Reads the key and opens the socket; call it before SetPeers(). Errors: what is wrong with the
  /// address, or can't be read or opened.
  [[nodiscard]] absl::Status Start();

  void SetPeers(const std::vector<PeerAddress>& peers);
  /// Adds or takes away one of this speaker's reasons to yield.
  void SetYield(YieldReason reason, bool holds);
  void SetMacs(const std::set<net::MacAddress>& macs);
  /// What this speaker claims; to be called after each election. Not taken while it is not Ready().
  void SetClaims(const Claims& claims);
  /// Before anything is announced or answered: after a pause others may do so for our addresses.
  void NoteTime();
  void Leave();

  [[nodiscard]] bool Ready() const { return membership_.Ready(); }
  [[nodiscard]] bool Returning() const { return membership_.Returning(); }
  [[nodiscard]] std::vector<Speaker> Speakers() const;
  [[nodiscard]] const Membership& membership() const noexcept { return membership_; }
  [[nodiscard]] const MemberTotals& totals() const noexcept { return totals_; }
  /// While on_view is called: the last sign of life of the speaker that was declared dead; of
  /// several, the earliest. Nothing where none was.
  [[nodiscard]] std::optional<TimePoint> lost_since() const noexcept { return lost_since_; }

 private:
  void OnReadable();
  void Drain();
  void TellClaimsChanged();
  void Carry(const Actions& actions);
  void ArmTimer();
  void Tell(const Change& change) const;

  io::EventLoop& loop_;
  const obs::Logger& log_;
  const MembersOptions options_;
  const MembersHandlers handlers_;
  MemberSecret secret_;
  Membership membership_;
  MemberTotals totals_;
  std::optional<TimePoint> lost_since_;
  YieldReasons yields_ = kYieldsNothing;
  bool leaving_ = false;
  bool draining_ = false;        // more of what arrived comes at once
  bool claims_changed_ = false;  // and nobody has been told
  std::optional<MembershipSocket> socket_;
  std::unique_ptr<io::DescriptorWatch> watch_;
  io::Timer timer_;
  std::optional<TimePoint> armed_for_;
};

}  // namespace stentor::speaker
