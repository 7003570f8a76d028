// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// From what the API and the membership say to what this node announces. Keeps the facts, holds the
/// elections that a change can have touched, and tells what came out differently. Pure: level
/// triggered, so that facts may arrive in any order and more than once.
///
///   reconciler.SetConfig(...), UpsertNode(...), UpsertService(...), UpsertSlice(...), ...
///   for (const OwnershipChange& change : reconciler.Reconcile(now)) { Tell(change); }
///   announcer.SetAnnounced(reconciler.announcements(), keys of reconciler.handed_over(), now);
///   for (const AnnounceFailure& failure : reconciler.TakeFailures()) { Emit(failure); }
///   for (const StayNotice& notice : reconciler.TakeStayNotices()) { Tell(notice); }
///   membership.SetClaims(now, reconciler.claims());
///   for (const model::ServiceKey& service : reconciler.TakeSlicesToList()) { List(service); }

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/time.h"
#include "common/config/config.h"
#include "common/kube/codec.h"
#include "common/model/objects.h"
#include "speaker/announce/announcer.h"
#include "speaker/claims/claims.h"
#include "speaker/election/election.h"
#include "speaker/election/elector.h"
#include "speaker/reconcile/losses.h"
#include "speaker/reconcile/proxy_waits.h"
#include "speaker/reconcile/slices.h"
#include "speaker/reconcile/tenancies.h"

namespace stentor::speaker {

/// Why a Service is not looked at by the election, or what the election said.
enum class Verdict : std::uint8_t {
  kAnnounced,
  kNotMine,           ///< Not of type LoadBalancer, of another class, or gone.
  kNotReady,          ///< This speaker may not announce yet (start, pause).
  kNoAddress,         ///< The Service has no address.
  kInvalidIp,         ///< An entry of its status is no IP address.
  kIpNotAllowed,      ///< No pool contains (all of) its addresses.
  kNotElected,        ///< The election's reason is in OwnershipChange::decision.
  kInterfaceMissing,  ///< This node won, but has none of the interfaces that the advertisements
                      ///< name.
  kAwaitsProxy,       ///< This node won, but its service proxy may not know of its endpoints yet.
};
inline constexpr std::size_t kVerdictCount = 9;

/// The word for a log line; MetalLB's where it has one.
[[nodiscard]] std::string_view VerdictName(Verdict verdict) noexcept;

/// Why a Service is as it is, in one word: the verdict's name, or what the election said where the
/// verdict is kNotElected. All are different; has static storage.
[[nodiscard]] std::string_view ReasonName(Verdict verdict, DecisionReason decision) noexcept;

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

/// An address that this node announced, and that another one is to announce now.
struct HandedOver {
  model::ServiceKey service;
  model::NodeName winner;
  /// It was given back, and this node has it again should nobody take it: it has to be answered
  /// from here for however long it takes until the other one is heard to announce it.
  bool until_taken = false;

  friend bool operator==(const HandedOver&, const HandedOver&) = default;
};

/// This node won a Service, and cannot announce it: for Warning events `announceFailed`. Told once
/// for each time that it comes to this.
struct AnnounceFailure {
  model::ServiceKey service;
  std::string uid;
  /// One for each address of the Service, MetalLB's text.
  std::vector<std::string> messages;
};

/// A Service that this node announces.
struct AnnouncedService {
  model::ServiceKey service;
  std::string uid;
  std::vector<net::IpAddress> addresses;
  AllowedInterfaces interfaces;

  friend bool operator==(const AnnouncedService&, const AnnouncedService&) = default;
};

/// Why a Service is announced here or isn't, for people: see ToString().
struct Explanation {
  model::ServiceKey service;
  Verdict verdict = Verdict::kNotMine;
  std::vector<net::IpAddress> addresses;
  model::PoolName pool;  ///< Empty where no election is held.
  /// Where an election is held: who could announce it, best first, and why the others can't.
  std::optional<Decision> decision;
};

/// One line: `default/web: announced; addresses 192.0.2.1; pool p; candidates b (tenant), a (score
/// 10); excluded c (no_speaker)`. Lists are cut after twenty entries.
[[nodiscard]] std::string ToString(const Explanation& explanation);

/// An address that this node does not announce, though a Service has it.
struct UnannouncedAddress {
  model::ServiceKey service;
  net::IpAddress address;
  std::string_view reason;  ///< ReasonName()

