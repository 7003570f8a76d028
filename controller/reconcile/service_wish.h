// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What a Service asks for, read from its spec and annotations, with MetalLB's precedence: the key
/// with the prefix metallb.io/ wins where it is present, else the one with metallb.universe.tf/.

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model/objects.h"
#include "controller/allocator/address_allocator.h"

namespace stentor::controller {

/// Which families a list of addresses covers; kUnknown for none, for two of one family, for more.
enum class Families : std::uint8_t { kIpv4, kIpv6, kDual, kUnknown };

[[nodiscard]] Families FamiliesOf(std::span<const net::IpAddress> addresses);

/// The families of spec.clusterIPs; kUnknown for a headless Service or text that is no address.
[[nodiscard]] Families ClusterFamilies(const model::Service& service);

/// The addresses that spec.loadBalancerIP or the annotation loadBalancerIPs asks for; may be none.
/// InvalidArgument where they can't be read, or both are given.
[[nodiscard]] absl::StatusOr<AddressList> RequestedAddresses(const model::Service& service);

/// The pool that the annotation address-pool asks for.
[[nodiscard]] std::optional<model::PoolName> RequestedPool(const model::Service& service);

/// Annotations with the deprecated prefix, in order.
[[nodiscard]] std::vector<std::string> DeprecatedAnnotations(const model::Service& service);

/// The allocator's request. Precondition: ClusterFamilies() is known. `service` and
/// `namespace_labels` are borrowed.
[[nodiscard]] AllocationRequest MakeRequest(const model::Service& service, AddressList requested,
                                            const model::Labels* namespace_labels);

}  // namespace stentor::controller
