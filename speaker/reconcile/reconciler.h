// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// From what the API and the membership say to what this node announces. Keeps the facts, holds the
/// elections that a change can have touched, and tells what came out differently. Pure: level
/// triggered, so that facts may arrive in any order and more than once.

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/model/objects.h"
#include "speaker/announce/announcer.h"
#include "speaker/election/election.h"

namespace stentor::speaker {

/// Why a Service is not looked at by the election, or what the election said.
enum class Verdict : std::uint8_t {
  kAnnounced,
  kNotMine,       ///< Not of type LoadBalancer, of another class, or gone.
  kNotReady,      ///< This speaker may not announce yet (start, pause).
  kNoAddress,     ///< The Service has no address.
  kInvalidIp,     ///< An entry of its status is no IP address.
  kIpNotAllowed,  ///< No pool contains (all of) its addresses.
  kNotElected,    ///< The election's reason is in OwnershipChange::decision.
};

/// The word for a log line; MetalLB's where it has one.
[[nodiscard]] std::string_view VerdictName(Verdict verdict) noexcept;

/// A Service that this node began or ceased to announce, or announces with other addresses.
struct OwnershipChange {
  model::ServiceKey service;
  std::string uid;
  Verdict verdict = Verdict::kNotMine;
  DecisionReason decision = DecisionReason::kNotOwner;  ///< Where the verdict is kNotElected.
  std::vector<net::IpAddress> addresses;                ///< Announced now, or until now.
  model::PoolName pool;    ///< Empty where none contains the addresses.
  model::NodeName winner;  ///< Who should announce; empty where nobody can.
};

/// Not thread-safe: lives on the speaker's logic thread.
class Reconciler {
 public:
  struct Options {
    model::NodeName node;             ///< This one.
    std::string load_balancer_class;  ///< --lb-class
    bool ignore_exclude_label = false;
  };
  explicit Reconciler(Options options) : options_(std::move(options)) {}

  void UpsertService(const model::Service& service);
  void DeleteService(const model::ServiceKey& key);
  void UpsertSlice(const model::EndpointSlice& slice);
  void DeleteSlice(const model::ObjectKey& key);
  void UpsertNode(const model::Node& node);
  void DeleteNode(const model::NodeName& name);
  void SetConfig(config::Config config);

  /// Living speakers, this one included; `ready` is false while this one must not announce.
  void SetSpeakers(std::vector<Speaker> speakers, bool ready);

  /// Holds the elections that are due. Returns what changed for this node, by Service.
  [[nodiscard]] std::vector<OwnershipChange> Reconcile();

  /// What this node is to announce, as of the last Reconcile().
  [[nodiscard]] const Announcements& announcements() const noexcept { return announcements_; }

 private:
  // A Service, as far as the election needs it.
  struct Entry {
    std::string uid;
    bool mine = false;  // of type LoadBalancer and of our class
    bool may_share_address = false;
    bool invalid_address = false;
    model::TrafficPolicy traffic_policy = model::TrafficPolicy::kCluster;
    model::Labels labels;
    std::vector<net::IpAddress> ingress;
    std::vector<net::IpAddress> announced;  // by this node, now
    AllowedInterfaces interfaces;
  };
  struct Outcome;

  [[nodiscard]] Outcome Decide(const model::ServiceKey& key, const Entry& entry) const;
  void ElectAll() { all_due_ = true; }
  void RebuildAnnouncements();

  const Options options_;
  std::map<model::ServiceKey, Entry> services_;
  std::map<model::ServiceKey, std::map<std::string, std::vector<model::Endpoint>>> endpoints_;
  std::map<model::ObjectKey, model::ServiceKey> service_of_slice_;
  std::map<model::NodeName, model::Node> nodes_;
  std::vector<model::Node> node_list_;  // the values of nodes_, for the election
  config::Config config_;
  std::vector<Speaker> speakers_;
  bool ready_ = false;
  bool all_due_ = false;
  std::set<model::ServiceKey> due_;
  Announcements announcements_;
};

}  // namespace stentor::speaker