  friend bool operator==(const UnannouncedAddress&, const UnannouncedAddress&) = default;
};

/// Not thread-safe: lives on the speaker's logic thread.
class Reconciler {
 public:
  struct Options {
    model::NodeName node;                  ///< This one.
    std::string load_balancer_class = {};  ///< --lb-class
    bool ignore_exclude_label = false;
    /// Off: nobody tells which speakers live, so every Node has one, and one that is not Ready
    /// leaves it to others where there are any.
    bool membership = true;
    /// The highest epoch that is known of any speaker's claim of an address, also of dead ones: who
    /// claims an address anew goes beyond it. Empty: none is known.
    std::function<std::uint32_t(AddressKey)> highest_epoch = {};
    /// A Service that is given back, and that nobody has taken after so long, can't be announced by
    /// the node that is elected (it may lack the interfaces, which only it knows of), and this node
    /// has it again. Has to be longer than AnnouncerOptions::hand_over_bound, which is what others
    /// may take to announce something, and than the news of a claim takes where the announcement
    /// isn't heard: up to nine heartbeat intervals were measured with 200 speakers.
    Duration taken_within = std::chrono::seconds(5);
  };
  explicit Reconciler(Options options);

  // --- facts of the API ---

  void UpsertService(const model::Service& service);
  void DeleteService(const model::ServiceKey& key);
  void UpsertNode(const model::Node& node);
  void DeleteNode(const model::NodeName& name);
  void SetConfig(config::Config config);

  /// The slice watch, which begins once the Services have been listed: an object that Wants() says
  /// no to need not be decoded. Core/v1 Endpoints come as slices, as kube::DecodeEndpoints makes
  /// them.
  [[nodiscard]] bool Wants(const kube::SliceHeader& header) { return slices_.Wants(header); }
  /// Whether `service` is one whose slices are needed.
  [[nodiscard]] bool Needs(const model::ServiceKey& service) const {
    return slices_.IsWanted(service);
  }
  void UpsertSlice(const model::EndpointSlice& slice);
  void DeleteSlice(const model::ObjectKey& key);
  /// After each complete list of the slice watch (on_synced).
  void OnSlicesSynced() { slices_.OnWatchSynced(); }
  /// Services whose slices the watch told before they were needed. Take them after each event of
  /// the two watches; for each, list the endpointslices of its namespace with labelSelector
  /// kubernetes.io/service-name=NAME, and give the complete answer to OnSlicesListed() or, when
  /// retries are given up, the key to OnSlicesListFailed(). Each is given once until then.
  [[nodiscard]] std::vector<model::ServiceKey> TakeSlicesToList() { return slices_.TakeToList(); }
  void OnSlicesListed(const model::ServiceKey& service,
                      const std::vector<model::EndpointSlice>& slices);
  void OnSlicesListFailed(const model::ServiceKey& service) { slices_.OnListFailed(service); }

  /// Whether a ServiceL2Status exists for `service`: somebody has announced it.
  void NoteStatus(const model::ServiceKey& service, bool exists);
  /// All ServiceL2Status have been listed once: no NoteStatus() means from now on that there is
  /// none. Not called where they can't be read; then only an address that a Service gets while this
  /// speaker watches is new. Call it before the first Reconcile(), if ever.
  void SetStatusesKnown() { statuses_known_ = true; }

  // --- what a saved state has to follow ---

  /// Calls `visit` with each Service of our class, of which it tells what UpsertService() would
  /// need to know it as it is.
  void ForEachService(const std::function<void(const model::Service&)>& visit) const;
  /// The slices that these need.
  void ForEachSlice(const std::function<void(const model::EndpointSlice&)>& visit) const {
    slices_.ForEach(visit);
  }
  /// Whether these are others than at the last call, in more than their versions.
  [[nodiscard]] bool TakeChanged();

