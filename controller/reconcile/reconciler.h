// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The controller's logic: from the configuration and the Services to status writes, events and
/// facts for the log. Pure: what the API server says goes in, what is to be done comes out.
///
///   Reconciler reconciler({.load_balancer_class = flags.lb_class});
///   reconciler.UpsertService(decoded);          // from the list and the watch
///   reconciler.ServicesSynced();                // after each complete list
///   reconciler.SetConfig(*config::Parse(...));  // only what parsed; errors never come here
///   for (Action& action : reconciler.TakeActions()) ...
///   reconciler.OnWriteDone(write.id, write.service->key, decoded_answer);
///
/// Order, documented because it decides conflicts: Services with more addresses in their status
/// come first, then by namespace and name.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/config/config.h"
#include "common/model/objects.h"
#include "controller/allocator/address_allocator.h"

namespace stentor::controller {

struct ReconcilerOptions {
  std::string load_balancer_class;  ///< --lb-class; empty: Services without a class.
};

/// `PUT services/status` of `service` (with its resourceVersion), in which the addresses, one
/// annotation and one condition are replaced and all else is carried verbatim. The answer goes to
/// OnWriteDone() or OnWriteFailed() with the same id; until then no other write of this Service is
/// asked for. An address that is still shown at a Service that has to give it up is not written to
/// another one before the former's write is done, or the former is gone.
struct WriteStatus {
  std::uint64_t id = 0;
  std::shared_ptr<const model::Service> service;  ///< As it was last seen.
  std::vector<std::string> ingress_ips;           ///< status.loadBalancer.ingress[].ip, in order.
  /// Value of the annotation kAllocatedFromAnnotation; absent: the annotation is to be removed.
  std::optional<model::PoolName> pool;
  /// Value of the condition model::kAddressAllocated; absent: the condition is to be removed.
  std::optional<model::Condition> condition;
};

enum class EventType : std::uint8_t { kNormal, kWarning };

/// A Kubernetes Event about a Service, from component metallb-controller.
struct EmitEvent {
  std::shared_ptr<const model::Service> service;
  EventType type = EventType::kNormal;
  std::string reason;
  std::string message;
};

enum class FactKind : std::uint8_t { kAllocated, kReleased, kAllocationFailed };

/// Something for the log, one line each.
struct LogFact {
  FactKind kind = FactKind::kAllocated;
  model::ServiceKey service;
  std::vector<std::string> addresses;
  model::PoolName pool;
  std::string message;  ///< Why; for kAllocationFailed and kReleased.
};

using Action = std::variant<WriteStatus, EmitEvent, LogFact>;

/// How a status write failed.
enum class WriteFailure : std::uint8_t {
  /// 409, 404: the object changed or went; the watch will tell, and then it is redone. One that is
  /// no load balancer is forgotten, since no watch tells of it: ask for it, and upsert it again.
  kConflict,
  kRetry,  ///< Anything else, also where it is unknown: call Retry() after a backoff.
};

inline constexpr std::string_view kAllocatedFromAnnotation = "metallb.io/ip-allocated-from-pool";

/// Not thread-safe: lives on the controller's logic thread. One changed Service costs O(log n);
/// a changed configuration costs all Services; a freed address costs those that wait for one, once
/// for each TakeActions().
class Reconciler {
 public:
  explicit Reconciler(ReconcilerOptions options);
  ~Reconciler();
  Reconciler(const Reconciler&) = delete;
  Reconciler& operator=(const Reconciler&) = delete;

  /// A Service as it is now, of any type (a relist repeats all). Nothing happens where its
  /// resourceVersion is already known; another uid means that the former Service was deleted. One
  /// that is no load balancer and bears no trace of ours is not remembered.
  void UpsertService(model::Service service);
  /// It is gone, or (with a watch on spec.type=LoadBalancer) is no load balancer any more.
  void DeleteService(const model::ServiceKey& key);
  /// All Services that exist were upserted once. Repeated calls do nothing.
  void ServicesSynced();

  /// Labels of a namespace, for namespaceSelectors of pools. A configuration in which a pool
  /// selects by them comes into force only once the namespaces are synced.
  void UpsertNamespace(const std::string& name, model::Labels labels);
  void DeleteNamespace(const std::string& name);
  void NamespacesSynced();

  /// A configuration that parsed; in force with the next TakeActions(), and the first one counts as
  /// "synced". Where it does not parse, don't call: what worked before stays in force. Until one
  /// has a pool, no Service is touched; once one had, a Service without a pool loses its addresses.
  void SetConfig(config::Config config);

  /// The write `id` was accepted. `updated` is the object of the answer, where it could be read.
  void OnWriteDone(std::uint64_t id, const model::ServiceKey& key,
                   std::optional<model::Service> updated);
  /// The write `id` was refused, or its fate is unknown.
  void OnWriteFailed(std::uint64_t id, const model::ServiceKey& key, WriteFailure failure);
  /// Asks again for the write of `key` that failed with kRetry; does nothing where it is not needed
  /// any more.
  void Retry(const model::ServiceKey& key);

  /// What is to be done, in order; call after each input, or after a batch of them.
  [[nodiscard]] std::vector<Action> TakeActions();

  /// True once config and all Services are known.
  [[nodiscard]] bool Started() const;
  /// Services that want an address and have none.
  [[nodiscard]] std::size_t WaitingCount() const;
  /// For usage figures; valid as long as the reconciler.
  [[nodiscard]] const AddressAllocator& Allocator() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace stentor::controller
