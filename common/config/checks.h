// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Checks that the kinds share, with MetalLB's texts. Also for the webhooks, which judge kinds that
/// no Config has.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/model/selector.h"

namespace stentor::config {

/// What a user wrote is wrong, and how.
[[nodiscard]] inline absl::Status Invalid(const std::string& message) {
  return absl::InvalidArgumentError(message);
}

/// Where in an object something is, for the end of an error: " (IPAddressPool web:
/// spec.addresses[2])". A value that refers to what it was made of.
struct Place {
  std::string_view object;  ///< "IPAddressPool web"
  std::string_view field;   ///< "spec.serviceAllocation.namespaces"

  [[nodiscard]] std::string Text() const;
  [[nodiscard]] std::string Text(std::size_t index) const;
};

/// Index of the first value that is there before; nothing where there is none.
[[nodiscard]] std::optional<std::size_t> FirstRepeated(const std::vector<std::string>& values);

/// That none of `values` is repeated: `duplicate definition of <what> "<value>"`.
[[nodiscard]] absl::Status CheckRepeated(const std::vector<std::string>& values,
                                         std::string_view what, const Place& place);

/// That `selectors` are ones that Kubernetes accepts (operators, keys, values) and that nothing in
/// them, and none of them, is repeated. `what`: how MetalLB calls the list ("nodeSelectors");
/// `context`: what it says of one that is none ("failed to parse node selector for ad").
[[nodiscard]] absl::Status CheckSelectors(const std::vector<model::LabelSelector>& selectors,
                                          std::string_view what, std::string_view context,
                                          const Place& place);

/// As CheckSelectors() for a single one, of which there may be another like it.
[[nodiscard]] absl::Status CheckSelector(const model::LabelSelector& selector,
                                         std::string_view context, const std::string& place);

}  // namespace stentor::config