  // --- facts of this node and its peers ---

  /// Living speakers, this one included (without a meaning where Options::membership is off);
  /// `ready` is false while this one must not announce. What they say of this one's claims is not
  /// looked at: claims() knows better. Where nothing but claims of others is different, elections
  /// are due only of the Services whose claims are.
  void SetSpeakers(std::vector<Speaker> speakers, bool ready);

  /// Names of this node's interfaces, up or down, enslaved or not, without excluded ones. As long
  /// as it has not been called, every interface is believed to exist.
  void SetInterfaces(std::set<std::string> names);

  /// Another node was heard to announce `address`, which is (or just was) handed_over(): whatever
  /// is known of its claims, it has taken it. True where an election is due for that.
  [[nodiscard]] bool NoteTaken(const net::IpAddress& address);

  /// The port of a Service that waits (proxy_waits()) says that the service proxy is ready.
  void NoteProxyReady(const model::ServiceKey& service);

  // --- results ---

  /// Holds the elections that are due. Returns what changed for this node, by Service.
  [[nodiscard]] std::vector<OwnershipChange> Reconcile(TimePoint now);

  /// When Reconcile() has something to do though no fact has changed.
  [[nodiscard]] std::optional<TimePoint> NextDeadline() const;

  /// What this node is to announce, as of the last Reconcile(). An address is to be probed if it is
  /// new in the cluster: nobody has announced it as far as anybody knows. That is said as long as
  /// it stays announced, and never again after.
  [[nodiscard]] const Announcements& announcements() const noexcept { return announcements_; }
  /// The addresses that this node announced before another, living one won their Service; for as
  /// long as that one stays the winner. What nobody is to announce is not among them, and nothing
  /// is while this speaker may not announce.
  [[nodiscard]] const std::map<net::IpAddress, HandedOver>& handed_over() const noexcept {
    return handed_over_;
  }
  /// Changes whenever announcements(), handed_over() or AnnouncedServices() may have.
  [[nodiscard]] std::uint64_t revision() const noexcept { return revision_; }
  /// The same by Service, sorted: what ServiceL2Status says.
  [[nodiscard]] std::vector<AnnouncedService> AnnouncedServices() const;
  /// Those of all Services of our class, whoever announces them.
  [[nodiscard]] std::set<net::IpAddress> Addresses() const;
  /// The Services that would be announced if their service proxy were ready: ask their ports again
  /// and again, and tell NoteProxyReady(). Other nodes go on answering meanwhile, since they hear
  /// nothing from here.
  [[nodiscard]] const ProxyWaits& proxy_waits() const noexcept { return proxy_waits_; }
  /// What this node claims, as of the last Reconcile(): tell the other speakers when it changes. A
  /// Service is claimed by its first address. Empty where no advertisement asks for it, and without
  /// membership.
  [[nodiscard]] const Claims& claims() const noexcept { return tenancies_.claims(); }
  /// Whether this node claims anything, or another speaker does of those of the last SetSpeakers().
  [[nodiscard]] bool AnybodyClaims() const;
  /// Services that stay here or go back, since the last call. Each is told once for each node that
  /// comes to be preferred.
  [[nodiscard]] std::vector<StayNotice> TakeStayNotices() {
    return std::exchange(stay_notices_, {});
  }
  /// What has failed in Reconcile() since the last call.
  [[nodiscard]] std::vector<AnnounceFailure> TakeFailures() { return std::exchange(failures_, {}); }

