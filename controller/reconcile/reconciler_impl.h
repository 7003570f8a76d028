// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Internal to the reconciler: its state. reconciler.cc has what comes in and how a Service is
/// settled, publishing.cc what is said and written about it.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "controller/reconcile/convergence.h"
#include "controller/reconcile/reconciler.h"
#include "controller/reconcile/shown_addresses.h"

namespace stentor::controller {

/// As text, for the API.
[[nodiscard]] std::vector<std::string> Texts(std::span<const net::IpAddress> addresses);

/// Value of kAllocatedFromAnnotation.
[[nodiscard]] std::optional<model::PoolName> PoolAnnotation(const model::Service& service);

class Reconciler::Impl {
 public:
  explicit Impl(ReconcilerOptions options) : options_(std::move(options)) {}

  void Upsert(model::Service service);
  void Delete(const model::ServiceKey& key);
  void SetConfig(config::Config config);
  void NamespaceChanged(const std::string& name);
  void OnWriteDone(std::uint64_t id, const model::ServiceKey& key,
                   std::optional<model::Service> updated);
  void OnWriteFailed(std::uint64_t id, const model::ServiceKey& key, WriteFailure failure);
  std::vector<Action> TakeActions();
  [[nodiscard]] bool Started() const { return started_; }

  std::map<std::string, model::Labels, std::less<>> namespaces;
  bool services_synced = false;
  bool namespaces_synced = false;
  std::set<model::ServiceKey> due;
  std::set<model::ServiceKey> waiting;
  AddressAllocator allocator;

 private:
  // What of a Service is ours to write.
  struct Content {
    std::vector<std::string> ingress;
    std::optional<model::PoolName> pool;
    std::shared_ptr<const model::Condition> condition;  // null, nearly always
    friend bool operator==(const Content& a, const Content& b) {
      const bool same_condition =
          a.condition && b.condition ? *a.condition == *b.condition : a.condition == b.condition;
      return same_condition && a.ingress == b.ingress && a.pool == b.pool;
    }
  };

  struct Record {
    std::shared_ptr<const model::Service> service;
    bool mine = false;  // was of our class at some time
    bool deprecation_told = false;
    std::uint64_t write = 0;      // under way; 0: none
    std::string written_version;  // resourceVersion that the last write was based on
    std::string refused_version;  // a write on this one met a conflict: wait for a newer one
    // The last write, until an answer shows exactly that; and the version of an answer that did
    // not. Who makes something else of what is written (a server that keeps no conditions, an
    // admission webhook) would make it again.
    std::unique_ptr<Content> written;
    std::string altered_version;
    Content wanted;                            // what the status should show
    absl::InlinedVector<std::size_t, 1> said;  // hashes of the remarks that were made last
    AddressList shown;        // what the API server may be showing: the status as it is known,
    AddressList unconfirmed;  // and writes of which the fate is not known
    AddressList blocked_on;   // others may be showing these, and have to give them up first
    AddressList in_vain;      // asked for, and in use by others, whom its condition names
  };
  using Records = std::map<model::ServiceKey, Record>;
  using Entry = Records::value_type;

  [[nodiscard]] static Content ContentOf(const model::Service& service);

  void ApplyConfig();
  void AdoptClaims();
  void SettleDue();
  void WriteSettled();
  void Settle(const model::ServiceKey& key);
  [[nodiscard]] bool IsOfClass(const model::Service& service) const;
  [[nodiscard]] bool IsOurLeftover(const Record& record) const;
  [[nodiscard]] bool MayBeOfMissingPool(const Record& record) const;
  [[nodiscard]] const model::Labels* LabelsOfNamespace(const std::string& name) const;
  void Forget(Records::iterator record);

  void Publish(Entry& entry, const Standing& standing);
  void EnterDemand(Entry& entry, bool in_use);
  void WakeAt(const AddressList& addresses, const Entry& entry);
  void Report(Record& record, const Standing& standing);
  void WriteIfNeeded(Entry& entry);
  void TellDeprecated(Record& record);

  // Who shows what (reconciler.cc tells, publishing.cc asks).
  [[nodiscard]] AddressList MayShow(const Record& record, AddressList status) const;
  void SetShown(Entry& entry, AddressList now);
  [[nodiscard]] bool IsShownElsewhere(const model::ServiceKey& key,
                                      const net::IpAddress& address) const;
  [[nodiscard]] bool OthersWaitFor(const Record& record) const;
  bool WaitForOthers(Entry& entry);

  const ReconcilerOptions options_;
  std::optional<config::Config> config_;
  std::optional<config::Config> next_config_;  // not in force yet
  bool started_ = false;
  // Claims have been adopted. Until a first pool is seen, all is left as it is: whoever restores
  // a cluster, or changes over to this controller, may bring the pools after it.
  bool adopted_ = false;
  bool unclaimed_in_pools_ = false;  // a claim failed whose addresses are in known pools
  Records records_;
  ShownAddresses shown_;
  std::map<net::IpAddress, std::set<model::ServiceKey>> in_vain_;  // of all records; usually empty
  std::set<model::ServiceKey> to_write_;  // settled, and not looked at yet what is to be written
  std::uint64_t next_write_ = 1;
  std::uint64_t seen_availability_ = 0;
  std::vector<Action> actions_;
};

}  // namespace stentor::controller
