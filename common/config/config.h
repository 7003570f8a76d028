// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// From custom resources, and the ConfigMap of MetalLB 0.12 and before, to one validated
/// configuration. The one parser that controller, speakers and tests use; messages are MetalLB's
/// (users and their tools grep for them).

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/model/objects.h"
#include "common/net/ip_range.h"

namespace stentor::config {

/// What is done where another host has an address of ours (annotation model::kAddressConflicts).
/// Ordered: the stricter one is greater.
enum class ConflictPolicy : std::uint8_t {
  kWarn,    ///< It is reported; the address is announced meanwhile.
  kStrict,  ///< The address is not announced before, and as long as, another host has it.
};

/// When a Service goes back to the node that the election prefers (annotation model::kFailBack): so
/// long after that node could announce it again without interruption; 0: at once.
using FailBackDelay = Duration;
inline constexpr FailBackDelay kNeverFailBack = FailBackDelay::max();

/// A validated L2Advertisement, as it applies to one pool.
struct L2Advertisement {
  std::string name;
  std::vector<model::LabelSelector> node_selectors;     ///< OR-ed; empty means all nodes.
  std::vector<std::string> interfaces;                  ///< Sorted; empty means all interfaces.
  std::vector<model::LabelSelector> service_selectors;  ///< OR-ed; empty means all Services.
  std::vector<model::PreferredNodeSelector> preferences;
  ConflictPolicy conflict_policy = ConflictPolicy::kWarn;
  FailBackDelay fail_back{};

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
  /// The one that an older kind implies, if any, then by name.
  std::vector<L2Advertisement> l2_advertisements;

  [[nodiscard]] bool Contains(const net::IpAddress& address) const;
  friend bool operator==(const Pool&, const Pool&) = default;
};

/// Forms of configuration that MetalLB has given up, the oldest last.
enum class OlderForm : std::uint8_t {
  kNone,
  kAddressPool,  ///< The kind of MetalLB 0.13.
  kConfigMap,    ///< Of MetalLB 0.12 and before.
};

/// What the cluster's custom resources say, as a whole. Pools are sorted by name.
struct Config {
  std::vector<Pool> pools;
  /// What is valid, but a user should know or change: one line each.
  std::vector<std::string> remarks = {};
  /// The oldest form that defines something here, or would if it were not left out.
  OlderForm older_form = OlderForm::kNone;
  /// A kind of pool cannot be read, perhaps only for a moment: that no pool contains an address is
  /// no reason to take it from the Service that has it.
  bool pools_may_be_missing = false;

  /// The pool that contains `address`; null where there is none. Valid as long as the Config.
  [[nodiscard]] const Pool* FindPool(const net::IpAddress& address) const;
  /// Whether a pool selects by labels of namespaces, which then have to be known.
  [[nodiscard]] bool SelectsByNamespaceLabels() const;
  friend bool operator==(const Config&, const Config&) = default;
};

/// The ConfigMap of MetalLB 0.12 and before, unvalidated.
struct LegacyConfig {
  model::ObjectKey config_map;
  std::vector<model::AddressPoolResource> pools;  ///< In its order.
  std::vector<std::string> ignored;               ///< Keys without effect here: "peers".

  friend bool operator==(const LegacyConfig&, const LegacyConfig&) = default;
};

/// Everything that a Config is made of, in any order.
///
/// An AddressPool is left out, and says so in Config::remarks, where an IPAddressPool of its name
/// defines all of its addresses: it was converted, and what its protocol implies holds until it is
/// deleted. Otherwise two pools with one name or one address are an error.
///
/// A pool of `legacy` that shares its name or an address with a custom resource is left out, and
/// says so in Config::remarks. Where custom resources define pools and `legacy` was not asked for
/// by name (--config, which only older manifests give), its pools give out nothing by themselves:
/// it may have been left behind.
struct Resources {
  std::vector<model::IpAddressPoolResource> pools = {};
  std::vector<model::L2AdvertisementResource> l2_advertisements = {};
  std::vector<model::AddressPoolResource> address_pools = {};
  std::optional<LegacyConfig> legacy = {};
  bool legacy_named = false;
};

/// Validates `resources` as a set: one bad object refuses all of it, so that what worked before
/// stays in force (the caller keeps it). Errors are InvalidArgument; the message names the object
/// and the field, in MetalLB's words. The result does not depend on the order of `resources`.
[[nodiscard]] absl::StatusOr<Config> Parse(const Resources& resources);

}  // namespace stentor::config
