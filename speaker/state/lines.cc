// SPDX-License-Identifier: Apache-2.0
#include "speaker/state/lines.h"

#include <algorithm>

#include "common/kube/bodies.h"
#include "speaker/state/json_text.h"

namespace stentor::speaker {
namespace {

std::string_view OperatorText(const model::SelectorRequirement& requirement) {
  switch (requirement.op) {
    case model::SelectorOperator::kIn:
      return "In";
    case model::SelectorOperator::kNotIn:
      return "NotIn";
    case model::SelectorOperator::kExists:
      return "Exists";
    case model::SelectorOperator::kDoesNotExist:
      return "DoesNotExist";
    case model::SelectorOperator::kEquals:
    case model::SelectorOperator::kUnknown:
      break;
  }
  return requirement.unknown_op;
}

void WriteStrings(JsonText& json, const char* name, const std::vector<std::string>& strings) {
  json.Name(name).BeginList();
  for (const std::string& text : strings) {
    json.Text(text);
  }
  json.EndList();
}

void WriteMap(JsonText& json, const char* name, const model::Labels& map) {
  if (map.empty()) {
    return;
  }
  json.Name(name).Begin();
  for (const auto& [key, value] : map) {
    json.Name(key).Text(value);
  }
  json.End();
}

void WriteText(JsonText& json, const char* name, const std::string& text) {
  if (!text.empty()) {
    json.Name(name).Text(text);
  }
}

void WriteSelector(JsonText& json, const model::LabelSelector& selector) {
  const auto is_label = [](const model::SelectorRequirement& requirement) {
    return requirement.op == model::SelectorOperator::kEquals;
  };
  json.Begin().Name("matchLabels").Begin();
  for (const model::SelectorRequirement& requirement : selector.requirements) {
    if (is_label(requirement)) {
      json.Name(requirement.key).Text(requirement.values.front());
    }
  }
  json.End().Name("matchExpressions").BeginList();
  for (const model::SelectorRequirement& requirement : selector.requirements) {
    if (!is_label(requirement)) {
      json.Begin().Name("key").Text(requirement.key);
      json.Name("operator").Text(OperatorText(requirement));
      WriteStrings(json, "values", requirement.values);
      json.End();
    }
  }
  json.EndList().End();
}

void WriteSelectors(JsonText& json, const char* name,
                    const std::vector<model::LabelSelector>& selectors) {
  json.Name(name).BeginList();
  for (const model::LabelSelector& selector : selectors) {
    WriteSelector(json, selector);
  }
  json.EndList();
}

/// Begins an object with its kind, and its metadata, which remains open.
void BeginObject(JsonText& json, const char* kind, const model::ObjectKey& key) {
  json.Begin().Name("kind").Text(kind).Name("metadata").Begin();
  WriteText(json, "namespace", key.name_space);
  json.Name("name").Text(key.name);
}

void WriteCreated(JsonText& json, const std::optional<WallTime>& created) {
  if (created) {
    json.Name("creationTimestamp").Text(kube::FormatTime(*created));
  }
}

}  // namespace

std::string LineOf(const model::Service& service) {
  std::string line;
  JsonText json(&line);
  BeginObject(json, "Service", service.key);
  WriteText(json, "uid", service.uid);
  WriteMap(json, "labels", service.labels);
  WriteMap(json, "annotations", SavedAnnotations(service));
  json.End().Name("spec").Begin();
  WriteText(json, "type", service.type);
  if (service.load_balancer_class) {
    json.Name("loadBalancerClass").Text(*service.load_balancer_class);
  }
  if (service.external_traffic_policy == model::TrafficPolicy::kLocal) {
    json.Name("externalTrafficPolicy").Text("Local");
  }
  if (service.health_check_node_port != 0) {
    json.Name("healthCheckNodePort").Number(service.health_check_node_port);
  }
  json.End().Name("status").Begin().Name("loadBalancer").Begin().Name("ingress").BeginList();
  for (const std::string& ip : service.ingress_ips) {
    json.Begin().Name("ip").Text(ip).End();
  }
  json.EndList().End().End().End();
  return line;
}

std::string LineOf(const model::EndpointSlice& slice) {
  std::string line;
  JsonText json(&line);
  BeginObject(json, "EndpointSlice", slice.key);
  WriteCreated(json, slice.created);
  json.Name("labels").Begin().Name("kubernetes.io/service-name").Text(slice.service_name).End();
  json.End().Name("endpoints").BeginList();
  for (const model::Endpoint& endpoint : slice.endpoints) {
    json.Begin();
    WriteText(json, "nodeName", endpoint.node);
    json.Name("conditions").Begin().Name("ready").Bool(endpoint.can_serve).End().End();
  }
  json.EndList().End();
  return line;
}

std::string LineOf(const model::Node& node) {
  std::string line;
  JsonText json(&line);
  const auto condition = [&json](const char* type) {
    json.Begin().Name("type").Text(type).Name("status").Text("True").End();
  };
  BeginObject(json, "Node", {"", node.name});
  WriteMap(json, "labels", node.labels);
  json.End().Name("status").Begin().Name("conditions").BeginList();
  if (node.network_unavailable) {
    condition("NetworkUnavailable");
  }
  if (node.ready) {
    condition("Ready");
  }
  json.EndList().Name("addresses").BeginList();
  for (const net::IpAddress& address : node.addresses) {
    json.Begin().Name("type").Text("InternalIP");
    json.Name("address").Text(address.ToString()).End();
  }
  json.EndList().End().End();
  return line;
}

std::string LineOf(const model::Pod& pod) {
  std::string line;
  JsonText json(&line);
  BeginObject(json, "Pod", pod.key);
  WriteText(json, "uid", pod.uid);
  json.End().Name("spec").Begin();
  WriteText(json, "nodeName", pod.node);
  json.End().Name("status").Begin();
  WriteText(json, "podIP", pod.pod_ip);
  WriteText(json, "phase", pod.phase);
  json.End().End();
  return line;
}

std::string LineOf(const model::IpAddressPoolResource& pool) {
  std::string line;
  JsonText json(&line);
  BeginObject(json, "IPAddressPool", pool.key);
  WriteMap(json, "labels", pool.labels);
  json.End().Name("spec").Begin();
  WriteStrings(json, "addresses", pool.addresses);
  json.Name("autoAssign").Bool(pool.auto_assign).Name("avoidBuggyIPs").Bool(pool.avoid_buggy_ips);
  if (pool.has_service_allocation) {
    json.Name("serviceAllocation").Begin().Name("priority").Number(pool.priority);
    WriteStrings(json, "namespaces", pool.namespaces);
    WriteSelectors(json, "namespaceSelectors", pool.namespace_selectors);
    WriteSelectors(json, "serviceSelectors", pool.service_selectors);
    json.End();
  }
  json.End().End();
  return line;
}

std::string LineOf(const model::L2AdvertisementResource& advertisement) {
  std::string line;
  JsonText json(&line);
  BeginObject(json, "L2Advertisement", advertisement.key);
  model::Labels annotations;
  if (!advertisement.address_conflicts.empty()) {
    annotations.emplace(model::kAddressConflicts, advertisement.address_conflicts);
  }
  if (!advertisement.fail_back.empty()) {
    annotations.emplace(model::kFailBack, advertisement.fail_back);
  }
  WriteMap(json, "annotations", annotations);
  json.End().Name("spec").Begin();
  WriteStrings(json, "ipAddressPools", advertisement.ip_address_pools);
  WriteSelectors(json, "ipAddressPoolSelectors", advertisement.ip_address_pool_selectors);
  WriteSelectors(json, "nodeSelectors", advertisement.node_selectors);
  WriteStrings(json, "interfaces", advertisement.interfaces);
  WriteSelectors(json, "serviceSelectors", advertisement.service_selectors);
  json.Name("preferredNodeSelectors").BeginList();
  for (const model::PreferredNodeSelector& preferred : advertisement.preferred_node_selectors) {
    json.Begin().Name("weight").Number(preferred.weight).Name("preference");
    WriteSelector(json, preferred.preference);
    json.End();
  }
  json.EndList().End().End();
  return line;
}

std::string LineOf(const model::AddressPoolResource& pool) {
  std::string line;
  JsonText json(&line);
  BeginObject(json, "AddressPool", pool.key);
  json.End().Name("spec").Begin();
  WriteText(json, "protocol", pool.protocol);
  WriteStrings(json, "addresses", pool.addresses);
  json.Name("autoAssign").Bool(pool.auto_assign).Name("avoidBuggyIPs").Bool(pool.avoid_buggy_ips);
  json.End().End();
  return line;
}

std::string LineOf(const model::ConfigMapEntry& entry) {
  std::string line;
  JsonText json(&line);
  BeginObject(json, "ConfigMap", entry.key);
  json.End().Name("data").Begin();
  if (entry.text) {
    json.Name(kConfigMapEntry).Text(*entry.text);
  }
  json.End().End();
  return line;
}

}  // namespace stentor::speaker
