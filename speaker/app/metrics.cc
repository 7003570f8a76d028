// SPDX-License-Identifier: Apache-2.0
#include "speaker/app/metrics.h"

#include <array>
#include <string>

namespace stentor::speaker {
namespace {

using obs::MetricInfo;
using obs::MetricType;

constexpr MetricInfo kAnnounced{"metallb_speaker_announced", MetricType::kGauge,
                                "1 for each address of a Service that this node announces"};
constexpr MetricInfo kRequests{"metallb_layer2_requests_received", MetricType::kCounter,
                               "ARP requests for announced addresses"};
constexpr MetricInfo kResponses{"metallb_layer2_responses_sent", MetricType::kCounter,
                                "ARP replies for announced addresses"};
constexpr MetricInfo kGratuitous{"metallb_layer2_gratuitous_sent", MetricType::kCounter,
                                 "Gratuitous ARP packets for announced addresses"};
constexpr MetricInfo kMembers{"stentor_membership_alive_members", MetricType::kGauge,
                              "Speakers that this one takes for alive, itself included"};
constexpr MetricInfo kMemberDrops{"stentor_membership_dropped_datagrams_total",
                                  MetricType::kCounter,
                                  "Datagrams between speakers that changed nothing, by reason"};
constexpr MetricInfo kArpDrops{"stentor_arp_dropped_frames_total", MetricType::kCounter,
                               "ARP frames that got no answer, by reason"};

constexpr std::array<DropReason, kDropReasonCount> kAllDropReasons = {
    DropReason::kMalformed,       DropReason::kVlanTagged, DropReason::kNotRequest,
    DropReason::kNotForUs,        DropReason::kOwnFrame,   DropReason::kNotAnnounced,
    DropReason::kUnknownInterface};

}  // namespace

void Metrics::Note(const OwnershipChange& change) {
  if (change.verdict == Verdict::kAnnounced) {
    announced_.insert_or_assign(change.service, change.addresses);
  } else {
    announced_.erase(change.service);
  }
}

void Metrics::Collect(const Announcer& announcer, const Membership* membership,
                      obs::MetricSet& metrics) const {
  client.Collect(metrics);
  for (const auto& [service, addresses] : announced_) {
    for (const net::IpAddress& address : addresses) {
      metrics.Set(kAnnounced,
                  {{"service", service.ToString()},
                   {"protocol", "layer2"},
                   {"node", node_},
                   {"ip", address.ToString()}},
                  std::uint64_t{1});
    }
  }
  for (const net::IpAddress& address : announcer.Announced()) {
    if (const AddressCounters* const counters = announcer.Counters(address); counters != nullptr) {
      const obs::Labels labels = {{"ip", address.ToString()}};
      metrics.Set(kRequests, labels, counters->requests_received);
      metrics.Set(kResponses, labels, counters->responses_sent);
      metrics.Set(kGratuitous, labels, counters->gratuitous_sent);
    }
  }
  for (const DropReason reason : kAllDropReasons) {
    metrics.Set(kArpDrops, {{"reason", std::string(DropReasonName(reason))}},
                announcer.Drops(reason));
  }
  if (membership == nullptr) {
    return;
  }
  metrics.Set(kMembers, std::uint64_t{membership->AliveMembers().size()});
  for (const MembershipDrop reason : kAllMembershipDrops) {
    metrics.Set(kMemberDrops, {{"reason", std::string(MembershipDropName(reason))}},
                membership->drops()[static_cast<std::size_t>(reason)]);
  }
}

}  // namespace stentor::speaker
