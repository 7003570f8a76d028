// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// An API server, its users, and a controller, between which everything may be late, lost, or
/// doubtful. What is random comes from rapidcheck.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controller/reconcile/reconciler.h"

namespace stentor::controller {

/// Any few pools; sometimes none.
[[nodiscard]] config::Config AnyConfig();
/// `config` with one pool renamed, cut, or with a switch turned.
[[nodiscard]] config::Config EditedConfig(config::Config config);
/// Another spec and other annotations, as users may write them.
void EditSpec(model::Service& service);
/// What nobody but the controller should write.
void EditStatus(model::Service& service);
/// Whether two Services may have one address, by the contract.
[[nodiscard]] bool MayShare(const model::Service& a, const model::Service& b);

/// The watch is told in order, but late; it brings load balancers only, and whoever leaves it is
/// looked at later. Writes are stored in any order; a later write of an object settles first what
/// became of the former ones of that object.
class World {
 public:
  World() { Restart(); }

  /// Something happens. Afterwards no write of the controller may have shown an address at a second
  /// Service that may not share it, as far as the controller could know.
  void Step();

  /// Everything gets where it belongs, and nothing else happens, until all are at rest.
  void Settle();

  /// What has to hold then: the state is what the objects and the configuration say.
  void CheckSettled() const;
  void CheckRelistDoesNothing();
  void CheckRestartWritesNothing();

 private:
  enum class Fate : std::uint8_t { kAnswered, kAnsweredUnreadably, kStoredSilently, kLost, kLate };

  struct Write {
    WriteStatus write;
    std::uint64_t known = 0;  // what had been told when it was decided
    bool forgotten = false;   // its Service has gone, or left the watch, since
  };

  void StepOfUser();
  void StepOfController();
  void StepOfNetwork();

  model::Service& Store(model::Service service, bool by_user);
  void Create();
  void Change();
  void Remove();
  void Relabel();
  void TakeConfig(config::Config config);
  void Restart();
  void Relist();

  void DeliverOne();
  void TellGone(const model::ServiceKey& key);
  void LookAtDeparted();
  bool Collect();
  void FinishWrite(std::size_t index, Fate fate);
  bool StoreWrite(const Write& write);
  void SettleLate(const model::ServiceKey* key);
  void RetryAll();
  void CheckNoSecondOwner(const Write& write) const;

  std::map<model::ServiceKey, model::Service> services_;
  std::map<model::ServiceKey, std::uint64_t> edited_;  // by users, at which version
  std::map<std::string, model::Labels> namespaces_;
  std::uint64_t version_ = 0;

  struct Event {
    std::uint64_t version = 0;
    model::ServiceKey key;
    std::optional<model::Service> service;  // absent: it was deleted, or left the watch
  };
  std::deque<Event> events_;
  std::uint64_t told_ = 0;  // the version up to which the controller was told
  std::set<model::ServiceKey> departed_;
  std::set<model::ServiceKey> unnoticed_;  // no load balancers when the controller started
  std::deque<Write> writes_;
  std::vector<Write> late_;  // reported as failed, and possibly stored yet
  std::set<model::ServiceKey> doubtful_;
  std::set<model::ServiceKey> retries_;
  config::Config config_;
  bool pools_seen_ = false;
  std::unique_ptr<Reconciler> reconciler_;
};

}  // namespace stentor::controller