  /// Elections held so far: what a change costs, for tests and benches.
  [[nodiscard]] std::uint64_t elections() const noexcept { return elections_; }
  /// Services of our class by ReasonName(), as of the last Reconcile(). Every reason is there.
  [[nodiscard]] std::map<std::string_view, std::size_t> VerdictCounts() const;
  /// The addresses that this node does not announce, nor does another one that won them, as of the
  /// last Reconcile(): of the first Services that have some, so that there are no more than `most`.
  [[nodiscard]] std::vector<UnannouncedAddress> Unannounced(std::size_t most) const;
  /// Nodes on which none of these is.
  [[nodiscard]] std::size_t NodesWithout(const std::vector<Speaker>& speakers) const;
  /// How it stands with `service`, as of the last Reconcile(); nothing where it is not known.
  [[nodiscard]] std::optional<Explanation> Explain(const model::ServiceKey& service) const;

 private:
  // A Service, as far as the election needs it.
  struct Entry {
    std::string uid;
    bool mine = false;  // of type LoadBalancer and of our class
    bool may_share_address = false;
    bool invalid_address = false;
    bool had_status = false;  // there has been a ServiceL2Status of it
    model::TrafficPolicy traffic_policy = model::TrafficPolicy::kCluster;
    std::uint16_t health_check_port = 0;
    LocalEndpoints local;  // followed where the policy is Local
    model::Labels labels;
    std::vector<net::IpAddress> ingress;
    std::vector<net::IpAddress> first_ingress;  // that it had when this speaker met it
    std::vector<net::IpAddress> won;            // that somebody has announced, the latest last
    std::optional<const config::Pool*> pool;    // FindPool(), once it was asked
    AddressKey claim_key = 0;                   // of the first address; 0: not needed so far
    AddressKey former_key = 0;                  // of another first address, until just now
    std::optional<Verdict> verdict;             // of the last Reconcile()
    DecisionReason decision = DecisionReason::kNotOwner;
    bool elsewhere = false;                 // another node won
    std::vector<net::IpAddress> announced;  // by this node, now
    std::vector<net::IpAddress> fresh;      // those of them that were new in the cluster
    AllowedInterfaces interfaces;
    config::ConflictPolicy policy = config::ConflictPolicy::kWarn;
    bool failure_told = false;  // by TakeFailures(), of these addresses
    Ranking ranking;
  };
  // Views: used up before anything changes.
  struct Outcome {
    Verdict verdict = Verdict::kNotMine;
    const config::Pool* pool = nullptr;
    Vote vote = {};
    TimePoint until = {};  // of kAwaitsProxy
  };

  using Services = std::map<model::ServiceKey, Entry>;

  // What ForEachService() shows of it.
  [[nodiscard]] std::optional<model::Service> Shown(const model::ServiceKey& key,
                                                    const Entry& entry) const;
  // The pool that contains all addresses of the Service; null where there is none.
  [[nodiscard]] const config::Pool* FindPool(const Entry& entry) const;
  // Whether some Services of the pool stay where they are.
  [[nodiscard]] static bool StaysIn(const config::Pool& pool);
  [[nodiscard]] ServiceFacts FactsOf(const model::ServiceKey& key, const Entry& entry,
                                     const config::Pool& pool) const;
  [[nodiscard]] ClusterFacts Cluster(std::span<const model::Node> nodes) const;
  // Holds the election.
  [[nodiscard]] Outcome Examine(const model::ServiceKey& key, Entry& entry, TimePoint now);

  // staying.cc: what this node claims, and what follows from claims
  // Holds the election, again where what it says changes this node's claim.
  [[nodiscard]] Outcome Decide(const model::ServiceKey& key, Entry& entry, TimePoint now);
  // This node has given the Service back, and who is elected has not taken it: this node has it
  // again, and the election has to be held again.
  [[nodiscard]] bool TakeBack(const model::ServiceKey& key, const Entry& entry,
                              const Outcome& outcome, TimePoint now);
  // What follows from it for this node's claim. False where it is given up: then the election has
  // to be held again.
  [[nodiscard]] bool NoteTenancy(const model::ServiceKey& key, const Entry& entry,
                                 const Outcome& outcome, TimePoint now);
  // Makes due what comes to an end by itself.
  void BringTenanciesUpToDate(TimePoint now);
  // By whose claims the Service is elected: claim_key, or former_key while nobody claims that.
  [[nodiscard]] AddressKey ElectedBy(const Entry& entry) const;
  // The Services whose claim_key it is.
  void MakeDue(AddressKey address);
  void SetClaimKey(const model::ServiceKey& key, Entry& entry, AddressKey address);

