// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// From custom resources to one validated configuration. The one parser that controller, speakers
/// and tests use; messages are MetalLB's (users and their tools grep for them).

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model/objects.h"
#include "common/net/ip_range.h"

namespace stentor::config {

/// A validated L2Advertisement, as it applies to one pool.
struct L2Advertisement {
  std::string name;
  std::vector<model::LabelSelector> node_selectors;     ///< OR-ed; empty means all nodes.
  std::vector<std::string> interfaces;                  ///< Sorted; empty means all interfaces.
  std::vector<model::LabelSelector> service_selectors;  ///< OR-ed; empty means all Services.
  std::vector<model::PreferredNodeSelector> preferences;

  friend bool operator==(const L2Advertisement&, const L2Advertisement&) = default;
};

/// A pool's spec.serviceAllocation: which Services may use the pool, and how early.
struct ServiceAllocation {
  int priority = 0;                                       ///< Lower is tried first; 0 comes last.
  std::vector<std::string> namespaces;                    ///< Sorted.
  std::vector<model::LabelSelector> namespace_selectors;  ///< OR-ed with each other and the above.
  std::vector<model::LabelSelector> service_selectors;    ///< OR-ed; AND-ed with the namespaces.

  /// True where a Service with `service_labels` in namespace `name_space` may use the pool. A list
  /// that is empty restricts nothing.
  [[nodiscard]] bool Admits(std::string_view name_space, const model::Labels& namespace_labels,
                            const model::Labels& service_labels) const;
  friend bool operator==(const ServiceAllocation&, const ServiceAllocation&) = default;
};

/// A validated IPAddressPool with the advertisements that select it.
struct Pool {
  model::PoolName name;
  std::vector<net::IpRange>
      ranges;  ///< In the order of spec.addresses; disjoint, also across pools.
  bool auto_assign = true;
  bool avoid_buggy_ips = false;
  std::optional<ServiceAllocation> service_allocation;
  std::vector<L2Advertisement> l2_advertisements;  ///< By name.

  [[nodiscard]] bool Contains(const net::IpAddress& address) const;
  friend bool operator==(const Pool&, const Pool&) = default;
};

/// What the cluster's custom resources say, as a whole. Pools are sorted by name.
struct Config {
  std::vector<Pool> pools;

  /// The pool that contains `address`; null where there is none. Valid as long as the Config.
  [[nodiscard]] const Pool* FindPool(const net::IpAddress& address) const;
  /// Whether a pool selects by labels of namespaces, which then have to be known.
  [[nodiscard]] bool SelectsByNamespaceLabels() const;
  friend bool operator==(const Config&, const Config&) = default;
};

/// Everything that a Config is made of, in any order.
struct Resources {
  std::vector<model::IpAddressPoolResource> pools;
  std::vector<model::L2AdvertisementResource> l2_advertisements;
};

/// Validates `resources` as a set: one bad object refuses all of it, so that what worked before
/// stays in force (the caller keeps it). Errors are InvalidArgument; the message names the object
/// and the field, in MetalLB's words. The result does not depend on the order of `resources`.
[[nodiscard]] absl::StatusOr<Config> Parse(const Resources& resources);

}  // namespace stentor::config
