// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Kubernetes objects, cut down to the fields that Stentor uses. common/kube/codec.h makes them
/// from JSON; text that users wrote (addresses, selectors) is still text here, and common/config
/// turns it into a validated configuration.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/time.h"
#include "common/model/selector.h"
#include "common/model/types.h"
#include "common/net/ip_address.h"

namespace stentor::model {

/// One of Service.spec.ports. Two Services that share an address must differ in these.
struct ServicePort {
  std::string protocol = "TCP";
  std::uint16_t port = 0;

  friend auto operator<=>(const ServicePort&, const ServicePort&) = default;
};

enum class TrafficPolicy : std::uint8_t { kCluster, kLocal };

/// A metav1.Condition, without its type and lastTransitionTime.
struct Condition {
  std::string status;  ///< "True", "False" or "Unknown".
  std::string reason;  ///< CamelCase, for programs.
  std::string message;
  std::int64_t observed_generation = 0;  ///< 0: absent.

  friend bool operator==(const Condition&, const Condition&) = default;
};

/// Type of the condition by which a Service says why it has no address. One that has what it asks
/// for does not carry it.
inline constexpr std::string_view kAddressAllocated = "stentor.io/AddressAllocated";

/// A core/v1 Service.
struct Service {
  ObjectKey key;
  std::string uid;
  std::string resource_version;
  Labels labels;
  Labels annotations;
  std::string type;                                ///< spec.type, as written.
  std::optional<std::string> load_balancer_class;  ///< spec.loadBalancerClass
  std::string load_balancer_ip;                    ///< spec.loadBalancerIP; empty where absent.
  std::vector<std::string> cluster_ips;            ///< spec.clusterIPs, else [spec.clusterIP].
  std::vector<net::IpFamily> ip_families;          ///< spec.ipFamilies
  std::string ip_family_policy;                    ///< spec.ipFamilyPolicy
  TrafficPolicy external_traffic_policy = TrafficPolicy::kCluster;
  std::uint16_t health_check_node_port = 0;  ///< spec.healthCheckNodePort; 0: absent.
  Labels selector;                           ///< spec.selector
  std::vector<ServicePort> ports;
  /// status.loadBalancer.ingress[].ip, in order; entries that have only a hostname are left out.
  std::vector<std::string> ingress_ips;
  std::optional<WallTime> created;  ///< metadata.creationTimestamp, by the API server's clock.

  /// What only a writer of Services needs; empty where the decoder was told to drop it (the
  /// speaker, which never writes them).
  std::int64_t generation = 0;                 ///< 0: the API server keeps none (before 1.34).
  std::optional<Condition> address_allocated;  ///< Of type kAddressAllocated.
  /// metadata (without managedFields) and status as JSON text: a status write has to carry all of
  /// them, or the API server deletes what is missing.
  std::string metadata_json;
  std::string status_json;

  [[nodiscard]] bool IsLoadBalancer() const { return type == "LoadBalancer"; }
  friend bool operator==(const Service&, const Service&) = default;
};

/// One endpoint of a slice. "Can serve" as MetalLB decides it: ready is absent or true, or serving.
struct Endpoint {
  NodeName node;  ///< endpoint.nodeName; may be empty.
  bool can_serve = false;

  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

/// A discovery.k8s.io/v1 EndpointSlice.
struct EndpointSlice {
  ObjectKey key;
  std::string resource_version;  ///< Empty where it isn't known: older than any other.
  std::string service_name;      ///< Label kubernetes.io/service-name; same namespace as the slice.
  std::vector<Endpoint> endpoints;  ///< Sorted; those that are alike are one.
  std::optional<WallTime> created;  ///< metadata.creationTimestamp, by the API server's clock.
  /// By the label endpointslice.kubernetes.io/managed-by: Kubernetes' controller made it after the
  /// Service, from its selector. Others (mirrored, made by hand) may be older than the Service.
  bool by_controller = false;

  friend bool operator==(const EndpointSlice&, const EndpointSlice&) = default;
};

/// A core/v1 Node.
struct Node {
  NodeName name;
  Labels labels;
  bool network_unavailable = false;  ///< Condition NetworkUnavailable is True.
  bool ready = false;                ///< Condition Ready is True.
  /// status.addresses of type InternalIP and ExternalIP, as far as they are IP addresses; bounded.
  std::vector<net::IpAddress> addresses = {};

  friend bool operator==(const Node&, const Node&) = default;
};

/// A core/v1 Pod, as far as it is needed to find the other speakers.
struct Pod {
  ObjectKey key;
  std::string uid;
  NodeName node;
  std::string pod_ip;
  std::string phase;

  friend bool operator==(const Pod&, const Pod&) = default;
};

/// metallb.io/v1beta1 IPAddressPool, unvalidated.
struct IpAddressPoolResource {
  ObjectKey key;
  Labels labels;
  std::vector<std::string> addresses;
  bool auto_assign = true;
  bool avoid_buggy_ips = false;
  bool has_service_allocation = false;
  int priority = 0;
  std::vector<std::string> namespaces;
  std::vector<LabelSelector> namespace_selectors;
  std::vector<LabelSelector> service_selectors;

  friend bool operator==(const IpAddressPoolResource&, const IpAddressPoolResource&) = default;
};

/// metallb.io/v1beta1 AddressPool (MetalLB 0.13), or a pool of the ConfigMap of MetalLB 0.12 and
/// before, unvalidated: a pool that says itself how it is announced.
struct AddressPoolResource {
  ObjectKey key;
  std::string protocol;  ///< As written: layer2 or bgp.
  std::vector<std::string> addresses;
  bool auto_assign = true;
  bool avoid_buggy_ips = false;

  friend bool operator==(const AddressPoolResource&, const AddressPoolResource&) = default;
};

/// A core/v1 ConfigMap, of which one entry is of interest.
struct ConfigMapEntry {
  ObjectKey key;
  std::optional<std::string> text;  ///< Absent: there is no such entry.

  friend bool operator==(const ConfigMapEntry&, const ConfigMapEntry&) = default;
};

/// One of L2Advertisement.spec.preferredNodeSelectors.
struct PreferredNodeSelector {
  int weight = 0;
  LabelSelector preference;

  friend bool operator==(const PreferredNodeSelector&, const PreferredNodeSelector&) = default;
};

/// Annotation of an L2Advertisement: what is to be done where another host has an address that it
/// announces, `warn` (the default) or `strict`.
inline constexpr std::string_view kAddressConflicts = "stentor.io/address-conflicts";

/// Annotation of an L2Advertisement: when a Service goes back to the node that the election
/// prefers, `immediately` (the default), `never`, or after a duration in Go's spelling.
inline constexpr std::string_view kFailBack = "stentor.io/fail-back";

/// metallb.io/v1beta1 L2Advertisement, unvalidated.
struct L2AdvertisementResource {
  ObjectKey key;
  std::vector<std::string> ip_address_pools;
  std::vector<LabelSelector> ip_address_pool_selectors;
  std::vector<LabelSelector> node_selectors;
  std::vector<std::string> interfaces;
  std::vector<LabelSelector> service_selectors;
  std::vector<PreferredNodeSelector> preferred_node_selectors;
  std::string address_conflicts;  ///< Annotation kAddressConflicts, as written; empty: absent.
  std::string fail_back;          ///< Annotation kFailBack, as written; empty: absent.

  friend bool operator==(const L2AdvertisementResource&, const L2AdvertisementResource&) = default;
};

}  // namespace stentor::model