  // Until when a Service that this node won and that others may answer for is not announced.
  [[nodiscard]] std::optional<TimePoint> AwaitsProxyUntil(const Entry& entry, TimePoint now) const;
  void NoteLocalEndpoints(const model::ServiceKey& key, Entry& entry, TimePoint now);
  // True where handed_over() may have changed.
  [[nodiscard]] bool NoteHandOver(const model::ServiceKey& key, const Entry& entry,
                                  const Outcome& outcome);
  void OnEndpointsChanged(const std::vector<model::ServiceKey>& services);
  // Another speaker claims other things than before, or under other epochs; null: none.
  void NoteClaims(const Claims* before, const Claims* after);
  void BeginView();
  // Takes in what was decided. True where announcements() may have changed.
  [[nodiscard]] bool Apply(const model::ServiceKey& key, Entry& entry, const Outcome& outcome,
                           std::vector<OwnershipChange>& changes);
  [[nodiscard]] bool Announce(Entry& entry, const Outcome& outcome);
  void TellFailure(const model::ServiceKey& key, Entry& entry);
  [[nodiscard]] static std::size_t Slot(Verdict verdict, DecisionReason decision);
  // Nobody has announced `address` for this Service, as far as this speaker can know.
  [[nodiscard]] bool IsNewTo(const Entry& entry, const net::IpAddress& address) const;
  static void NoteWon(Entry& entry);
  void RebuildAnnouncements();

  const Options options_;
  Services services_;
  Slices slices_;
  std::map<model::NodeName, model::Node> nodes_;
  std::vector<model::Node> node_list_;  // the values of nodes_, for the election
  bool nodes_changed_ = true;           // since node_list_ was made
  config::Config config_;
  std::vector<Speaker> speakers_;
  std::optional<std::set<std::string>> interfaces_;
  std::set<model::ServiceKey> early_statuses_;  // of Services that are not known yet
  bool statuses_known_ = false;
  bool ready_ = false;
  bool all_due_ = true;
  bool services_changed_ = false;  // since TakeChanged()
  std::set<model::ServiceKey> due_;
  bool claims_changed_ = false;  // of others, since the elector was told
  std::set<std::pair<AddressKey, model::ServiceKey>> by_claim_key_;  // Services with a claim_key
  // Services whose first address, and so claim_key, is another one than before.
  struct Moved {
    AddressKey from = 0;
    model::ServiceKey service;
    TimePoint until = {};  // former_key counts
  };
  std::vector<Moved> moved_;  // since the last Reconcile()
  std::deque<Moved> former_;  // by `until`
  std::uint64_t elections_ = 0;
  Elector elector_;
  Announcements announcements_;
  // Of Services that another node won from this one: what this one announced.
  struct Lost {
    std::vector<net::IpAddress> addresses;
    model::NodeName winner;
    bool until_taken = false;  // HandedOver

    friend bool operator==(const Lost&, const Lost&) = default;
  };
  std::map<model::ServiceKey, Lost> lost_;
  std::map<net::IpAddress, HandedOver> handed_over_;
  ProxyWaits proxy_waits_;
  std::uint64_t revision_ = 0;
  std::vector<AnnounceFailure> failures_;
  Losses losses_;
  bool speakers_changed_ = false;  // since losses_ was told
  bool any_stays_ = false;         // StaysIn() a pool
  bool others_claim_ = false;      // or have claimed something at some time
  Tenancies tenancies_;
  std::set<AddressKey> overdue_;  // Tenancies::TakeOverdue(), during Reconcile()
  std::vector<StayNotice> stay_notices_;
  std::array<std::size_t, kVerdictCount + kDecisionReasonCount> counts_{};  // see Slot()
};

}  // namespace stentor::speaker
