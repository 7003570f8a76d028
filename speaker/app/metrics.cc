// SPDX-License-Identifier: Apache-2.0
#include "speaker/app/metrics.h"

#include <string>

namespace stentor::speaker {
namespace {

using obs::MetricInfo;
using obs::MetricType;

constexpr MetricInfo kAnnounced{"metallb_speaker_announced", MetricType::kGauge,
                                "1 for each address of a Service that this node announces"};
constexpr MetricInfo kRequests{"metallb_layer2_requests_received", MetricType::kCounter,
                               "ARP requests and neighbour solicitations for announced addresses"};
constexpr MetricInfo kResponses{"metallb_layer2_responses_sent", MetricType::kCounter,
                                "Answers to them"};
constexpr MetricInfo kGratuitous{
    "metallb_layer2_gratuitous_sent", MetricType::kCounter,
    "Gratuitous ARP packets and unsolicited neighbour advertisements for announced addresses"};
constexpr MetricInfo kMembers{"stentor_membership_alive_members", MetricType::kGauge,
                              "Speakers that this one takes for alive, itself included"};
constexpr MetricInfo kMemberDrops{"stentor_membership_dropped_datagrams_total",
                                  MetricType::kCounter,
                                  "Datagrams between speakers that changed nothing, by reason"};
constexpr MetricInfo kMemberChanges{"stentor_membership_changes_total", MetricType::kCounter,
                                    "What was seen of other speakers, by kind of change"};
constexpr MetricInfo kRivals{
    "stentor_membership_rivals_total", MetricType::kCounter,
    "Speakers met that may have announced the same addresses meanwhile, as "
    "after a partition"};
constexpr MetricInfo kDetection{
    "stentor_membership_detection_seconds", MetricType::kHistogram,
    "From the last sign of life of a speaker to the moment that it was declared dead"};
constexpr MetricInfo kOwnerChanges{
    "stentor_speaker_owner_changes_total", MetricType::kCounter,
    "Services that this node began to announce (won), or left to another one or to nobody (lost)"};
constexpr MetricInfo kHandOvers{"stentor_speaker_handovers_total", MetricType::kCounter,
                                "Addresses left to another node: completed when that was heard to "
                                "announce, timed out where not"};
constexpr MetricInfo kLeaving{"stentor_speaker_handovers_pending", MetricType::kGauge,
                              "Addresses that are answered until another node announces them"};
constexpr MetricInfo kTakeOver{"stentor_speaker_takeover_seconds", MetricType::kHistogram,
                               "From the last sign of life of a speaker that died to this node's "
                               "announcement of its addresses"};
constexpr MetricInfo kArpDrops{"stentor_arp_dropped_frames_total", MetricType::kCounter,
                               "ARP frames that got no answer, by reason"};
constexpr MetricInfo kNdpDrops{"stentor_ndp_dropped_frames_total", MetricType::kCounter,
                               "Frames of the neighbour discovery that got no answer, by reason"};
constexpr MetricInfo kPortReceived{"stentor_packet_received_frames_total", MetricType::kCounter,
                                   "Frames that the kernel filter let in"};
constexpr MetricInfo kPortLost{"stentor_packet_lost_frames_total", MetricType::kCounter,
                               "Of these, frames that were lost because the speaker was too slow"};
constexpr MetricInfo kServices{
    "stentor_speaker_services", MetricType::kGauge,
    "Services of this load balancer class, by what the election said of this node"};
constexpr MetricInfo kUnannounced{
    "stentor_speaker_unannounced", MetricType::kGauge,
    "1 for each address of a Service that neither this node announces nor another one that won it; "
    "of the first 200"};
constexpr MetricInfo kNodesWithout{"stentor_membership_nodes_without_speaker", MetricType::kGauge,
                                   "Nodes on which this speaker knows of no living one"};
constexpr MetricInfo kStatusesPending{
    "stentor_speaker_l2statuses_pending", MetricType::kGauge,
    "ServiceL2Status objects that are not yet what they should be"};
constexpr MetricInfo kConflict{"stentor_address_conflict", MetricType::kGauge,
                               "1 for each address that another host claims; withheld says whether "
                               "it is announced nevertheless"};
constexpr MetricInfo kClaims{"stentor_address_conflict_claims_total", MetricType::kCounter,
                             "Frames by which other hosts claimed an announced address"};
constexpr MetricInfo kAttempts{"stentor_address_conflict_probes_received_total",
                               MetricType::kCounter,
                               "Probes of other hosts for an announced address"};
constexpr MetricInfo kDefences{"stentor_address_conflict_defences_total", MetricType::kCounter,
                               "Announcements sent because of a claim"};
constexpr MetricInfo kProbes{"stentor_address_probes_sent_total", MetricType::kCounter,
                             "Frames that asked whether an address is in use already"};
constexpr MetricInfo kProxies{"stentor_address_conflict_proxies_total", MetricType::kCounter,
                              "Hosts that were found to answer for addresses that nobody has"};
constexpr MetricInfo kTrap{"stentor_node_trap", MetricType::kGauge,
                           "Things on this node that keep addresses from being reachable"};
constexpr MetricInfo kSavedState{
    "stentor_speaker_saved_state_in_use", MetricType::kGauge,
    "1 while a part of what is announced is known from before the restart only"};

// Where more than these are announced by nobody, the counts by reason tell enough.
constexpr std::size_t kMostUnannounced = 200;

constexpr std::array<TrapKind, kTrapKinds> kAllTraps = {
    TrapKind::kIpvsWithoutStrictArp, TrapKind::kAddressOnInterface, TrapKind::kOutsideSubnets,
    TrapKind::kProxyUnhealthy};

const char* ProtocolOf(net::IpFamily family) {
  return family == net::IpFamily::kIpv4 ? "arp" : "ndp";
}

}  // namespace

void Metrics::Collect(const MetricsSources& sources, obs::MetricSet& metrics) const {
  client.Collect(metrics);
  CollectAnnounced(sources, metrics);
  CollectConflicts(sources.announcer, metrics);
  for (std::size_t i = 0; i < kDropReasonCount; ++i) {
    const auto reason = static_cast<DropReason>(i);
    const obs::Labels labels = {{"reason", std::string(DropReasonName(reason))}};
    metrics.Set(kArpDrops, labels, sources.announcer.Drops(net::IpFamily::kIpv4, reason));
    metrics.Set(kNdpDrops, labels, sources.announcer.Drops(net::IpFamily::kIpv6, reason));
  }
  for (const PacketPorts::PortStats& port : sources.ports.Stats()) {
    const obs::Labels labels = {{"interface", port.interface},
                                {"protocol", ProtocolOf(port.family)}};
    metrics.Set(kPortReceived, labels, port.received);
    metrics.Set(kPortLost, labels, port.dropped);
  }
  for (const TrapKind trap : kAllTraps) {
    metrics.Set(kTrap, {{"trap", std::string(TrapName(trap))}},
                std::uint64_t{sources.traps.Count(trap)});
  }
  metrics.Set(kSavedState, std::uint64_t{sources.from_saved_state ? 1U : 0U});
  metrics.Set(kStatusesPending, std::uint64_t{sources.statuses_pending});
  metrics.Set(kOwnerChanges, {{"change", "won"}}, services_won);
  metrics.Set(kOwnerChanges, {{"change", "lost"}}, services_lost);
  metrics.Set(kTakeOver, {}, take_over);
  const auto& hand_overs = sources.announcer.hand_over_totals();
  metrics.Set(kHandOvers, {{"outcome", "completed"}}, hand_overs.completed);
  metrics.Set(kHandOvers, {{"outcome", "timed_out"}}, hand_overs.timed_out);
  metrics.Set(kLeaving, std::uint64_t{sources.announcer.Leaving().size()});
  if (sources.members == nullptr) {
    return;
  }
  metrics.Set(kNodesWithout,
              std::uint64_t{sources.reconciler.NodesWithout(sources.members->Speakers())});
  const Membership& membership = sources.members->membership();
  metrics.Set(kMembers, std::uint64_t{membership.AliveMembers().size()});
  for (const MembershipDrop reason : kAllMembershipDrops) {
    metrics.Set(kMemberDrops, {{"reason", std::string(MembershipDropName(reason))}},
                membership.drops()[static_cast<std::size_t>(reason)]);
  }
  const MemberTotals& totals = sources.members->totals();
  for (std::size_t i = 0; i < kChangeKindCount; ++i) {
    metrics.Set(kMemberChanges,
                {{"change", std::string(ChangeKindName(static_cast<ChangeKind>(i)))}},
                totals.changes[i]);
  }
  metrics.Set(kRivals, totals.rivals);
  metrics.Set(kDetection, {}, totals.detection);
}

void Metrics::CollectAnnounced(const MetricsSources& sources, obs::MetricSet& metrics) const {
  for (const AnnouncedService& each : sources.reconciler.AnnouncedServices()) {
    for (const net::IpAddress& address : each.addresses) {
      if (sources.announcer.StateOf(address) != AddressState::kAnnounced) {
        continue;  // it is probed, or withheld
      }
      metrics.Set(kAnnounced,
                  {{"service", each.service.ToString()},
                   {"protocol", "layer2"},
                   {"node", node_},
                   {"ip", address.ToString()}},
                  std::uint64_t{1});
    }
  }
  for (const net::IpAddress& address : sources.announcer.Announced()) {
    if (const AddressCounters* const counters = sources.announcer.Counters(address)) {
      const obs::Labels labels = {{"ip", address.ToString()}};
      metrics.Set(kRequests, labels, counters->requests_received);
      metrics.Set(kResponses, labels, counters->responses_sent);
      metrics.Set(kGratuitous, labels, counters->gratuitous_sent);
    }
  }
  for (const UnannouncedAddress& each : sources.reconciler.Unannounced(kMostUnannounced)) {
    metrics.Set(kUnannounced,
                {{"service", each.service.ToString()},
                 {"ip", each.address.ToString()},
                 {"reason", std::string(each.reason)}},
                std::uint64_t{1});
  }
  for (const auto& [reason, count] : sources.reconciler.VerdictCounts()) {
    metrics.Set(kServices, {{"reason", std::string(reason)}}, std::uint64_t{count});
  }
}

void Metrics::CollectConflicts(const Announcer& announcer, obs::MetricSet& metrics) const {
  for (const auto& [address, conflict] : announcer.Conflicts()) {
    for (const ForeignClaim& claim : conflict.foreign) {
      metrics.Set(kConflict,
                  {{"ip", address.ToString()},
                   {"mac", claim.mac.ToString()},
                   {"withheld", conflict.withheld ? "true" : "false"}},
                  std::uint64_t{1});
    }
  }
  const ConflictTotals& totals = announcer.conflict_totals();
  metrics.Set(kClaims, totals.claims);
  metrics.Set(kAttempts, totals.attempts);
  metrics.Set(kDefences, totals.defences);
  metrics.Set(kProbes, totals.probes);
  metrics.Set(kProxies, totals.proxies);
}

}  // namespace stentor::speaker
