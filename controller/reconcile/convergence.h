// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// One Service brought into line with the configuration, on the allocator, in the order in which
/// MetalLB's controller does it (convergeBalancer in its controller/service.go). What it says about
/// the outcome is turned into writes and events by the Reconciler, which knows what was said
/// before.

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/model/objects.h"
#include "controller/allocator/address_allocator.h"
#include "controller/allocator/explain.h"

namespace stentor::controller {

/// An event that the outcome calls for.
struct Remark {
  bool warning = false;
  std::string_view reason;  ///< Static storage; MetalLB's.
  std::string message;
};

/// Where a Service stands.
struct Standing {
  std::optional<Allocation> allocation;  ///< What its status should show; absent: nothing.
  bool wants_address = false;  ///< It asks for one, and may try again when one comes free.
  std::vector<Remark> remarks;
  std::optional<Refusal> refusal;  ///< Why it has no address, or not the one that it asks for.
};

/// Converges `service`, of type LoadBalancer and of our class. `have_pools` is false where the
/// configuration has none at all.
[[nodiscard]] Standing Converge(AddressAllocator& allocator, const model::Service& service,
                                const model::Labels* namespace_labels, bool have_pools);

/// Labels of a namespace; null where it isn't known.
using NamespaceLabels = std::function<const model::Labels*(const std::string& name_space)>;

/// Before anything new is given out, whoever has an address in its status gets it back: `services`,
/// of type LoadBalancer and of our class, that show addresses and hold none; those with more
/// addresses first, then by name. One that asks for something else by now is left without. Returns
/// those whose claim is refused.
std::vector<const model::Service*> AdoptClaims(AddressAllocator& allocator,
                                               std::vector<const model::Service*> services,
                                               const NamespaceLabels& labels_of);

/// Those of `texts` that can be read.
[[nodiscard]] AddressList AddressesIn(std::span<const std::string> texts);
/// The addresses of its status; those that can't be read are left out.
[[nodiscard]] AddressList StatusAddresses(const model::Service& service);

}  // namespace stentor::controller
