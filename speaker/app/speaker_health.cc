// SPDX-License-Identifier: Apache-2.0

/// \file
/// What the speaker tells of conflicts, of its node, and of itself.

#include <chrono>
#include <set>
#include <string>
#include <utility>

#include "common/base/strings.h"
#include "speaker/app/speaker.h"

namespace stentor::speaker {
namespace {

using namespace std::chrono_literals;

constexpr Duration kCheckHealthEvery = 2s;
constexpr const char* kPortsOpen = "packet sockets open";  // a condition of being ready

// Reasons of the events about a Service whose address another host claims.
constexpr const char* kConflictEvent = "addressConflict";
constexpr const char* kConflictOverEvent = "addressConflictOver";

bool IsOver(ConflictKind kind) {
  return kind == ConflictKind::kReleased || kind == ConflictKind::kOver;
}

std::string MessageOf(const ConflictNotice& notice) {
  const std::string address = notice.address.ToString();
  const std::string who = StrCat(notice.foreign.ToString(), " on ", notice.interface);
  switch (notice.kind) {
    case ConflictKind::kFoundByProbe:
      return StrCat("address ", address, " is in use by another host, ", who,
                    notice.policy == ConflictPolicy::kStrict ? ": it is withheld"
                                                             : "; it is announced nevertheless");
    case ConflictKind::kClaimed:
      return StrCat("another host, ", who, ", claims address ", address,
                    ": it is announced again, at most every 10 s");
    case ConflictKind::kWithheld:
      return StrCat("another host, ", who, ", goes on claiming address ", address,
                    ": it is withheld");
    case ConflictKind::kReleased:
      return StrCat("address ", address, " is free: it is announced");
    case ConflictKind::kOver:
      return StrCat("no other host claims address ", address, " any more");
  }
  return "";
}

// The families of the pools that may be announced.
std::set<net::IpFamily> FamiliesOf(const config::Config& config) {
  std::set<net::IpFamily> families;
  for (const config::Pool& pool : config.pools) {
    for (const net::IpRange& range : pool.ranges) {
      if (!pool.l2_advertisements.empty()) {
        families.insert(range.first.family());
      }
    }
  }
  return families;
}

// The interfaces that its advertisements name.
std::set<std::string> InterfacesOf(const config::Config& config) {
  std::set<std::string> names;
  for (const config::Pool& pool : config.pools) {
    for (const config::L2Advertisement& advertisement : pool.l2_advertisements) {
      names.insert(advertisement.interfaces.begin(), advertisement.interfaces.end());
    }
  }
  return names;
}

}  // namespace

void SpeakerApp::OnConfig(const absl::StatusOr<config::Config>& outcome) {
  statuses_.ConfigOutcome(outcome);
  if (outcome.ok()) {
    segment_.SetFamilies(FamiliesOf(*outcome));
    segment_.SetNamed(InterfacesOf(*outcome));
    OnLinks();  // who has a carrier may be otherwise now
    node_checks_.SetConfig(*outcome);
  }
}

void SpeakerApp::OnConflicts(const std::vector<ConflictNotice>& notices) {
  for (const ConflictNotice& notice : notices) {
    const bool over = IsOver(notice.kind);
    const std::string message = MessageOf(notice);
    context_.log.Log(over ? obs::Event::kConflictOver : obs::Event::kConflict, message,
                     {{"address", notice.address.ToString()},
                      {"mac", notice.foreign.ToString()},
                      {"interface", notice.interface},
                      {"policy", std::string(ConflictPolicyName(notice.policy))},
                      {"change", std::string(ConflictKindName(notice.kind))}});
    for (const AnnouncedService& service : reconciler_.AnnouncedServices()) {
      if (std::ranges::find(service.addresses, notice.address) != service.addresses.end()) {
        statuses_.EmitAbout(service.service, service.uid,
                            over ? kube::EventType::kNormal : kube::EventType::kWarning,
                            over ? kConflictOverEvent : kConflictEvent, message);
      }
    }
  }
  ShowConflicts();
}

void SpeakerApp::ShowConflicts() {
  const Announcer& announcer = segment_.announcer();
  if (shown_conflicts_ == announcer.conflict_revision()) {
    return;
  }
  shown_conflicts_ = announcer.conflict_revision();
  std::vector<ConflictFact> facts;
  for (const auto& [address, conflict] : announcer.Conflicts()) {
    for (const ForeignClaim& claim : conflict.foreign) {
      const Link* link = segment_.links().Find(claim.link);
      facts.push_back({.address = address,
                       .mac = claim.mac,
                       .interface = link != nullptr ? link->name : "",
                       .withheld = conflict.withheld});
    }
  }
  statuses_.SetConflicts(facts);
}

void SpeakerApp::OnTraps(const std::vector<TrapChange>& changes) {
  for (const TrapChange& change : changes) {
    const bool warns = change.trap.severity == TrapSeverity::kWarning;
    context_.log.Log(
        change.present ? obs::Event::kNodeTrap : obs::Event::kNodeTrapGone, change.trap.message,
        {{"trap", std::string(TrapName(change.trap.kind))}, {"subject", change.trap.subject}});
    if (change.present && warns) {
      statuses_.EmitAboutNode(kube::EventType::kWarning, TrapName(change.trap.kind),
                              change.trap.message);
    }
  }
  std::vector<TrapFact> present;
  for (const Trap& trap : node_checks_.traps().Present()) {
    if (trap.severity == TrapSeverity::kWarning) {
      present.push_back({.reason = std::string(TrapName(trap.kind)), .message = trap.message});
    }
  }
  statuses_.SetTraps(present);
}

// None of these tells by itself when it changes; of conflicts, not each change is worth a notice.
void SpeakerApp::CheckHealth() {
  ShowConflicts();
  const absl::Status ready = segment_.ports().Ready();
  health_.Set(kPortsOpen, ready.ok(), std::string(ready.message()));
  const absl::Status progress = segment_.ports().Progress();
  health_.SetStuck(progress.ok() ? "" : std::string(progress.message()));
  health_timer_.ArmToTheSecond(kCheckHealthEvery, [this] { CheckHealth(); });
}

}  // namespace stentor::speaker
