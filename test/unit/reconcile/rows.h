// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Convergence as a table: a Service as it is found, and what becomes of it.

#include <string>
#include <utility>
#include <vector>

#include "test/unit/reconcile/reconciler_fixture.h"

namespace stentor::controller {

/// Makes the Service of a row: type LoadBalancer, one IPv4 cluster address, no wishes.
class Found {
 public:
  Found& Type(std::string type) { return Set(service_.type, std::move(type)); }
  Found& Namespace(std::string name) { return Set(service_.key.name_space, std::move(name)); }
  Found& ClusterIps(Texts ips) { return Set(service_.cluster_ips, std::move(ips)); }
  Found& Policy(std::string policy) { return Set(service_.ip_family_policy, std::move(policy)); }
  Found& LoadBalancerIp(std::string ip) { return Set(service_.load_balancer_ip, std::move(ip)); }
  Found& Label(const std::string& key, std::string value) {
    return Set(service_.labels[key], std::move(value));
  }
  Found& Annotation(const std::string& key, std::string value) {
    return Set(service_.annotations[key], std::move(value));
  }
  Found& Pool(std::string pool) { return Annotation("metallb.io/address-pool", std::move(pool)); }
  Found& Ips(std::string ips) { return Annotation("metallb.io/loadBalancerIPs", std::move(ips)); }
  Found& V6() {
    service_.ip_families = {net::IpFamily::kIpv6};
    return ClusterIps({"2001:db8:ffff::10"});
  }
  Found& Dual(std::string policy) {
    service_.ip_families = {net::IpFamily::kIpv4, net::IpFamily::kIpv6};
    return ClusterIps({"198.51.100.10", "2001:db8:ffff::10"}).Policy(std::move(policy));
  }
  Found& DualV6First(std::string policy) {
    service_.ip_families = {net::IpFamily::kIpv6, net::IpFamily::kIpv4};
    return ClusterIps({"2001:db8:ffff::10", "198.51.100.10"}).Policy(std::move(policy));
  }
  /// What its status shows, and the annotation of the pool that it is from.
  Found& Status(Texts ingress, const std::string& pool = "") {
    service_.ingress_ips = std::move(ingress);
    if (!pool.empty()) {
      Annotation(std::string(kAllocatedFromAnnotation), pool);
    }
    return *this;
  }
  Found& Refused(std::string reason) {
    service_.address_allocated = model::Condition{
        .status = "False", .reason = std::move(reason), .message = "of another time"};
    return *this;
  }

  operator model::Service() const { return service_; }  // NOLINT(google-explicit-constructor)

 private:
  template <typename T>
  Found& Set(T& field, T value) {
    field = std::move(value);
    return *this;
  }

  model::Service service_ = MakeService("web");
};

struct Row {
  const char* name;
  model::Service found;
  Texts ingress = {};
  const char* pool = "";     ///< Of the annotation.
  Texts events = {};         ///< Reasons, in order.
  const char* refusal = "";  ///< Reason of the condition; empty: there is none.
};

/// The pools of all rows.
[[nodiscard]] std::vector<config::Pool> RowPools();

[[nodiscard]] std::vector<Row> TypeRows();     ///< Type and cluster addresses.
[[nodiscard]] std::vector<Row> NewRows();      ///< Nothing in the status, no wishes.
[[nodiscard]] std::vector<Row> AddressRows();  ///< Addresses are asked for.
[[nodiscard]] std::vector<Row> PoolRows();     ///< A pool is asked for.
[[nodiscard]] std::vector<Row> StatusRows();   ///< Something in the status.

}  // namespace stentor::controller
