// SPDX-License-Identifier: Apache-2.0
#include "common/kube/codec.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/kube/codec_parts.h"
#include "common/kube/json_cursor.h"

namespace stentor::kube {
namespace {

using nlohmann::json;
using parts::Finish;
using parts::Key;
using parts::StringMap;
using parts::Strings;

constexpr std::int64_t kMaxInt32 = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kMinInt32 = std::numeric_limits<std::int32_t>::min();
constexpr std::int64_t kMaxGeneration = std::numeric_limits<std::int64_t>::max();

model::SelectorOperator Operator(std::string_view text) {
  if (text == "In") {
    return model::SelectorOperator::kIn;
  }
  if (text == "NotIn") {
    return model::SelectorOperator::kNotIn;
  }
  if (text == "Exists") {
    return model::SelectorOperator::kExists;
  }
  return text == "DoesNotExist" ? model::SelectorOperator::kDoesNotExist
                                : model::SelectorOperator::kUnknown;
}

// What is no sense is kept: common/config judges it, in MetalLB's words, and whoever asks.
model::LabelSelector Selector(const JsonCursor& cursor) {
  model::LabelSelector selector;
  cursor.At("matchLabels").ForEachMember([&](const std::string& key, const JsonCursor& value) {
    selector.requirements.push_back(
        {.key = key, .op = model::SelectorOperator::kEquals, .values = {value.String()}});
  });
  cursor.At("matchExpressions").ForEach([&](const JsonCursor& expression) {
    model::SelectorRequirement requirement;
    requirement.key = expression.At("key").String();
    std::string op = expression.At("operator").String();
    requirement.op = Operator(op);
    if (requirement.op == model::SelectorOperator::kUnknown) {
      requirement.unknown_op = std::move(op);
    }
    requirement.values = Strings(expression.At("values"));
    std::sort(requirement.values.begin(), requirement.values.end());
    selector.requirements.push_back(std::move(requirement));
  });
  return selector;
}

std::vector<model::LabelSelector> Selectors(const JsonCursor& list) {
  std::vector<model::LabelSelector> selectors;
  list.ForEach([&](const JsonCursor& element) { selectors.push_back(Selector(element)); });
  return selectors;
}

std::vector<net::IpFamily> Families(const JsonCursor& list) {
  std::vector<net::IpFamily> families;
  list.ForEach([&](const JsonCursor& element) {
    const std::string text = element.String();
    if (text == "IPv4") {
      families.push_back(net::IpFamily::kIpv4);
    } else if (text == "IPv6") {
      families.push_back(net::IpFamily::kIpv6);
    } else {
      element.Fail("IPv4 or IPv6");
    }
  });
  return families;
}

model::ServicePort Port(const JsonCursor& cursor) {
  model::ServicePort port;
  if (const JsonCursor protocol = cursor.At("protocol"); protocol.IsPresent()) {
    port.protocol = protocol.String();
  }
  port.port = static_cast<std::uint16_t>(cursor.At("port").Integer(0, 65535));
  return port;
}

std::string MetadataText(const json& metadata) {
  if (!metadata.is_object()) {
    return "{}";
  }
  json copy = json::object();
  for (auto it = metadata.begin(); it != metadata.end(); ++it) {
    if (it.key() != "managedFields") {
      copy[it.key()] = it.value();
    }
  }
  return DumpJson(copy);
}

// What a writer has to know of its own condition. It is no reason to refuse the object: what can't
// be read counts as absent, and is written anew.
std::optional<model::Condition> ConditionOf(const JsonCursor& status, std::string_view type) {
  std::optional<model::Condition> found;
  status.At("conditions").ForEach([&](const JsonCursor& entry) {
    if (!found && entry.At("type").String() == type) {
      found = {.status = entry.At("status").String(),
               .reason = entry.At("reason").String(),
               .message = entry.At("message").String(),
               .observed_generation = entry.At("observedGeneration").Integer(0, kMaxGeneration)};
    }
  });
  return found;
}

}  // namespace

absl::StatusOr<model::LabelSelector> DecodeLabelSelector(const json& json) {
  absl::Status error;
  model::LabelSelector selector = Selector(JsonCursor(json, &error));
  STENTOR_RETURN_IF_ERROR(error);
  return selector;
}

absl::StatusOr<model::ObjectKey> DecodeKey(const json& json) {
  absl::Status error;
  const JsonCursor root(json, &error);
  const model::ObjectKey key = Key(root.At("metadata"));
  return Finish(key, error, "object", key);
}

absl::StatusOr<model::Labels> DecodeLabels(const json& json) {
  absl::Status error;
  const JsonCursor root(json, &error);
  const JsonCursor metadata = root.At("metadata");
  const model::ObjectKey key = Key(metadata);
  return Finish(StringMap(metadata.At("labels")), error, "object", key);
}

absl::StatusOr<model::Service> DecodeService(const json& json, Verbatim verbatim) {
  absl::Status error;
  const JsonCursor root(json, &error);
  model::Service service;

  const JsonCursor metadata = root.At("metadata");
  service.key = Key(metadata);
  service.uid = metadata.At("uid").String();
  service.resource_version = metadata.At("resourceVersion").String();
  service.created = parts::ParseTime(metadata.At("creationTimestamp").String());
  service.labels = StringMap(metadata.At("labels"));
  service.annotations = StringMap(metadata.At("annotations"));

  const JsonCursor spec = root.At("spec");
  service.type = spec.At("type").String();
  if (const JsonCursor cls = spec.At("loadBalancerClass"); cls.IsPresent()) {
    service.load_balancer_class = cls.String();
  }
  service.load_balancer_ip = spec.At("loadBalancerIP").String();
  service.cluster_ips = Strings(spec.At("clusterIPs"));
  if (std::string ip = spec.At("clusterIP").String(); service.cluster_ips.empty() && !ip.empty()) {
    service.cluster_ips.push_back(std::move(ip));
  }
  service.ip_families = Families(spec.At("ipFamilies"));
  service.ip_family_policy = spec.At("ipFamilyPolicy").String();
  service.external_traffic_policy = spec.At("externalTrafficPolicy").String() == "Local"
                                        ? model::TrafficPolicy::kLocal
                                        : model::TrafficPolicy::kCluster;
  service.health_check_node_port =
      static_cast<std::uint16_t>(spec.At("healthCheckNodePort").Integer(0, 65535));
  service.selector = StringMap(spec.At("selector"));
  spec.At("ports").ForEach([&](const JsonCursor& port) { service.ports.push_back(Port(port)); });

  const JsonCursor status = root.At("status");
  const JsonCursor load_balancer = status.At("loadBalancer");
  load_balancer.At("ingress").ForEach([&](const JsonCursor& entry) {
    if (std::string ip = entry.At("ip").String(); !ip.empty()) {
      service.ingress_ips.push_back(std::move(ip));
    }
  });

  if (verbatim == Verbatim::kKeep && error.ok()) {
    const auto object = [&](const char* key) {
      const auto it = json.find(key);
      return it == json.end() || !it->is_object() ? nlohmann::json::object() : *it;
    };
    absl::Status ignored;
    service.generation =
        JsonCursor(json, &ignored).At("metadata").At("generation").Integer(0, kMaxGeneration);
    service.address_allocated =
        ConditionOf(JsonCursor(json, &ignored).At("status"), model::kAddressAllocated);
    service.metadata_json = MetadataText(object("metadata"));
    service.status_json = DumpJson(object("status"));
    service.metadata_json.shrink_to_fit();  // they stay, and grew by doubling
    service.status_json.shrink_to_fit();
  }
  const model::ObjectKey key = service.key;
  return Finish(std::move(service), error, "Service", key);
}

absl::StatusOr<model::ConfigMapEntry> DecodeConfigMapEntry(const json& json, const char* name) {
  absl::Status error;
  const JsonCursor root(json, &error);
  model::ConfigMapEntry entry;
  entry.key = Key(root.At("metadata"));
  const JsonCursor data = root.At("data");
  if (const JsonCursor text = data.At(name); text.IsPresent()) {
    entry.text = text.String();
  }
  const model::ObjectKey key = entry.key;
  return Finish(std::move(entry), error, "ConfigMap", key);
}

absl::StatusOr<model::Pod> DecodePod(const json& json) {
  absl::Status error;
  const JsonCursor root(json, &error);
  model::Pod pod;
  const JsonCursor metadata = root.At("metadata");
  pod.key = Key(metadata);
  pod.uid = metadata.At("uid").String();
  pod.node = root.At("spec").At("nodeName").String();
  const JsonCursor status = root.At("status");
  pod.pod_ip = status.At("podIP").String();
  pod.phase = status.At("phase").String();
  const model::ObjectKey key = pod.key;
  return Finish(std::move(pod), error, "Pod", key);
}

absl::StatusOr<model::IpAddressPoolResource> DecodeIpAddressPool(const json& json) {
  absl::Status error;
  const JsonCursor root(json, &error);
  model::IpAddressPoolResource pool;
  const JsonCursor metadata = root.At("metadata");
  pool.key = Key(metadata);
  pool.labels = StringMap(metadata.At("labels"));
  const JsonCursor spec = root.At("spec");
  pool.addresses = Strings(spec.At("addresses"));
  pool.auto_assign = spec.At("autoAssign").Bool(true);
  pool.avoid_buggy_ips = spec.At("avoidBuggyIPs").Bool(false);
  const JsonCursor allocation = spec.At("serviceAllocation");
  pool.has_service_allocation = allocation.IsPresent();
  pool.priority = static_cast<int>(allocation.At("priority").Integer(kMinInt32, kMaxInt32));
  pool.namespaces = Strings(allocation.At("namespaces"));
  pool.namespace_selectors = Selectors(allocation.At("namespaceSelectors"));
  pool.service_selectors = Selectors(allocation.At("serviceSelectors"));
  const model::ObjectKey key = pool.key;
  return Finish(std::move(pool), error, "IPAddressPool", key);
}

absl::StatusOr<model::AddressPoolResource> DecodeAddressPool(const json& json) {
  absl::Status error;
  const JsonCursor root(json, &error);
  model::AddressPoolResource pool;
  pool.key = Key(root.At("metadata"));
  const JsonCursor spec = root.At("spec");
  pool.protocol = spec.At("protocol").String();
  pool.addresses = Strings(spec.At("addresses"));
  pool.auto_assign = spec.At("autoAssign").Bool(true);
  pool.avoid_buggy_ips = spec.At("avoidBuggyIPs").Bool(false);
  const model::ObjectKey key = pool.key;
  return Finish(std::move(pool), error, "AddressPool", key);
}

absl::StatusOr<model::L2AdvertisementResource> DecodeL2Advertisement(const json& json) {
  absl::Status error;
  const JsonCursor root(json, &error);
  model::L2AdvertisementResource advertisement;
  const JsonCursor metadata = root.At("metadata");
  advertisement.key = Key(metadata);
  const JsonCursor annotations = metadata.At("annotations");
  advertisement.address_conflicts = annotations.At(model::kAddressConflicts.data()).String();
  advertisement.fail_back = annotations.At(model::kFailBack.data()).String();
  const JsonCursor spec = root.At("spec");
  advertisement.ip_address_pools = Strings(spec.At("ipAddressPools"));
  advertisement.ip_address_pool_selectors = Selectors(spec.At("ipAddressPoolSelectors"));
  advertisement.node_selectors = Selectors(spec.At("nodeSelectors"));
  advertisement.interfaces = Strings(spec.At("interfaces"));
  advertisement.service_selectors = Selectors(spec.At("serviceSelectors"));
  spec.At("preferredNodeSelectors").ForEach([&](const JsonCursor& cursor) {
    advertisement.preferred_node_selectors.push_back(
        {.weight = static_cast<int>(cursor.At("weight").Integer(kMinInt32, kMaxInt32)),
         .preference = Selector(cursor.At("preference"))});
  });
  const model::ObjectKey key = advertisement.key;
  return Finish(std::move(advertisement), error, "L2Advertisement", key);
}

}  // namespace stentor::kube
