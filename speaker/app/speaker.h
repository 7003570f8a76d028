// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "common/io/context.h"
#include "common/io/http_probe.h"
#include "common/io/lifetime.h"
#include "common/io/paced_task.h"
#include "common/obs/health.h"
#include "common/obs/metrics.h"
#include "speaker/app/facts.h"
#include "speaker/app/flags.h"
#include "speaker/app/members.h"
#include "speaker/app/metrics.h"
#include "speaker/app/node_checks.h"
#include "speaker/app/proxy_checks.h"
#include "speaker/app/segment.h"
#include "speaker/app/state_store.h"
#include "speaker/app/statuses.h"

namespace stentor::speaker {

/// What the speaker is started with, besides its flags.
struct SpeakerInputs {
  Flags flags;
  NameFilter excluded_interfaces;
  Profile member_profile;               ///< How fast the membership is.
  std::optional<io::HttpTarget> proxy;  ///< Where the service proxy tells how it is.
  std::string cluster;                  ///< Differs between clusters; known without the API.
};

/// Brings the parts of a speaker together: what the API says (Facts) and who lives (Members) go
/// into the elections, and what they decide to the segment, and to the API server as status. Lives
/// on the event loop's thread; what it is given must outlive it.
class SpeakerApp {
 public:
  SpeakerApp(SpeakerInputs inputs, const io::Context& context, obs::Health& health);
  ~SpeakerApp();
  SpeakerApp(const SpeakerApp&) = delete;
  SpeakerApp& operator=(const SpeakerApp&) = delete;

  /// Opens sockets and begins to watch. Errors: what can't be opened, in one line.
  [[nodiscard]] absl::Status Start();

  /// Leaves its addresses to the other speakers, says goodbye to them, and stops the loop when they
  /// have heard it or shortly after. Called again, it stops the loop at once.
  void Stop();

  /// For one scrape.
  void Collect(obs::MetricSet& metrics) const;

 private:
  // speaker.cc: elections, and what follows from them
  [[nodiscard]] SegmentHandlers OnSegment();
  [[nodiscard]] MembersHandlers OnMembers();
  [[nodiscard]] FactsHandlers OnFacts();
  void OnKnown();
  void OnLinks();
  void Reconcile();
  void CountOwners(const std::vector<OwnershipChange>& changes);
  void Withdrawn(const OwnershipChange& change);
  void Failed(const AnnounceFailure& failure);
  void ShowAnnounced();
  void Announcing(const AnnouncedService& service, const std::vector<net::IpAddress>& addresses);

  // speaker_hand_over.cc: addresses that go to others, or come from them
  void TellSegment();
  void Stays(const StayNotice& notice);
  void OnRival();
  void OnHandedOver(const std::vector<HandOverEnd>& ends);
  void ArmReconcile();
  void LeaveSoon();

  // speaker_health.cc: what else it tells
  void OnConfig(const absl::StatusOr<config::Config>& outcome);
  void OnConflicts(const std::vector<ConflictNotice>& notices);
  void ShowConflicts();
  void OnTraps(const std::vector<TrapChange>& changes);
  void CheckHealth();

  const SpeakerInputs inputs_;
  const Flags& flags_;
  const io::Context context_;
  obs::Health& health_;
  Metrics metrics_;

  std::optional<StateStore> store_;
  Reconciler reconciler_;
  Segment segment_;
  std::optional<Members> members_;
  NodeChecks node_checks_;
  ProxyChecks proxy_checks_;
  Statuses statuses_;
  Facts facts_;

  bool statuses_settled_ = false;
  bool was_known_ = false;
  bool was_ready_ = false;
  bool was_saved_ = false;
  bool announce_again_ = false;  // after the next elections
  bool stopping_ = false;
  std::uint64_t announced_revision_ = 0;
  std::optional<std::uint64_t> shown_revision_;   // of what was told; none: not all was
  std::optional<std::uint64_t> shown_conflicts_;  // Announcer::conflict_revision()
  // Of each Service (hash of its name and uid) that this node has won, and announced at some time
  // since: with which addresses (a hash) it was told last. That an address is withheld and released
  // again is told as a conflict, and bounded there.
  absl::flat_hash_map<std::size_t, std::size_t> told_;
  io::Timer health_timer_;
  io::Timer stop_timer_;
  io::Timer reconcile_timer_;  // Reconciler::NextDeadline()
  io::PacedTask reconcile_;    // for what the API tells, and what others claim
  io::PacedTask show_;
  io::Lifetime lifetime_;
};

}  // namespace stentor::speaker
