// SPDX-License-Identifier: Apache-2.0
#include "speaker/app/speaker.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <utility>

#include "absl/hash/hash.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/io/random.h"

namespace stentor::speaker {
namespace {

// Conditions of being ready. Whoever is ready has announced what it wins: a rollout goes on to the
// next node then, whose addresses may be this one's until that is done.
constexpr const char* kEverythingRead = "everything read once";
constexpr const char* kElectionsHeld = "elections held";
// With ten thousand Services a look at all that is announced takes long enough to make heartbeats
// late where it is taken after each of many changes: changes that come fast are taken together.
// Those of claims are too: who claims an address is who wins it anyway.
constexpr int kReconcileRest = 3;
// What only tells of it waits longer.
constexpr int kShowRest = 9;

std::string Join(const std::vector<net::IpAddress>& addresses) {
  std::string out;
  for (const net::IpAddress& address : addresses) {
    StrAppend(&out, out.empty() ? "" : ",", address.ToString());
  }
  return out;
}

// As with MetalLB: without membership, every node with a Node object counts as alive.
bool HasMembership(const Flags& flags) {
  return !flags.member_bind_address.empty() && !flags.member_labels.empty();
}

FactsOptions FactsOptionsOf(const Flags& flags) {
  return {.node = flags.node_name,
          .name_space = flags.common.name_space,
          .config_map = flags.common.config_map,
          .config_map_named = flags.common.config_map_named,
          .speaker_labels = HasMembership(flags) ? flags.member_labels : "",
          .pod_name = flags.common.pod_name};
}

AnnouncerOptions AnnouncerOptionsOf(const Flags& flags) {
  AnnouncerOptions options;
  options.refresh_interval = flags.gratuitous_interval;
  options.frames_per_second = flags.gratuitous_rate;
  options.jitter_seed = io::RandomU64();
  return options;
}

// News of claims were measured to take up to nine heartbeat intervals, with 200 speakers: 0.9 s
// under the profile "lan", 5 s under "wan".
Duration TakenWithin(const Profile& profile) {
  return AnnouncerOptions().hand_over_bound + 20 * profile.heartbeat_interval;
}

}  // namespace

SpeakerApp::SpeakerApp(SpeakerInputs inputs, const io::Context& context, obs::Health& health)
    : inputs_(std::move(inputs)),
      flags_(inputs_.flags),
      context_(context),
      health_(health),
      metrics_(flags_.node_name),
      reconciler_({.node = flags_.node_name,
                   .load_balancer_class = flags_.common.load_balancer_class,
                   .ignore_exclude_label = flags_.ignore_exclude_label,
                   .membership = HasMembership(flags_),
                   .highest_epoch =
                       [this](AddressKey address) {
                         return members_ ? members_->membership().HighestEpoch(address) : 0;
                       },
                   .taken_within = TakenWithin(inputs_.member_profile)}),
      segment_(context.loop, context.log, inputs_.excluded_interfaces, AnnouncerOptionsOf(flags_),
               OnSegment()),
      node_checks_(context.loop, segment_.links(), inputs_.proxy,
                   {.on_proxy =
                        [this](bool yields) {
                          if (members_) {
                            members_->SetYield(kYieldProxyUnhealthy, yields);
                          }
                        },
                    .on_look = [this](const auto& changes) { OnTraps(changes); },
                    .addresses = [this] { return reconciler_.Addresses(); }}),
      proxy_checks_(context.loop, segment_.links(),
                    [this](const model::ServiceKey& service) {
                      reconciler_.NoteProxyReady(service);
                      reconcile_.Schedule();
                    }),
      statuses_(context,
                {.node = flags_.node_name,
                 .name_space = flags_.common.name_space,
                 .pod_name = flags_.common.pod_name},
                {.on_status = [this](const model::ServiceKey& service,
                                     bool exists) { reconciler_.NoteStatus(service, exists); },
                 .on_settled =
                     [this](bool known) {
                       statuses_settled_ = true;
                       if (known) {
                         reconciler_.SetStatusesKnown();
                       }
                       OnKnown();
                     }}),
      facts_(
          context, FactsOptionsOf(flags_), OnFacts(), reconciler_,
          flags_.state_folder.empty()
              ? nullptr
              : &store_.emplace(
                    context.loop, context.log, flags_.state_folder,
                    StateIdentity{.cluster = inputs_.cluster, .node = flags_.node_name},
                    StateKeeper::Sources{
                        .services =
                            [this](const auto& visit) { reconciler_.ForEachService(visit); },
                        .slices = [this](const auto& visit) { reconciler_.ForEachSlice(visit); }}),
          metrics_.client),
      health_timer_(context.loop),
      stop_timer_(context.loop),
      reconcile_timer_(context.loop),
      reconcile_(context.loop, kReconcileRest, [this] { Reconcile(); }),
      show_(context.loop, kShowRest, [this] { ShowAnnounced(); }) {
  if (HasMembership(flags_)) {
    members_.emplace(context.loop, context.log,
                     MembersOptions{.node = flags_.node_name,
                                    .bind_address = flags_.member_bind_address,
                                    .port = flags_.member_bind_port,
                                    .key_folder = flags_.member_key_path,
                                    .key = flags_.member_key,
                                    .profile = inputs_.member_profile},
                     OnMembers());
  }
}

SpeakerApp::~SpeakerApp() = default;

absl::Status SpeakerApp::Start() {
  // Nearly every configuration has pools of IPv4, and the kernel takes 10 ms to open a port: that
  // passes while the API server answers.
  segment_.SetFamilies({net::IpFamily::kIpv4});
  STENTOR_RETURN_IF_ERROR(segment_.Start());
  if (members_) {
    STENTOR_RETURN_IF_ERROR(members_->Start());
    members_->SetYield(kYieldStarting, true);  // until everything is read
  }
  health_.Set(kEverythingRead, false);
  health_.Set(kElectionsHeld, false);
  if (!flags_.pod_uid.empty()) {
    statuses_.SetOwner(flags_.pod_uid);
  }
  statuses_.Start();
  node_checks_.Start();
  facts_.Start();
  CheckHealth();
  return absl::OkStatus();
}

void SpeakerApp::Collect(obs::MetricSet& metrics) const {
  metrics_.Collect({.reconciler = reconciler_,
                    .announcer = segment_.announcer(),
                    .ports = segment_.ports(),
                    .members = members_ ? &*members_ : nullptr,
                    .traps = node_checks_.traps(),
                    .from_saved_state = facts_.FromSavedState(),
                    .statuses_pending = statuses_.pending()},
                   metrics);
}

// --- what comes in ---

SegmentHandlers SpeakerApp::OnSegment() {
  return {.before_frames =
              [this] {
                if (members_) {
                  members_->NoteTime();
                }
              },
          .on_links = [this] { OnLinks(); },
          .on_states = [this] { show_.Schedule(); },
          .on_conflicts = [this](const auto& notices) { OnConflicts(notices); },
          .on_handed_over = [this](const auto& ends) { OnHandedOver(ends); }};
}

MembersHandlers SpeakerApp::OnMembers() {
  return {.on_view = [this] { Reconcile(); },
          .on_claims = [this] { reconcile_.Schedule(); },
          .on_rival = [this] { OnRival(); },
          .on_macs =
              [this] {
                // Not at once: this may come before frames are read.
                context_.loop.Post(lifetime_.Bind(
                    [this] { segment_.SetSpeakerMacs(members_->membership().PeerMacs()); }));
              },
          .on_unknown_sender = [this] { facts_.LookForPods(); },
          .on_left = [this] { context_.loop.Stop(); }};
}

FactsHandlers SpeakerApp::OnFacts() {
  return {.on_change = [this] { reconcile_.Schedule(); },
          .on_known = [this] { OnKnown(); },
          .on_addresses = [this] { segment_.SetNodeAddresses(facts_.NodeAddresses()); },
          .on_peers =
              [this](const std::vector<PeerAddress>& peers) {
                if (members_) {
                  members_->SetPeers(peers);
                }
              },
          .on_own_pod = [this](const std::string& uid) { statuses_.SetOwner(uid); },
          .on_config = [this](const auto& outcome) { OnConfig(outcome); }};
}

void SpeakerApp::OnKnown() {
  const bool saved = facts_.FromSavedState();
  if (std::exchange(was_saved_, saved) && !saved) {
    context_.log.Log(obs::Event::kStateConfirmed, "nothing of the saved state is in use any more");
  }
  const bool known = facts_.Known() && (statuses_settled_ || saved);
  if (known && !std::exchange(was_known_, true)) {
    context_.log.Log(obs::Event::kReady, "everything has been read once");
  }
  health_.Set(
      kEverythingRead, known && !saved,
      saved ? "the API server does not answer; what it said before the restart is in use" : "");
  reconcile_.Schedule();
}

void SpeakerApp::OnLinks() {
  if (!segment_.Known()) {
    return;
  }
  reconciler_.SetInterfaces(segment_.InterfaceNames());
  if (members_) {
    members_->SetMacs(segment_.Macs());
    members_->SetYield(kYieldNoCarrier, !segment_.HasCarrier());
  }
  node_checks_.LookSoon();
  reconcile_.Schedule();
}

// --- elections ---

void SpeakerApp::Reconcile() {
  facts_.BringUpToDate();
  if (!was_known_) {
    return;
  }
  const bool ready = !members_ || members_->Ready();
  if (!ready && was_ready_) {
    // After a pause, most often all is as it was: nothing is withdrawn, and nothing answered, until
    // a peer says how it stands.
    segment_.SetPaused(true);
    return;
  }
  was_ready_ = ready;
  if (members_) {
    // Without a configuration in force it would be elected, and announce nothing.
    members_->SetYield(kYieldStarting, !facts_.Configured());
  }
  reconciler_.SetSpeakers(members_ ? members_->Speakers() : std::vector<Speaker>(), ready);
  const std::vector<OwnershipChange> changes = reconciler_.Reconcile(context_.loop.Now());
  TellSegment();
  if (ready && !(members_ && members_->Returning())) {
    health_.Set(kElectionsHeld, true);
  } else if (!ready) {
    health_.Set(kElectionsHeld, false, "other speakers are waited for");
  }
  segment_.SetPaused(false);
  if (std::exchange(announce_again_, false)) {
    segment_.AnnounceAgain();
  }
  ArmReconcile();
  CountOwners(changes);
  for (const OwnershipChange& change : changes) {
    if (change.verdict != Verdict::kAnnounced && change.verdict != Verdict::kNotReady) {
      Withdrawn(change);
    }
  }
  if (shown_revision_ != reconciler_.revision()) {
    if (members_) {
      members_->SetMacs(segment_.Macs());  // of many, those in use count
    }
    show_.Schedule();
  }
  for (const AnnounceFailure& failure : reconciler_.TakeFailures()) {
    Failed(failure);
  }
  for (const StayNotice& notice : reconciler_.TakeStayNotices()) {
    Stays(notice);
  }
  node_checks_.SetNode(facts_.OwnLabels());
  node_checks_.LookSoon();
  LeaveSoon();
  // Last: the membership may call back.
  if (members_) {
    members_->SetClaims(reconciler_.claims());
  }
}

// Called when what was won has been announced.
void SpeakerApp::CountOwners(const std::vector<OwnershipChange>& changes) {
  const auto won = static_cast<std::size_t>(std::count_if(
      changes.begin(), changes.end(),
      [](const OwnershipChange& change) { return change.verdict == Verdict::kAnnounced; }));
  metrics_.services_won += won;
  metrics_.services_lost += changes.size() - won;
  const auto last_sign = members_ ? members_->lost_since() : std::nullopt;
  if (won > 0 && last_sign) {
    metrics_.take_over.Observe(
        std::chrono::duration<double>(context_.loop.Now() - *last_sign).count());
  }
}

void SpeakerApp::Withdrawn(const OwnershipChange& change) {
  told_.erase(absl::HashOf(change.service, change.uid));  // won again, it is told again
  std::vector<obs::Field> fields = {
      {"service", change.service.ToString()},
      {"address", Join(change.addresses)},
      {"pool", change.pool},
      {"protocol", "layer2"},
      {"reason", std::string(ReasonName(change.verdict, change.decision))}};
  if (!change.winner.empty()) {
    fields.push_back({"winner", change.winner});
  }
  context_.log.Log(obs::Event::kWithdrawn, "withdrawing service announcement", fields);
}

void SpeakerApp::Failed(const AnnounceFailure& failure) {
  for (const std::string& message : failure.messages) {
    context_.log.Log(obs::Event::kAnnounceFailed, message,
                     {{"service", failure.service.ToString()}});
    statuses_.EmitAnnounceFailed(failure.service, failure.uid, message);
  }
}

// What is announced in truth: an address that waits for its probe, or is withheld, is not.
// Who only waits for a peer's word after a pause is silent meanwhile, but says nothing of it: most
// often all is as it was a moment later.
void SpeakerApp::ShowAnnounced() {
  if (members_ && !members_->Ready()) {
    shown_revision_.reset();
    return;
  }
  shown_revision_ = reconciler_.revision();
  ServiceInterfaces with_interfaces;
  absl::flat_hash_map<std::size_t, std::size_t> told;
  for (const AnnouncedService& service : reconciler_.AnnouncedServices()) {
    std::vector<net::IpAddress> addresses;
    for (const net::IpAddress& address : service.addresses) {
      if (segment_.announcer().StateOf(address) == AddressState::kAnnounced) {
        addresses.push_back(address);
      }
    }
    const std::size_t who = absl::HashOf(service.service, service.uid);
    const auto before = told_.find(who);
    if (before != told_.end()) {
      told.insert(*before);
    }
    if (addresses.empty()) {
      continue;
    }
    const std::size_t what = absl::HashOf(service.addresses);
    if (before == told_.end() || before->second != what) {
      told[who] = what;
      Announcing(service, addresses);
    }
    with_interfaces[service.service] =
        service.interfaces.all() ? std::vector<std::string>()
                                 : std::vector<std::string>(service.interfaces.names()->begin(),
                                                            service.interfaces.names()->end());
  }
  told_ = std::move(told);
  statuses_.SetAnnounced(with_interfaces);
  ShowConflicts();
}

void SpeakerApp::Announcing(const AnnouncedService& service,
                            const std::vector<net::IpAddress>& addresses) {
  context_.log.Log(obs::Event::kAnnouncing, "service has IP, announcing",
                   {{"service", service.service.ToString()},
                    {"address", Join(addresses)},
                    {"protocol", "layer2"}});
  statuses_.EmitNodeAssigned(service.service, service.uid);
}

}  // namespace stentor::speaker
