// SPDX-License-Identifier: Apache-2.0
#include "controller/reconcile/service_wish.h"

#include <utility>

#include "common/base/strings.h"

namespace stentor::controller {
namespace {

constexpr std::string_view kPrefix = "metallb.io/";
constexpr std::string_view kDeprecatedPrefix = "metallb.universe.tf/";

std::string AnnotationOf(const model::Service& service, std::string_view name) {
  for (const std::string_view prefix : {kPrefix, kDeprecatedPrefix}) {
    const auto it = service.annotations.find(StrCat(prefix, name));
    if (it != service.annotations.end()) {
      return it->second;
    }
  }
  return "";
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') {
    text.remove_prefix(1);
  }
  while (!text.empty() && text.back() == ' ') {
    text.remove_suffix(1);
  }
  return text;
}

// MetalLB compares selectors of Services with externalTrafficPolicy Local as one text.
std::string BackendKey(const model::Service& service) {
  std::string key;
  if (service.external_traffic_policy == model::TrafficPolicy::kLocal) {
    for (const auto& [name, value] : service.selector) {
      StrAppend(&key, key.empty() ? "" : ",", name, "=", value);
    }
  }
  return key;
}

}  // namespace

Families FamiliesOf(std::span<const net::IpAddress> addresses) {
  if (addresses.size() == 1) {
    return addresses[0].IsIpv4() ? Families::kIpv4 : Families::kIpv6;
  }
  return addresses.size() == 2 && addresses[0].family() != addresses[1].family()
             ? Families::kDual
             : Families::kUnknown;
}

Families ClusterFamilies(const model::Service& service) {
  AddressList addresses;
  for (const std::string& text : service.cluster_ips) {
    const auto address = net::IpAddress::Parse(text);
    if (!address) {
      return Families::kUnknown;
    }
    addresses.push_back(*address);
  }
  return FamiliesOf(addresses);
}

absl::StatusOr<AddressList> RequestedAddresses(const model::Service& service) {
  const std::string annotation = AnnotationOf(service, "loadBalancerIPs");
  AddressList addresses;
  if (annotation.empty()) {
    if (service.load_balancer_ip.empty()) {
      return addresses;
    }
    const auto address = net::IpAddress::Parse(service.load_balancer_ip);
    if (!address) {
      return absl::InvalidArgumentError(
          StrCat("invalid spec.loadBalancerIP \"", service.load_balancer_ip, "\""));
    }
    addresses.push_back(*address);
    return addresses;
  }
  if (!service.load_balancer_ip.empty()) {
    return absl::InvalidArgumentError(
        "service can not have both metallb.io/loadBalancerIPs and svc.Spec.LoadBalancerIP");
  }
  std::string_view rest = annotation;
  while (true) {
    const std::size_t comma = rest.find(',');
    const auto address = net::IpAddress::Parse(Trim(rest.substr(0, comma)));
    if (!address) {
      return absl::InvalidArgumentError(
          StrCat("invalid metallb.io/loadBalancerIPs: \"", annotation, "\""));
    }
    addresses.push_back(*address);
    if (comma == std::string_view::npos) {
      return addresses;
    }
    rest.remove_prefix(comma + 1);
  }
}

std::optional<model::PoolName> RequestedPool(const model::Service& service) {
  std::string pool = AnnotationOf(service, "address-pool");
  return pool.empty() ? std::nullopt : std::optional(std::move(pool));
}

std::vector<std::string> DeprecatedAnnotations(const model::Service& service) {
  std::vector<std::string> found;
  for (const auto& [key, value] : service.annotations) {
    if (key.starts_with(kDeprecatedPrefix)) {
      found.push_back(key);
    }
  }
  return found;
}

AllocationRequest MakeRequest(const model::Service& service, AddressList requested,
                              const model::Labels* namespace_labels) {
  const Families families = ClusterFamilies(service);
  net::IpFamily primary = families == Families::kIpv6 ? net::IpFamily::kIpv6 : net::IpFamily::kIpv4;
  if (families == Families::kDual && !service.ip_families.empty()) {
    primary = service.ip_families.front();
  }
  return {.service = service.key,
          .families = {.primary = primary,
                       .dual = families == Families::kDual,
                       .require_both = service.ip_family_policy != "PreferDualStack"},
          .addresses = std::move(requested),
          .pool = RequestedPool(service),
          .ports = service.ports,
          .sharing_key = AnnotationOf(service, "allow-shared-ip"),
          .backend_key = BackendKey(service),
          .labels = &service.labels,
          .namespace_labels = namespace_labels};
}

}  // namespace stentor::controller
